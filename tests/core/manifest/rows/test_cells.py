"""Cells of CSV: text, until a type is asked for; then they are written as the type, or refused."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.manifest.rows.cells import CellError, CellType, read_cell

W, N, B, J = CellType.INTEGER, CellType.NUMBER, CellType.BOOLEAN, CellType.JSON


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("0", W, 0), ("-7", W, -7), ("42", W, 42), (str(2**64 - 1), W, 2**64 - 1),
        ("0", N, 0), ("0.5", N, 0.5), ("-1.25", N, -1.25), ("1e-3", N, 0.001), ("7.0", N, 7.0),
        ("true", B, True), ("True", B, True), ("FALSE", B, False),
        ('["a", 1]', J, ["a", 1]), (' {"a": null} ', J, {"a": None}), ("3", J, 3),
    ],
)  # fmt: skip
def test_what_is_written_as_its_type_is_read(text, kind, value):
    read = read_cell(text, kind)
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *(
            (text, W)
            for text in ("007", "42.0", "1e3", "+1", "--1", " 42", "4 2", "1_000", "1,000")
        ),
        *(
            (text, W)
            for text in ("", "x", "16:9", "2024-01-02", "no", "٣", str(2**64), "9" * 9_999)
        ),
        *((text, N) for text in ("007", "1,5", ".5", "5.", "+1", " 1", "inf", "nan", "1e999", "٣")),
        *((text, N) for text in ("", "0x1F", "1_000", "9" * 9_999, "2024-01-02")),
        *((text, B) for text in ("yes", "no", "on", "1", "0", "", "tRue", " true")),
        *((text, J) for text in ("", "a", "[1", "[1] 2", '{"a": 1, "a": 2}', "[NaN]", "'a'")),
    ],
)
def test_what_is_not_is_refused_and_the_remedy_is_the_same_for_all(text, kind):
    with pytest.raises(CellError) as caught:
        read_cell(text, kind)
    assert str(caught.value).startswith('is "')
    assert len(str(caught.value)) < 250
    with pytest.raises(CellError) as another:
        read_cell("[", kind)
    assert caught.value.remedy == another.value.remedy


@given(st.integers(-(2**63), 2**64 - 1))
def test_every_whole_number_is_read_as_it_was_written(number):
    assert read_cell(str(number), W) == read_cell(str(number), N) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_as_it_was_written(number):
    assert read_cell(json.dumps(number), N) == number


@given(st.text(max_size=12), st.sampled_from(list(CellType)))
def test_any_text_is_a_value_that_json_holds_or_a_mistake(text, kind):
    try:
        value = read_cell(text, kind)
    except CellError:
        return
    assert json.loads(json.dumps(value)) == value
    assert not isinstance(value, float) or math.isfinite(value)
