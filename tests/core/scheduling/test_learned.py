"""Notes of the state as figures for people."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.scheduling.learned import Learned, Limited, learned_of, limited_of, quantile

NOW = 1_800_000_000.0


def test_each_model_has_its_count_median_and_spread():
    note = json.dumps({"slow": [float(n) for n in range(11)][::-1], "fast": [0.5], "new": []})
    assert learned_of({"latencies": note}) == {
        "fast": Learned(1, 0.5, 0.5, 0.5),
        "slow": Learned(11, 5.0, 1.0, 9.0),
    }
    assert list(learned_of({"latencies": note})) == ["fast", "slow"]


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=64), st.floats(0, 1))
def test_a_quantile_lies_between_the_least_and_the_most_and_splits_them(values, share):
    values.sort()
    found = quantile(values, share)
    assert values[0] <= found <= values[-1] or found == pytest.approx(values[0])
    below = sum(value < found for value in values)
    assert below <= share * (len(values) - 1) + 1
    assert quantile(values, 0) == values[0]
    assert quantile(values, 1) == values[-1]


def test_between_two_neighbours_it_is_on_the_way():
    assert quantile([1.0, 3.0], 0.5) == 2.0
    assert quantile([1.0, 2.0, 4.0, 8.0], 0.9) == pytest.approx(6.8)


@pytest.mark.parametrize("note", ["", "[]", "null", '{"m": 3}', '{"m": ["x", true, null]}', "{"])
def test_a_note_of_another_shape_tells_nothing(note):
    assert learned_of({"latencies": note}) == learned_of({}) == {}
    assert limited_of({"limited": note}, NOW) is limited_of({}, NOW) is None


def test_a_limit_is_told_while_it_holds():
    notes = {"limited": json.dumps({"until": NOW + 5, "requests_per_minute": 12})}
    assert limited_of(notes, NOW) == Limited(NOW + 5, 12)
    assert limited_of(notes, NOW + 4.9) == Limited(NOW + 5, 12)
    assert limited_of(notes, NOW + 5) is None


@pytest.mark.parametrize(
    ("note", "limited"),
    [
        ({}, None),
        ({"until": None}, None),
        ({"until": "soon"}, None),
        ({"until": True}, None),
        ({"until": NOW + 1}, Limited(NOW + 1, None)),
        ({"until": NOW + 1, "requests_per_minute": None}, Limited(NOW + 1, None)),
        ({"until": NOW + 1, "requests_per_minute": 7.0}, Limited(NOW + 1, 7)),
    ],
)
def test_what_is_missing_from_a_limit(note, limited):
    assert limited_of({"limited": json.dumps(note)}, NOW) == limited
