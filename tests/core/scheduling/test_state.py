"""The scheduler: policies, money and what it learns from changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.capabilities import Capabilities
from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import Doubt, Output, Receipt
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import TABLE, apply
from batchgen.core.jobs.outcomes import CallKind, Response, Signal
from batchgen.core.jobs.policies import Limits, OnExpired, WhenAbsent
from batchgen.core.jobs.spec import ModelKind
from batchgen.core.reconciliation.history import HistoryRead
from batchgen.core.scheduling.doubts.lookups import Lookups
from batchgen.core.scheduling.effects import CALLS, Effect, EffectKind, JobOutcome
from batchgen.core.scheduling.gates.file_hosts import FileHosts
from batchgen.core.scheduling.gates.gates import GateKind, Gates
from batchgen.core.scheduling.gates.refusals import MODEL_LATER_S, MODEL_PAUSE_S
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.learned import MEDIA_NOTE
from batchgen.core.scheduling.planner import plan
from batchgen.core.scheduling.policy import (
    BUSY_S,
    BUSY_TRIES,
    FETCH_S,
    HOPELESS_WINDOWS,
    PATIENCE,
    STRAGGLER_S,
)
from batchgen.core.scheduling.spending import Money
from batchgen.providers.segmind.treatments import FILES_S, WINDOW_S
from tests.core.builders import NOW, event, everything, job, output, saved, scheduler

HOPELESS_S = HOPELESS_WINDOWS * WINDOW_S


def happened(made, kind, **fields):
    """An event taken in as the runner brings it; the job after it."""
    told = event(kind, **fields)
    before = made.jobs[told.job_key]
    change = apply(before, made.resolve(before, told))
    made.apply([change])
    return change.after


# ------------------------------------------------------------------ policies


GONE_S = 4000.0
"""An hour and a little more after the submit."""


def gone(**changes):
    """A job whose record is gone, and a history that shows a later request of ours."""
    fields = {"sent_at": NOW - GONE_S} | changes
    return job(S.RECOVERING, **fields), Lookups(shown_at=NOW - 1000)


def denied(made):
    """The history does not know it."""
    fields = {"call": CallKind.HISTORY, "signal": Signal.NOT_FOUND}
    return happened(made, E.GIVEN_UP, reason="HTTP 404", **fields)


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
    expired, lookups = gone(attempt=billable, billable=billable)
    made = scheduler([expired], limits=limits, lookups=lookups)

    assert denied(made).state is state


def test_without_a_later_request_that_is_shown_nothing_is_given_up_and_one_is_looked_for():
    expired, _ = gone()
    made = scheduler([expired])

    after = denied(made)

    assert (after.state, after.trouble) == (S.RECOVERING, 1)
    assert made.lookups.wants_control == {1}
    assert [e.kind for e in plan(made, NOW).effects] == [EffectKind.READ_HISTORY]


def test_a_history_that_never_shows_one_leaves_the_job_to_the_user_with_its_id():
    expired, _ = gone(sent_at=NOW - HOPELESS_S - 1)

    after = denied(scheduler([expired]))

    assert (after.state, after.request_id) == (S.UNKNOWN, "req-1")
    assert "it proves nothing" in after.reason


@pytest.mark.parametrize(
    ("kind", "signal", "shown"),
    [
        (E.RECOVERED, Signal.OK, True),
        (E.FAILED, Signal.OK, True),
        (E.TROUBLE, Signal.OK, False),
        (E.TROUBLE, Signal.NOT_FOUND, False),
    ],
)
def test_a_request_that_the_history_shows_by_its_id_is_such_a_one(kind, signal, shown):
    made = scheduler([job(S.RECOVERING, sent_at=NOW - 50)])

    happened(made, kind, call=CallKind.HISTORY, signal=signal, **(
        {"outputs": (output(),)} if kind is E.RECOVERED else {}))  # fmt: skip

    assert made.lookups.shown_at == (NOW - 50 if shown else 0.0)


# ------------------------------------------------------------------ files whose address is known


def fetched(**changes):
    return job(S.FETCHING, outputs=(output(),), **changes)


@pytest.mark.parametrize("policy", OnExpired)
def test_a_file_that_cannot_be_had_is_put_off_and_lost_after_its_days_under_any_policy(policy):
    tried = {"recoveries": 1, "trouble": PATIENCE}
    limits = Limits(on_expired=policy)
    for age_s, state in [(60.0, S.FETCHING), (FETCH_S, S.UNFETCHED), (FILES_S, S.LOST)]:
        made = scheduler([fetched(sent_at=NOW - age_s, **tried)], limits=limits)
        assert happened(made, E.GIVEN_UP, reason="HTTP 404").state is state


def test_of_a_host_that_brings_nothing_no_job_is_put_off():
    """The gate is waited at for hours; one after the other the jobs would leave meanwhile."""
    tried = fetched(recoveries=1, trouble=PATIENCE, sent_at=NOW - FETCH_S)
    made = scheduler([tried])
    made.hosts = closed_host()

    assert happened(made, E.TROUBLE, reason="HTTP 503").state is S.FETCHING


def test_its_days_end_also_while_its_host_is_closed():
    made = scheduler([fetched(recoveries=1, trouble=PATIENCE, sent_at=NOW - FILES_S)])
    made.hosts = closed_host()

    assert happened(made, E.GIVEN_UP, reason="HTTP 404").state is S.LOST


@pytest.mark.parametrize(("troubles", "closed"), [((1, 2, 3), True), ((1, 2, 0), False)])
def test_a_host_that_brought_nothing_before_a_death_is_tried_first_after_it(troubles, closed):
    made = scheduler([fetched(key=key, trouble=trouble) for key, trouble in enumerate(troubles, 1)])

    made.recall_hosts(NOW)

    assert (GateKind.FILES in made.gates.closed) is closed
    assert made.hosts.holds("flux-pro") is closed


def test_files_of_one_host_say_nothing_about_another():
    made = scheduler([job(S.FETCHING, outputs=(Output(0, url="https://other.example/a.png"),))])
    made.hosts = closed_host()

    happened(made, E.SAVED, files=(saved(),))

    assert set(made.hosts.closed) == {"cdn.example"}


def closed_host():
    hosts = FileHosts()
    for key in (91, 92, 93):
        hosts.failed("cdn.example", key, "HTTP 503", NOW)
    return hosts


def test_a_known_address_outlives_the_record_of_its_request():
    made = scheduler([job(S.RECOVERING, sent_at=NOW - 3 * HOPELESS_S, outputs=(output(),))])

    after = denied(made)

    assert (after.state, after.outputs) == (S.FETCHING, (output(),))


@pytest.mark.parametrize("age_s", [100.0, GONE_S, 3 * HOPELESS_S])
def test_a_history_that_fails_once_does_not_set_a_known_address_aside(age_s):
    made = scheduler([job(S.RECOVERING, sent_at=NOW - age_s, outputs=(output(),))])

    after = happened(made, E.TROUBLE, reason="HTTP 500", call=CallKind.HISTORY,
                     signal=Signal.SERVER_ERROR)  # fmt: skip

    assert after.state in {S.RECOVERING, S.FETCHING}
    assert after.outputs == (output(),)


def test_files_that_are_fetched_again_are_tried_at_once():
    left = job(S.UNFETCHED, outputs=(output(),), sent_at=NOW - 9e4)
    made = scheduler([])

    change = apply(left, made.resolve(left, event(E.REOPENED)))
    made.put([left])
    made.apply([change])

    assert (change.after.state, change.after.due_at) == (S.FETCHING, 0.0)
    assert [e.kind for e in plan(made, NOW).effects] == [EffectKind.SAVE]
    assert not made.asked_at


# ------------------------------------------------------------------ absence


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
    made = scheduler([job(state, sent_at=NOW - GONE_S)], limits=Limits(on_expired=policy))

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

    assert NOW < resolved.retry_at < NOW + 50.0


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (S.PENDING, E.INTENDED),
        (S.SUBMITTING, E.UNCLEAR),
        (S.SUBMITTING, E.REJECTED),
        (S.SUBMITTED, E.TROUBLE),
        (S.FETCHING, E.TROUBLE),
        (S.FETCHING, E.GIVEN_UP),
        (S.FETCHING, E.PUT_OFF),
        (S.FETCHING, E.REJECTED),
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
    ("state", "kind"),
    [
        (S.FETCHING, E.SAVED),
        (S.SUBMITTED, E.FAILED),
        (S.SUBMITTED, E.SET_ASIDE),
        (S.FETCHING, E.REJECTED),
        (S.FETCHING, E.PUT_OFF),
    ],
)
def test_an_ended_job_leaves(state, kind):
    made = scheduler([job(state)])

    happened(made, kind)

    assert made.jobs == {}


def refused(made, key=1, at=NOW, signal=Signal.NOT_FOUND):
    """The submit of a job is refused, as the service does it."""
    fields = {"call": CallKind.SUBMIT, "signal": signal, "reason": "HTTP 404"}
    return happened(made, E.NOT_ACCEPTED, at=at, job_key=key, retry_at=at + 180, **fields)


def submitted(made, key, at):
    """The submit of a job leaves."""
    return happened(made, E.INTENDED, at=at, job_key=key)


def submits(made, at):
    return [e.job.key for e in plan(made, at).effects if e.kind is EffectKind.SUBMIT]


def test_a_refused_job_waits_and_after_a_pause_one_other_of_its_model_is_tried():
    made = scheduler([job(S.SUBMITTING), job(key=2), job(key=3)])

    assert refused(made).state is S.PENDING

    assert not made.gates.closed_models
    assert submits(made, NOW + MODEL_PAUSE_S - 1) == []
    assert plan(made, NOW).wake_at == NOW + MODEL_PAUSE_S
    assert submits(made, NOW + MODEL_PAUSE_S) == [2]
    submitted(made, 2, NOW + MODEL_PAUSE_S)
    assert submits(made, NOW + MODEL_PAUSE_S + 9) == [], "one at a time"


def twice_refused():
    """A closed model, of which one job stays here to be tried later."""
    made = scheduler([job(S.SUBMITTING), job(key=2), job(key=3), job(key=9, model="flux-max")])
    refused(made)
    submitted(made, 2, NOW + MODEL_PAUSE_S)
    refused(made, 2, NOW + MODEL_PAUSE_S)
    return made, NOW + MODEL_PAUSE_S


def test_a_model_that_refuses_two_jobs_minutes_apart_takes_no_more_and_they_stay_pending():
    made, at = twice_refused()

    assert made.gates.closed_models == {"flux-pro": "HTTP 404"}
    assert made.held == {"flux-pro": 1}
    assert set(made.jobs) == {1, 3, 9}
    assert submits(made, at + 1) == [9], "other models go on"


def test_one_job_of_a_closed_model_is_tried_later():
    made, at = twice_refused()

    assert submits(made, at + MODEL_LATER_S - 1) == [9]
    assert submits(made, at + MODEL_LATER_S) == [3, 9], "of its jobs one that it did not refuse yet"


def test_a_closed_model_that_takes_a_job_again_is_drawn_anew():
    made, at = twice_refused()
    made.prefetch.others.last_key = 50
    submitted(made, 1, at + MODEL_LATER_S)

    happened(made, E.ACKED, at=at + MODEL_LATER_S + 1, request_id="r")

    assert not made.gates.refusals.models
    assert not made.held
    assert not made.all_drawn
    assert made.prefetch.others.last_key == 0
    assert submits(made, at + MODEL_LATER_S + 2) == [3, 9]


@pytest.mark.parametrize(
    ("signal", "passing_model", "state"),
    [
        (Signal.FORBIDDEN, "flux-pro", S.FAILED),
        (Signal.FORBIDDEN, "flux-max", S.PENDING),
        (Signal.NOT_FOUND, "flux-pro", S.FAILED),
        (Signal.REFUSED_UNTOLD, "flux-pro", S.FAILED),
        (Signal.REFUSED_UNTOLD, "flux-max", S.FAILED),
        (Signal.NOT_NOW, "flux-pro", S.PENDING),
    ],
)
def test_a_job_that_is_refused_again_while_another_passed_is_at_fault(signal, passing_model, state):
    """Of an unknown 406, which may be the account's, any other job that passes tells."""
    made = scheduler([job(S.SUBMITTING), job(S.SUBMITTING, 2, model=passing_model)])
    refused(made, signal=signal)
    happened(made, E.ACKED, at=NOW + 1, job_key=2, request_id="r")
    submitted(made, 1, NOW + 200)

    after = refused(made, at=NOW + 201, signal=signal)

    assert after.state is state
    assert ("refused again while other jobs pass" in after.reason) is (state is S.FAILED)


@pytest.mark.parametrize("signal", [Signal.FORBIDDEN, Signal.NOT_FOUND, Signal.REFUSED_UNTOLD])
def test_while_no_other_job_passes_no_job_fails(signal):
    made = scheduler([job(S.SUBMITTING), job(S.SUBMITTING, 2)])
    happened(made, E.ACKED, at=NOW - 61, job_key=2, request_id="r")
    for number in range(9):
        assert refused(made, at=NOW + 200 * number, signal=signal).state is S.PENDING
        submitted(made, 1, NOW + 200 * number + 190)


# ------------------------------------------------------------------ models that make media


@pytest.mark.parametrize(
    ("state", "kind", "kind_of"),
    [(S.PENDING, E.ANSWERED, EffectKind.SUBMIT), (S.FETCHING, E.RESULT, EffectKind.FETCH)],
)
@pytest.mark.parametrize(
    ("outputs", "learned"),
    [
        ((output(),), True),
        ((Output(0, media_type="text/plain", staged="1"),), False),
        ((), False),
        ((output(), Output(1, media_type="text/plain", staged="1", label="text")), False),
    ],
    ids=["a file", "a text", "nothing", "a file and a text"],
)
def test_a_model_that_made_media_once_is_expected_to_make_them_again(
    state, kind, kind_of, outputs, learned
):
    made = scheduler([job(S.SUBMITTING if kind is E.ANSWERED else state), job(state, 2)])

    happened(made, kind, outputs=outputs)

    (started,) = [effect for effect in plan(made, NOW).effects if effect.job.key == 2]
    assert (started.kind, started.makes is ModelKind.MEDIA) == (kind_of, learned)


@pytest.mark.parametrize("kind", [ModelKind.MEDIA, ModelKind.TEXT])
def test_a_model_that_the_catalogue_knows_needs_no_first_result(kind):
    made = scheduler([job(S.FETCHING)], kinds={"flux-pro": kind}, media_models={"flux-pro"})

    assert [effect.makes for effect in plan(made, NOW).effects] == [kind]


def test_what_results_have_shown_of_a_model_outlives_the_process():
    made = scheduler([job(S.FETCHING), job(S.FETCHING, 2)])
    happened(made, E.RESULT, outputs=(output(),))

    again = scheduler([job(S.FETCHING, 2)])
    again.load(made.lessons())

    assert [effect.makes for effect in plan(again, NOW).effects] == [ModelKind.MEDIA]


@pytest.mark.parametrize("note", ["{", "7", "null", "[7, null]", '{"a": 1}', "[" * 100_000])
def test_a_note_about_models_of_another_shape_is_as_good_as_none(note):
    made = scheduler([])

    made.load({} if note is None else {MEDIA_NOTE: note})

    assert made.media_models == set()


def test_what_calls_report_reaches_the_gates():
    made = scheduler([job(S.SUBMITTED), job(S.SUBMITTED, 2)])
    refused_key = {"call": CallKind.STATUS, "signal": Signal.KEY_REFUSED, "reason": "HTTP 401"}

    happened(made, E.TROUBLE, **refused_key)
    assert not made.gates.closed, "it may be the trouble of this request alone"
    happened(made, E.TROUBLE, job_key=2, **refused_key)

    assert set(made.gates.closed) == {GateKind.KEY}


@pytest.mark.parametrize(
    ("state", "kind", "effect_kind"),
    [
        (S.SUBMITTING, E.NOT_ACCEPTED, EffectKind.SUBMIT),
        (S.SUBMITTED, E.TROUBLE, EffectKind.POLL),
        (S.FETCHING, E.TROUBLE, EffectKind.FETCH),
    ],
)
def test_a_429_holds_everybody_until_the_instant_it_named(state, kind, effect_kind):
    call = CALLS[effect_kind]
    made = scheduler([job(state), job(S.SUBMITTED, 2), job(key=3)])
    effects = [Effect(effect_kind, made.jobs[1]), Effect(EffectKind.POLL, made.jobs[2])]

    for effect, until in zip(effects, (NOW + 40, NOW + 5), strict=True):
        made.rates.start(effect.model)
        refused = Response(CALLS[effect.kind], Signal.RATE_LIMITED, NOW, retry_at=until)
        outcome = JobOutcome(1, event(E.TROUBLE, response=refused))
        made.answered(effect, outcome, NOW)
    happened(made, kind, retry_at=NOW + 40, call=call, signal=Signal.RATE_LIMITED)

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


@pytest.mark.parametrize(
    ("kind", "comes"),
    [
        (GateKind.DISK, False),
        (GateKind.TIME, False),
        (GateKind.CREDITS, True),
        (GateKind.KEY, True),
    ],
)
def test_a_later_submit_comes_where_submits_probe_a_gate(kind, comes):
    made = scheduler([job()])
    made.gates.close(kind, "why", NOW)

    assert made.more_to_submit is comes


@pytest.mark.parametrize(
    ("trouble", "passed_at", "state"),
    [
        (BUSY_TRIES - 1, NOW, S.PENDING),
        (BUSY_TRIES, NOW, S.FAILED),
        (BUSY_TRIES, NOW - BUSY_S - 1, S.PENDING),
        (BUSY_TRIES, None, S.PENDING),
    ],
)
def test_a_job_is_told_to_come_later_a_bounded_number_of_times_while_others_pass(
    trouble, passed_at, state
):
    made = scheduler([job(S.SUBMITTING, trouble=trouble), job(S.SUBMITTING, 2)])
    if passed_at is not None:
        happened(made, E.ACKED, at=passed_at, job_key=2, request_id="r")

    assert refused(made, signal=Signal.NOT_NOW).state is state


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
        (S.FETCHING, E.PUT_OFF, {}, (0, 0, PRICE)),
        (S.FETCHING, E.REJECTED, {}, (PRICE, 0, 0)),
        (S.FETCHING, E.REJECTED, {"receipt": Receipt(cost_usd=0.04)}, (0.04, 0, 0)),
        (S.SUBMITTING, E.REJECTED, {}, (PRICE, 0, 0)),
        (S.RECOVERING, E.GIVEN_UP, {}, (0, PRICE, 0)),
    ],
)
def test_what_an_event_does_to_the_money(state, kind, fields, after):
    """Settled, standing and reserved. The last case is paid for again: the first payment stands."""
    sent_at = NOW - (GONE_S if state is S.RECOVERING else 10)
    lookups = Lookups(shown_at=NOW)
    made = scheduler([priced(state, sent_at=sent_at)], money=Money(9.0), lookups=lookups)

    happened(made, kind, **fields)

    assert committed(made) == after


def test_a_price_changed_on_the_way_does_not_move_what_was_reserved():
    made = scheduler([priced(S.SUBMITTED)])
    made.put([replace(made.jobs[1], price_usd=5.0)])

    assert committed(made) == (0, 0, PRICE)


_FREE_KINDS = {E.NOT_ACCEPTED, E.REFUSED, E.ABSENT, E.TRIED_AGAIN}
"""After which an attempt costs nothing."""


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
        elif kind in _FREE_KINDS or after.state is S.FAILED:
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


def test_without_a_history_what_is_gone_is_asked_for_once_more_as_a_result():
    """Status and result may differ for a while; nothing else could be asked."""
    made = scheduler([job(S.SUBMITTED, request_id="r", sent_at=NOW - GONE_S)])
    made.capabilities = FORGETFUL

    assert happened(made, E.GONE, reason="HTTP 404").state is S.RECOVERING
    assert [e.kind for e in plan(made, NOW).effects] == [EffectKind.FETCH]
    assert happened(made, E.GIVEN_UP, reason="HTTP 404").state is S.PENDING
