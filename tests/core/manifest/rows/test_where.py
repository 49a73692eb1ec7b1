"""`where`: what a condition finds, what it cannot judge, and what is no condition."""

from __future__ import annotations

import pytest

from batchgen.core.manifest.rows.where import ConditionError, compile_condition
from batchgen.core.manifest.schema import parse_manifest
from batchgen.errors import ManifestError


@pytest.mark.parametrize(
    ("raw", "found", "others"),
    [
        ("cat", ["cat"], ["Cat", "cats", "", None, 1, True, ["cat"]]),
        (3, [3, 3.0, "3", "3.0"], [True, "03", "x", None, 4, [3], {"a": 3}]),
        (1, [1, "1"], [True, "true"]),
        (True, [True, "true", "TRUE"], [1, "1", "yes", None]),
        ("3", ["3"], [3, "3.0"]),
        (None, [None], ["", "null", 0, False]),
        (["cat", 2, None], ["cat", 2, "2", None], ["dog", 3]),
        ({"not": "cat"}, ["dog", None, 3], ["cat"]),
        ({"not": [None, "", 0]}, ["a", 1, "1"], [None, "", 0, "0"]),
        ({"min": 2}, [2, 2.5, "2", "1e1"], [1, "1.9", None]),
        ({"max": 2}, [2, -1, "-1"], [2.1, "3", None]),
        ({"min": 1, "max": 2}, [1, 2, "1.5"], [0, 3]),
        ({"min": "2024-01-01", "max": "2024-12-31"}, ["2024-05-04"], ["2023-12-31", "2025", None]),
    ],
)
def test_what_a_condition_finds(raw, found, others):
    test = compile_condition(raw)
    assert [value for value in [*found, *others] if test(value)] == found


@pytest.mark.parametrize(
    ("raw", "value", "what"),
    [
        ({"min": 2}, "n/a", '"n/a" cannot be compared with 2'),
        ({"min": 2}, True, "true is neither"),
        ({"max": "b"}, 3, '3 cannot be compared with "b"'),
        ({"max": "b"}, ["a"], '["a"] cannot be compared'),
        ({"max": 2}, {"a": 1}, "cannot be compared"),
    ],
)
def test_what_cannot_be_compared_is_said(raw, value, what):
    with pytest.raises(ConditionError) as caught:
        compile_condition(raw)(value)
    assert what in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "raw",
    [
        [], {}, {"like": "a"}, {"not": {"min": 1}}, {"not": []}, {"min": 1, "not": 2}, [[1]],
        {"min": True}, {"min": 1, "max": "b"}, {"min": None}, {"min": [1]},
    ],
)  # fmt: skip
def test_what_is_no_condition_is_told_at_its_field(raw):
    entry = {"from": "rows.csv", "where": {"label": raw}}
    with pytest.raises(ManifestError) as caught:
        parse_manifest({"version": 1, "name": "x", "jobs": [entry]})
    (problem,) = caught.value.problems
    assert problem.key == "jobs[0].where.label"
    assert "{min: 1, max: 9}" in problem.remedy
