"""Pages of the history onto the board, findings off it: the runner's part of reconciling."""

from __future__ import annotations

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.outcomes import CallKind, Signal
from batchgen.core.reconciliation.history import HistoryRow
from batchgen.core.scheduling.effects import Effect, EffectKind
from batchgen.core.scheduling.gates import OUTAGE_AFTER, GateKind
from batchgen.core.scheduling.state import DENIALS
from batchgen.runner.history import begin_page, reject_candidate, take_in_page
from batchgen.runner.outcome import Landed
from tests.core.builders import NOW, board, event, job

ROW = HistoryRow("r-1", "flux-pro", "{}", NOW)
READ = Effect(EffectKind.READ_HISTORY)


def landed(signal=Signal.OK, rows=None, detail=""):
    said = event(E.HELD, job_key=0, call=CallKind.HISTORY, signal=signal, reason=detail)
    return Landed(READ, said, rows=rows, detail=detail)


def reading(*jobs):
    made = board(jobs or [job(S.AMBIGUOUS)])
    begin_page(made, NOW)
    return made


def test_a_read_goes_back_to_the_oldest_doubt_on_the_services_clock():
    made = board([job(S.AMBIGUOUS, 1, sent_at=NOW - 50), job(S.AMBIGUOUS, 2, sent_at=NOW - 90)])
    made.skew_s = 7.0

    read = begin_page(made, NOW)

    assert made.reading
    assert (read.started_at, read.back_to, read.page) == (NOW, NOW - 83, 1)


def test_the_next_page_belongs_to_the_same_read():
    made = reading()
    first = made.history
    take_in_page(made, landed(rows=[ROW]))

    assert begin_page(made, NOW + 5) is first
    assert (first.page, first.started_at) == (2, NOW)


def test_a_page_ends_nothing_and_an_empty_one_the_read():
    made = reading()
    take_in_page(made, landed(rows=[ROW]))
    assert not made.history.ended
    assert not made.reading

    begin_page(made, NOW + 1)
    take_in_page(made, landed(rows=[]))

    assert made.history.complete


@pytest.mark.parametrize(
    ("signal", "first_page", "complete"),
    [
        (Signal.NOT_FOUND, [ROW], True),
        (Signal.NOT_FOUND, None, False),
        (Signal.SERVER_ERROR, [ROW], False),
        (Signal.KEY_REFUSED, [ROW], False),
        (Signal.RATE_LIMITED, None, False),
    ],
)
def test_a_page_that_fails_ends_the_read(signal, first_page, complete):
    made = reading()
    if first_page is not None:
        take_in_page(made, landed(rows=first_page))
        begin_page(made, NOW + 1)

    take_in_page(made, landed(signal, detail="HTTP what it was"))

    assert made.history.ended
    assert made.history.complete is complete
    assert made.history.failed == ("" if complete else "HTTP what it was")


def test_a_page_that_was_cut_off_leaves_the_read_as_it_was():
    made = reading()

    take_in_page(made, Landed(READ))

    assert not made.reading
    assert not made.history.ended
    assert made.history.page == 1


def test_a_page_for_a_read_that_is_over_goes_nowhere():
    made = reading()
    made.history = None

    take_in_page(made, landed(rows=[ROW]))

    assert made.history is None
    assert not made.reading


def test_the_gates_hear_of_a_history_that_does_not_answer():
    made = board([job(S.AMBIGUOUS)])
    for _ in range(OUTAGE_AFTER):
        made.history = None
        begin_page(made, NOW)
        take_in_page(made, landed(Signal.LOST, detail="answer lost"))

    assert set(made.gates.closed) == {GateKind.HISTORY}


def test_a_denied_candidate_is_asked_about_again_and_then_foreign():
    made = board([job(S.AMBIGUOUS)])
    for _ in range(DENIALS):
        assert made.foreign == frozenset()
        made.candidates[1] = "r-1"
        reject_candidate(made, 1)

    assert (made.candidates, made.foreign) == ({}, {"r-1"})
    reject_candidate(made, 1)  # it has none any more
    assert sum(made.denials.values()) == DENIALS
