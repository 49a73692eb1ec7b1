"""Which rows of the history an older ledger takes for jobs that it believes to be waiting."""

from __future__ import annotations

import pytest

from batchgen.core.jobs.job import JobState
from batchgen.core.reconciliation.history import HistoryRead, HistoryRow
from batchgen.core.reconciliation.older_ledger import SentBefore, UnknownRows, held_back
from tests.core.builders import NOW, job

BODY = '{"prompt":"a cup"}'
SINCE = NOW - 3600.0


def row(request_id="r-1", model="flux-pro", body=BODY, at=SINCE + 60):
    return HistoryRow(request_id, model, body, at)


def waiting(**changes):
    return job(
        **{"model": "flux-pro", "body": BODY, "attempt": 0, "state": JobState.PENDING} | changes
    )


def unknown(*rows, known=(), doubtful=()):
    read = HistoryRead(NOW, SINCE)
    read.add(rows)
    return UnknownRows.of(read, set(known), doubtful, SINCE)


@pytest.mark.parametrize(
    ("seen", "changes", "is_taken"),
    [
        (row(), {}, True),
        (row(body='{"prompt":"a mug"}'), {}, False),
        (row(model="flux-dev"), {}, False),
        (row(body='{"seed":1}'), {"body": '{"seed":1.0}'}, True),
        (row(at=SINCE - 60), {}, True),  # the clocks may disagree
        (row(at=SINCE - 600), {}, False),  # of before the last record: it was known then
        (row(at=None), {}, True),  # wrongly held is cheaper than wrongly sent
        (row(request_id=""), {}, True),
        (row(), {"attempt": 1}, True),
        (row(at=SINCE - 60), {"attempt": 1}, False),  # may be the attempt that was given up
    ],
)
def test_a_row_that_may_be_a_waiting_job(seen, changes, is_taken):
    assert (unknown(seen).take(waiting(**changes)) == seen) is is_taken


def test_every_row_is_one_job_only_the_earliest_first():
    rows = unknown(row("late", at=SINCE + 9), row("soon", at=SINCE + 3))
    taken = [rows.take(waiting(key=key)) for key in range(3)]
    assert [found and found.request_id for found in taken] == ["soon", "late", None]


def test_a_known_request_is_nobody_elses():
    assert unknown(row(), known=["r-1"]).take(waiting()) is None


def test_a_row_may_be_that_of_a_submit_in_doubt():
    doubtful = [waiting(key=7, attempt=1, state=JobState.AMBIGUOUS)]
    rows = unknown(row("a"), row("b"), doubtful=doubtful)
    assert rows.take(waiting()) is not None
    assert rows.take(waiting()) is None


@pytest.mark.parametrize(
    ("rows", "tells_nothing"),
    [
        ([], False),
        ([row(body="")], True),
        ([row(body=""), row("r-2")], False),
        ([row(body="", at=SINCE - 600)], False),
    ],
)
def test_a_history_that_does_not_tell_what_was_sent(rows, tells_nothing):
    assert unknown(*rows).tells_nothing is tells_nothing


@pytest.mark.parametrize("request_id", ["r-9", ""])
def test_a_job_is_set_aside_with_the_attempt_that_its_ledger_lacks(request_id):
    changes = held_back(waiting(), SentBefore(request_id, SINCE, "found"), NOW)
    after = changes[-1].after
    assert after.state is JobState.UNKNOWN
    assert (after.request_id, after.sent_at, after.reason) == (request_id, SINCE, "found")
    assert (after.attempt, after.billable) == (1, 1)
    assert not changes[-1].attempt_ended  # nothing may be sent beside it
