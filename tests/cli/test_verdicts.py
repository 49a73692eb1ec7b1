"""The judge of the nights must find guilty whoever is."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.cli.processes import Place
from tests.cli.verdicts import judge


@pytest.fixture(scope="module")
def night(tmp_path_factory, service):
    """A good night, and the bills for it."""
    there = Place(tmp_path_factory.mktemp("night")).at(service)
    assert there.inside("run", there.manifest(3, name="night")).code == 0
    return there.path / "runs/night", service.bills("night number")


def test_a_good_night(night):
    verdict = judge(*night)
    assert verdict.violations == []
    assert verdict.done == len(night[1]) == 3


def test_a_second_bill(night):
    run, bills = night
    twice = [*bills, bills[0] | {"request_id": "another"}]
    assert "job-0 (done) was billed 2 times" in str(judge(run, twice).violations)


def test_a_failed_twin_costs_nothing(night):
    run, bills = night
    twin = bills[0] | {"request_id": "another", "state": "FAILED"}
    assert judge(run, [*bills, twin]).violations == []


def test_a_missing_bill(night):
    run, bills = night
    assert judge(run, bills[1:]).violations == ["job-0 is done and was never billed"]


def test_a_strange_bill(night):
    run, bills = night
    strange = bills[0] | {"body": "{}", "request_id": "another"}
    assert judge(run, [*bills, strange]).violations == ["['another'] are nobody's"]


@pytest.mark.parametrize(
    "spoil", [lambda data: b"", lambda data: data[:-1], lambda data: data[::-1]]
)
def test_a_file_that_is_not_whole(night, spoil):
    run, bills = night
    path = run / "outputs/job-1.png"
    data = path.read_bytes()
    path.write_bytes(spoil(data))
    try:
        assert judge(run, bills).violations == ["job-1.png is not as recorded"]
    finally:
        path.write_bytes(data)


def test_a_file_too_many(night):
    run, bills = night
    path = run / "outputs/job-1~2.png"
    path.write_bytes(b"x")
    try:
        assert judge(run, bills).violations == ["job-1~2.png belongs to no finished job"]
    finally:
        path.unlink()


def test_a_file_whose_record_a_kill_cut_off(night, tmp_path):
    """Before a night has ended the file may be of a job in flight; after it, of nobody."""
    run, bills = night
    cut_off = shutil.copytree(run, tmp_path / "cut-off")
    with closing(sqlite3.connect(cut_off / "state.db", isolation_level=None)) as state:
        key = state.execute("SELECT key FROM jobs WHERE id = 'job-1'").fetchone()[0]
        state.execute("DELETE FROM outputs WHERE job_key = ?", (key,))
        state.execute("UPDATE jobs SET state = 'fetching' WHERE key = ?", (key,))
    assert judge(cut_off, bills, finished=False).violations == []
    assert judge(cut_off, bills).violations == [
        "job-1.png belongs to no finished job",
        "job-1 is fetching",
    ]
