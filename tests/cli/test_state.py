"""The run directory as others may find or leave it: in use, damaged, foreign, newer, moved."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.cli.disks import make_read_only, small_disk
from tests.cli.processes import Place, until
from tests.store.builders import break_off_at_once


@pytest.fixture(scope="module")
def done(tmp_path_factory, service):
    """A run that is done, for all tests."""
    there = Place(tmp_path_factory.mktemp("done")).at(service)
    assert there.inside("run", there.manifest(1, name="kept")).code == 0
    return there


@pytest.fixture
def finished(done, place, service):
    """A run that is done, and its manifest: copies, to do with as one likes."""
    shutil.copytree(done.path, place.path, dirs_exist_ok=True)
    return place.at(service), place.path / "batch.yaml", place.path / "runs/kept"


def test_two_runs_on_one_directory(place, simulate):
    service = simulate(latency_s=3000)  # longer than any machine takes for two refusals
    there = place.at(service)
    manifest = there.manifest(2)
    with there.start("run", manifest) as first:
        until(lambda: len(service.bills()) == 2)
        for arguments in (["run", manifest], ["retry", manifest, "--failed"]):
            refused = there.inside(*arguments)
            assert refused.code == 2
            assert f"process {first.pid}" in refused.err
        assert first.process.poll() is None  # refused at once, not after the first had ended
        assert first.killed_after(0)
    assert len(service.bills()) == 2


def test_a_dead_run_leaves_no_lock(place, simulate):
    service = simulate(latency_s=0.5)
    there = place.at(service)
    manifest = there.manifest(2, reconcile={"settle": 1})
    with there.start("run", manifest) as first:
        until(lambda: len(service.bills()) == 2)
        assert first.killed_after(0)
    ended = there.inside("run", manifest)
    assert ended.code == 0
    assert len(service.bills()) == 2


def test_a_real_run_is_refused_in_a_rehearsals_directory(place, service):
    there = place.at(service)
    manifest = there.manifest(1, name="mixed")
    assert there.inside("run", manifest, "--simulate", "--speed", "10000").code == 0
    before = (there.path / "runs/mixed/outputs/job-0.png").read_bytes()
    edited = there.manifest({"job-0": {"prompt": "mixed, edited"}}, name="mixed")
    refused = there.inside("run", edited, "--on-change", "rerun")
    assert refused.code == 2
    assert "belongs to the simulator" in refused.err
    assert "--run-dir" in refused.err
    assert service.bills("mixed") == []
    # Refused means untouched: nothing was put back or set aside.
    assert there.inside("status", "runs/mixed", "--json").json["counts"]["done"] == 1
    assert (there.path / "runs/mixed/outputs/job-0.png").read_bytes() == before


def test_a_rehearsal_is_refused_in_a_real_runs_directory(finished):
    there, manifest, _ = finished
    refused = there.inside("run", manifest, "--simulate")
    assert refused.code == 2
    assert "belongs to host 127.0.0.1" in refused.err


def damage(path):
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:5000])


def replace_by_text(path):
    path.write_text("this is not a database\n" * 100)


def replace_by_foreign(path):
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE photos (id)")
        connection.commit()


def make_newer(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.commit()


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


SPOILERS = {
    "damaged": (damage, "damaged"),
    "truncated": (truncate, "damaged"),
    "text": (replace_by_text, "not a SQLite file"),
    "foreign": (replace_by_foreign, "another program"),
    "newer": (make_newer, "newer batchgen"),
    "a folder": (replace_by_folder, "state.db"),
}


@pytest.mark.parametrize(("spoil", "word"), SPOILERS.values(), ids=SPOILERS.keys())
def test_a_state_file_that_is_none(finished, service, spoil, word):
    there, manifest, run = finished
    state = run / "state.db"
    spoil(state)
    before = state.read_bytes() if state.is_file() else None
    bills = len(service.bills())
    refused = there.inside("run", manifest)
    assert refused.code == 2, refused.text
    assert word in refused.err
    assert str(state.relative_to(there.path)) in refused.err
    for arguments in (["status", "runs/kept"], ["retry", "runs/kept", "--failed"]):
        ended = there.inside(*arguments)
        assert ended.code in {0, 2}, ended.text
    assert len(service.bills()) == bills
    assert (state.read_bytes() if state.is_file() else None) == before


def test_a_state_file_that_is_gone_while_outputs_exist(finished, service):
    """Without it everything would be paid for again."""
    there, manifest, run = finished
    (run / "state.db").unlink()
    bills = len(service.bills())
    refused = there.inside("run", manifest)
    assert refused.code == 2
    assert "state.db is gone" in refused.err
    assert len(service.bills()) == bills


def test_a_run_can_be_moved(finished, service):
    there, manifest, run = finished
    shutil.move(run, there.path / "moved")
    bills = len(service.bills())
    ended = there.inside("run", manifest, "--run-dir", "moved")
    assert ended.code == 0
    assert ended.out.startswith("1 done; $0.04 spent; took ")
    assert len(service.bills()) == bills


def test_a_run_on_a_disk_that_cannot_be_written(finished, service, tmp_path):
    """An archive: its figures can be read, and a run says what is wrong."""
    there, manifest, run = finished
    with small_disk(tmp_path / "disk", "20m") as disk:
        shutil.copytree(run, disk / "kept")
        make_read_only(disk)
        status = there.inside("status", disk / "kept", "--json")
        assert status.code == 0, status.text
        assert status.json["counts"]["done"] == 1
        bills = len(service.bills())
        ended = there.inside("run", manifest, "--run-dir", disk / "kept")
        assert ended.code == 2, ended.text
        assert str(disk / "kept") in ended.err
        assert "--run-dir" in ended.err
        assert len(service.bills()) == bills


@pytest.mark.parametrize("first_page", ["written", "lost"])
def test_a_state_file_that_was_broken_off_before_its_first_record(place, service, first_page):
    """Nothing was run there: a run begins anew, and every other command says so."""
    there = place.at(service)
    manifest = there.manifest(1, name=f"broken-off-{first_page}")
    run = there.path / "runs" / f"broken-off-{first_page}"
    run.mkdir(parents=True)
    break_off_at_once(run / "state.db", first_page)
    for arguments in (["status", run], ["retry", run, "--failed"]):
        refused = there.inside(*arguments)
        assert refused.code == 2, refused.text
        assert "nothing was run here yet; `batchgen run` begins anew" in refused.err
    plan = there.inside("plan", manifest, "--json")
    assert plan.code == 0, plan.text
    assert plan.json["jobs"] == 1
    assert "FAIL state" not in there.inside("doctor", run).out
    assert there.inside("run", manifest).code == 0
    assert there.inside("status", run, "--json").json["counts"]["done"] == 1


@pytest.mark.parametrize("meanwhile", ["jobs wait", "all are submitted"])
def test_a_run_directory_that_is_moved_under_a_run(place, simulate, meanwhile):
    """It says so, and goes on from the new place without paying for anything twice."""
    service = simulate(latency_s=1.0)
    there = place.at(service)
    count = 2 if meanwhile == "all are submitted" else 12
    manifest = there.manifest(count, name="moving", budget={"concurrency": 2})
    with there.start("run", manifest) as running:
        until(lambda: len(service.bills()) >= 2)
        shutil.move(there.path / "runs/moving", there.path / "elsewhere")
        ended = running.end()
    assert ended.code == 3, ended.text
    assert "runs/moving was moved or deleted while the run worked in it" in ended.err
    assert "--run-dir" in ended.err
    again = there.inside("run", manifest, "--run-dir", "elsewhere")
    assert again.code == 0, again.text
    assert len(service.bills()) == count
    assert len(list((there.path / "elsewhere/outputs").glob("*.png"))) == count
