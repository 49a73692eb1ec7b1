"""Matrices less what is excluded, with what is included; and keys that have nothing to act on."""

from __future__ import annotations

import pytest

from batchgen.core.manifest.entry import Entry
from batchgen.core.manifest.expansion.expand import Drafts, expand
from batchgen.core.manifest.expansion.matrix import combinations
from batchgen.core.manifest.schema import parse_manifest
from batchgen.core.manifest.text.locations import Diagnostic
from batchgen.providers.segmind.catalog import load

CATALOG = load()
MATRIX = {"style": ["ink", "oil"], "n": [1, 2]}


def manifest(**entry):
    return parse_manifest({"version": 1, "name": "x", "jobs": [{"model": "m", **entry}]})


def remarks(**entry):
    return [item for item in Drafts(manifest(**entry), CATALOG) if isinstance(item, Diagnostic)]


@pytest.mark.parametrize(
    ("exclude", "include", "left"),
    [
        (None, None, {1: "ink1", 2: "ink2", 3: "oil1", 4: "oil2"}),
        ([{"style": "ink", "n": 2}], None, {1: "ink1", 3: "oil1", 4: "oil2"}),
        ([{"n": 1}, {"style": "oil"}], None, {2: "ink2"}),
        (None, [{"n": 9, "style": "pen"}], {1: "ink1", 2: "ink2", 3: "oil1", 4: "oil2", 5: "pen9"}),
        ([{"style": "ink"}], [{"style": "ink", "n": 2}], {3: "oil1", 4: "oil2", 5: "ink2"}),
    ],
)
def test_combinations_keep_their_numbers(exclude, include, left):
    entry = Entry(matrix=MATRIX, exclude=exclude, include=include)
    made = {number: f"{f['style']}{f['n']}" for number, f in combinations(entry)}
    assert made == left


def test_ids_follow_the_numbers():
    made = expand(manifest(matrix=MATRIX, exclude=[{"style": "ink"}], params={"p": "{n}"}), CATALOG)
    assert [spec.id for spec in made] == ["m-001-0003", "m-001-0004"]


def test_values_are_equal_only_with_their_types():
    entry = Entry(matrix={"v": [1, 1.0, True, "1"]}, exclude=[{"v": 1}, {"v": "1"}])
    assert [repr(fields["v"]) for _, fields in combinations(entry)] == ["1.0", "True"]


@pytest.mark.parametrize(
    ("entry", "path", "what"),
    [
        ({"exclude": [{}]}, ("exclude", 0), "would leave out everything"),
        ({"exclude": [{"styel": "ink"}]}, ("exclude", 0, "styel"), "has no field 'styel'"),
        ({"exclude": [{"n": 3}]}, ("exclude", 0, "n"), "never has this value"),
        ({"exclude": [{"n": "1"}]}, ("exclude", 0, "n"), "never has this value"),
        ({"exclude": [{"n": 1}, {"n": 2}]}, ("exclude",), "leaves no combination"),
        ({"include": [{"n": 3}]}, ("include", 0), "does not have the fields"),
        ({"include": [{"n": 3, "style": "a", "x": 1}]}, ("include", 0), "does not have the fields"),
        ({"include": [{"n": 1, "style": "ink"}]}, ("include", 0), "is there already"),
        ({"include": [{"n": 9, "style": "ink"}] * 2}, ("include", 1), "is there already"),
    ],
)
def test_what_cannot_be_left_out_or_added(entry, path, what):
    (remark,) = remarks(matrix=MATRIX, params={"p": "{style}{n}"}, **entry)
    assert remark.path == ("jobs", 0, *path)
    assert what in remark.what
    assert remark.remedy


@pytest.mark.parametrize(
    ("entry", "key", "remedy"),
    [
        ({"where": {"a": 1}}, "where", "add from:"),
        ({"limit": 3}, "limit", "add from:"),
        ({"sample": 3}, "sample", "add from:"),
        ({"types": {"a": "json"}}, "types", "add from:"),
        ({"exclude": [{"a": 1}]}, "exclude", "add a matrix"),
        ({"from": "x.csv", "include": [{"a": 1}]}, "include", "add a matrix"),
    ],
)
def test_a_key_that_has_nothing_to_act_on_is_a_mistake(entry, key, remedy):
    (remark,) = remarks(**entry)
    assert (remark.path, remark.at_key) == (("jobs", 0, key), True)
    assert remedy in remark.remedy


@pytest.mark.parametrize(
    ("entry", "key", "name"),
    [
        ({"from": "x.csv", "matrix": {"row": [1]}}, "matrix", "row"),
        ({"repeat": 2, "matrix": {"repeat": [1]}}, "matrix", "repeat"),
        ({"from": "x.csv", "matrix": {"n": [1]}, "types": {"n": "integer"}}, "types", "n"),
    ],
)
def test_names_that_have_a_meaning_already(entry, key, name):
    (remark,) = remarks(**entry)
    assert remark.path == ("jobs", 0, key, name)


def test_all_that_does_not_go_together_is_told_at_once():
    found = remarks(limit=1, sample=2, exclude=[{"a": 1}])
    assert [remark.path[-1] for remark in found] == ["sample", "limit", "exclude"]
