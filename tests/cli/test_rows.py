"""Jobs from the rows of a file, from the command line to the files on the disk."""

import json
import random
import signal
import sqlite3
from contextlib import closing

import pytest

from batchgen.app.manifest_file import SAMPLE
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


def test_a_mistake_far_down_stops_submits_and_what_is_paid_for_comes_home(place, simulate):
    service = simulate()
    there = place.at(service)
    path = written(there, [*rows(SAMPLE + 500), {"p": "x"}])

    ended = there.inside("run", path, "--json")

    assert ended.code == ended.json["exit_code"] == 2
    assert f"rows.jsonl:{SAMPLE + 501}: jobs[0].params.seed: the row has no field seed" in ended.err
    assert ended.json["verdict"] == "stop"
    counts = ended.json["counts"]
    assert counts.get("done", 0) == len(service.bills()) < SAMPLE
    assert counts["pending"] == SAMPLE - counts.get("done", 0)


def test_a_taste_of_a_large_file_ends_and_the_next_run_goes_on(place, simulate):
    service = simulate()
    there = place.at(service)
    path = written(there, rows(SAMPLE + 500))

    for taken in (2, 4):
        ended = there.inside("run", path, "--limit", "2", "--json")
        assert ended.code == 1
        assert ended.json["counts"]["done"] == len(service.bills()) == taken


def test_plan_tells_every_mistake_of_a_large_file(place):
    bad = [*rows(SAMPLE + 10), "nonsense", {"p": "x"}, *rows(1), "nonsense"]

    ended = place.inside("plan", written(place, bad))

    assert ended.code == 2
    assert f"rows.jsonl:{SAMPLE + 11}: " in ended.err
    assert f"(and 1 more like it): {place.path / 'rows.jsonl'}:{SAMPLE + 14}" in ended.err
    assert f"rows.jsonl:{SAMPLE + 12}: " in ended.err


# ------------------------------------------------------------------ interrupted imports

MANY = 16_000
KILLED_AT = (2_500, 7_500, 12_500)


def imported(there):
    """The note of the import, as it stands on the disk: how far it is."""
    state = there.path / "runs/rows/state.db"
    if not state.exists():
        return {"job_count": 0, "complete": False}
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
        tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'notes'").fetchone()
        query = "SELECT value FROM notes WHERE name = 'import'"
        row = connection.execute(query).fetchone() if tables else None
    return json.loads(row[0]) if row else {"job_count": 0, "complete": False}


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
    met = []

    for target in KILLED_AT:
        with there.start("run", path) as running:
            until(lambda: imported(there)["job_count"] >= target or running.process.poll())  # noqa: B023
            assert running.killed_after(chance.uniform(0, 0.1))
        met.append(imported(there))

    assert not met[0]["complete"]
    assert len({note["job_count"] for note in met}) > 1
    with there.start("run", path) as running:
        until(lambda: imported(there)["complete"])
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
