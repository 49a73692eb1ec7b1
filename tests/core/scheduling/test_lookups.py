"""Pages of the history as they come, and what is denied: who may still be a candidate."""

from __future__ import annotations

import pytest

from batchgen.core.jobs.events import EventKind
from batchgen.core.jobs.job import Doubt
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.outcomes import CallKind, Response, Signal
from batchgen.core.reconciliation.evidence import Reads
from batchgen.core.reconciliation.history import (
    MAX_LAG_S,
    HistoryRead,
    HistoryRow,
    OwnRequest,
)
from batchgen.core.scheduling.doubts.lookups import ACKED_FOR_S, DENIALS, Lookups
from batchgen.core.scheduling.effects import Effect, EffectKind, PageOutcome
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.core.scheduling.gates.outages import OUTAGE_AFTER
from batchgen.core.scheduling.planner import plan
from tests.core.builders import NOW, event, job, scheduler

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


@pytest.mark.parametrize(
    ("late_s", "back_to"), [(1.0, NOW - 83), (-7 * 3600.0, NOW - 83 - 7 * 3600), (7200.0, NOW - 83)]
)
def test_the_next_read_goes_back_by_the_clock_of_the_rows_as_well(late_s, back_to):
    """To the earlier of both instants: by one of them the doubt is dated."""
    made = scheduler([job(S.AMBIGUOUS, sent_at=NOW - 90, unclear_at=NOW - 80)])
    made.lookups.observe_skew(7.0)
    read = begin_page(made, NOW)
    sent_at = NOW - 50
    take_in_page(made, landed(rows=[HistoryRow("own", "flux-pro", "{}", sent_at + late_s)]))
    take_in_page(made, landed(rows=[]))

    assert made.lookups.take_ended() is read
    made.conclude(read, {"own": OwnRequest("flux-pro", "{}", sent_at)}, NOW)

    assert begin_page(made, NOW + 5).back_to == pytest.approx(back_to, abs=1)


def test_the_clock_of_the_rows_is_not_forgotten_when_none_of_ours_is_shown():
    lookups = Lookups(history_skew_s=-3600.0)

    assert lookups.observe_own(HistoryRead(NOW, NOW), {}) == 0.0
    assert lookups.begin_page(NOW - 90, NOW).back_to == NOW - 3690


def test_acknowledged_submits_are_remembered_in_the_order_of_their_sending():
    lookups = Lookups()
    for sent_at, id_ in [(NOW - 5, "b"), (NOW - 9, "a"), (NOW, "c")]:
        lookups.observe_ack(sent_at, id_)
    assert [id_ for _, id_ in lookups.acked] == ["a", "b", "c"]

    lookups.observe_ack(NOW - 6 + ACKED_FOR_S, "d")
    assert [id_ for _, id_ in lookups.acked] == ["b", "c", "d"]


def test_submits_of_earlier_processes_stand_among_those_of_this_one():
    lookups = Lookups()
    lookups.observe_ack(NOW, "c")

    lookups.recall_acks([(NOW - 9, "a"), (NOW, "c")])

    assert lookups.acked == [(NOW - 9, "a"), (NOW, "c")]


@pytest.mark.parametrize(
    ("acked_ago_s", "back_s"),
    [((5,), 10), ((20,), 20), ((40, 20, 5), 20), ((ACKED_FOR_S + 20,), 10), ((), 10)],
)
def test_a_read_goes_back_to_the_last_submit_that_got_an_id_before_the_doubt(acked_ago_s, back_s):
    made = scheduler([job(S.AMBIGUOUS)])
    made.lookups.recall_acks((NOW - ago_s, f"r-{ago_s}") for ago_s in acked_ago_s)

    assert begin_page(made, NOW).back_to == NOW - back_s


def test_what_reads_said_is_kept_as_long_as_the_job_is_in_doubt():
    made = reading(job(S.AMBIGUOUS, doubt=Doubt.SERVER_ERROR))
    take_in_page(made, landed(rows=[]))
    held = made.conclude(made.lookups.take_ended(), {}, NOW)
    assert made.lookups.reads == {1: Reads(1, NOW, NOW)}

    made.apply([apply(made.jobs[1], held[0])])
    assert made.lookups.reads == {1: Reads(1, NOW, NOW)}
    made.apply([apply(made.jobs[1], event(EventKind.ABSENT))])
    assert made.lookups.reads == {}


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


# ------------------------------------------------------------------ a later request that is shown


def own(request_id, sent_at):
    return {request_id: OwnRequest("flux-pro", "{}", sent_at)}


def concluded(made, rows, known):
    begin_page(made, NOW)
    take_in_page(made, landed(rows=rows))
    begin_page(made, NOW)
    take_in_page(made, landed(rows=[]))
    return made.conclude(made.lookups.take_ended(), known, NOW)


@pytest.mark.parametrize(
    ("rows", "known", "shown_at"),
    [
        ([], {}, 0.0),
        ([ROW], {}, 0.0),
        ([ROW], own("r-1", NOW - 70), NOW - 70),
        ([ROW], own("r-1", NOW - 70) | own("r-2", NOW - 5), NOW - 70),
        ([ROW], own("r-1", NOW + 3600), 0.0),
    ],
    ids=["nothing", "a team-mate's", "ours", "ours, and one that it does not show", "ahead"],
)
def test_a_read_tells_how_far_the_history_has_caught_up(rows, known, shown_at):
    made = scheduler([job(S.RECOVERING)])

    assert concluded(made, rows, known) == []

    assert made.lookups.shown_at == shown_at


def test_what_was_shown_once_stays_shown():
    made = scheduler()
    for sent_at in (5.0, 9.0, 7.0):
        made.lookups.show(sent_at)

    assert made.lookups.shown_at == 9.0


def test_a_record_that_is_gone_wants_a_read_that_goes_back_to_it():
    made = scheduler([job(S.RECOVERING, sent_at=NOW - 4000, due_at=NOW + 60)])
    assert plan(made, NOW).effects == ()
    made.lookups.wants_control.add(1)

    (effect,) = plan(made, NOW).effects
    read = made.start(effect, NOW).read

    assert (effect.kind, read.back_to) == (EffectKind.READ_HISTORY, NOW - 4000)


@pytest.mark.parametrize("complete", [True, False])
def test_a_read_answers_that_wish_once_however_it_ended(complete):
    """The job asks again by itself: a history that fails is not read without a pause."""
    made = scheduler([job(S.RECOVERING, due_at=NOW + 60)])
    made.lookups.wants_control.add(1)
    begin_page(made, NOW)
    broken = landed(Signal.SERVER_ERROR, detail="HTTP 500")
    take_in_page(made, landed(rows=[]) if complete else broken)

    made.conclude(made.lookups.take_ended(), {}, NOW)

    assert not made.lookups.wants_control
    assert plan(made, NOW).effects == ()


def test_a_wish_of_a_job_that_has_left_asks_for_the_whole_history_no_more():
    made = scheduler([job(S.AMBIGUOUS, 2, sent_at=NOW - 50)])
    made.lookups.wants_control.add(1)

    assert begin_page(made, NOW).back_to == NOW - 50


def test_a_denied_candidate_is_asked_about_again_and_then_foreign():
    made = scheduler([job(S.AMBIGUOUS)])
    for _ in range(DENIALS):
        assert made.lookups.foreign == frozenset()
        made.lookups.propose(1, "r-1")
        made.lookups.deny(1, MAX_LAG_S)

    assert (made.lookups.candidates, made.lookups.foreign) == ({}, {"r-1"})
    made.lookups.deny(1, MAX_LAG_S)  # it has none any more
    assert sum(made.lookups.denials.values()) == DENIALS


def test_however_often_it_is_denied_a_row_whose_record_may_still_come_is_nobody_elses():
    lookups = Lookups()
    for doubted_s in [*[MAX_LAG_S - 1] * 9, MAX_LAG_S]:
        assert lookups.foreign == frozenset()
        lookups.propose(1, "r-1")
        lookups.deny(1, doubted_s)

    assert lookups.foreign == {"r-1"}
