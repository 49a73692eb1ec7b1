"""From a signal to an event, call by call; and how long a 429 makes us wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.backoff import MAX_BACKOFF_S, MAX_LOOKUP_S, MIN_LOOKUP_S
from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import Doubt
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.outcomes import CallKind as C
from batchgen.core.jobs.outcomes import Signal
from batchgen.core.reconciliation.history import MAX_LAG_S
from batchgen.core.scheduling.policy import PATIENCE
from batchgen.errors import NetFault, TransportError
from batchgen.providers.segmind.treatments import (
    DEFAULT_RESET_S,
    HISTORY_PAUSE_S,
    MAX_RESET_S,
    MIN_RESET_S,
    NO_CREDITS_PAUSE_S,
    SLACK_S,
    WINDOW_S,
    describe,
    failed_call,
    reset_wait_s,
)
from tests.core.builders import NOW, answer, job

OVER_S = WINDOW_S + SLACK_S
"""The hour of a request, and what its clock may be behind ours."""


STATE_OF = {C.SUBMIT: S.SUBMITTING, C.STATUS: S.SUBMITTED, C.RESULT: S.FETCHING}

# What becomes of a job at the first such signal, by call: submit, status, result, history while
# recovering. Written out from the service's facts, not from the code's table.
FIRST = {
    Signal.NOT_SENT: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.LOST: (E.UNCLEAR, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.UNREADABLE: (E.UNCLEAR, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.REDIRECT: (E.UNCLEAR, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.MIDDLEMAN: (E.UNCLEAR, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.NOT_NOW: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.BAD_REQUEST: (E.REFUSED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.KEY_REFUSED: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.FORBIDDEN: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.NOT_FOUND: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.WRONG_METHOD: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.NO_CREDITS: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.REFUSED_UNTOLD: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.WRONG_CONTENT_TYPE: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.PARAMETER_REFUSED: (E.REFUSED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.RETIRED: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.UNPROCESSABLE: (E.REFUSED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.RATE_LIMITED: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.SERVER_ERROR: (E.UNCLEAR, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.GATEWAY_TIMEOUT: (E.UNCLEAR, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.UNROUTED: (E.NOT_ACCEPTED, E.TROUBLE, E.TROUBLE, E.TROUBLE),
    Signal.QUOTA_REACHED: (E.UNCLEAR, E.TROUBLE, E.TROUBLE, E.TROUBLE),
}
CALLS = ((C.SUBMIT, S.SUBMITTING), (C.STATUS, S.SUBMITTED), (C.RESULT, S.FETCHING),
         (C.HISTORY, S.RECOVERING))  # fmt: skip
FIRST_CELLS = [
    (signal, call, state, kind)
    for signal, kinds in FIRST.items()
    for (call, state), kind in zip(CALLS, kinds, strict=True)
]

# What a signal comes to once it has been heard `PATIENCE` times in a row, where that differs: no
# number of tries ends anything.
BELIEVED = {
    (Signal.NOT_FOUND, C.RESULT): E.GONE,
    (Signal.RETIRED, C.RESULT): E.GONE,
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


# Who is told when to come again, or waits at a gate, is not counted. A key may be refused for one
# request alone: that counts, and the request comes to its end by age.
UNCOUNTED = {Signal.NO_CREDITS, Signal.RATE_LIMITED}


@pytest.mark.parametrize("signal", [signal for signal in FIRST if signal is not Signal.OK])
@pytest.mark.parametrize(("call", "state"), CALLS[1:])
def test_no_answer_but_a_404_moves_a_paid_job_however_often_it_comes(signal, call, state):
    """Within its hour; each try is counted, so that the next one comes later."""
    current = job(state, trouble=2)
    for _ in range(50):
        current = apply(current, failed_call(call, current, outcome_of(signal), signal, NOW)).after
        if current.state is not state:
            break

    is_gone = call is C.RESULT and signal in {Signal.NOT_FOUND, Signal.RETIRED}
    assert current.state is (S.RECOVERING if is_gone else state)
    refused = call is C.HISTORY and signal in {Signal.KEY_REFUSED, Signal.FORBIDDEN}
    is_counted = signal not in UNCOUNTED and not refused
    assert current.trouble == (0 if is_gone else 52 if is_counted else 2)


def test_the_table_above_knows_every_signal():
    assert set(FIRST) == set(Signal) - {Signal.OK}


@pytest.mark.parametrize("signal", [Signal.NOT_SENT, Signal.RATE_LIMITED, Signal.NO_CREDITS])
def test_a_submit_surely_not_accepted_spends_no_attempt(signal):
    before = job(S.SUBMITTING)

    after = apply(before, failed_call(C.SUBMIT, before, outcome_of(signal), signal, NOW)).after

    assert (after.state, after.billable, after.trouble) == (S.PENDING, 0, 0)


@pytest.mark.parametrize("signal", [Signal.NOT_NOW, Signal.WRONG_METHOD])
def test_a_submit_that_is_to_come_later_is_counted(signal):
    """It is refused in the end; nothing else would ever stop it."""
    before = job(S.SUBMITTING, trouble=4)

    after = apply(before, failed_call(C.SUBMIT, before, outcome_of(signal), signal, NOW)).after

    assert (after.state, after.trouble) == (S.PENDING, 5)


def test_a_submit_that_did_not_leave_waits_a_little_and_not_for_ever():
    for key in range(200):
        event = failed_call(
            C.SUBMIT, job(S.SUBMITTING, key), outcome_of(Signal.NOT_SENT), Signal.NOT_SENT, NOW
        )
        assert NOW + 0.5 <= event.retry_at <= NOW + 4.0


def test_the_tries_of_one_request_grow_apart_to_minutes():
    current, at, waits = job(S.SUBMITTED), NOW, []
    for _ in range(40):
        told = failed_call(C.STATUS, current, answer({}, 500), Signal.SERVER_ERROR, at)
        current = apply(current, told).after
        waits.append(current.due_at - at)
        at = current.due_at

    assert max(waits[:3]) <= 8.0
    assert min(waits) >= 0.5
    assert 150.0 < max(waits) <= MAX_BACKOFF_S


@pytest.mark.parametrize(
    ("since_s", "wait_s"), [(0.0, MIN_LOOKUP_S), (40.0, 10.0), (9000.0, MAX_LOOKUP_S)]
)
def test_a_doubt_is_looked_up_ever_more_rarely_and_its_count_stays_that_of_refusals(
    since_s, wait_s
):
    doubtful = job(S.AMBIGUOUS, trouble=2, unclear_at=NOW - since_s)

    told = failed_call(C.HISTORY, doubtful, answer({}, 500), Signal.SERVER_ERROR, NOW)
    after = apply(doubtful, told).after

    assert (after.state, after.trouble, after.due_at) == (S.AMBIGUOUS, 2, NOW + wait_s)


@pytest.mark.parametrize("signal", [Signal.FORBIDDEN, Signal.NOT_FOUND, Signal.RETIRED,
                                    Signal.REFUSED_UNTOLD])  # fmt: skip
def test_a_refusal_that_may_be_anybodys_fault_waits_until_others_have_shown_whose(signal):
    told = failed_call(C.SUBMIT, job(S.SUBMITTING), answer({"error": "no"}, 403), signal, NOW)

    assert (told.kind, told.retry_at) == (E.NOT_ACCEPTED, NOW)


@pytest.mark.parametrize("signal", [Signal.KEY_REFUSED, Signal.FORBIDDEN])
@pytest.mark.parametrize(("call", "state"), [(C.STATUS, S.SUBMITTED), (C.RESULT, S.FETCHING)])
def test_a_request_that_the_key_is_refused_for_does_not_stand_in_the_way_of_others(
    call, state, signal
):
    """It may be this one alone: were it due at once, it would be every probe of the key."""
    refused = failed_call(call, job(state), answer({"error": "no"}, 401), signal, NOW)

    after = apply(job(state, trouble=3), refused).after

    assert (after.state, after.trouble) == (state, 4)
    assert after.due_at > NOW


@pytest.mark.parametrize(
    ("call", "made"),
    [
        (C.STATUS, job(S.SUBMITTED)),
        (C.RESULT, job(S.FETCHING)),
        (C.HISTORY, job(S.RECOVERING)),
        (C.HISTORY, job(S.AMBIGUOUS)),
        (C.HISTORY, job(S.AMBIGUOUS, request_id="r-1")),
    ],
)
def test_what_is_free_is_not_asked_for_without_a_pause_where_credits_are_missing(call, made):
    held = failed_call(call, made, answer({"error": "credits"}, 402), Signal.NO_CREDITS, NOW)

    assert (held.kind, held.retry_at) == (E.TROUBLE, NOW + NO_CREDITS_PAUSE_S)


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
        (answer(b"<html>", 403), Signal.MIDDLEMAN, Doubt.MIDDLEMAN),
        (answer(b"<html>", 200), Signal.MIDDLEMAN, Doubt.MIDDLEMAN),
        (answer(b"", 302), Signal.REDIRECT, Doubt.MIDDLEMAN),
        (TransportError(NetFault.CUT, status=403), Signal.MIDDLEMAN, Doubt.MIDDLEMAN),
        (answer({"error": "busy"}, 200), Signal.UNREADABLE, Doubt.OPEN),
        (answer({"error": "busy"}, 503), Signal.SERVER_ERROR, Doubt.SERVER_ERROR),
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

        assert (held.kind, held.retry_at) == (E.TROUBLE, NOW + HISTORY_PAUSE_S)


@pytest.mark.parametrize(
    ("state", "age_s", "recoveries", "kind"),
    [
        (S.SUBMITTED, 10.0, 0, E.TROUBLE),
        (S.SUBMITTED, OVER_S - 1, 0, E.TROUBLE),
        (S.SUBMITTED, OVER_S, 0, E.GONE),
        (S.SUBMITTED, 9 * WINDOW_S, 0, E.GONE),
        (S.SUBMITTED, OVER_S, 7, E.GONE),
        (S.FETCHING, 10.0, 0, E.TROUBLE),
        (S.FETCHING, OVER_S - 1, 0, E.TROUBLE),
        (S.FETCHING, OVER_S, 0, E.GONE),
        (S.FETCHING, OVER_S, 7, E.GONE),
        (S.RECOVERING, 10.0, 1, E.TROUBLE),
        (S.RECOVERING, OVER_S, 1, E.TROUBLE),
    ],
)
@pytest.mark.parametrize("signal", [Signal.NOT_FOUND, Signal.RETIRED])
def test_a_404_is_judged_by_age(state, age_s, recoveries, kind, signal):
    """Of what is being recovered the history is asked in turn, and says when that is all."""
    call = C.STATUS if state is S.SUBMITTED else C.RESULT
    asked = job(state, sent_at=NOW - age_s, recoveries=recoveries)

    event = failed_call(call, asked, answer({}, 404), signal, NOW)

    assert event.kind is kind
    apply(asked, event)


@given(
    st.sampled_from([(C.STATUS, S.SUBMITTED), (C.RESULT, S.FETCHING), (C.HISTORY, S.RECOVERING)]),
    st.sampled_from([Signal.NOT_FOUND, Signal.RETIRED]),
    st.floats(0.0, OVER_S - 0.001),
    st.integers(0, 10_000),
    st.integers(0, 99),
)
def test_within_the_hour_no_number_of_404s_gives_anything_up(where, signal, age_s, trouble, times):
    """At most the history is asked beside the result: of a finished request it must exist."""
    call, state = where
    asked = job(state, sent_at=NOW - age_s, trouble=trouble, recoveries=times)

    kind = failed_call(call, asked, answer({}, 404), signal, NOW).kind

    assert kind is E.TROUBLE or (kind is E.GONE and state is S.FETCHING)


@pytest.mark.parametrize(
    ("age_s", "kind"), [(10.0, E.TROUBLE), (OVER_S - 1, E.TROUBLE), (OVER_S, E.GIVEN_UP)]
)
@pytest.mark.parametrize("trouble", [0, PATIENCE, 99])
def test_the_history_counts_as_the_last_word_after_the_hour_only(age_s, kind, trouble):
    asked = job(S.RECOVERING, sent_at=NOW - age_s, trouble=trouble)

    assert failed_call(C.HISTORY, asked, answer({}, 404), Signal.NOT_FOUND, NOW).kind is kind


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
            answer(b"<html>", 403),
            Signal.MIDDLEMAN,
            "HTTP 403 with a page that is not the service's own",
        ),
        (
            answer({"message": "blocked"}, 409),
            Signal.MIDDLEMAN,
            "HTTP 409: blocked",
        ),
        (
            answer(b"", 302),
            Signal.REDIRECT,
            "HTTP 302, a redirect, which is not followed with an API key",
        ),
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
