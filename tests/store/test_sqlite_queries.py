"""Looking at a run without touching it, also while it runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from batchgen.core.dataset.columns import FILES
from batchgen.core.dataset.export import Finished
from batchgen.core.dataset.tables import ATTEMPTS, JOBS
from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import Receipt
from batchgen.core.jobs.outcomes import Signal
from batchgen.core.scheduling.gates.holds import HELD_NOTE, HeldJobs, Hold, dump
from batchgen.errors import StateError
from batchgen.store.sqlite.importer import import_jobs
from batchgen.store.sqlite.records import ExportQueries
from batchgen.store.sqlite.status import StatusQueries
from tests.core.builders import NOW, output, saved
from tests.store.builders import ledger_at, live, load, spec

SENT = (E.INTENDED, E.ACKED)
HOME = (*SENT, E.FINISHED, E.RESULT)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a run?#%20" / "state.db"


@pytest.fixture
def ledger(path):
    path.parent.mkdir()
    made = ledger_at(path, *"abcdef")
    with closing(made.connection):
        yield made


@pytest.fixture
def reader(path, ledger):
    with closing(ExportQueries(path)) as made:
        yield made


def finish(ledger, id_, name, **receipt):
    fetched = live(
        ledger, load(ledger, id_), *HOME, outputs=(output(),), receipt=Receipt(**receipt)
    )
    return live(ledger, fetched, E.SAVED, files=(saved(0, name),), at=NOW + 100)


def test_pending_jobs_of_a_model_that_is_noted_are_on_hold(path, ledger, reader):
    assert reader.held() == []
    hold = Hold(Signal.NOT_FOUND, "HTTP 404", NOW)
    ledger.record((), {HELD_NOTE: dump({spec("a").model: hold, "zzz": hold})})

    assert reader.overview(NOW).held_count == 6
    live(ledger, load(ledger, "a"), *SENT)
    assert reader.held() == [HeldJobs(spec("a").model, hold, 5)], "none of a model without jobs"

    with ledger.transaction() as connection:
        connection.execute("UPDATE jobs SET listed = 0 WHERE id IN ('b', 'c')")
    assert reader.overview(NOW).held_count == 3, "those of the manifest"
    with closing(StatusQueries(path)) as status:
        (left,) = status.left()
    assert (left.queued_count, left.under_way_count) == (0, 1)


def test_a_reader_sees_each_commit_of_a_writer_at_work(ledger, reader):
    assert reader.overview(NOW).counts == {"pending": 6}

    with ledger.transaction() as connection:
        connection.execute("UPDATE jobs SET reason = 'half a transaction'")
        assert reader.overview(NOW).counts == {"pending": 6}, "the reader waits for nobody"

    live(ledger, load(ledger, "a"), *SENT)
    assert reader.overview(NOW).counts == {"pending": 5, "submitted": 1}


def test_a_reader_modifies_nothing(path, ledger):
    ledger.connection.close()
    before = path.read_bytes()

    with closing(ExportQueries(path)) as reader:
        reader.overview(NOW)
        assert list(reader.files()) == []
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader._connection.execute("DELETE FROM notes")

    assert path.read_bytes() == before
    wal = path.with_name("state.db-wal")
    assert not wal.exists() or wal.stat().st_size == 0, "nothing waits to be written either"


def test_everything_status_shows(ledger, reader):
    finish(ledger, "a", "a.png", cost_usd=0.04)
    live(ledger, load(ledger, "b"), *SENT)
    live(ledger, load(ledger, "c"), E.INTENDED, E.REFUSED, reason="HTTP 400: no", at=NOW + 5)
    import_jobs(ledger, [spec(id_) for id_ in "abcd"])
    ledger.record([], {"service": "segmind"})

    seen = reader.overview(NOW + 200)

    assert seen.counts == {"done": 1, "submitted": 1, "failed": 1, "pending": 1}
    assert seen.attempts == {"acked": 2, "rejected": 1}
    assert (seen.totals.settled_usd, seen.totals.reserved_usd) == pytest.approx((0.04, 0.1))
    assert (seen.dropped_count, seen.file_count, seen.byte_count) == (2, 1, 72)
    assert seen.oldest_unfetched_at == NOW
    assert (seen.first_intent_at, seen.last_change_at) == (NOW, NOW + 100)
    assert seen.recent_done_count == 1
    assert reader.overview(NOW + 500).recent_done_count == 0
    assert seen.notes == {"service": "segmind"}


def test_a_run_that_has_not_begun(reader):
    seen = reader.overview(NOW)

    assert seen.oldest_unfetched_at is seen.first_intent_at is seen.last_change_at is None
    assert (seen.file_count, seen.byte_count, seen.recent_done_count) == (0, 0, 0)


@pytest.mark.parametrize(
    ("kinds", "fields", "has_deadline"),
    [
        (SENT, {}, True),
        ((*SENT, E.FINISHED), {}, True),
        ((*SENT, E.GONE), {}, True),
        (HOME, {"outputs": (output(),)}, False),
        ((*SENT, E.FAILED), {}, False),
    ],
)
def test_which_jobs_have_a_deadline(ledger, reader, kinds, fields, has_deadline):
    live(ledger, load(ledger, "a"), *kinds, **fields)

    assert (reader.overview(NOW).oldest_unfetched_at is not None) is has_deadline


def test_a_row_of_metadata(tmp_path):
    ledger = ledger_at(tmp_path / "state.db")
    body = '{"id":"theirs","prompt":"a cup","seed":5}'
    import_jobs(ledger, [spec("a", body, fields={"style": "ink", "prompt": "template"})])
    finish(ledger, "a", "x/a.png", cost_usd=0.04, inference_s=21.0, seed=42)

    with closing(ExportQueries(tmp_path / "state.db")) as reader:
        (record,) = reader.files()
    ledger.connection.close()

    assert record.own == {
        "file_name": "x/a.png", "id": "a", "model": "flux-pro", "request_id": "r-1-1", "seed": 42,
        "cost": 0.04, "submitted_at": NOW, "finished_at": NOW + 100, "inference_s": 21.0,
        "queue_s": None, "total_s": None, "sha256": "0" * 64, "width": 3, "height": 2, "bytes": 72,
        "media_type": "image/png", "verified": True,
    }  # fmt: skip
    assert set(record.own) == {*FILES.head, *FILES.tail}
    assert record.params == {"id": "theirs", "prompt": "a cup", "seed": 5}
    assert record.row == {"style": "ink", "prompt": "template"}


def test_without_an_echo_the_seed_asked_for_is_named(tmp_path):
    ledger = ledger_at(tmp_path / "state.db")
    import_jobs(ledger, [spec("a", '{"seed":5}'), spec("b")])
    finish(ledger, "a", "a.png")
    finish(ledger, "b", "b.png")

    with closing(ExportQueries(tmp_path / "state.db")) as reader:
        assert [record.own["seed"] for record in reader.files()] == [5, None]
    ledger.connection.close()


def test_jobs_and_attempts_are_records_of_their_layouts(ledger, reader):
    finish(ledger, "a", "a.png", cost_usd=0.04)
    live(ledger, load(ledger, "b"), E.INTENDED, E.REFUSED, reason="HTTP 400: no", at=NOW + 5)

    first, second, *others = reader.jobs()
    assert set(first.own) == {*JOBS.head, *JOBS.tail}
    assert (first.own["state"], first.own["files"], first.own["cost"]) == ("done", ["a.png"], 0.04)
    assert (second.own["state"], second.own["reason"]) == ("failed", "HTTP 400: no")
    assert [one.own["state"] for one in others] == ["pending"] * 4
    attempts = list(reader.attempts())
    assert set(attempts[0].own) == set(ATTEMPTS.natural)
    assert [one.own["attempt_state"] for one in attempts] == ["acked", "rejected"]
    assert [one.own["id"] for one in reader.attempts().only("b", "flux-*")] == ["b"]


def test_a_snapshot_does_not_see_what_comes_meanwhile(ledger, reader):
    finish(ledger, "a", "a.png")
    with reader.snapshot():
        assert reader.finished().count == 1
        finish(ledger, "b", "b.png")
        assert reader.finished().count == len(list(reader.files())) == 1
    assert reader.finished() == Finished(2, 144, NOW + 100)


def test_records_are_read_in_their_order_without_sorting(ledger, reader):
    for records in (reader.files(), reader.jobs(), reader.attempts()):
        plan = ledger.connection.execute(f"EXPLAIN QUERY PLAN {records.sql}", ("*", "*"))
        assert not [step for *_, step in plan if "TEMP B-TREE" in step]


def test_files_of_a_job_that_is_not_done_are_not_shown(ledger, reader):
    done = finish(ledger, "a", "a.png")
    assert len(list(reader.files())) == 1

    live(ledger, done, E.RETRIED, at=NOW + 200)

    assert list(reader.files()) == []


@pytest.mark.parametrize("empty", [False, True], ids=["missing", "empty"])
def test_where_nothing_was_run_the_reader_says_so_and_makes_nothing(tmp_path, empty):
    path = tmp_path / "state.db"
    if empty:
        path.touch()

    with pytest.raises(StateError, match="nothing was run here yet"):
        ExportQueries(path)

    assert path.exists() is empty


def test_a_damaged_file_is_told_as_such(path, ledger):
    ledger.connection.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xa5" * (len(whole) - 100))

    with pytest.raises(StateError, match="cannot be read"):
        ExportQueries(path)


# ------------------------------------------------------------------ what a run came to


AGAIN = (*SENT, E.TRIED_AGAIN)


def test_what_failed_and_was_tried_again_is_counted_apart_by_what_became_of_it(path, ledger):
    def tried(id_, *then):
        again = live(ledger, load(ledger, id_), *AGAIN, reason="no worker")
        return live(ledger, again, *then) if then else again

    home = (*SENT, E.FINISHED, E.SAVED)
    tried("a", *home)
    tried("b", *AGAIN, *SENT, E.FAILED)
    tried("c")
    live(ledger, load(ledger, "d"), *SENT, E.FAILED, reason="no worker")
    put_off = live(ledger, load(ledger, "e"), E.INTENDED, E.NOT_ACCEPTED, reason="HTTP 429")
    live(ledger, put_off, *home)

    with closing(StatusQueries(path)) as reader:
        assert reader.tried_again() == {"done": 1, "failed": 1, "pending": 1}


def test_tokens_are_those_of_done_jobs(path, ledger):
    finish(ledger, "a", "a.txt", input_tokens=3, output_tokens=50)
    finish(ledger, "b", "b.txt", input_tokens=4)
    finish(ledger, "c", "c.png")

    with closing(StatusQueries(path)) as reader:
        assert reader.tokens() == (7, 50)
