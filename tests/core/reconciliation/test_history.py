"""The history as evidence: rows wherever they stand, and reads that claim only what they saw."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.net.http import Answer
from batchgen.core.reconciliation.history import (
    DAY_S,
    MAX_PAGES,
    PAGE_ROWS,
    SKEW_S,
    SPAN_S,
    HistoryRead,
    HistoryRow,
    comparable,
)
from batchgen.providers.segmind.history import rows_of
from batchgen.providers.segmind.requests import history_call
from tests.core.builders import NOW, answer
from tests.core.net.test_http import JSON

ITEM = {
    "request_id": "r-1",
    "model_name": "flux-pro",
    "request_body": {"prompt": "a cup"},
    "model_created": "2027-01-15T08:00:00Z",
}
ROW = HistoryRow("r-1", "flux-pro", '{"prompt":"a cup"}', NOW)


def page(*instants, start=0):
    """A page of rows created at these instants."""
    return [
        HistoryRow(f"r-{number}", "flux-pro", "{}", at) for number, at in enumerate(instants, start)
    ]  # fmt: skip


def full_page(start, newest_at, step_s=1.0):
    return page(*(newest_at - step_s * number for number in range(PAGE_ROWS)), start=start)


# ------------------------------------------------------------------ rows

DEEP = {"a": {"b": {"c": {"d": {"e": []}}}}}


@pytest.mark.parametrize(
    "body",
    [
        [ITEM],
        {"data": [ITEM]},
        {"results": [ITEM]},
        {"items": [ITEM]},
        {"requests": [ITEM]},
        {"rows": [ITEM]},
        {"history": [ITEM]},
        {"status": "ok", "data": {"count": 1, "results": [ITEM]}},
        {"page": 1, "inference_requests": [ITEM]},
        {"meta": {"page": 1}, "a": {"b": {"c": [ITEM]}}},
        {"data": None, "results": "none", "rows": [ITEM]},
    ],
    ids=lambda body: ",".join(body) if isinstance(body, dict) else "bare",
)
def test_a_list_is_read_wherever_it_stands(body):
    assert rows_of(answer(body)) == [ROW]


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"null", b'"x"', b"5", {}, {"data": None}, DEEP],
    ids=repr,
)  # fmt: skip
def test_what_holds_no_list_is_none(body):
    assert rows_of(answer(body)) is None


def test_an_empty_list_is_one():
    assert rows_of(answer({"data": []})) == []


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({"model_created": None, "created_at": "2027-01-15 08:00:00"}, ROW),
        ({"model_created": "soon", "createdAt": "1800000000000"}, ROW),
        ({"model_created": None, "timestamp": 1_800_000_000}, ROW),
        ({"model_created": None}, HistoryRow("r-1", "flux-pro", ROW.body, None)),
        ({"model_created": {"at": 1}}, HistoryRow("r-1", "flux-pro", ROW.body, None)),
        ({"request_body": '{"prompt": "a cup"}'}, ROW),
        ({"request_body": '{"prompt": "a c'}, HistoryRow("r-1", "flux-pro", "", NOW)),
        ({"request_body": None}, HistoryRow("r-1", "flux-pro", "", NOW)),
        ({"request_body": [1]}, HistoryRow("r-1", "flux-pro", "", NOW)),
        ({"model_name": None}, HistoryRow("r-1", "", ROW.body, NOW)),
        ({"request_id": None}, HistoryRow("", "flux-pro", ROW.body, NOW)),
        ({"request_id": 7}, HistoryRow("", "flux-pro", ROW.body, NOW)),
        ({"request_id": "\ud800"}, HistoryRow("", "flux-pro", ROW.body, NOW)),
        ({"request_id": "a\nb"}, HistoryRow("", "flux-pro", ROW.body, NOW)),
    ],
)
def test_a_row_keeps_what_can_be_used(changes, row):
    assert rows_of(answer([ITEM | changes])) == [row]


def test_what_is_no_row_is_passed_over():
    assert rows_of(answer([1, None, "x", [ITEM], ITEM])) == [ROW]


@given(JSON)
def test_any_json_is_a_list_of_rows_or_none(value):
    rows = rows_of(answer(json.dumps(value).encode()))

    assert rows is None or all(row.request_id.isprintable() for row in rows)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_list_of_rows_or_none(body):
    rows_of(Answer(200, {}, body))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ('{"a":1.0}', '{"a":1}'),
        ('{"a":1e3}', {"a": 1000}),
        ('{"a": -0.0}', {"a": 0}),
        ('{"b":1,"a":2}', {"a": 2, "b": 1}),
        ({"a": [1.0, {"b": 2.0}]}, {"a": [1, {"b": 2}]}),
        ('{"a":"\\u00fc"}', {"a": "ü"}),
    ],
)
def test_bodies_that_say_the_same_compare_equal(left, right):
    assert comparable(left) == comparable(right) != ""


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"seed": 2**53}, {"seed": 2**53 + 1}),
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"a": True}),
        ({"a": 0.5}, {"a": 0.50000001}),
        ({"a": None}, {}),
    ],
)
def test_bodies_that_differ_stay_apart(left, right):
    assert comparable(left) != comparable(right)


@pytest.mark.parametrize(
    "body",
    ["", "{", "null", "[]", '{"a":NaN}', '{"a":1e999}', "[" * 100_000, None, 5],
    ids=lambda body: repr(body)[:20],
)
def test_what_is_no_body_is_told_as_none(body):
    assert comparable(body) == ""


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_a_comparable_body_stays_as_it_is(value):
    once = comparable(value)

    assert once
    assert comparable(once) == once


# ------------------------------------------------------------------ reads


def test_a_read_ends_at_an_empty_page():
    read = HistoryRead(NOW, NOW - 600)

    read.add(page(NOW, NOW - 10))
    assert not read.ended, "the service may give fewer rows than it is asked for"
    read.add([])

    assert (read.complete, read.failed, read.page, len(read.rows)) == (True, "", 3, 2)


def test_a_read_ends_where_older_rows_do_not_matter():
    read = HistoryRead(NOW, NOW - 600)

    read.add(full_page(0, NOW))
    assert not read.ended
    read.add(full_page(100, NOW - 100, step_s=10.0))

    assert read.complete


@pytest.mark.parametrize(("age_s", "complete"), [(SKEW_S, False), (SKEW_S + 1, True)])
def test_the_clocks_may_differ_a_little(age_s, complete):
    read = HistoryRead(NOW, NOW - 600)

    read.add(page(NOW, NOW - 600 - age_s))

    assert read.complete is complete


@pytest.mark.parametrize(
    "instants",
    [
        (NOW - 9999, NOW - 5000, NOW),
        (NOW - 9999, NOW),
        (NOW, NOW - 9999, NOW - 100),
        (NOW, NOW - 9999, NOW - 100, NOW - 9999),
        (None, None),
        (),
    ],
)
def test_pages_in_disorder_may_hold_anything_further_on(instants):
    read = HistoryRead(NOW, NOW - 600)

    read.add([*page(*instants), HistoryRow("last", "flux-pro", "{}", None)])

    assert not read.ended


def test_rows_without_a_time_between_others_are_no_disorder():
    read = HistoryRead(NOW, NOW - 600)

    read.add(page(NOW, None, NOW - 9999, None))

    assert read.complete


def test_a_service_that_knows_only_one_page_proves_nothing():
    read = HistoryRead(NOW, NOW - 600)

    read.add(full_page(0, NOW))
    read.add(full_page(0, NOW))

    assert (read.complete, read.failed) == (False, "the history repeats a page")


def test_nameless_rows_are_kept_once_and_push_on():
    read = HistoryRead(NOW, NOW - 600)
    nameless = HistoryRow("", "flux-pro", "{}", NOW)

    read.add([nameless])
    assert not read.ended
    read.add([nameless])

    assert (read.nameless, read.rows) == ({nameless}, {})
    assert read.failed


def test_one_row_an_output_is_one_request_as_it_was_first_seen():
    read = HistoryRead(NOW, NOW - 600)

    read.add([*page(NOW), *page(None)])

    assert read.rows == {"r-0": page(NOW)[0]}


def test_a_read_that_never_ends_is_given_up():
    read = HistoryRead(NOW, NOW - 1e9)
    for number in range(MAX_PAGES):
        assert not read.ended
        read.add(full_page(number * PAGE_ROWS, NOW))

    assert "longer than" in read.failed
    assert not read.complete


@pytest.mark.parametrize(
    ("pages", "not_found", "complete"),
    [
        ([], True, False),
        ([], False, False),
        ([2], True, True),
        ([2], False, False),
        ([PAGE_ROWS], True, False),
    ],
)
def test_a_page_that_is_not_there_is_the_end_only_after_a_short_one(pages, not_found, complete):
    read = HistoryRead(NOW, NOW - 600)
    for count in pages:
        read.add(page(*[NOW] * count))

    read.break_off("HTTP 404", not_found=not_found)

    assert read.complete is complete
    assert read.failed == ("" if complete else "HTTP 404")
    assert read.ended


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 400), st.none() | st.floats(-4e3, 100)), max_size=110),
        max_size=6,
    )
)
def test_a_complete_read_saw_the_end_or_the_time_before(pages):
    """Whatever the service gives: completeness is never claimed after mere full or odd pages."""
    read = HistoryRead(NOW, NOW - 1800)
    for given_page in pages:
        if read.ended:
            break
        rows = [
            HistoryRow(f"r-{id_}", "m", "{}", None if age is None else NOW + age)
            for id_, age in given_page
        ]
        read.add(rows)
        if read.complete:
            assert not rows or min(
                row.created_at for row in rows if row.created_at is not None
            ) < NOW - 1800 - SKEW_S  # fmt: skip
        assert not (read.complete and read.failed)


# ------------------------------------------------------------------ how far it reaches


@pytest.mark.parametrize(
    ("sent_at", "covered"),
    [
        (NOW - 600, True),
        (NOW, True),
        (NOW - 600 - SKEW_S / 2, True),
        (NOW - 600 - SKEW_S / 2 - 1, False),
        (NOW - 9999, False),
    ],
)
def test_a_read_covers_what_was_sent_since_its_end_and_half_the_slack(sent_at, covered):
    assert HistoryRead(NOW, NOW - 600).covers(sent_at) is covered


@pytest.mark.parametrize(
    ("age_s", "covered"), [(SPAN_S - DAY_S, True), (SPAN_S, False), (40 * DAY_S, False)]
)
def test_what_the_service_does_not_list_any_more_is_not_covered(age_s, covered):
    """An empty list of the last 28 days says nothing of a POST before them."""
    read = HistoryRead(NOW, NOW - age_s)

    assert read.covers(NOW - age_s) is covered


@given(st.floats(0, 60 * DAY_S), st.floats(0, 3600))
def test_the_days_asked_for_hold_every_covered_instant(age_s, reading_s):
    read = HistoryRead(NOW, NOW - age_s)
    query = dict(history_call(read, NOW + reading_s).query)

    assert (query["sort_by"], query["sort_order"]) == ("model_created", "desc")
    assert read.from_at >= NOW - SPAN_S or read.from_at >= NOW - age_s - DAY_S
    if read.covers(NOW - age_s):
        assert read.from_at + DAY_S - SKEW_S <= NOW - age_s
