"""Which rows an entry takes, and as which types: through the jobs that come of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchgen.core.manifest.expansion.expand import Drafts
from batchgen.core.manifest.schema import parse_manifest
from batchgen.core.manifest.text.locations import Diagnostic
from batchgen.providers.segmind.catalog import load
from tests.core.manifest.expansion.rows import Rows

CATALOG = load()


def found(source, **entry):
    entry = {"from": "rows", "model": "flux-pro", "id": "{row}", **entry}
    manifest = parse_manifest({"version": 1, "name": "x", "jobs": [entry]})
    return list(Drafts(manifest, CATALOG, source))


def taken(source, **entry):
    items = found(source, **entry)
    assert not [item for item in items if isinstance(item, Diagnostic)]
    return [item.spec.fields["row"] for item in items]


def told(source, **entry):
    return [item for item in found(source, **entry) if isinstance(item, Diagnostic)]


HUNDRED = [{"n": str(n), "even": "true" if n % 2 == 0 else "false"} for n in range(1, 101)]


def test_rows_that_fulfil_every_condition_keep_their_numbers():
    conditions = {"n": {"min": 90}, "even": True, "row": {"not": 92}}
    assert taken(Rows(*HUNDRED), where=conditions) == [90, 94, 96, 98, 100]


def test_first_where_then_sample_then_limit():
    source = Rows(*HUNDRED)
    even = taken(source, where={"even": True})
    half = taken(source, where={"even": True}, sample=0.5)
    assert set(half) < set(even)
    assert half == [n for n in taken(source, sample=0.5) if n in even]
    assert taken(source, where={"even": True}, sample=0.5, limit=4) == half[:4]
    assert taken(source, limit=3) == [1, 2, 3]
    assert taken(source, limit=1000) == list(range(1, 101))


def test_a_limit_reads_no_further_than_it_has_to():
    assert len(found(Rows({"n": "1"}, "broken"), limit=1)) == 1


@pytest.mark.parametrize("count", [1, 7, 50, 100, 101])
def test_a_sample_of_so_many_rows(count):
    source = Rows(*HUNDRED)
    rows = taken(source, sample=count)
    assert len(rows) == min(count, 100)
    assert rows == sorted(rows) == taken(source, sample=count)


def test_a_sample_is_spread_and_a_larger_one_holds_the_smaller():
    source = Rows(*HUNDRED)
    small, large = taken(source, sample=10), taken(source, sample=40)
    assert set(small) < set(large)
    assert min(small) < 50 < max(small)


MANY = Rows(*[{}] * 400)


@settings(max_examples=30)
@given(st.floats(0.001, 0.999))
def test_a_share_is_about_as_large_as_it_says(share):
    rows = [item for item in found(MANY, sample=share) if not isinstance(item, Diagnostic)]
    assert abs(len(rows) - share * 400) < 5 * (400 * share * (1 - share)) ** 0.5 + 1


def test_types_are_read_and_go_into_metadata():
    source = Rows({"tags": '["a", "b"]', "w": "0.5", "hd": "TRUE", "none": None, "label": "007"})
    types = {"tags": "json", "w": "number", "hd": "boolean", "none": "integer"}
    (item,) = found(source, types=types, model="other", params={"t": "{tags}", "s": "{label}"})
    assert json.loads(item.spec.body) == {"t": ["a", "b"], "s": "007"}
    assert item.spec.fields == {
        "tags": ["a", "b"], "w": 0.5, "hd": True, "none": None, "label": "007", "row": 1,
    }  # fmt: skip


def test_the_catalogue_types_cells_that_wholly_fill_a_parameter():
    row = {"s": "7", "p": "16:9", "steps": "30", "g": "3", "empty": None}
    params = {"prompt": "{p}", "seed": "{s}", "steps": "{steps}", "guidance": "{g}", "x": "{s}"}
    (item,) = found(Rows(row), params={**params, "interval": "{empty}", "n": ["{s}"]})
    sent = json.loads(item.spec.body)
    assert (sent["seed"], sent["prompt"], sent["x"], sent["n"]) == (7, "16:9", "7", ["7"])
    assert "interval" not in sent
    assert item.spec.fields["s"] == "7"


def test_rows_with_types_of_their_own_and_matrices_are_left_as_they_are():
    params = {"prompt": "p", "seed": "{s}"}
    (item,) = found(Rows({"s": "7"}, untyped=False), params=params)
    assert json.loads(item.spec.body)["seed"] == "7"
    (item,) = found(Rows({}), params=params, matrix={"s": ["7"]})
    assert json.loads(item.spec.body)["seed"] == "7"


@pytest.mark.parametrize(
    ("entry", "path", "what"),
    [
        ({"params": {"prompt": "p", "seed": "{s}"}}, ("params", "seed"), 's is "007", and a whole'),
        ({"types": {"s": "integer"}}, ("types", "s"), 'the field s is "007"'),
        ({"types": {"nil": "integer"}}, ("types", "nil"), "no field nil; its fields: s"),
        ({"where": {"nil": 3}}, ("where", "nil"), "no field nil; its fields: s"),
        (
            {"where": {"s": {"min": "a", "max": "b"}}, "types": {"s": "json"}},
            ("types", "s"),
            "s is",
        ),
        ({"where": {"s": {"min": 3}}}, ("where", "s"), '"007" cannot be compared with 3'),
    ],
)
def test_what_is_wrong_in_a_row_is_told_with_its_line_and_its_field(entry, path, what):
    remarks = told(Rows({"s": "007"}, {"s": "008"}), **entry)
    assert [remark.path for remark in remarks] == [("jobs", 0, *path)] * 2
    assert [remark.spot.line for remark in remarks] == [2, 3]
    assert what in remarks[0].what
    assert remarks[0].remedy == remarks[1].remedy


def test_every_cell_of_a_row_that_is_no_number_is_told():
    params = {"prompt": "p", "seed": "{s}", "steps": "{n}", "guidance": "{s}"}
    remarks = told(Rows({"s": "x", "n": "y"}), params=params)
    assert [remark.path[-1] for remark in remarks] == ["seed", "steps", "guidance"]


def test_what_stands_in_rows_that_are_left_out_does_not_matter():
    source = Rows({"s": "n/a", "ok": "no"}, {"s": "7", "ok": "yes"})
    assert taken(source, where={"ok": "yes"}, types={"s": "integer"}) == [2]
    (remark,) = told(source, where={"s": {"min": 1}}, types={"s": "integer"})
    assert remark.spot.line == 2


def test_faults_are_told_whichever_rows_are_taken():
    remarks = told(Rows({"n": "1"}, "broken", {"n": "2"}), where={"n": 2}, sample=1)
    assert [(remark.what, remark.spot.line) for remark in remarks] == [("broken", 3)]


@pytest.mark.parametrize(
    ("entry", "path", "what"),
    [
        ({}, "from", "rows holds no rows"),
        ({"where": {"n": 7}}, "where", "where leaves none of the 2 rows of rows"),
        ({"sample": 0.000001}, "sample", "sample leaves none of the 2 rows"),
    ],
)
def test_no_rows_at_all_is_a_mistake(entry, path, what):
    (remark,) = told(Rows(*[{"n": "1"}, {"n": "2"}] if entry else []), **entry)
    assert remark.path == ("jobs", 0, path)
    assert what in remark.what


def test_copies_of_rows():
    source = Rows({"p": "a", "repeat": "hidden"}, {"p": "b", "repeat": "hidden"})
    items = found(source, id="{p}", repeat=2, params={"prompt": "{p}", "seed": 5})
    assert [item.spec.id for item in items] == ["a-1", "a-2", "b-1", "b-2"]
    assert [json.loads(item.spec.body)["seed"] for item in items] == [5, 6, 5, 6]
    cells = Rows({"s": "40"})
    items = found(cells, repeat=2, params={"prompt": "p", "seed": "{s}"})
    assert [json.loads(item.spec.body)["seed"] for item in items] == [40, 41]
