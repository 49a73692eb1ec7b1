"""Doubts that were dated by a clock that was moved since: no row is missed, no absence believed."""

from __future__ import annotations

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import Doubt
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.reconciliation.history import HistoryRead, HistoryRow, OwnRequest
from batchgen.core.scheduling.doubts.clock_skew import DoubtClocks
from batchgen.core.scheduling.effects import Effect, EffectKind
from batchgen.core.scheduling.state import SchedulerState
from tests.core.builders import NOW, event, job, scheduler

BODY = '{"prompt":"a cup"}'
HOUR_S = 3600.0
DAY_S = 86_400.0
LATER = NOW + 300.0
"""Where a doubt of the process that began now has settled."""
MOVES = pytest.mark.parametrize("ahead_s", [HOUR_S, DAY_S, 400.0, -400.0, -HOUR_S, -DAY_S])
"""By so much the clock was ahead when the POST left. It is right now."""


def doubtful(ahead_s: float, **changes: float) -> SchedulerState:
    """A POST that left 5000 s ago, by a clock that was wrong; the process began now."""
    sent_at = NOW - 5000.0 + ahead_s
    made = scheduler([job(S.AMBIGUOUS, sent_at=sent_at, unclear_at=NOW - 900.0, **changes)])
    made.clocks.load(f'{{"1": {-ahead_s:.0f}, "last": {-ahead_s:.0f}}}', NOW)
    made.clocks.skew_s = 0.0
    return made


def read(*rows: HistoryRow, started_at: float = LATER) -> HistoryRead:
    """A complete read that goes back far enough."""
    made = HistoryRead(started_at, NOW - 10 * DAY_S)
    made.rows = {row.request_id: row for row in rows}
    made.complete = True
    return made


def later(made: SchedulerState, at: float = NOW + 5.0) -> tuple[HistoryRow, dict[str, OwnRequest]]:
    """A submit of this process, as the history shows it."""
    made.lookups.observe_ack(at, "later")
    return HistoryRow("later", "flux-pro", '{"n":1}', at + 1), {
        "later": OwnRequest("flux-pro", '{"n":1}', at)
    }


@MOVES
def test_the_row_is_found_where_the_service_dated_it(ahead_s):
    made = doubtful(ahead_s)
    row, own = later(made)

    told = made.conclude(read(HistoryRow("r-1", "flux-pro", BODY, NOW - 4999.0), row), own, LATER)

    assert (told, made.lookups.candidates) == ([], {1: "r-1"})


@MOVES
def test_a_read_goes_back_to_when_the_post_left(ahead_s):
    made = doubtful(ahead_s)

    begun = made.start(Effect(EffectKind.READ_HISTORY, counts=False), NOW)

    assert begun.read is not None
    assert begun.read.back_to == pytest.approx(NOW - 5000.0)


@MOVES
def test_absence_waits_until_a_doubt_of_another_clock_settles_by_this_one(ahead_s):
    made = doubtful(ahead_s)
    row, own = later(made, NOW + made.limits.settle_s)

    early = made.conclude(read(row, started_at=NOW + 60.0), own, NOW + 60.0)
    late = made.conclude(read(row), own, LATER)

    assert [told.kind for told in (*early, *late)] == [E.HELD, E.ABSENT]


@MOVES
def test_a_submit_of_another_clock_is_no_later_one(ahead_s):
    made = doubtful(ahead_s)
    earlier = HistoryRow("earlier", "flux-pro", '{"n":1}', NOW - 6000.0)
    own = {"earlier": OwnRequest("flux-pro", '{"n":1}', NOW - 6000.0)}

    told = made.conclude(read(earlier), own, LATER)

    assert E.ABSENT not in {event.kind for event in told}


def test_a_doubt_that_arose_before_its_post_left_is_as_new_as_this_process():
    """A process between was a day behind; the clocks of the first and of this one agree."""
    made = scheduler([job(S.AMBIGUOUS, sent_at=NOW - 5000.0, unclear_at=NOW - DAY_S)])
    made.clocks.load('{"1": 0, "last": 0}', NOW)
    made.clocks.skew_s = 0.0
    earlier = HistoryRow("earlier", "flux-pro", '{"n":1}', NOW - 5999.0)
    own = {"earlier": OwnRequest("flux-pro", '{"n":1}', NOW - 6000.0)}

    told = made.conclude(read(earlier, started_at=NOW + 1.0), own, NOW + 1.0)

    assert [event.kind for event in told] == [E.HELD]


def test_where_clocks_differed_and_nothing_says_when_a_post_left_no_absence_is_proved():
    made = scheduler([job(S.AMBIGUOUS, sent_at=NOW - 100.0, unclear_at=NOW - 50.0)])
    made.clocks.load('{"last": -3600}', NOW)
    made.clocks.skew_s = 0.0
    row, own = later(made)

    told = made.conclude(read(row), own, LATER)

    assert [event.kind for event in told] == [E.SET_ASIDE]


@pytest.mark.parametrize("are_recalled", [False, True])
def test_requests_of_another_clock_do_not_tell_that_of_the_history(are_recalled):
    """They are all off by the same, as they would be by a history in local time. Some of them were
    adopted by this process, others are recalled as the process that sent them dated them."""
    made = scheduler([job(S.AMBIGUOUS, sent_at=NOW + 10.0, unclear_at=NOW + 20.0)])
    made.clocks.load('{"last": -3600}', NOW)
    made.clocks.skew_s = 0.0
    made.clocks.own.add(1)
    rows, own = [HistoryRow("r-1", "flux-pro", BODY, NOW + 11.0)], {}
    for number in range(3):
        rows.append(HistoryRow(f"own-{number}", "flux-pro", '{"n":1}', NOW - 6000.0))
        own[f"own-{number}"] = OwnRequest("flux-pro", '{"n":1}', NOW - 6000.0 + HOUR_S)
        if not are_recalled:
            made.lookups.observe_ack(NOW - 6000.0, f"own-{number}")
    if are_recalled:
        made.lookups.recall_acks((request.sent_at, id_) for id_, request in own.items())

    made.conclude(read(*rows), own, LATER)

    assert made.lookups.candidates == {1: "r-1"}


def test_what_is_recorded_of_a_doubt_is_dated_by_this_clock_from_then_on():
    made = doubtful(HOUR_S)
    dated = made.clocks.dated(made.jobs[1])
    change = apply(dated, event(E.HELD, retry_at=NOW + 30.0))
    noted = made.clocks.after([change]).dump()
    made.apply([change])

    assert dated.sent_at == NOW - 5000.0
    assert made.clocks.dated(made.jobs[1]) == made.jobs[1] == change.after
    assert made.clocks.dump() == noted == '{"1":0,"last":0,"moved":true}'


def test_the_clock_of_each_doubt_is_noted_with_its_intent_and_carried_on():
    first = DoubtClocks(skew_s=7.4)
    sent = apply(job(S.PENDING, 3), event(E.INTENDED, job_key=3))
    note = first.after([sent]).dump()
    second = DoubtClocks()
    second.load(note, NOW)

    assert (note, second.dump()) == (
        '{"3":7,"last":7,"moved":false}',
        '{"3":7,"last":7,"moved":false}',
    )
    unclear = apply(sent.after, event(E.UNCLEAR, job_key=3, doubt=Doubt.OPEN))
    assert second.after([unclear]).carried == {3: 7.0}
    assert second.after([apply(unclear.after, event(E.ABSENT, job_key=3))]).carried == {}


@pytest.mark.parametrize("note", [None, "", "[]", '{"x": 1, "3": "seven", "last": null}'])
def test_a_note_of_another_shape_is_as_good_as_none(note):
    clocks = DoubtClocks()
    clocks.load(note, NOW)

    assert (clocks.carried, clocks.last_s, clocks.are_mixed) == ({}, None, False)


@pytest.mark.parametrize("doubt", [Doubt.OPEN, Doubt.SERVER_ERROR])
@pytest.mark.parametrize("carries_on", [False, True])
def test_what_a_clock_dated_of_which_no_answer_told_is_absent_by_the_same_clock_only(
    doubt, carries_on
):
    """Its process died before any answer came. Where the machine stayed up, the next process has
    the same clock; else the POST may have left an hour before its instant, or after it."""
    before = scheduler([job(S.PENDING)])
    before.apply([apply(before.jobs[1], event(E.INTENDED))])
    sent = job(S.AMBIGUOUS, sent_at=NOW - 100.0, unclear_at=NOW - 50.0, doubt=doubt)
    between, made = DoubtClocks(), scheduler([sent])
    between.load(before.clocks.dump(), NOW, carries_on=carries_on)
    made.clocks.load(between.dump(), NOW, carries_on=True)
    made.clocks.observe(0.0)
    row, own = later(made, NOW + made.limits.settle_s)

    told = made.conclude(read(row), own, LATER)

    assert before.clocks.dump() == '{"untold":[1]}'
    assert [event.kind for event in told] == [E.ABSENT if carries_on else E.SET_ASIDE]
    made.apply([apply(made.jobs[1], one) for one in told])
    assert made.clocks.dump() == '{"last":0,"moved":false}'
