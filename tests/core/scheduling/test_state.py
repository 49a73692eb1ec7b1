"""The scheduler: policies, money and what it learns from changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.capabilities import Capabilities
from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import Doubt, Receipt
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import TABLE, apply
from batchgen.core.jobs.outcomes import CallKind, Signal
from batchgen.core.jobs.policies import Limits, OnExpired, WhenAbsent
from batchgen.core.reconciliation.history import HistoryRead
from batchgen.core.scheduling.effects import EffectKind
from batchgen.core.scheduling.gates import GateKind, Gates
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.lookups import Lookups
from batchgen.core.scheduling.planner import plan
from batchgen.core.scheduling.policy import HOPELESS_WINDOWS, PATIENCE, STRAGGLER_S
from batchgen.core.scheduling.spending import Money
from batchgen.providers.segmind.treatments import WINDOW_S
from tests.core.builders import NOW, event, everything, job, output, scheduler

HOPELESS_S = HOPELESS_WINDOWS * WINDOW_S


def happened(made, kind, **fields):
    """An event taken in as the runner brings it; the job after it."""
    told = event(kind, **fields)
    before = made.jobs[told.job_key]
    change = apply(before, made.resolve(before, told))
    made.apply([change])
    return change.after


# ------------------------------------------------------------------ policies


@pytest.mark.parametrize(
    ("policy", "billable", "state"),
    [
        (OnExpired.RECOVER, 1, S.PENDING),
        (OnExpired.RECOVER, 2, S.PENDING),
        (OnExpired.RECOVER, 3, S.LOST),
        (OnExpired.RECOVER_ONLY, 1, S.LOST),
        (OnExpired.FAIL, 1, S.LOST),
    ],
)
def test_an_expired_result_is_paid_again_only_where_policy_and_attempts_allow(
    policy, billable, state
):
    limits = Limits(on_expired=policy, max_attempts=3)
    made = scheduler([job(S.RECOVERING, attempt=billable, billable=billable)], limits=limits)

    assert happened(made, E.GIVEN_UP).state is state


def test_a_file_that_cannot_be_had_twice_is_lost_under_any_policy():
    made = scheduler([job(S.FETCHING, recoveries=1)])

    assert happened(made, E.GIVEN_UP).state is S.LOST


@pytest.mark.parametrize(
    ("policy", "trouble", "state"),
    [
        (WhenAbsent.RESUBMIT, 0, S.PENDING),
        (WhenAbsent.RESUBMIT, PATIENCE, S.FAILED),
        (WhenAbsent.HOLD, 0, S.UNKNOWN),
        (WhenAbsent.HOLD, PATIENCE, S.FAILED),
    ],
)
def test_a_submit_proved_absent_goes_out_again_unless_policy_or_record_forbid(
    policy, trouble, state
):
    made = scheduler([job(S.AMBIGUOUS, trouble=trouble)], limits=Limits(when_absent=policy))

    after = happened(made, E.ABSENT, reason="not in the history")

    assert after.state is state
    assert state is S.PENDING or after.reason


@pytest.mark.parametrize("state", [S.SUBMITTED, S.FETCHING])
@pytest.mark.parametrize(
    ("policy", "becomes"),
    [
        (OnExpired.RECOVER, S.RECOVERING),
        (OnExpired.RECOVER_ONLY, S.RECOVERING),
        (OnExpired.FAIL, S.LOST),
    ],
)
def test_a_record_that_is_gone_is_looked_for_unless_the_policy_forbids(state, policy, becomes):
    made = scheduler([job(state)], limits=Limits(on_expired=policy))

    after = happened(made, E.GONE, reason="HTTP 404")

    assert after.state is becomes
    assert after.reason.startswith("HTTP 404")
    assert ("on_expired: fail" in after.reason) is (policy is OnExpired.FAIL)


@pytest.mark.parametrize(
    ("policy", "becomes"), [(OnExpired.RECOVER, S.RECOVERING), (OnExpired.FAIL, S.LOST)]
)
def test_what_never_ends_is_asked_of_the_history_after_its_hour(policy, becomes):
    straggler = job(S.SUBMITTED, sent_at=NOW - WINDOW_S - STRAGGLER_S - 1)
    made = scheduler([straggler], limits=Limits(on_expired=policy))

    after = happened(made, E.RUNNING)

    assert after.state is becomes
    assert "still running after its hour" in after.reason


def test_what_even_the_history_calls_unfinished_is_left_to_the_user_with_its_id():
    made = scheduler([job(S.RECOVERING, sent_at=NOW - HOPELESS_S - 1)])

    after = happened(
        made,
        E.TROUBLE,
        reason="the history says 'PENDING'",
        call=CallKind.HISTORY,
        signal=Signal.OK,
    )

    assert (after.state, after.request_id) == (S.UNKNOWN, "req-1")
    assert after.reason == "the history says 'PENDING'"


def test_a_reopened_job_without_a_time_is_polled_too():
    made = scheduler([job(S.UNKNOWN, sent_at=0.0)], latencies=Latencies({"flux-pro": 25.0}))

    resolved = made.resolve(made.jobs[1], event(E.REOPENED))

    assert NOW + 10.0 < resolved.retry_at < NOW + 50.0


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (S.PENDING, E.INTENDED),
        (S.SUBMITTING, E.UNCLEAR),
        (S.FETCHING, E.GIVEN_UP),
        (S.AMBIGUOUS, E.SET_ASIDE),
        (S.AMBIGUOUS, E.HELD),
        (S.FETCHING, E.SAVED),
    ],
)
def test_other_events_stay_as_they_are(state, kind):
    told = event(kind, reason="so it is")

    assert scheduler().resolve(job(state), told) == told


def test_an_event_is_judged_by_the_job_it_happened_to_and_not_by_an_older_one():
    """Two events of one job in a batch: the second meets what the first has made of it."""
    made = scheduler([job(S.AMBIGUOUS, trouble=PATIENCE - 1)])
    newer = replace(made.jobs[1], trouble=PATIENCE)

    assert made.resolve(newer, event(E.ABSENT)).kind is E.REFUSED
    assert made.resolve(made.jobs[1], event(E.ABSENT)).kind is E.ABSENT


@pytest.mark.parametrize("kind", [E.ACKED, E.RUNNING, E.ADOPTED])
def test_resolving_an_event_teaches_nothing_until_it_is_recorded(kind):
    state = S.SUBMITTING if kind is E.ACKED else S.SUBMITTED
    state = S.AMBIGUOUS if kind is E.ADOPTED else state
    made = scheduler([job(state, sent_at=NOW - 30)])
    before = everything(made)

    for _ in range(3):  # as often as a transaction has to be tried
        made.resolve(made.jobs[1], event(kind))

    assert everything(made) == before


# ------------------------------------------------------------------ the history


def test_a_job_that_history_does_not_show_gives_its_place_to_the_submit_that_will_prove_it():
    limits = Limits(concurrency=1)
    made = scheduler([job(S.AMBIGUOUS, due_at=NOW + 30), job(key=2)], limits=limits)
    assert made.in_flight == 1
    assert not plan(made, NOW).effects

    made.lookups.miss(1)

    assert made.in_flight == 0
    assert [effect.kind for effect in plan(made, NOW).effects] == [EffectKind.SUBMIT]


@pytest.mark.parametrize(
    ("kind", "fields", "kept"),
    [
        (E.HELD, {"retry_at": NOW + 30}, True),
        (E.TROUBLE, {}, True),
        (E.ADOPTED, {"request_id": "r"}, False),
        (E.ABSENT, {}, False),
        (E.SET_ASIDE, {}, False),
    ],
)
def test_it_is_unlisted_as_long_as_it_is_ambiguous(kind, fields, kept):
    made = scheduler([job(S.AMBIGUOUS)], lookups=Lookups(unlisted={1}))

    happened(made, kind, **fields)

    assert (1 in made.lookups.unlisted) is kept
    assert made.in_flight == (1 if kind is E.ADOPTED else 0)


def test_posts_under_way_by_what_they_ask_for():
    same = [job(S.SUBMITTING, 1, sent_at=NOW - 5), job(S.SUBMITTING, 2, sent_at=NOW - 9),
            job(S.SUBMITTING, 3, sent_at=NOW - 7)]  # fmt: skip
    others = [job(S.SUBMITTING, 4, model="flux-max", sent_at=NOW), job(S.AMBIGUOUS, 5), job(key=6)]

    assert scheduler([*same, *others]).posting == {
        ("flux-pro", '{"prompt":"a cup"}'): NOW - 9,
        ("flux-max", '{"prompt":"a cup"}'): NOW,
    }


# ------------------------------------------------------------------ polls


@pytest.mark.parametrize(
    ("state", "kind", "fields"),
    [(S.SUBMITTING, E.ACKED, {"request_id": "r"}), (S.AMBIGUOUS, E.ADOPTED, {"request_id": "r"})],
)
def test_an_accepted_job_is_polled_when_most_such_jobs_are_done(state, kind, fields):
    made = scheduler([job(state)], latencies=Latencies({"flux-pro": 25.0}))

    after = happened(made, kind, **fields)

    assert after.due_at == pytest.approx(NOW - 10 + 25)


def test_a_running_job_is_polled_again_later_each_time():
    made, gaps, at = scheduler([job(S.SUBMITTED)]), [], NOW
    for _ in range(6):
        after = happened(made, E.RUNNING, at=at)
        gaps.append(after.due_at - at)
        at = after.due_at

    assert min(gaps) >= 0.5
    assert after.polls == 6
    assert made.asked_at == {1: at - gaps[-1]}


def test_an_instant_the_service_named_is_kept():
    made = scheduler([job(S.SUBMITTED)])

    assert happened(made, E.RUNNING, retry_at=NOW + 77).due_at == NOW + 77


def test_results_teach_latencies():
    made = scheduler([job(S.FETCHING, key, sent_at=NOW - 60) for key in range(1, 30)])
    for key in range(1, 30):
        seen = Receipt(total_s=40.0) if key % 2 else Receipt(inference_s=40.0)
        happened(made, E.RESULT, job_key=key, receipt=seen, outputs=(output(),))

    assert set(made.latencies.quantiles("flux-pro")) == {40.0}


def test_a_latency_longer_than_the_job_was_away_is_one_in_other_units():
    made = scheduler([job(S.FETCHING, key, sent_at=NOW - 30) for key in range(1, 30)])
    for key in range(1, 30):
        receipt = Receipt(total_s=22_000.0)
        happened(made, E.RESULT, job_key=key, receipt=receipt, outputs=(output(),))

    assert set(made.latencies.quantiles("flux-pro")) == {30.0}


# ------------------------------------------------------------------ who stands on it


@pytest.mark.parametrize(
    ("state", "kind"), [(S.FETCHING, E.SAVED), (S.SUBMITTED, E.FAILED), (S.SUBMITTED, E.SET_ASIDE)]
)
def test_an_ended_job_leaves(state, kind):
    made = scheduler([job(state)])

    happened(made, kind)

    assert made.jobs == {}


def test_a_job_whose_model_was_closed_by_its_own_submit_leaves_and_stays_pending():
    made = scheduler([job(S.SUBMITTING), job(key=2)])

    after = happened(
        made, E.NOT_ACCEPTED, reason="HTTP 404", call=CallKind.SUBMIT, signal=Signal.NOT_FOUND
    )

    assert after.state is S.PENDING
    assert set(made.jobs) == {2}
    assert made.held == {"flux-pro": 1}
    assert not plan(made, NOW).effects, "the closed model was submitted again"


def test_what_calls_report_reaches_the_gates():
    made = scheduler([job(S.SUBMITTED)])

    happened(made, E.HELD, call=CallKind.STATUS, signal=Signal.KEY_REFUSED, reason="HTTP 401")

    assert set(made.gates.closed) == {GateKind.KEY}


@pytest.mark.parametrize(
    ("state", "kind", "call"),
    [
        (S.SUBMITTING, E.NOT_ACCEPTED, CallKind.SUBMIT),
        (S.SUBMITTED, E.TROUBLE, CallKind.STATUS),
        (S.FETCHING, E.TROUBLE, CallKind.RESULT),
    ],
)
def test_a_429_holds_everybody_until_the_instant_it_named(state, kind, call):
    made = scheduler([job(state), job(S.SUBMITTED, 2), job(key=3)])

    happened(made, kind, retry_at=NOW + 40, call=call, signal=Signal.RATE_LIMITED)
    happened(made, E.TROUBLE, job_key=2, retry_at=NOW + 5, call=CallKind.STATUS,
             signal=Signal.RATE_LIMITED)  # fmt: skip

    assert plan(made, NOW + 39).effects == ()
    assert plan(made, NOW + 40).effects


def test_ambiguous_jobs_and_candidates():
    lookups = Lookups(candidates={1: "r", 2: "s"})
    made = scheduler([job(S.AMBIGUOUS), job(S.AMBIGUOUS, 2), job(key=3)], lookups=lookups)
    assert [doubtful.key for doubtful in made.ambiguous] == [1, 2]

    happened(made, E.ADOPTED, request_id="r")
    happened(made, E.HELD, job_key=2)

    assert made.lookups.candidates == {2: "s"}


@pytest.mark.parametrize(
    ("jobs", "all_drawn", "gates", "more"),
    [
        ([], True, Gates(), False),
        ([], False, Gates(), True),
        ([job(S.AMBIGUOUS)], True, Gates(), False),
        ([job()], True, Gates(), True),
        ([job(S.SUBMITTING)], True, Gates(), True),
    ],
)
def test_whether_later_submits_may_still_come(jobs, all_drawn, gates, more):
    assert scheduler(jobs, all_drawn=all_drawn, gates=gates).more_to_submit is more


UNCLEAR = job(S.AMBIGUOUS, sent_at=NOW - 400, unclear_at=NOW - 390, doubt=Doubt.OPEN)


@pytest.mark.parametrize(
    ("other", "candidates", "waits"),
    [
        (replace(UNCLEAR, key=2, unclear_at=NOW - 30), {}, True),
        (replace(UNCLEAR, key=2, doubt=Doubt.SERVER_ERROR), {}, True),
        (replace(UNCLEAR, key=2), {2: "r"}, True),
        (replace(UNCLEAR, key=2), {}, False),
    ],
    ids=["has not settled", "may go out again", "may be ours", "is no better off"],
)
def test_a_doubt_waits_for_another_that_may_end_in_a_later_submit(other, candidates, waits):
    made = scheduler([UNCLEAR, other], lookups=Lookups(candidates=candidates))
    read = HistoryRead(NOW - 1, NOW - 400, complete=True)

    events = {event.job_key: event.kind for event in made.conclude(read, {}, NOW)}

    assert events[1] is (E.HELD if waits else E.SET_ASIDE)


def test_no_later_submit_comes_through_a_closed_gate():
    made = scheduler([job()])
    made.gates.close(GateKind.CREDITS, "why", NOW)

    assert not made.more_to_submit


def test_the_dashboard():
    made = scheduler([job(S.SUBMITTED), job(key=2), job(key=3)])
    assert repr(made) == "<SchedulerState pending=2 submitted=1 busy=0 gates=open>"

    made.queues.begin(1)
    made.gates.close(GateKind.DISK, "full", NOW)
    assert repr(made) == "<SchedulerState pending=2 submitted=1 busy=1 gates=disk>"
    assert repr(scheduler()) == "<SchedulerState empty busy=0 gates=open>"


# ------------------------------------------------------------------ money

PRICE = 0.1


def priced(state=S.PENDING, **changes):
    return job(state, price_usd=PRICE, **changes)


def committed(made):
    money = made.money
    return (round(money.settled_usd, 6), round(money.standing_usd, 6), round(
        sum(money.reserved.values()), 6))  # fmt: skip


@pytest.mark.parametrize(
    ("state", "kind", "fields", "after"),
    [
        (S.PENDING, E.INTENDED, {}, (0, 0, PRICE)),
        (S.SUBMITTING, E.NOT_ACCEPTED, {}, (0, 0, 0)),
        (S.SUBMITTING, E.REFUSED, {}, (0, 0, 0)),
        (S.SUBMITTING, E.UNCLEAR, {}, (0, 0, PRICE)),
        (S.SUBMITTING, E.ACKED, {"request_id": "r"}, (0, 0, PRICE)),
        (S.AMBIGUOUS, E.ABSENT, {}, (0, 0, 0)),
        (S.AMBIGUOUS, E.SET_ASIDE, {}, (0, PRICE, 0)),
        (S.SUBMITTED, E.FAILED, {}, (0, 0, 0)),
        (S.SUBMITTED, E.SET_ASIDE, {}, (0, PRICE, 0)),
        (S.SUBMITTED, E.GONE, {}, (0, 0, PRICE)),
        (S.FETCHING, E.SAVED, {}, (PRICE, 0, 0)),
        (S.FETCHING, E.SAVED, {"receipt": Receipt(cost_usd=0.04)}, (0.04, 0, 0)),
        (S.FETCHING, E.SAVED, {"receipt": Receipt(cost_usd=0.0)}, (0, 0, 0)),
        (S.FETCHING, E.GIVEN_UP, {}, (PRICE, 0, 0)),
        (S.RECOVERING, E.GIVEN_UP, {}, (0, PRICE, 0)),
    ],
)
def test_what_an_event_does_to_the_money(state, kind, fields, after):
    """Settled, standing and reserved. The last case is paid for again: the first payment stands."""
    made = scheduler([priced(state)], money=Money(9.0))

    happened(made, kind, **fields)

    assert committed(made) == after


def test_a_price_changed_on_the_way_does_not_move_what_was_reserved():
    made = scheduler([priced(S.SUBMITTED)])
    made.put([replace(made.jobs[1], price_usd=5.0)])

    assert committed(made) == (0, 0, PRICE)


@given(st.data(), st.sampled_from([0.0, 0.1, 0.25, 1.0]))
def test_money_never_overshoots_the_cap_whatever_happens(data, cap):
    """Every attempt that ended accepted, or may have been, is billed in full by the service."""
    made = scheduler([replace(priced(), key=key) for key in range(1, 5)], money=Money(cap))
    billed = 0.0
    for step in range(data.draw(st.integers(0, 30))):
        submits = {e.job.key for e in plan(made, NOW + step).effects
                   if e.kind is EffectKind.SUBMIT}  # fmt: skip
        moves = [
            (key, kind)
            for key, standing in made.jobs.items()
            for kind in sorted(TABLE[standing.state])
            if kind is not E.INTENDED or key in submits
        ]
        if not moves:
            return
        key, kind = data.draw(st.sampled_from(moves))
        fields = {"request_id": f"r-{step}"} if kind in {E.ACKED, E.ADOPTED} else {}
        after = happened(made, kind, at=NOW + step, job_key=key, **fields)
        if kind is E.INTENDED:
            billed += PRICE
        elif kind in {E.NOT_ACCEPTED, E.REFUSED, E.ABSENT} or after.state is S.FAILED:
            billed -= PRICE
        assert billed <= cap + 1e-6
        assert made.money.committed_usd >= billed - 1e-6


# ------------------------------------------------------------------ a service without a history

FORGETFUL = Capabilities(retention_s=3600.0, has_history=False)


def test_without_a_history_a_doubt_is_left_to_the_user_at_once():
    made = scheduler([job(S.AMBIGUOUS, reason="answer lost"), job(S.AMBIGUOUS, 2), job(key=3)])
    made.capabilities = FORGETFUL
    made.queues.begin(2)

    (left,) = made.without_history(NOW)

    assert (left.kind, left.job_key) == (E.SET_ASIDE, 1)
    assert left.reason.startswith("answer lost; the service lists no requests")


def test_with_a_history_a_doubt_is_looked_up():
    assert scheduler([job(S.AMBIGUOUS)]).without_history(NOW) == []


def test_without_a_history_what_is_gone_is_lost():
    made = scheduler([job(S.SUBMITTED, request_id="r")])
    made.capabilities = FORGETFUL
    assert made.resolve(made.jobs[1], event(E.GONE, reason="HTTP 404")).kind is E.GIVEN_UP
