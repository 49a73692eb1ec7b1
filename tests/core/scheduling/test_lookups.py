"""Pages of the history as they come, and what is denied: who may still be a candidate."""

from __future__ import annotations

import pytest

from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.outcomes import CallKind, Response, Signal
from batchgen.core.reconciliation.history import HistoryRow
from batchgen.core.scheduling.effects import Effect, EffectKind, PageOutcome
from batchgen.core.scheduling.gates import OUTAGE_AFTER, GateKind
from batchgen.core.scheduling.lookups import DENIALS
from tests.core.builders import NOW, job, scheduler

ROW = HistoryRow("r-1", "flux-pro", "{}", NOW)
READ = Effect(EffectKind.READ_HISTORY, counts=False)


def landed(signal=Signal.OK, rows=None, detail=""):
    return PageOutcome(Response(CallKind.HISTORY, signal, NOW, detail), rows, detail)


def begin_page(made, now):
    return made.start(READ, now).read


def take_in_page(made, outcome):
    assert made.digest([outcome], NOW) == ([], [])


def reading(*jobs):
    made = scheduler(jobs or [job(S.AMBIGUOUS)])
    begin_page(made, NOW)
    return made


def test_a_read_goes_back_to_the_oldest_doubt_on_the_services_clock():
    made = scheduler([job(S.AMBIGUOUS, 1, sent_at=NOW - 50), job(S.AMBIGUOUS, 2, sent_at=NOW - 90)])
    made.lookups.observe_skew(7.0)

    read = begin_page(made, NOW)

    assert made.lookups.fetching
    assert (read.started_at, read.back_to, read.page) == (NOW, NOW - 83, 1)


def test_the_next_page_belongs_to_the_same_read():
    made = reading()
    first = made.lookups.read
    take_in_page(made, landed(rows=[ROW]))

    assert begin_page(made, NOW + 5) is first
    assert (first.page, first.started_at) == (2, NOW)


def test_a_page_ends_nothing_and_an_empty_one_the_read():
    made = reading()
    take_in_page(made, landed(rows=[ROW]))
    assert not made.lookups.read.ended
    assert not made.lookups.fetching

    begin_page(made, NOW + 1)
    take_in_page(made, landed(rows=[]))

    assert made.lookups.read.complete


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

    assert made.lookups.read.ended
    assert made.lookups.read.complete is complete
    assert made.lookups.read.failed == ("" if complete else "HTTP what it was")


def test_a_page_that_was_cut_off_leaves_the_read_as_it_was():
    made = reading()

    take_in_page(made, PageOutcome())

    assert not made.lookups.fetching
    assert not made.lookups.read.ended
    assert made.lookups.read.page == 1


def test_a_page_for_a_read_that_is_over_goes_nowhere():
    made = reading()
    made.lookups.read = None

    take_in_page(made, landed(rows=[ROW]))

    assert made.lookups.read is None
    assert not made.lookups.fetching


def test_the_gates_hear_of_a_history_that_does_not_answer():
    made = scheduler([job(S.AMBIGUOUS)])
    for _ in range(OUTAGE_AFTER):
        made.lookups.read = None
        begin_page(made, NOW)
        take_in_page(made, landed(Signal.LOST, detail="answer lost"))

    assert set(made.gates.closed) == {GateKind.HISTORY}


def test_a_denied_candidate_is_asked_about_again_and_then_foreign():
    made = scheduler([job(S.AMBIGUOUS)])
    for _ in range(DENIALS):
        assert made.lookups.foreign == frozenset()
        made.lookups.propose(1, "r-1")
        made.lookups.deny(1)

    assert (made.lookups.candidates, made.lookups.foreign) == ({}, {"r-1"})
    made.lookups.deny(1)  # it has none any more
    assert sum(made.lookups.denials.values()) == DENIALS
