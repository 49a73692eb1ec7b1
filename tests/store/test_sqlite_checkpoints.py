"""The state file alone, as a backup tool copies it that knows nothing of the log beside it."""

from __future__ import annotations

import shutil
from contextlib import closing

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.store.sqlite.queries import JobQueries
from batchgen.store.sqlite.state import SqliteState
from tests.cli.processes import until
from tests.core.builders import NOW
from tests.store.builders import live, spec

MANY_S = 10_000.0
SHORT_S = 0.02


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "state.db"


def attempts_alone(path):
    """How many POSTs a copy of the file alone knows of."""
    copy = path.parents[1] / "copy.db"
    shutil.copyfile(path, copy)
    with closing(JobQueries(copy)) as reader:
        return sum(reader.overview(NOW).attempts.values())


def opened(path, every_s):
    path.parent.mkdir()
    return SqliteState(path, every_s)


def submit(state, count=3):
    state.importer.import_jobs([spec(f"job-{number}") for number in range(count)])
    for job in state.ledger.draw(0, count):
        live(state.ledger, job, E.INTENDED, E.ACKED)


async def test_the_file_alone_follows_its_log_without_further_records(path):
    with opened(path, SHORT_S) as state:
        submit(state)
        until(lambda: attempts_alone(path) == 3)
        log = path.with_name("state.db-wal")
        assert log.stat().st_size  # an empty one counts as lost after a death


async def test_a_checkpoint_on_demand(path):
    with opened(path, MANY_S) as state:
        submit(state)
        assert attempts_alone(path) == 0
        await state.checkpoint()
        assert attempts_alone(path) == 3


async def test_a_reader_at_work_delays_it_and_stops_nothing(path):
    with opened(path, SHORT_S) as state:
        submit(state, 1)
        with closing(JobQueries(path)) as reader, reader.snapshot():
            assert reader.overview(NOW).counts
            live(state.ledger, state.ledger.active()[0], E.SET_ASIDE)
        until(lambda: "unknown" in counts_alone(path))


def counts_alone(path):
    copy = path.parents[1] / "copy.db"
    shutil.copyfile(path, copy)
    with closing(JobQueries(copy)) as reader:
        return reader.overview(NOW).counts


def test_a_clean_end_leaves_no_log(path):
    with opened(path, SHORT_S) as state:
        submit(state)
    assert attempts_alone(path) == 3
    assert not path.with_name("state.db-wal").exists()
