"""Rows of a file: strict JSON objects, or a fault that says what to do."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.manifest.rows.row import MAX_DEPTH, NoSources, RowError, SourceError, parse_row

NESTED = '{"a": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}"
BEYOND_C = '{"a": ' + "[" * 200_000 + "]" * 200_000 + "}"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("{}", {}),
        ('{"prompt": "é", "seed": 1, "x": 1.5, "y": true, "z": null}',
         {"prompt": "é", "seed": 1, "x": 1.5, "y": True, "z": None}),
        ('{"tags": ["a", {"b": 1}]}', {"tags": ["a", {"b": 1}]}),
        ('{"a b": 1, "1a": 2, "ok": 3, "": 4}', {"a b": 1, "1a": 2, "ok": 3, "": 4}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        (f'{{"a": {-2**63}, "b": {2**64 - 1}}}', {"a": -(2**63), "b": 2**64 - 1}),
    ],
)  # fmt: skip
def test_a_row_is_an_object_and_all_of_its_keys_are_fields(text, fields):
    assert parse_row(text) == fields


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("{", "not JSON: Expecting property name", "one JSON object a line"),
        ("{'a': 1}", "column 2", "one JSON object a line"),
        ('{"a": 1},', "something follows the value at column 9", "nothing after it"),
        ('{"a": 1} {"a": 2}', "something follows", "one JSON object a line"),
        ("[1]", "this is a list", '{"prompt"'),
        ('"a"', "this is text", '{"prompt"'),
        ("null", "this is null", '{"prompt"'),
        ("true", "this is true or false", '{"prompt"'),
        ("3", "this is a number", '{"prompt"'),
        ('{"a": 1, "b": 2, "a": 1}', 'the key "a" stands in it twice', "remove one"),
        ('{"a": {"b": 1, "b": 2}}', 'the key "b" stands in it twice', "remove one"),
        ('{"a": NaN}', "NaN is not JSON", "finite"),
        ('{"a": -Infinity}', "-Infinity is not JSON", "finite"),
        ('{"a": 1e999}', "1e999 is out of range", "smaller"),
        (f'{{"a": {2**64}}}', "does not fit into 64 bits", "quotes"),
        (f'{{"a": {-(2**63) - 1}}}', "does not fit into 64 bits", "quotes"),
        ('{"a": ' + "9" * 10_000 + "}", "does not fit into 64 bits", "quotes"),
        (NESTED, "nested deeper than 64 levels", "flatten"),
        (BEYOND_C, "nested deeper than 64 levels", "flatten"),
        ('{"a": "\\ud83d"}', "half a surrogate pair", "both halves"),
        ('{"\\udc00": 1}', "half a surrogate pair", "both halves"),
        ("", "not JSON", "one JSON object a line"),
    ],
    ids=lambda value: value[:30],
)
def test_what_is_no_row_is_told_with_a_remedy(text, what, remedy):
    with pytest.raises(RowError) as caught:
        parse_row(text)
    assert what in str(caught.value)
    assert remedy in caught.value.remedy


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["a", "b_1", "C", "no name", "é"]), JSON))
def test_what_was_written_comes_back(row):
    assert parse_row(json.dumps(row)) == row
    assert parse_row(json.dumps(row, ensure_ascii=False)) == row


@given(st.text() | st.dictionaries(st.text(max_size=3), st.floats()).map(json.dumps))
def test_any_text_is_a_row_or_a_fault(text):
    try:
        fields = parse_row(text)
    except RowError:
        return
    assert all(map(math.isfinite, (x for x in fields.values() if isinstance(x, float))))


def test_a_manifest_that_is_no_file_has_no_sources():
    with pytest.raises(SourceError, match=r'"rows\.jsonl" cannot be found'):
        NoSources().open("rows.jsonl")
