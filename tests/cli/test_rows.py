"""Jobs from the rows of a file, from the command line to the files on the disk."""

import json
import random
import signal
import sqlite3
from contextlib import closing

import pytest

from batchgen.app.manifest_file import FIRST_JOBS
from tests.cli.processes import until
from tests.cli.verdicts import judge

MANIFEST = """version: 1
name: rows
budget: {requests_per_minute: null, concurrency: 4}
jobs:
  - from: rows.jsonl
    id: "{label}-{row}"
    model: flux-kontext-max
    api: v1
    params: {prompt: "{p}, ink", seed: "{seed}"}
"""


def written(there, rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (there.path / "rows.jsonl").write_text("\n".join(lines))
    path = there.path / "rows.yaml"
    path.write_text(MANIFEST)
    return path


def rows(count):
    return [{"p": f"cup {n}", "seed": n, "label": ["even", "odd"][n % 2]} for n in range(count)]


def test_rows_become_files_and_their_fields_metadata(place, simulate):
    there = place.at(simulate())

    path = written(there, rows(3))
    ended = there.inside("run", path)

    assert ended.code == 0, ended.err
    outputs = there.path / "runs/rows/outputs"
    lines = [json.loads(line) for line in (outputs / "metadata.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["even-1", "odd-2", "even-3"]
    assert (lines[1]["prompt"], lines[1]["seed"], lines[1]["label"]) == ("cup 1, ink", 1, "odd")
    assert all((outputs / line["file_name"]).is_file() for line in lines)
    for command in ("plan", "status"):
        ended = there.inside(command, path, "--json")
        assert (ended.code, ended.json["jobs"]) == (0, 3)


def test_every_mistake_in_a_small_file_is_told_and_nothing_is_sent(place, simulate):
    service = simulate()
    there = place.at(service)
    bad = [*rows(2), {"p": "x"}, "nonsense", {"p": 3, "seed": "x", "label": "a"}]

    ended = there.inside("run", written(there, bad))

    assert ended.code == 2
    for place_of in ("rows.jsonl:3: ", "rows.jsonl:4: ", "rows.jsonl:5: "):
        assert place_of in ended.err
    assert "jobs[0].params.seed: the row has no field seed; its fields: p\n" in ended.err
    assert service.bills() == []
    assert not (there.path / "runs").exists()


def test_a_mistake_far_down_is_told_before_anything_is_sent(place, simulate):
    service = simulate()
    there = place.at(service)
    path = written(there, [*rows(FIRST_JOBS + 500), {"p": "x"}])

    ended = there.inside("run", path, "--json")

    assert (ended.code, ended.out) == (2, "")
    where = f"rows.jsonl:{FIRST_JOBS + 501}: jobs[0].params.seed"
    assert f"{where}: the row has no field seed" in ended.err
    assert service.bills() == []


def test_a_taste_of_a_large_file_ends_and_the_next_run_goes_on(place, simulate):
    service = simulate()
    there = place.at(service)
    path = written(there, rows(FIRST_JOBS + 500))

    for taken in (2, 4):
        ended = there.inside("run", path, "--limit", "2", "--json")
        assert ended.code == 1
        assert ended.json["counts"]["done"] == len(service.bills()) == taken


def test_plan_tells_every_mistake_of_a_large_file(place):
    bad = [*rows(FIRST_JOBS + 10), "nonsense", {"p": "x"}, *rows(1), "nonsense"]

    ended = place.inside("plan", written(place, bad))

    assert ended.code == 2
    assert f"rows.jsonl:{FIRST_JOBS + 11}: " in ended.err
    assert f"(and 1 more like it): {place.path / 'rows.jsonl'}:{FIRST_JOBS + 14}" in ended.err
    assert f"rows.jsonl:{FIRST_JOBS + 12}: " in ended.err


# ------------------------------------------------------------------ interrupted imports

MANY = 16_000


def ids(there):
    with closing(sqlite3.connect(there.path / "runs/rows/state.db")) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM jobs ORDER BY key")]


@pytest.mark.long
@pytest.mark.processes
@pytest.mark.timeout(110)
def test_an_import_killed_again_and_again_takes_every_row_once(place, simulate):
    chance = random.Random(2711)
    service = simulate(latency_s=0.3)
    there = place.at(service)
    path = written(there, rows(MANY))
    log = there.path / "runs/rows/state.db-wal"

    for _ in range(3):
        with there.start("run", path) as running:
            # The log grows while rows are written, and they are there only once it is committed.
            until(lambda: log.exists() and log.stat().st_size > 10**6)
            assert running.killed_after(chance.uniform(0, 0.05))
        assert service.bills() == []

    with there.start("run", path) as running:
        until(lambda: service.bills() or running.process.poll() is not None)
        running.send(signal.SIGINT)
        assert running.end().code == 130

    assert ids(there) == [f"{['even', 'odd'][n % 2]}-{n + 1}" for n in range(MANY)]
    bills = service.bills()
    assert judge(there.path / "runs/rows", bills, finished=False).violations == []
    bodies = [bill["body"] for bill in bills]
    assert bodies
    assert len(set(bodies)) == len(bodies)


@pytest.mark.hunt
@pytest.mark.processes
def test_ctrl_c_while_an_edited_manifest_is_compared_leaves_the_record(place, simulate):
    service = simulate()
    there = place.at(service)
    path = written(there, rows(MANY))
    assert there.inside("run", path, "--limit", "1").code == 1
    before, bill_count = ids(there), len(service.bills())
    path.write_text(path.read_text().replace("ink", "oil"))

    with there.start("run", path, "--on-change", "keep") as running:
        assert b"the manifest changed" in running.process.stderr.readline()
        running.send(signal.SIGINT)
        ended = running.end()

    assert (ended.code, ended.out) == (130, "")
    assert ids(there) == before
    assert len(service.bills()) == bill_count

    assert there.inside("run", path, "--on-change", "keep", "--limit", "1").code == 1
    assert len(ids(there)) == MANY
    assert ", oil" in service.bills()[-1]["body"]
