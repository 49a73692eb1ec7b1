"""Which pending jobs are kept back while a submit is in doubt, and when they go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import Doubt
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.policies import Limits
from batchgen.core.jobs.spec import Mode
from batchgen.core.scheduling.completion import Verdict
from batchgen.core.scheduling.doubts.controls import KEPT, allowance
from batchgen.core.scheduling.doubts.lookups import Lookups
from batchgen.core.scheduling.effects import EffectKind
from batchgen.core.scheduling.gates.gates import GateKind, Gates
from batchgen.core.scheduling.gates.refusals import MODEL_PAUSE_S
from batchgen.core.scheduling.planner import plan
from batchgen.core.scheduling.spending import Money
from tests.core.builders import NOW, event, job, scheduler

SETTLE_S = Limits().settle_s
SETTLED_AT = NOW - 5 + SETTLE_S
DOUBT = job(S.AMBIGUOUS, sent_at=NOW - 10, unclear_at=NOW - 5, due_at=NOW + 900, doubt=Doubt.OPEN)


def pending(count, **changes):
    """Jobs that want to go."""
    return [job(key=key, **changes) for key in range(2, 2 + count)]


def in_doubt(*jobs, doubt=DOUBT, acked=(), **parts):
    """One submit in doubt, beside these jobs."""
    lookups = Lookups(had_doubts=True, acked=list(acked))
    return scheduler([doubt, *jobs], lookups=lookups, **parts)


def submits(made, at=NOW):
    return [e.job.key for e in plan(made, at).effects if e.kind is EffectKind.SUBMIT]


@pytest.mark.parametrize(("count", "gone"), [(1, 0), (KEPT, 0), (KEPT + 1, 1), (KEPT + 5, 5)])
def test_the_last_pending_jobs_wait_until_the_doubt_has_settled(count, gone):
    made = in_doubt(*pending(count))

    assert len(submits(made)) == gone
    assert len(submits(made, SETTLED_AT - 0.1)) == gone
    assert len(submits(made, SETTLED_AT)) == max(1, gone)


def test_the_next_look_is_when_the_latest_doubt_has_settled():
    later = replace(DOUBT, key=9, unclear_at=NOW - 1)
    made = in_doubt(*pending(1), later)

    assert plan(made, NOW).wake_at == NOW - 1 + SETTLE_S
    assert submits(made, NOW - 1.1 + SETTLE_S) == []
    assert submits(made, NOW - 1 + SETTLE_S) == [2]


def test_one_at_a_time_goes_and_the_next_waits_for_its_answer():
    made = in_doubt(*pending(2))
    (first,) = plan(made, SETTLED_AT).effects
    made.apply([apply(made.jobs[2], event(E.INTENDED, SETTLED_AT, job_key=2))])
    made.start(first, SETTLED_AT)

    assert submits(made, SETTLED_AT + 50) == []

    made.queues.release(2)
    acked = event(E.ACKED, SETTLED_AT + 51, job_key=2, request_id="r-2")
    made.apply([apply(made.jobs[2], made.resolve(made.jobs[2], acked))])

    assert submits(made, SETTLED_AT + 51) == [3]


def test_once_a_later_submit_has_its_id_nothing_is_kept_back():
    made = in_doubt(*pending(1), acked=[(SETTLED_AT, "r")])
    assert submits(made) == [2]

    earlier = in_doubt(*pending(1), acked=[(SETTLED_AT - 1, "r")])
    assert submits(earlier) == []


@pytest.mark.parametrize(
    "doubt",
    [
        replace(DOUBT, doubt=Doubt.ACCEPTED),
        replace(DOUBT, api=Mode.BLOCKING, request_id="r"),
    ],
    ids=["no absence can be proved", "asked by its id"],
)
def test_what_a_later_submit_would_not_help_keeps_nothing_back(doubt):
    assert submits(in_doubt(*pending(1), doubt=doubt)) == [2]


def test_without_any_doubt_all_go_at_once():
    posting = job(S.SUBMITTING, 9)

    assert submits(scheduler([posting, *pending(5)])) == [2, 3, 4, 5, 6]


def test_after_a_doubt_the_last_ones_go_one_by_one():
    """Else all of them would be sent before the doubts about any of them arose."""
    made = scheduler(pending(KEPT + 2), lookups=Lookups(had_doubts=True))
    assert submits(made) == [2, 3]

    alone = scheduler(pending(2), lookups=Lookups(had_doubts=True))
    assert submits(alone) == [2]
    under_way = scheduler([job(S.SUBMITTING, 9), *pending(2)], lookups=Lookups(had_doubts=True))
    assert submits(under_way) == []


def test_a_doubt_is_remembered_for_the_rest_of_the_run():
    made = scheduler([job(S.SUBMITTING)])
    assert not made.lookups.had_doubts

    made.apply([apply(made.jobs[1], event(E.UNCLEAR, doubt=Doubt.OPEN))])
    made.apply([apply(made.jobs[1], event(E.ADOPTED, request_id="r"))])

    assert made.lookups.had_doubts
    assert made.lookups.acked == [(NOW - 10, "r")]


def test_a_doubt_of_an_earlier_process_counts_from_the_beginning():
    assert submits(scheduler([DOUBT, *pending(1)])) == []


# ------------------------------------------------------------------ nothing waits for ever


def test_jobs_beyond_those_in_memory_are_later_submits_too():
    assert submits(in_doubt(*pending(1), all_drawn=False)) == [2]


def test_a_silent_history_will_not_tell_so_nothing_is_kept_for_it():
    gates = Gates()
    gates.close(GateKind.HISTORY, "HTTP 502", NOW)

    assert submits(in_doubt(*pending(1), gates=gates)) == [2]


def test_jobs_of_closed_models_are_none_that_could_go():
    shut = [job(key=key, model="flux-max") for key in (20, 21, 22)]
    gates = Gates()
    for at in (NOW - MODEL_PAUSE_S, NOW):
        gates.refusals.refuse_model("flux-max", "HTTP 404", at)

    made = in_doubt(*shut, *pending(1), gates=gates)

    assert submits(made) == []
    assert submits(made, SETTLED_AT) == [2]


def test_the_place_of_a_model_is_given_up_to_the_submit_that_proves():
    made = in_doubt(*pending(1), limits=Limits(models={"flux-pro": 1}))
    assert submits(made, SETTLED_AT) == []

    made.lookups.miss(1)

    assert submits(made, SETTLED_AT) == [2]


def test_what_cannot_be_paid_for_is_kept_back_for_nobody():
    """The doubt ends by itself, and then the run does."""
    money = Money(cap_usd=0.1)
    made = in_doubt(*pending(1, price_usd=0.5), money=money)
    assert submits(made, SETTLED_AT) == []

    made.apply([apply(DOUBT, event(E.SET_ASIDE, SETTLED_AT, reason="why"))])

    assert plan(made, SETTLED_AT).verdict is Verdict.STOP


def test_a_run_that_is_stopped_submits_nothing():
    gates = Gates()
    gates.close(GateKind.STOP, "interrupted", NOW)

    assert plan(in_doubt(*pending(1), gates=gates), SETTLED_AT).verdict is Verdict.STOP


def test_a_stock_that_is_large_is_not_counted():
    made = in_doubt(*pending(40), limits=Limits(concurrency=16))

    assert allowance(made, NOW, 0).count > 40
