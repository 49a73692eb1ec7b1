"""Policies as tables: what age, sources and repetition make of an event."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.capabilities import Capabilities
from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import Doubt, Output
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.outcomes import CallKind as C
from batchgen.core.jobs.outcomes import Signal
from batchgen.core.jobs.policies import Limits, OnExpired, WhenAbsent
from batchgen.core.scheduling.policy import (
    FAILED_TROUBLE,
    FETCH_S,
    HOPELESS_WINDOWS,
    LAST_TRIES_S,
    PATIENCE,
    REFUSALS,
    STRAGGLER_S,
    are_media,
    by_policy,
    in_time,
    overdue,
    put_off,
    with_known_address,
    without_control,
)
from batchgen.providers.segmind.provider import CAPABILITIES
from batchgen.providers.segmind.treatments import FILES_S, WINDOW_S
from tests.core.builders import NOW, event, job, output

HOPELESS_S = HOPELESS_WINDOWS * WINDOW_S
LATE_S = WINDOW_S + STRAGGLER_S
FILES = {"outputs": (output(),)}
FORGETFUL = Capabilities(WINDOW_S, FILES_S, has_history=False)


def aged(state, age_s, **changes):
    return job(state, sent_at=NOW - age_s, **changes)


# ------------------------------------------------------------------ files


@pytest.mark.parametrize(
    ("kind", "age_s", "trouble", "recoveries", "becomes"),
    [
        (E.TROUBLE, 10.0, 0, 0, E.TROUBLE),
        (E.TROUBLE, FETCH_S, PATIENCE, 0, E.TROUBLE),
        (E.TROUBLE, FETCH_S, PATIENCE - 1, 1, E.TROUBLE),
        (E.TROUBLE, FETCH_S - 1, PATIENCE, 1, E.TROUBLE),
        (E.TROUBLE, FETCH_S, PATIENCE, 1, E.PUT_OFF),
        (E.PUT_OFF, 10.0, 0, 0, E.PUT_OFF),
        (E.GIVEN_UP, 10.0, PATIENCE, 1, E.TROUBLE),
        (E.GIVEN_UP, FETCH_S, PATIENCE, 1, E.PUT_OFF),
        (E.GIVEN_UP, FILES_S - 1, PATIENCE, 1, E.PUT_OFF),
        (E.GIVEN_UP, FILES_S, PATIENCE, 1, E.GIVEN_UP),
        (E.TROUBLE, FILES_S, PATIENCE, 1, E.PUT_OFF),
    ],
)
def test_a_fruitless_download_goes_on_and_is_lost_only_after_its_days(
    kind, age_s, trouble, recoveries, becomes
):
    tried = aged(S.FETCHING, age_s, trouble=trouble, recoveries=recoveries, **FILES)

    judged = put_off(tried, event(kind, reason="HTTP 503"), CAPABILITIES)

    assert (judged.kind, judged.reason) == (becomes, "HTTP 503")
    apply(tried, judged)


@given(
    st.sampled_from([E.TROUBLE, E.GIVEN_UP]),
    st.floats(0.0, FILES_S - 1.0),
    st.integers(0, 10_000),
    st.integers(0, 9),
)
def test_no_number_of_tries_loses_a_file_before_its_days_are_over(kind, age_s, trouble, recoveries):
    tried = aged(S.FETCHING, age_s, trouble=trouble, recoveries=recoveries, **FILES)

    assert put_off(tried, event(kind), CAPABILITIES).kind in {E.TROUBLE, E.PUT_OFF}


@pytest.mark.parametrize(
    ("kind", "trouble", "becomes"),
    [
        (E.GIVEN_UP, 0, E.RECOVERED),
        (E.TROUBLE, 0, E.TROUBLE),
        (E.TROUBLE, 1, E.RECOVERED),
        (E.SET_ASIDE, 0, E.RECOVERED),
        (E.SET_ASIDE, 1, E.RECOVERED),
        (E.HELD, 3, E.HELD),
        (E.FAILED, 3, E.FAILED),
        (E.RUNNING, 3, E.RUNNING),
    ],
)
def test_where_no_source_names_another_address_the_known_one_is_tried_again(kind, trouble, becomes):
    asked = job(S.RECOVERING, trouble=trouble, recoveries=1, outputs=(output(0), output(1)))

    judged = with_known_address(asked, event(kind, reason="HTTP 404"))
    after = apply(asked, judged).after

    assert judged.kind is becomes
    if becomes is E.RECOVERED:
        assert (after.state, after.outputs, after.recoveries) == (S.FETCHING, asked.outputs, 1)
        assert NOW < after.due_at <= NOW + 2**PATIENCE


# ------------------------------------------------------------------ a record that is gone


@pytest.mark.parametrize(
    ("shown_s", "signal", "age_s", "becomes"),
    [
        # An hour and a bit after the submit; `shown_s`: when the latest request that is shown left.
        (None, Signal.NOT_FOUND, 3900.0, E.TROUBLE),
        (-1.0, Signal.NOT_FOUND, 3900.0, E.TROUBLE),
        (0.0, Signal.NOT_FOUND, 3900.0, E.TROUBLE),
        (1.0, Signal.NOT_FOUND, 3900.0, E.GIVEN_UP),
        (None, Signal.OK, 3900.0, E.GIVEN_UP),
        (None, Signal.NOT_FOUND, HOPELESS_S, E.TROUBLE),
        (None, Signal.NOT_FOUND, HOPELESS_S + 1, E.SET_ASIDE),
        (1.0, Signal.NOT_FOUND, HOPELESS_S + 1, E.GIVEN_UP),
        (None, Signal.NOT_FOUND, FILES_S, E.GIVEN_UP),
    ],
)
def test_that_the_history_knows_nothing_counts_beside_a_later_request_only(
    shown_s, signal, age_s, becomes
):
    gone = aged(S.RECOVERING, age_s)
    shown_at = 0.0 if shown_s is None else gone.sent_at + shown_s
    told = event(E.GIVEN_UP, reason="HTTP 404", call=C.HISTORY, signal=signal)

    judged = without_control(gone, told, shown_at, CAPABILITIES)

    assert judged.kind is becomes
    assert ("proves nothing" in judged.reason) is (becomes is E.SET_ASIDE)
    apply(gone, judged)


def test_without_a_history_nothing_is_there_to_be_shown():
    told = event(E.GIVEN_UP, reason="HTTP 404", call=C.RESULT, signal=Signal.NOT_FOUND)

    assert without_control(aged(S.RECOVERING, 3900.0), told, 0.0, FORGETFUL) == told


# ------------------------------------------------------------------ waiting for too long


@pytest.mark.parametrize(
    ("state", "kind", "age_s", "fields", "becomes"),
    [
        (S.SUBMITTED, E.RUNNING, 10.0, {}, E.RUNNING),
        (S.SUBMITTED, E.RUNNING, LATE_S, {}, E.RUNNING),
        (S.SUBMITTED, E.RUNNING, LATE_S + 1, {}, E.GONE),
        (S.FETCHING, E.RUNNING, LATE_S + 1, {}, E.GONE),
        (S.SUBMITTED, E.TROUBLE, LATE_S, {}, E.TROUBLE),
        (S.SUBMITTED, E.TROUBLE, LATE_S + 1, {}, E.GONE),
        (S.SUBMITTED, E.FINISHED, 9 * HOPELESS_S, {}, E.FINISHED),
        (S.FETCHING, E.TROUBLE, LATE_S, {}, E.TROUBLE),
        (S.FETCHING, E.TROUBLE, LATE_S + 1, {}, E.GONE),
        (S.FETCHING, E.TROUBLE, 9 * HOPELESS_S, FILES, E.TROUBLE),
        (S.RECOVERING, E.TROUBLE, HOPELESS_S, {}, E.TROUBLE),
        (S.RECOVERING, E.TROUBLE, HOPELESS_S + 1, {}, E.SET_ASIDE),
        (S.RECOVERING, E.HELD, 9 * HOPELESS_S, {}, E.HELD),
        (S.RECOVERING, E.RECOVERED, 9 * HOPELESS_S, {}, E.RECOVERED),
        (S.AMBIGUOUS, E.TROUBLE, HOPELESS_S, {}, E.TROUBLE),
        (S.AMBIGUOUS, E.TROUBLE, HOPELESS_S + 1, {}, E.SET_ASIDE),
    ],
)
def test_what_is_unfinished_for_too_long_is_not_waited_on(state, kind, age_s, fields, becomes):
    waiting = aged(state, age_s, **fields)
    told = event(kind, reason="as it was told", signal=Signal.SERVER_ERROR)

    judged = overdue(waiting, told, WINDOW_S)

    assert judged.kind is becomes
    assert judged.reason
    assert judged == told or becomes is not kind
    apply(waiting, judged)


@pytest.mark.parametrize("state", [S.RECOVERING, S.AMBIGUOUS])
@pytest.mark.parametrize(
    ("signal", "is_silent_ones"),
    [
        (Signal.LOST, True),
        (Signal.SERVER_ERROR, True),
        (Signal.UNREADABLE, True),
        (Signal.OK, False),
        (Signal.UNPROCESSABLE, False),
    ],
)
def test_a_history_that_answers_nobody_says_nothing_about_an_old_request(
    state, signal, is_silent_ones
):
    """One that fails for this request alone does not keep it for ever."""
    waiting = aged(state, 9 * HOPELESS_S)
    told = event(E.TROUBLE, reason="no answer", signal=signal)

    silent = overdue(waiting, told, WINDOW_S, silent=True)

    assert silent.kind is (E.TROUBLE if is_silent_ones else E.SET_ASIDE)
    assert overdue(waiting, told, WINDOW_S).kind is E.SET_ASIDE


@given(
    st.sampled_from([S.SUBMITTED, S.FETCHING, S.RECOVERING]),
    st.sampled_from(sorted(Signal)),
    st.integers(0, 10_000),
)
def test_every_request_comes_to_an_end_by_age_whatever_is_answered(state, signal, trouble):
    waiting = aged(state, HOPELESS_S + 1, trouble=trouble)

    assert overdue(waiting, event(E.TROUBLE, signal=signal), WINDOW_S).kind is not E.TROUBLE


@given(
    st.sampled_from([S.SUBMITTED, S.FETCHING, S.RECOVERING, S.AMBIGUOUS]),
    st.sampled_from([E.TROUBLE, E.RUNNING, E.HELD]),
    st.floats(0.0, WINDOW_S),
    st.integers(0, 10_000),
)
def test_within_its_hour_no_number_of_tries_ends_the_wait(state, kind, age_s, trouble):
    waiting = aged(state, age_s, trouble=trouble)
    told = event(kind, signal=Signal.NOT_FOUND)

    assert overdue(waiting, told, WINDOW_S) == told


# ------------------------------------------------------------------ the user's policies


@pytest.mark.parametrize(
    ("policy", "doubt", "trouble", "becomes"),
    [
        (WhenAbsent.RESUBMIT, Doubt.OPEN, PATIENCE - 1, E.ABSENT),
        (WhenAbsent.RESUBMIT, Doubt.SERVER_ERROR, PATIENCE, E.REFUSED),
        (WhenAbsent.RESUBMIT, Doubt.SERVER_ERROR, REFUSALS, E.ABSENT),
        (WhenAbsent.RESUBMIT, Doubt.MIDDLEMAN, REFUSALS - 1, E.ABSENT),
        (WhenAbsent.RESUBMIT, Doubt.MIDDLEMAN, REFUSALS, E.REFUSED),
        (WhenAbsent.HOLD, Doubt.OPEN, 0, E.SET_ASIDE),
        (WhenAbsent.HOLD, Doubt.MIDDLEMAN, REFUSALS, E.REFUSED),
    ],
)
def test_what_is_proved_absent_goes_out_again_a_bounded_number_of_times(
    policy, doubt, trouble, becomes
):
    doubtful = job(S.AMBIGUOUS, doubt=doubt, trouble=trouble, reason="HTTP 403")
    told = event(E.ABSENT, reason="not in the history")

    judged = by_policy(doubtful, told, Limits(when_absent=policy), WINDOW_S)

    assert judged.kind is becomes
    if becomes is E.REFUSED:
        assert judged.reason == f"HTTP 403; refused {trouble} times in a row"
    apply(doubtful, judged)


@pytest.mark.parametrize(
    ("policy", "age_s", "fields", "becomes"),
    [
        (OnExpired.FAIL, WINDOW_S - 1, {}, E.GONE),
        (OnExpired.FAIL, WINDOW_S, {}, E.GIVEN_UP),
        (OnExpired.FAIL, WINDOW_S, FILES, E.GONE),
        (OnExpired.RECOVER, 9 * WINDOW_S, {}, E.GONE),
        (OnExpired.RECOVER_ONLY, 9 * WINDOW_S, {}, E.GONE),
    ],
)
def test_what_is_gone_is_looked_for_unless_policy_and_age_forbid(policy, age_s, fields, becomes):
    """Within the hour nothing has expired; and files outlive the record of their request."""
    gone = aged(S.FETCHING, age_s, **fields)

    judged = by_policy(gone, event(E.GONE, reason="HTTP 404"), Limits(on_expired=policy), WINDOW_S)

    assert judged.kind is becomes


# ------------------------------------------------------------------ media


def kept(media_type):
    return Output(0, media_type=media_type, staged="1-1-0")


@pytest.mark.parametrize(
    ("outputs", "media"),
    [
        ((), False),
        ((output(),), True),
        ((kept("text/plain"),), False),
        ((kept("application/json"),), False),
        ((kept("image/png"),), True),
        ((kept(""),), True),
        ((kept("text/plain"), replace(output(), index=1)), False),
    ],
    ids=str,
)
def test_only_files_without_any_text_show_that_a_model_makes_media(outputs, media):
    assert are_media(outputs) is media


# ------------------------------------------------------------------ the hour

WAITS = {"trouble": 8, "due_at": NOW + 300.0}


@pytest.mark.parametrize(
    ("state", "changes", "age_s", "waits_s"),
    [
        (S.SUBMITTED, WAITS, 600.0, 300.0),
        (S.SUBMITTED, WAITS, WINDOW_S - 200.0, 100.0),
        (S.FETCHING, WAITS, WINDOW_S - 200.0, 100.0),
        (S.RECOVERING, WAITS, WINDOW_S - 200.0, 100.0),
        (S.SUBMITTED, WAITS, WINDOW_S - 4.0, LAST_TRIES_S),
        (S.SUBMITTED, WAITS, WINDOW_S + 1.0, 300.0),
        (S.SUBMITTED, WAITS | {"trouble": 0}, WINDOW_S - 200.0, 300.0),
        (S.FETCHING, WAITS | {"outputs": (output(),)}, WINDOW_S - 200.0, 300.0),
        (S.AMBIGUOUS, WAITS, WINDOW_S - 200.0, 300.0),
    ],
)
def test_the_next_try_for_a_result_comes_before_the_end_of_its_hour(state, changes, age_s, waits_s):
    waiting = aged(state, age_s, **changes)

    assert in_time(waiting, NOW, WINDOW_S).due_at == NOW + waits_s


# ------------------------------------------------------------------ what failed, and may pass


@pytest.mark.parametrize(
    ("state", "billable", "most", "passes", "listed", "becomes"),
    [
        (S.SUBMITTED, 1, 3, True, True, E.TRIED_AGAIN),
        (S.SUBMITTED, 2, 3, True, True, E.TRIED_AGAIN),
        (S.SUBMITTED, 3, 3, True, True, E.FAILED),
        (S.FETCHING, 1, 1, True, True, E.FAILED),
        (S.FETCHING, 1, 2, True, True, E.TRIED_AGAIN),
        (S.FETCHING, 1, 2, False, True, E.FAILED),
        (S.FETCHING, 1, 2, True, False, E.FAILED),
        (S.RECOVERING, 1, 2, True, True, E.TRIED_AGAIN),
        # by the first API, whose submit is counted with its answer
        (S.SUBMITTING, 0, 2, True, True, E.TRIED_AGAIN),
        (S.SUBMITTING, 1, 2, True, True, E.FAILED),
    ],
)
def test_what_failed_is_tried_again_within_what_may_be_billed(
    state, billable, most, passes, listed, becomes
):
    made = replace(job(state), billable=billable, listed=listed)
    failed = event(E.FAILED, reason="no worker", may_pass=passes)

    judged = by_policy(made, failed, Limits(max_attempts=most), 3600.0)
    after = apply(made, judged).after

    assert judged.kind is becomes
    assert after.state is (S.PENDING if becomes is E.TRIED_AGAIN else S.FAILED)
    if becomes is E.TRIED_AGAIN:
        assert NOW < after.due_at <= NOW + 2 ** (FAILED_TROUBLE + most)
        assert after.reason == "no worker"
        assert after.billable == max(1, billable + (state is S.SUBMITTING))


def test_the_last_failure_says_how_often_it_was_tried():
    made = replace(job(S.SUBMITTED), billable=3)

    judged = by_policy(made, event(E.FAILED, reason="no worker", may_pass=True), Limits(), 3600.0)

    assert judged.reason == "no worker; failed 3 times"
