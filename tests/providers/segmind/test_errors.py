"""Which signal an answer is, and what each call does with each signal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.common.text import MAX_ERROR_CHARACTERS, printable
from batchgen.core.jobs.outcomes import TABLE, CallKind, Signal, Treatment
from batchgen.core.net.http import Answer
from batchgen.errors import NetFault, TransportError
from batchgen.providers.segmind.errors import (
    error_text,
    is_page,
    may_pass,
    signal_of,
    signal_of_words,
)
from tests.core.builders import answer

CALLS = (
    CallKind.SUBMIT,
    CallKind.STATUS,
    CallKind.RESULT,
    CallKind.HISTORY,
    CallKind.CREDITS,
    CallKind.UPLOAD,
)
T = Treatment
GETS = (T.RETRY,) * 4

# Columns as in CALLS: submit, status, result, history, credits, upload.
WRITTEN_OUT = {
    Signal.OK: (T.PROCEED, T.PROCEED, T.PROCEED, T.PROCEED, T.PROCEED, T.PROCEED),
    Signal.NOT_SENT: (T.RETRY, T.RETRY, T.RETRY, T.RETRY, T.RETRY, T.RETRY),
    Signal.LOST: (T.AMBIGUOUS, *GETS, T.RETRY),
    Signal.UNREADABLE: (T.AMBIGUOUS, *GETS, T.RETRY_THEN_FINAL),
    Signal.REDIRECT: (T.AMBIGUOUS, *GETS, T.RETRY),
    Signal.MIDDLEMAN: (T.AMBIGUOUS, *GETS, T.RETRY),
    Signal.UNROUTED: (T.HALT, *GETS, T.RETRY),
    Signal.NOT_NOW: (T.RETRY, *GETS, T.RETRY),
    Signal.BAD_REQUEST: (T.FINAL, *GETS, T.FINAL),
    Signal.KEY_REFUSED: (
        T.GATE_KEY,
        T.GATE_KEY,
        T.GATE_KEY,
        T.GATE_HISTORY,
        T.RETRY,
        T.GATE_KEY,
    ),
    Signal.FORBIDDEN: (
        T.SUSPECT,
        T.GATE_KEY,
        T.GATE_KEY,
        T.GATE_HISTORY,
        T.RETRY,
        T.GATE_KEY,
    ),
    Signal.NOT_FOUND: (T.SUSPECT, T.BY_AGE, T.BY_AGE, T.NO_PROOF, T.RETRY, T.RETRY),
    Signal.WRONG_METHOD: (T.RETRY, *GETS, T.RETRY),
    Signal.NO_CREDITS: (T.GATE_CREDITS,) * 6,
    Signal.REFUSED_UNTOLD: (T.SUSPECT, *GETS, T.RETRY),
    Signal.WRONG_CONTENT_TYPE: (T.HALT, *GETS, T.HALT),
    Signal.PARAMETER_REFUSED: (T.FINAL, *GETS, T.RETRY),
    Signal.RETIRED: (T.SUSPECT, T.BY_AGE, T.BY_AGE, T.NO_PROOF, T.RETRY, T.RETRY),
    Signal.UNPROCESSABLE: (T.FINAL, T.BODY, T.BODY, T.RETRY, T.RETRY, T.FINAL),
    Signal.RATE_LIMITED: (T.RETRY, T.RETRY, T.RETRY, T.RETRY, T.RETRY, T.RETRY),
    Signal.SERVER_ERROR: (T.AMBIGUOUS_OR_RETRY, *GETS, T.RETRY),
    Signal.GATEWAY_TIMEOUT: (T.AMBIGUOUS, *GETS, T.RETRY),
    Signal.QUOTA_REACHED: (T.AMBIGUOUS, *GETS, T.GATE_UPLOADS),
}
CELLS = [
    (signal, call, treatment)
    for signal, row in WRITTEN_OUT.items()
    for call, treatment in zip(CALLS, row, strict=True)
]


@pytest.mark.parametrize(
    ("signal", "call", "treatment"), CELLS, ids=[f"{s.name}-{c.name}" for s, c, _ in CELLS]
)
def test_each_call_treats_each_signal_as_written(signal, call, treatment):
    assert TABLE[signal][call] is treatment


def test_the_table_has_no_other_cells():
    assert set(TABLE) == set(WRITTEN_OUT) == set(Signal)
    assert {call for row in TABLE.values() for call in row} == set(CALLS) == set(CallKind)


def test_nothing_but_a_sure_refusal_lets_a_submit_be_repeated_without_asking():
    """The one rule about money: unclear answers never lead to another POST by themselves."""
    unclear = {Signal.LOST, Signal.UNREADABLE, Signal.GATEWAY_TIMEOUT, Signal.SERVER_ERROR,
               Signal.MIDDLEMAN, Signal.REDIRECT, Signal.QUOTA_REACHED}  # fmt: skip
    ambiguous = {T.AMBIGUOUS, T.AMBIGUOUS_OR_RETRY}

    assert {signal for signal in Signal if TABLE[signal][CallKind.SUBMIT] in ambiguous} == unclear


def test_what_is_paid_for_is_never_ended_by_an_answer_but_by_its_body_or_its_age():
    """No code on a status, a result or a lookup ends a job by itself."""
    ends = {T.FINAL, T.RETRY_THEN_FINAL, T.HALT, T.SUSPECT}

    for call in (CallKind.STATUS, CallKind.RESULT, CallKind.HISTORY):
        assert not ends & {row[call] for row in TABLE.values()}


STATUSES = [
    (200, Signal.OK),
    (201, Signal.OK),
    (202, Signal.OK),
    (299, Signal.OK),
    (301, Signal.REDIRECT),
    (307, Signal.REDIRECT),
    (399, Signal.REDIRECT),
    (400, Signal.BAD_REQUEST),
    (401, Signal.KEY_REFUSED),
    (402, Signal.NO_CREDITS),
    (403, Signal.FORBIDDEN),
    (404, Signal.NOT_FOUND),
    (405, Signal.WRONG_METHOD),
    (406, Signal.REFUSED_UNTOLD),
    (408, Signal.MIDDLEMAN),
    (409, Signal.MIDDLEMAN),
    (410, Signal.RETIRED),
    (413, Signal.BAD_REQUEST),
    (415, Signal.BAD_REQUEST),
    (418, Signal.MIDDLEMAN),
    (421, Signal.NOT_NOW),
    (423, Signal.NOT_NOW),
    (425, Signal.NOT_NOW),
    (444, Signal.MIDDLEMAN),
    (460, Signal.MIDDLEMAN),
    (499, Signal.MIDDLEMAN),
    (422, Signal.UNPROCESSABLE),
    (429, Signal.RATE_LIMITED),
    (500, Signal.SERVER_ERROR),
    (501, Signal.SERVER_ERROR),
    (502, Signal.SERVER_ERROR),
    (503, Signal.SERVER_ERROR),
    (504, Signal.GATEWAY_TIMEOUT),
    (520, Signal.SERVER_ERROR),
    (599, Signal.SERVER_ERROR),
]


ANYBODYS = {401, 402, 429}
"""Codes that mean the same from whoever answers."""


@pytest.mark.parametrize(("status", "signal"), STATUSES)
def test_a_status_is_a_signal(status, signal):
    assert signal_of(answer({"error": "so it is"}, status)) is signal


@pytest.mark.parametrize(("status", "signal"), STATUSES)
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'"no"', [], {}, {"login": "please"}, {"code": 7}], ids=str
)
def test_a_refusal_without_the_services_own_words_is_a_middlemans(body, status, signal):
    """A WAF, a proxy or a load balancer may have passed the request on before it answered."""
    told = signal_of(answer(body, status))

    is_refusal = 400 <= status < 500 and status not in ANYBODYS
    assert told is (Signal.MIDDLEMAN if is_refusal else signal)


@pytest.mark.parametrize(
    "body", [{"error": ""}, {"message": "no"}, {"detail": []}, {"status": "FAILED"}], ids=str
)
def test_any_of_the_services_keys_shows_that_it_answered(body):
    assert signal_of(answer(body, 404)) is Signal.NOT_FOUND


@pytest.mark.parametrize(
    ("body", "headers", "page"),
    [
        (b"<html>maintenance</html>", {}, True),
        (b"  \n<!doctype html>", {}, True),
        (b"Please log in", {"content_type": "text/html"}, True),
        (b"[]", {}, True),
        (b"null", {}, True),
        ({}, {}, True),
        ({"login": "please"}, {}, True),
        ({"request_id": None}, {}, False),
        ({"data": []}, {}, False),
        (b'{"request_id": "r-1"', {}, False),
        (b"", {}, False),
        (b"\x89PNG", {}, False),
    ],
    ids=str,
)
def test_what_only_broke_off_is_no_page(body, headers, page):
    assert is_page(answer(body, 200, **headers)) is page


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("Wrong Content-Type", Signal.WRONG_CONTENT_TYPE),
        ("content type must be application/json", Signal.WRONG_CONTENT_TYPE),
        ("Insufficient credits, please recharge", Signal.NO_CREDITS),
        ("Not enough balance", Signal.NO_CREDITS),
        ("Team spend limit reached", Signal.NO_CREDITS),
        ("The spend limit value must be raised", Signal.NO_CREDITS),
        ("Monthly quota exceeded", Signal.NO_CREDITS),
        ("Parameter aspect_ratio is not supported", Signal.PARAMETER_REFUSED),
        ("Invalid value for seed", Signal.PARAMETER_REFUSED),
        ("steps should be less than 50", Signal.PARAMETER_REFUSED),
        ("strength out of range", Signal.PARAMETER_REFUSED),
        ("Rate limit exceeded: value too high", Signal.RATE_LIMITED),
        ("Too many requests", Signal.RATE_LIMITED),
        ("something nobody has seen yet", Signal.REFUSED_UNTOLD),
        ("", Signal.REFUSED_UNTOLD),
    ],
)
def test_406_means_what_its_text_says(text, signal):
    assert signal_of(answer({"error": text}, 406)) is signal
    assert signal_of_words(text) is signal


FAULTS = [
    (NetFault.NOT_SENT, 0, Signal.NOT_SENT),
    (NetFault.LOST, 0, Signal.LOST),
    (NetFault.CUT, 0, Signal.LOST),
    (NetFault.CUT, 200, Signal.LOST),
    (NetFault.TOO_LARGE, 200, Signal.UNREADABLE),
    (NetFault.CUT, 302, Signal.REDIRECT),
    (NetFault.CUT, 400, Signal.MIDDLEMAN),
    (NetFault.CUT, 401, Signal.KEY_REFUSED),
    (NetFault.CUT, 402, Signal.NO_CREDITS),
    (NetFault.CUT, 404, Signal.MIDDLEMAN),
    (NetFault.CUT, 406, Signal.MIDDLEMAN),
    (NetFault.TOO_LARGE, 422, Signal.MIDDLEMAN),
    (NetFault.CUT, 429, Signal.RATE_LIMITED),
    (NetFault.CUT, 500, Signal.SERVER_ERROR),
    (NetFault.CUT, 504, Signal.GATEWAY_TIMEOUT),
]


@pytest.mark.parametrize(("fault", "status", "signal"), FAULTS)
def test_a_fault_is_a_signal_and_a_code_that_arrived_counts_as_far_as_it_is_anybodys(
    fault, status, signal
):
    assert signal_of(TransportError(fault, "detail", status)) is signal


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": "no such model"}, "no such model"),
        ({"error": "x", "error_description": "key expired", "status_code": 401}, "key expired"),
        ({"message": "slow down"}, "slow down"),
        ({"detail": [{"loc": ["seed"]}]}, "[{'loc': ['seed']}]"),
        ({"error": "  ", "message": "second"}, "second"),
        ({"error": 5}, ""),
        ({"error": {}}, ""),
        ({}, ""),
        ([1], ""),
        (b"<html>502</html>", ""),
        (b"", ""),
    ],
)
def test_the_services_own_words(body, text):
    assert error_text(answer(body, 500)) == text


@given(st.text(), st.integers(2, 600))
def test_text_from_elsewhere_is_one_bounded_printable_line(text, limit):
    line = printable(text, limit)

    assert len(line) <= limit
    assert line.isprintable()
    assert line == line.strip()


def test_escape_sequences_lose_their_teeth_and_long_texts_their_ends():
    assert printable("\x1b[31mred\x1b[0m\r\nnext\u202eline") == "[31mred [0m next line"
    assert printable("x" * 9999) == "x" * (MAX_ERROR_CHARACTERS - 1) + "…"


@given(st.binary(max_size=200), st.integers(100, 999))
def test_any_bytes_under_any_status_are_some_signal(body, status):
    assert signal_of(Answer(status, {}, body)) in Signal


# ------------------------------------------------------------------ FAILED, and what may pass

MAY_PASS = [
    "Inference failed: the worker ran out of memory",
    "Internal server error", "CUDA out of memory", "Upstream connection reset", "worker crashed",
    "The service is temporarily unavailable, please try again", "Request timed out",
    "Model is overloaded", "No capacity", "Too many requests to the upstream provider",
    "rate limit exceeded", "Error in FluxProcessor: 503", "An unexpected error occurred",
    "connection refused",
]  # fmt: skip
FOR_GOOD = [
    "Request blocked by content moderation (RAI): the prompt was flagged",
    "content_policy_violation", "Your request was rejected as a result of our safety system",
    "NSFW content detected", "The prompt contains prohibited words", "Input image not found",
    "Validation error in MockInferenceProcessor: sleep must be positive",
    "Prompt is required for video generation.", "Prompt is Mandatory and must be string",
    "Reference media rejected: URL must be a valid HTTP or HTTPS URL.",
    "Input image could not be read", "The model refused to answer", "an integer is expected",
    "messages: at least one message is required", "Invalid content type", "Unsupported file type",
    "duration is out of range", "the image is too large", "This request violates our terms",
]  # fmt: skip


@pytest.mark.parametrize("text", MAY_PASS)
def test_what_the_load_of_a_moment_may_explain_is_tried_again(text):
    assert may_pass(text)
    assert may_pass(text.upper())


@pytest.mark.parametrize("text", FOR_GOOD)
def test_what_moderation_and_checks_say_holds_for_the_next_try_as_well(text):
    assert not may_pass(text)
    assert not may_pass(text.upper())
