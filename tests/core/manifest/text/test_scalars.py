"""What plain scalars mean."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.manifest.text.scalars import MAX_INTEGER, ScalarError, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("NULL", None),
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("false", False),
        ("False", False),
        ("FALSE", False),
        ("0", 0),
        ("-0", 0),
        ("42", 42),
        ("+42", 42),
        ("-7", -7),
        ("0o17", 15),
        ("0x1F", 31),
        (str(MAX_INTEGER), MAX_INTEGER),
        (".5", 0.5),
        ("1.", 1.0),
        ("-1.5", -1.5),
        ("1e3", 1000.0),
        ("1.5E-3", 0.0015),
        ("0.1", 0.1),
    ],
)
def test_numbers_and_words(text, value):
    resolved = resolve(text)
    assert resolved == value
    assert type(resolved) is type(value)


@pytest.mark.parametrize(
    "text",
    ["16:9", "12:30:45", "no", "yes", "on", "off", "y", "n", "NO", "nULL", "tRUE", "010", "017",
     "-007", "00", "01.5", "2024-01-02", "2024-01-02T03:04:05Z", "1_000", "0b1", "0o8", "0xG",
     "0O17", "0X1F", "1.2.3", "1e", "e3", "+", "-", ".", "..", "--", "+-1", ".e3", "1 2", "none",
     "inf", "nan", "Infinity", "١", "1,5", "<<", "=", "7up"],
)  # fmt: skip
def test_stays_what_it_looks_like(text):
    assert resolve(text) == text


@pytest.mark.parametrize(
    "text",
    [".inf", "-.inf", "+.INF", ".nan", ".NaN", "1e999", "-1e999", "9" * 30, "0x" + "f" * 17,
     str(MAX_INTEGER + 1), "1" * 100_000],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_what_json_cannot_carry_is_refused(text):
    with pytest.raises(ScalarError):
        resolve(text)


@given(st.text())
def test_any_text_is_resolved_to_a_json_value_or_refused(text):
    try:
        value = resolve(text)
    except ScalarError:
        return
    assert isinstance(value, str | int | float | bool | None)
    if not isinstance(value, str):
        assert json.loads(json.dumps(value)) == value
    else:
        assert value == text


@given(st.integers(-MAX_INTEGER, MAX_INTEGER) | st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_as_json_writes_them_keep_their_value(number):
    value = resolve(json.dumps(number))
    assert value == number
    assert math.isfinite(value)
