"""From a signal to an event, call by call; and how long a 429 makes us wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import Doubt
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.outcomes import CallKind as C
from batchgen.core.jobs.outcomes import Signal
from batchgen.core.scheduling.policy import HOPELESS_WINDOWS, PATIENCE, STRAGGLER_S, overdue
from batchgen.errors import NetFault, TransportError
from batchgen.providers.segmind.treatments import (
    DEFAULT_RESET_S,
    HISTORY_PAUSE_S,
    MAX_LAG_S,
    MAX_RESET_S,
    MIN_RESET_S,
    WINDOW_S,
    describe,
    failed_call,
    reset_wait_s,
)
from tests.core.builders import NOW, answer, event, job

HOPELESS_S = HOPELESS_WINDOWS * WINDOW_S


STATE_OF = {C.SUBMIT: S.SUBMITTING, C.STATUS: S.SUBMITTED, C.RESULT: S.FETCHING}

# What becomes of a job at the first such signal, by call: submit, status, result, history while
# recovering. Written out from the service's facts, not from the code's table.
FIRST = {
    Signal.NOT_SENT: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.LOST: (E.UNCLEAR, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.UNREADABLE: (E.UNCLEAR, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.REDIRECT: (E.NOT_ACCEPTED, E.HELD, E.HELD, E.HELD),
    Signal.BAD_REQUEST: (E.REFUSED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.KEY_REFUSED: (E.NOT_ACCEPTED, E.HELD, E.HELD, E.HELD),
    Signal.FORBIDDEN: (E.NOT_ACCEPTED, E.HELD, E.HELD, E.HELD),
    Signal.NOT_FOUND: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.WRONG_METHOD: (E.NOT_ACCEPTED, E.HELD, E.HELD, E.HELD),
    Signal.NO_CREDITS: (E.NOT_ACCEPTED, E.HELD, E.HELD, E.HELD),
    Signal.WRONG_CONTENT_TYPE: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.PARAMETER_REFUSED: (E.REFUSED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.RETIRED: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.UNPROCESSABLE: (E.REFUSED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.RATE_LIMITED: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.SERVER_ERROR: (E.UNCLEAR, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.GATEWAY_TIMEOUT: (E.UNCLEAR, E.TROUBLE, E.TROUBLE, E.TROUBLE),
}
CALLS = ((C.SUBMIT, S.SUBMITTING), (C.STATUS, S.SUBMITTED), (C.RESULT, S.FETCHING),
         (C.HISTORY, S.RECOVERING))  # fmt: skip
FIRST_CELLS = [
    (signal, call, state, kind)
    for signal, kinds in FIRST.items()
    for (call, state), kind in zip(CALLS, kinds, strict=True)
]

# What a signal comes to once it has been heard `PATIENCE` times in a row, where that differs.
BELIEVED = {
    (Signal.UNREADABLE, C.STATUS): E.SET_ASIDE,
    (Signal.UNREADABLE, C.RESULT): E.GONE,
    (Signal.BAD_REQUEST, C.STATUS): E.SET_ASIDE,
    (Signal.BAD_REQUEST, C.RESULT): E.SET_ASIDE,
    (Signal.BAD_REQUEST, C.HISTORY): E.GIVEN_UP,
    (Signal.WRONG_CONTENT_TYPE, C.STATUS): E.SET_ASIDE,
    (Signal.WRONG_CONTENT_TYPE, C.RESULT): E.SET_ASIDE,
    (Signal.WRONG_CONTENT_TYPE, C.HISTORY): E.GIVEN_UP,
    (Signal.PARAMETER_REFUSED, C.STATUS): E.SET_ASIDE,
    (Signal.PARAMETER_REFUSED, C.RESULT): E.SET_ASIDE,
    (Signal.PARAMETER_REFUSED, C.HISTORY): E.GIVEN_UP,
    (Signal.UNPROCESSABLE, C.STATUS): E.SET_ASIDE,
    (Signal.UNPROCESSABLE, C.RESULT): E.SET_ASIDE,
    (Signal.NOT_FOUND, C.STATUS): E.GONE,
    (Signal.NOT_FOUND, C.RESULT): E.GONE,
    (Signal.NOT_FOUND, C.HISTORY): E.GIVEN_UP,
    (Signal.RETIRED, C.STATUS): E.GONE,
    (Signal.RETIRED, C.RESULT): E.GONE,
    (Signal.RETIRED, C.HISTORY): E.GIVEN_UP,
}
NAMED = {Signal.NOT_SENT: NetFault.NOT_SENT, Signal.LOST: NetFault.LOST}


def outcome_of(signal):
    if signal in NAMED:
        return TransportError(NAMED[signal], "connection refused")
    return answer({"error": "so it is"}, 418)


@pytest.mark.parametrize(("signal", "call", "state", "kind"), FIRST_CELLS)
def test_the_first_time(signal, call, state, kind):
    event = failed_call(call, job(state), outcome_of(signal), signal, NOW)

    assert event.kind is kind
    response = event.response
    assert (response.call, response.signal, response.at, event.at) == (call, signal, NOW, NOW)
    assert event.reason
    apply(job(state), event)  # legal where it arises


@pytest.mark.parametrize(("signal", "call", "state", "kind"), FIRST_CELLS)
def test_the_sixth_time(signal, call, state, kind):
    tired = job(state, trouble=PATIENCE)

    event = failed_call(call, tired, outcome_of(signal), signal, NOW)

    assert event.kind is BELIEVED.get((signal, call), kind)
    apply(tired, event)


OUTSIDE_THE_JOB = [
    signal
    for signal in FIRST
    if signal
    in {
        Signal.NOT_SENT,
        Signal.LOST,
        Signal.REDIRECT,
        Signal.KEY_REFUSED,
        Signal.FORBIDDEN,
        Signal.WRONG_METHOD,
        Signal.NO_CREDITS,
        Signal.RATE_LIMITED,
        Signal.SERVER_ERROR,
        Signal.GATEWAY_TIMEOUT,
    }
]


@pytest.mark.parametrize("signal", OUTSIDE_THE_JOB)
@pytest.mark.parametrize(("call", "state"), CALLS[1:])
def test_what_is_not_the_jobs_fault_never_moves_it_and_costs_no_patience(signal, call, state):
    current = job(state, trouble=2)
    for _ in range(50):
        current = apply(current, failed_call(call, current, outcome_of(signal), signal, NOW)).after

    assert current.state is state
    assert current.trouble == 2


@pytest.mark.parametrize("signal", [Signal.NOT_SENT, Signal.RATE_LIMITED, Signal.NO_CREDITS])
def test_a_submit_surely_not_accepted_spends_no_attempt(signal):
    before = job(S.SUBMITTING)

    after = apply(before, failed_call(C.SUBMIT, before, outcome_of(signal), signal, NOW)).after

    assert (after.state, after.billable, after.trouble) == (S.PENDING, 0, 0)


def test_a_retry_waits_a_little_and_not_for_ever():
    for key in range(200):
        event = failed_call(
            C.STATUS, job(S.SUBMITTED, key), outcome_of(Signal.LOST), Signal.LOST, NOW
        )
        assert NOW + 0.5 <= event.retry_at <= NOW + 4.0


def test_a_5xx_is_remembered_as_documented_not_accepted():
    for signal, doubt in [(Signal.SERVER_ERROR, Doubt.SERVER_ERROR), (Signal.LOST, Doubt.OPEN)]:
        event = failed_call(C.SUBMIT, job(S.SUBMITTING), outcome_of(signal), signal, NOW)
        assert event.doubt is doubt


@pytest.mark.parametrize(
    ("outcome", "signal", "doubt"),
    [
        (TransportError(NetFault.LOST), Signal.LOST, Doubt.OPEN),
        (TransportError(NetFault.CUT, status=200), Signal.LOST, Doubt.ACCEPTED),
        (TransportError(NetFault.CUT, status=202), Signal.LOST, Doubt.ACCEPTED),
        (TransportError(NetFault.CUT, status=503), Signal.SERVER_ERROR, Doubt.SERVER_ERROR),
        (TransportError(NetFault.CUT, status=504), Signal.GATEWAY_TIMEOUT, Doubt.OPEN),
        (answer({}), Signal.UNREADABLE, Doubt.ACCEPTED),
        (answer({}, 500), Signal.SERVER_ERROR, Doubt.SERVER_ERROR),
        (answer({}, 504), Signal.GATEWAY_TIMEOUT, Doubt.OPEN),
    ],
    ids=str,
)
def test_what_kind_of_doubt_a_submit_leaves(outcome, signal, doubt):
    event = failed_call(C.SUBMIT, job(S.SUBMITTING), outcome, signal, NOW)

    assert (event.kind, event.doubt) == (E.UNCLEAR, doubt)


@pytest.mark.parametrize("signal", [Signal.KEY_REFUSED, Signal.FORBIDDEN])
def test_a_history_that_refuses_holds_the_lookup_for_a_while(signal):
    for state in (S.RECOVERING, S.AMBIGUOUS):
        held = failed_call(C.HISTORY, job(state), answer({}, 401), signal, NOW)

        assert (held.kind, held.retry_at) == (E.HELD, NOW + HISTORY_PAUSE_S)


@pytest.mark.parametrize(
    ("state", "kind", "age_s", "becomes"),
    [
        (S.SUBMITTED, E.RUNNING, 10.0, E.RUNNING),
        (S.SUBMITTED, E.RUNNING, WINDOW_S + STRAGGLER_S, E.RUNNING),
        (S.SUBMITTED, E.RUNNING, WINDOW_S + STRAGGLER_S + 1, E.GONE),
        (S.FETCHING, E.RUNNING, WINDOW_S + STRAGGLER_S + 1, E.GONE),
        (S.SUBMITTED, E.TROUBLE, 9 * HOPELESS_S, E.TROUBLE),
        (S.SUBMITTED, E.FINISHED, 9 * HOPELESS_S, E.FINISHED),
        (S.FETCHING, E.TROUBLE, 9 * HOPELESS_S, E.TROUBLE),
        (S.RECOVERING, E.TROUBLE, HOPELESS_S, E.TROUBLE),
        (S.RECOVERING, E.TROUBLE, HOPELESS_S + 1, E.SET_ASIDE),
        (S.RECOVERING, E.HELD, 9 * HOPELESS_S, E.HELD),
        (S.RECOVERING, E.RECOVERED, 9 * HOPELESS_S, E.RECOVERED),
        (S.AMBIGUOUS, E.TROUBLE, HOPELESS_S, E.TROUBLE),
        (S.AMBIGUOUS, E.TROUBLE, HOPELESS_S + 1, E.SET_ASIDE),
    ],
)
def test_what_is_unfinished_for_too_long_is_not_waited_on(state, kind, age_s, becomes):
    waiting = job(state, sent_at=NOW - age_s)
    told = event(kind, reason="as it was told", signal=Signal.OK)

    judged = overdue(waiting, told, WINDOW_S)

    assert judged.kind is becomes
    assert judged.reason
    assert judged == told or becomes is not kind
    apply(waiting, judged)


@pytest.mark.parametrize("signal", [Signal.LOST, Signal.SERVER_ERROR, Signal.UNREADABLE])
def test_a_history_that_does_not_answer_says_nothing_about_an_old_request(signal):
    waiting = job(S.RECOVERING, sent_at=NOW - 9 * HOPELESS_S)
    told = event(E.TROUBLE, reason="no answer", signal=signal)

    assert overdue(waiting, told, WINDOW_S) == told


@pytest.mark.parametrize(
    ("state", "age_s", "recoveries", "kind"),
    [
        (S.SUBMITTED, 10.0, 0, E.TROUBLE),
        (S.SUBMITTED, WINDOW_S - 1, 0, E.TROUBLE),
        (S.SUBMITTED, WINDOW_S, 0, E.GONE),
        (S.SUBMITTED, 9 * WINDOW_S, 0, E.GONE),
        (S.FETCHING, 10.0, 0, E.TROUBLE),
        (S.FETCHING, WINDOW_S, 0, E.GONE),
        (S.FETCHING, WINDOW_S, 1, E.GIVEN_UP),
        (S.SUBMITTED, WINDOW_S, 1, E.SET_ASIDE),
    ],
)
def test_a_404_is_judged_by_age(state, age_s, recoveries, kind):
    call = C.STATUS if state is S.SUBMITTED else C.RESULT
    asked = job(state, sent_at=NOW - age_s, recoveries=recoveries)

    event = failed_call(call, asked, answer({}, 404), Signal.NOT_FOUND, NOW)

    assert event.kind is kind
    apply(asked, event)


@pytest.mark.parametrize(("lag_s", "kind"), [(10.0, E.TROUBLE), (MAX_LAG_S + 1, E.SET_ASIDE)])
def test_an_id_that_the_history_does_not_list_yet_may_still_come(lag_s, kind):
    asked = job(S.AMBIGUOUS, trouble=PATIENCE, unclear_at=NOW - lag_s, request_id="req-1")

    event = failed_call(C.HISTORY, asked, answer({}, 404), Signal.NOT_FOUND, NOW)

    assert event.kind is kind
    apply(asked, event)


@pytest.mark.parametrize(
    ("outcome", "signal", "text"),
    [
        (answer({"error": "no such model"}, 404), Signal.NOT_FOUND, "HTTP 404: no such model"),
        (answer(b"<html>", 502), Signal.SERVER_ERROR, "HTTP 502"),
        (
            answer(b"<html>", 200),
            Signal.UNREADABLE,
            "HTTP 200 with an answer that cannot be read",
        ),
        (TransportError(NetFault.NOT_SENT, "refused"), Signal.NOT_SENT, "not sent: refused"),
        (
            TransportError(NetFault.CUT, "\x1b[2J9 of 10 bytes", 200),
            Signal.LOST,
            "HTTP 200, answer cut: [2J9 of 10 bytes",
        ),
        (TransportError(NetFault.LOST), Signal.LOST, "answer lost"),
    ],
)
def test_a_line_for_a_person(outcome, signal, text):
    assert describe(signal, outcome) == text


def test_a_given_reason_replaces_the_description():
    event = failed_call(
        C.RESULT, job(S.FETCHING), answer({}), Signal.UNREADABLE, NOW, "names no output"
    )

    assert event.reason == "names no output"


def http_date(at):
    return format_datetime(datetime.fromtimestamp(at, UTC), usegmt=True)


def iso(at, suffix="Z"):
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S") + suffix


RESET = "x-rate-limit-reset-at-utc"
RESETS = [
    ({}, DEFAULT_RESET_S),
    ({RESET: ""}, DEFAULT_RESET_S),
    ({RESET: "soon"}, DEFAULT_RESET_S),
    ({RESET: "nan"}, DEFAULT_RESET_S),
    ({RESET: "-5"}, DEFAULT_RESET_S),
    ({RESET: iso(NOW + 30)}, 30.0),
    ({RESET: iso(NOW + 30, "")}, 30.0),
    ({RESET: iso(NOW + 30, "+00:00")}, 30.0),
    ({RESET: iso(NOW + 30 + 7200, "+02:00")}, 30.0),
    ({RESET: iso(NOW + 30, ".500Z")}, 30.5),
    ({RESET: iso(NOW + 30).replace("T", " ")}, 30.0),
    ({RESET: http_date(NOW + 30)}, 30.0),
    ({RESET: str(NOW + 30)}, 30.0),
    ({RESET: str(int((NOW + 30) * 1000))}, 30.0),
    ({RESET: iso(NOW - 3600)}, MIN_RESET_S),
    ({RESET: iso(NOW)}, MIN_RESET_S),
    ({RESET: "9999-12-31T23:59:59Z"}, MAX_RESET_S),
    ({RESET: "1e300"}, MAX_RESET_S),
    ({RESET: iso(NOW + 86_400)}, MAX_RESET_S),
    ({RESET: iso(NOW + 1030), "date": http_date(NOW + 1000)}, 30.0),
    ({RESET: iso(NOW - 970), "date": http_date(NOW - 1000)}, 30.0),
    ({RESET: iso(NOW + 30), "date": "yesterday"}, 30.0),
    ({"retry-after": "7"}, 7.0),
    ({"retry-after": "7.5"}, 7.5),
    ({"retry-after": "0"}, MIN_RESET_S),
    ({"retry-after": "-3"}, DEFAULT_RESET_S),
    ({"retry-after": "inf"}, DEFAULT_RESET_S),
    ({"retry-after": "86400"}, MAX_RESET_S),
    ({"retry-after": http_date(NOW + 40)}, 40.0),
    ({"retry-after": http_date(NOW + 1040), "date": http_date(NOW + 1000)}, 40.0),
    ({"retry-after": str(int(NOW + 40))}, 40.0),
    ({"retry-after": "7", RESET: iso(NOW + 30)}, 7.0),
    ({"retry-after": "later", RESET: iso(NOW + 30)}, 30.0),
]


@pytest.mark.parametrize(("headers", "wait_s"), RESETS)
def test_how_long_a_429_makes_us_wait(headers, wait_s):
    assert reset_wait_s(headers, NOW) == pytest.approx(wait_s)

    event = failed_call(
        C.STATUS, job(S.SUBMITTED), replace(answer({}, 429), headers=headers),
        Signal.RATE_LIMITED, NOW,
    )  # fmt: skip
    assert event.retry_at == pytest.approx(NOW + wait_s)


@given(
    st.dictionaries(
        st.sampled_from(["date", "retry-after", RESET]),
        st.text(max_size=40)
        | st.floats().map(str)
        | st.integers().map(str)
        | st.datetimes().map(str)
        | st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    ),
    st.floats(0, 4e9),
)
def test_any_headers_make_us_wait_within_the_bounds(headers, now):
    assert MIN_RESET_S <= reset_wait_s(headers, now) <= MAX_RESET_S
