"""Calls and answers as values: what a body is, and the one form a JSON value is written in."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.common.json import canonical_json
from batchgen.core.jobs.spec import JobSpec, Mode
from batchgen.core.net.http import MAX_JSON_DEPTH, MAX_MEDIA_BYTES, Answer, Host
from batchgen.core.reconciliation.history import HistoryRead
from batchgen.providers.segmind.requests import (
    credits_call,
    history_call,
    record_call,
    result_call,
    status_call,
    submit_call,
)
from tests.core.builders import NOW, job

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1',
        b"\xff\xfe\xfd",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"1" * 5000,
    ],
    ids=["empty", "html", "nan", "inf", "1e999", "cut", "bytes", "deep", "deep object", "digits"],
)
def test_what_is_no_json(body):
    answer = Answer(200, {}, body)

    with pytest.raises(ValueError):
        answer.json()
    assert answer.object() == {}


@pytest.mark.parametrize("body", [b"[1]", b'"text"', b"null", b"3", b"true"])
def test_json_that_is_no_object(body):
    assert Answer(200, {}, body).json() == json.loads(body)
    assert Answer(200, {}, body).object() == {}


@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")])
def test_nesting_is_bounded_however_it_is_written(brackets):
    start, end = brackets

    def nested(depth):
        return Answer(200, {}, (start * depth + "1" + end * depth).encode())

    assert nested(MAX_JSON_DEPTH).json() is not None
    with pytest.raises(ValueError, match="nested too deeply"):
        nested(MAX_JSON_DEPTH + 1).json()


def test_brackets_in_texts_and_side_by_side_do_not_count_as_nesting():
    value = {"text": "[" * 500, "list": [[] for _ in range(500)]}

    assert Answer(200, {}, json.dumps(value).encode()).json() == value


def test_a_body_is_parsed_once_however_often_it_is_asked_for():
    answer = Answer(200, {}, b'{"status": "COMPLETED"}')

    assert answer.json() is answer.json() is answer.object()


def test_answers_are_equal_whether_they_were_read_or_not():
    read = Answer(200, {}, b"{}")
    read.json()

    assert read == Answer(200, {}, b"{}")


@given(JSON)
def test_whatever_was_read_can_be_written_again(value):
    read = Answer(200, {}, json.dumps(value).encode()).json()

    assert json.loads(canonical_json(read)) == read


@given(st.binary(max_size=300))
def test_any_bytes_are_an_object_or_none(body):
    assert isinstance(Answer(200, {}, body).object(), dict)


@given(st.dictionaries(st.text(), st.integers() | st.text(), max_size=6))
def test_equal_values_have_one_text(value):
    shuffled = dict(reversed(list(value.items())))

    assert canonical_json(value) == canonical_json(shuffled)


def test_the_one_text_form():
    assert canonical_json({"b": [1, 2.5, None], "a": "ü"}) == '{"a":"ü","b":[1,2.5,null]}'


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_word_for_is_refused(value):
    with pytest.raises(ValueError):
        canonical_json({"a": value})


@pytest.mark.parametrize(
    ("call", "method", "path", "host"),
    [
        (submit_call(job()), "POST", "/v2/flux-pro", Host.API),
        (submit_call(job(api=Mode.BLOCKING)), "POST", "/v1/flux-pro", Host.API),
        (submit_call(job(model="../../x?y")), "POST", "/v2/..%2F..%2Fx%3Fy", Host.API),
        (status_call("r 1"), "GET", "/v2/requests/r%201/status", Host.API),
        (result_call("a/b"), "GET", "/v2/requests/a%2Fb", Host.API),
        (
            record_call("r1"),
            "GET",
            "/inference-request/request-history/r1",
            Host.HISTORY,
        ),
        (credits_call(), "GET", "/v1/get-user-credits", Host.API),
    ],
)
def test_the_calls_of_a_run(call, method, path, host):
    assert (call.method, call.path, call.host) == (method, path, host)


@pytest.mark.parametrize(
    ("age_s", "first_day"),
    [(0.0, "2027-01-14"), (90_000.0, "2027-01-13"), (400 * 86_400.0, "2026-12-18")],
)
def test_a_page_of_the_history_goes_back_a_day_further_within_the_allowed_span(age_s, first_day):
    call = history_call(HistoryRead(NOW, NOW - age_s, page=3), NOW)

    query = dict(call.query)
    assert (call.method, call.host, query["page"]) == ("GET", Host.HISTORY, "3")
    assert (query["from_date"], query["to_date"]) == (first_day, "2027-01-16")


def test_only_submits_carry_a_body_and_answers_with_media_may_be_large():
    assert submit_call(job()).body == job().body
    assert [call.body for call in (status_call("r"), result_call("r"), credits_call())] == [
        None
    ] * 3
    assert result_call("r").max_bytes == MAX_MEDIA_BYTES
    assert submit_call(job(api=Mode.BLOCKING)).max_bytes == MAX_MEDIA_BYTES
    assert status_call("r").max_bytes < MAX_MEDIA_BYTES


def test_a_fingerprint_tells_apart_model_door_and_body_and_nothing_else():
    spec = JobSpec("a", "flux-pro", "{}", "a")
    same = JobSpec("b", "flux-pro", "{}", "b", price_usd=1.0, fields={"x": 1})
    others = [
        JobSpec("a", "flux-max", "{}", "a"),
        JobSpec("a", "flux-pro", '{"seed":1}', "a"),
        JobSpec("a", "flux-pro", "{}", "a", api=Mode.BLOCKING),
    ]

    assert spec.fingerprint == same.fingerprint
    assert len({spec.fingerprint, *(other.fingerprint for other in others)}) == 4
