"""Instants as the service may write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.common.timestamps import instant_of

AT = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2027-01-15T08:00:00Z", AT),
        ("2027-01-15T08:00:00", AT),
        ("2027-01-15 08:00:00", AT),
        ("2027-01-15T08:00:00.250Z", AT + 0.25),
        ("2027-01-15T13:30:00+05:30", AT),
        ("2027-01-15T00:00:00-08:00", AT),
        ("2027-01-15", AT - 8 * 3600),
        ("Fri, 15 Jan 2027 08:00:00 GMT", AT),
        ("Fri, 15 Jan 2027 13:30:00 +0530", AT),
        ("1800000000", AT),
        ("1800000000.5", AT + 0.5),
        ("1800000000000", AT),
        (" 1800000000 \n", AT),
        ("1.8e9", AT),
    ],
)
def test_an_instant_is_read_in_any_form(text, at):
    assert instant_of(text) == pytest.approx(at, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    ["", "  ", "soon", "None", "nan", "inf", "-inf", "0", "-5", "2027-13-45", "12:30", "{}",
     "Fri, 99 Jan 2027 08:00:00 GMT", "Fri, 15 Jan 2027 08:00:00 +9999999999"],
)  # fmt: skip
def test_what_is_no_instant_is_none(text):
    assert instant_of(text) is None


@given(st.text(max_size=60))
def test_any_text_is_an_instant_or_none(text):
    at = instant_of(text)

    assert at is None or math.isfinite(at)


@given(st.datetimes(timezones=st.timezones()))
def test_iso_texts_with_a_zone_are_exact(moment):
    assert instant_of(moment.isoformat()) == pytest.approx(moment.timestamp(), abs=1e-3)
