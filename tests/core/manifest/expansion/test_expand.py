"""Entries into jobs: what each job is made of, and that they stream."""

from __future__ import annotations

import json
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.spec import Mode
from batchgen.core.manifest.expansion.expand import (
    Draft,
    Drafts,
    expand,
    unused_fields,
)
from batchgen.core.manifest.rows.row import Row, RowFault, SourceError
from batchgen.core.manifest.schema import parse_manifest
from batchgen.core.manifest.text.filenames import check_part, check_stem
from batchgen.core.manifest.text.locations import Diagnostic, RowLocation
from batchgen.errors import ManifestError
from batchgen.providers.segmind.catalog import load

CATALOG = load()


def manifest(*jobs, **parts):
    return parse_manifest({"version": 1, "name": "x", "jobs": list(jobs), **parts})


def jobs(*entries, **parts):
    return list(expand(manifest(*entries, **parts), CATALOG))


def remarks(*entries, **parts):
    found = list(Drafts(manifest(*entries, **parts), CATALOG))
    return [item for item in found if isinstance(item, Diagnostic)]


def test_one_job():
    (job,) = jobs({"id": "cup", "model": "flux-kontext-max", "params": {"seed": 3, "prompt": "é"}})
    assert job.id == job.stem == "cup"
    assert job.model == "flux-kontext-max"
    assert job.body == '{"prompt":"é","seed":3}'
    assert job.api is Mode.QUEUED
    assert job.price_usd == 0.1
    assert job.fields == {}


def test_a_matrix_is_the_product_in_the_order_written():
    made = jobs(
        {
            "id": "{style}-{seed}",
            "model": "flux-pro",
            "matrix": {"style": ["ink", "oil"], "seed": [1, 2, 3]},
            "params": {"prompt": "a cup, {style}", "seed": "{seed}"},
        }
    )
    assert [job.id for job in made] == ["ink-1", "ink-2", "ink-3", "oil-1", "oil-2", "oil-3"]
    assert json.loads(made[4].body) == {"prompt": "a cup, oil", "seed": 2}
    assert made[4].fields == {"style": "oil", "seed": 2}


def test_a_matrix_of_millions_streams():
    entry = {
        "model": "flux-pro",
        "matrix": {"a": list(range(1000)), "b": list(range(1000)), "c": list(range(10))},
        "params": {"prompt": "{a} {b} {c}"},
    }
    first = list(islice(expand(manifest(entry), CATALOG), 3))
    assert [job.id for job in first] == [f"flux-pro-001-000{n}" for n in (1, 2, 3)]


def test_automatic_ids_count_entries_and_combinations():
    made = jobs(
        {"model": "flux-pro"},
        {"model": "flux-kontext-dev", "matrix": {"s": ["a", "b"]}},
        {"model": "flux-pro"},
    )
    assert [job.id for job in made] == [
        "flux-pro-001",
        "flux-kontext-dev-002-0001",
        "flux-kontext-dev-002-0002",
        "flux-pro-003",
    ]


def test_defaults_go_under_an_entry_key_by_key_and_null_undoes_them():
    defaults = {
        "model": "flux-pro",
        "api": "v1",
        "price": 0.5,
        "params": {"a": 1, "b": 2, "c": {"x": 1}, "n": None},
    }
    own = {"model": "m", "api": "v2", "price": 0, "params": {"a": None, "c": {"y": [None]}}}
    plain, mine = jobs({}, own, defaults=defaults)
    assert (plain.model, plain.api, plain.price_usd) == ("flux-pro", Mode.BLOCKING, 0.5)
    assert json.loads(plain.body) == {"a": 1, "b": 2, "c": {"x": 1}}
    assert (mine.model, mine.api, mine.price_usd) == ("m", Mode.QUEUED, 0)
    assert json.loads(mine.body) == {"b": 2, "c": {"y": [None]}}


def test_a_parameter_that_becomes_null_is_not_sent():
    made = jobs({"model": "flux-pro", "matrix": {"s": [None, 1]}, "params": {"seed": "{s}"}})
    assert [job.body for job in made] == ["{}", '{"seed":1}']


def test_templates_reach_into_lists_and_mappings_and_keep_types():
    params = {"list": ["{s}", {"k": "{s}!"}], "brace": "{{s}}", "flag": "{b}"}
    (job,) = jobs({"model": "m", "matrix": {"s": [1.5], "b": [True]}, "params": params})
    assert json.loads(job.body) == {"list": [1.5, {"k": "1.5!"}], "brace": "{s}", "flag": True}


def test_the_model_may_be_a_template():
    made = jobs(
        {"model": "{m}", "matrix": {"m": ["flux-kontext-dev", "flux-kontext-max", "other"]}},
        output={"filename": "{model}/{id}"},
    )
    assert [job.model for job in made] == ["flux-kontext-dev", "flux-kontext-max", "other"]
    assert [job.price_usd for job in made] == [0.04, 0.1, None]
    assert made[0].stem == "flux-kontext-dev/flux-kontext-dev-001-0001"


def test_file_names_from_fields_ids_models_and_numbers():
    made = jobs(
        {"id": "b-{r}", "model": "m", "matrix": {"r": ["16:9", "a/../b"]}},
        {"id": "a b", "model": "m", "matrix": {"r": [3]}},
        output={"filename": "all/{model}/{index}-{r}-{id}"},
    )
    assert [job.stem for job in made] == [
        "all/m/1-16-9-b-16-9",
        "all/m/2-a-..-b-b-a-..-b",
        "all/m/3-3-a b",
    ]


@pytest.mark.parametrize(
    ("entry", "parts", "path", "phrase"),
    [
        ({}, {}, ("jobs", 0), "names no model"),
        ({"model": "a/b"}, {}, ("jobs", 0, "model"), '"a/b" cannot be'),
        ({"model": ""}, {}, ("jobs", 0, "model"), '"" cannot be'),
        ({}, {"defaults": {"model": ".."}}, ("defaults", "model"), '".." cannot be'),
        ({"model": "{m}"}, {}, ("jobs", 0, "model"), "without a matrix"),
        ({"model": "m", "id": "{x}"}, {}, ("jobs", 0, "id"), "{x} is no field here"),
        ({"model": "m", "id": "{index}"}, {}, ("jobs", 0, "id"), "{index} is no field here"),
        ({"model": "m", "id": "a/b"}, {}, ("jobs", 0, "id"), "holds /"),
        ({"model": "m", "id": "{{a}}~"}, {}, ("jobs", 0, "id"), "holds ~"),
        ({"model": "m", "id": "metadata"}, {}, ("jobs", 0, "id"), "is taken"),
        ({"model": "m"}, {"output": {"filename": "../{id}"}}, ("output", "filename"), "unsafe"),
        ({"model": "m"}, {"output": {"filename": "{s}"}}, ("output", "filename"), "{s} is no"),
        ({"model": "m", "params": {"p": "{x}"}}, {}, ("jobs", 0, "params", "p"), "{x} is no"),
        (
            {"model": "m", "params": {"p": [1, {"q": "{"}]}},
            {},
            ("jobs", 0, "params", "p", 1, "q"),
            "the { at character 1",
        ),
        (
            {"model": "m"},
            {"defaults": {"params": {"p": "}"}}},
            ("defaults", "params", "p"),
            "the }",
        ),
        (
            {"model": "m", "params": {"p": float("nan")}},
            {},
            ("jobs", 0, "params"),
            "cannot be sent as JSON",
        ),
        ({"model": "m", "params": {"p": object()}}, {}, ("jobs", 0, "params"), "as JSON"),
        (
            {"model": "m", "matrix": {f"f{n}": list(range(10)) for n in range(8)}},
            {},
            ("jobs", 0, "matrix"),
            "more than 10,000,000 jobs",
        ),
    ],
)
def test_an_entry_that_cannot_be(entry, parts, path, phrase):
    (remark,) = remarks(entry, **parts)
    assert remark.path == path
    assert phrase in remark.what
    assert remark.remedy
    with pytest.raises(ManifestError):
        list(expand(manifest(entry, **parts), CATALOG))


def test_all_that_is_wrong_with_an_entry_is_told_and_the_others_go_on():
    found = list(
        Drafts(
            manifest(
                {"id": "{x}", "model": "m", "params": {"p": "{", "q": "}"}},
                {"id": "good", "model": "m"},
            ),
            CATALOG,
        )
    )
    assert [item.path[-1] for item in found if isinstance(item, Diagnostic)] == ["id", "p", "q"]
    assert [item.spec.id for item in found if isinstance(item, Draft)] == ["good"]


def test_fields_that_no_template_names():
    entry = {"model": "{a}", "id": "{b}", "params": {"p": ["{c}"]}}
    matrix = {name: [1] for name in "abcdef"}
    made = manifest({**entry, "matrix": matrix}, {"model": "m"}, output={"filename": "{d}/{id}"})
    assert unused_fields(made, 0) == {"e", "f"}
    assert unused_fields(made, 1) == frozenset()


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=30)


@given(
    st.lists(VALUES, min_size=1, max_size=4, unique_by=lambda value: (type(value), value)),
    st.sampled_from(["{v}", "a-{v}", "{v}/{id}", "{model}/{v}/{index}", "{id}", "{v}.{v}"]),
    st.sampled_from([None, "{v}", "x-{v}", "{v}-{model}"]),
)
def test_no_field_leads_out_of_outputs(values, filename, job_id):
    entry = {"model": "m", "matrix": {"v": values}, "params": {"p": "{v}"}}
    if job_id:
        entry["id"] = job_id
    for item in Drafts(manifest(entry, output={"filename": filename}), CATALOG):
        if isinstance(item, Diagnostic):
            assert item.path in {("jobs", 0, "id"), ("output", "filename")}
            continue
        check_part(item.spec.id)
        check_stem(item.spec.stem)
        assert json.loads(item.spec.body).get("p") == item.spec.fields["v"]


# ------------------------------------------------------------------ rows


class Shelf:
    """Sources in memory: rows, faults among them, by name."""

    def __init__(self, **files):
        self._files = files

    def open(self, name):
        if name not in self._files:
            raise SourceError(f"there is no file {name}", "mend the path")
        return Shelved(name, self._files[name])


class Shelved:
    def __init__(self, name, items):
        self._name = name
        self._items = items

    def rows(self):
        for number, item in enumerate(self._items, start=1):
            if isinstance(item, str):
                yield RowFault(RowLocation(self._name, number), item, "mend it")
            else:
                yield Row(self._name, number, number, {**item, "row": number})


CUPS = Shelf(cups=[{"style": "ink", "seed": 7}, {"style": "oil", "seed": 8}])


def from_rows(entry, sources=CUPS, **parts):
    entry = {"from": "cups", "model": "flux-pro", **entry}
    return list(Drafts(manifest(entry, **parts), CATALOG, sources))


def test_rows_fill_templates_and_are_numbered():
    made = from_rows({"params": {"prompt": "{row}: a cup, {style}", "seed": "{seed}"}})
    assert [item.spec.id for item in made] == ["flux-pro-001-0000001", "flux-pro-001-0000002"]
    assert json.loads(made[1].spec.body) == {"prompt": "2: a cup, oil", "seed": 8}
    assert made[1].spec.fields == {"style": "oil", "seed": 8, "row": 2}
    assert made[1].spot == RowLocation("cups", 2)


def test_rows_name_ids_models_and_files():
    sources = Shelf(cups=[{"id": "a", "model": "m", "size": "16:9"}])
    (made,) = from_rows(
        {"id": "{id}-{row}", "model": "{model}"}, sources, output={"filename": "{size}/{id}"}
    )
    assert (made.spec.id, made.spec.model, made.spec.stem) == ("a-1", "m", "16-9/a-1")


def test_a_matrix_multiplies_every_row():
    made = from_rows({"matrix": {"take": [1, 2]}, "params": {"prompt": "{style} {take}"}})
    assert [item.spec.body for item in made] == [
        f'{{"prompt":"{text}"}}' for text in ("ink 1", "ink 2", "oil 1", "oil 2")
    ]
    assert made[3].spec.id == "flux-pro-001-0000002-0002"


def test_lists_and_objects_go_in_whole_and_null_leaves_out():
    sources = Shelf(cups=[{"urls": ["a", "b"], "more": {"k": [1]}, "seed": None}])
    (made,) = from_rows({"params": {"images": "{urls}", "x": ["{more}"], "s": "{seed}"}}, sources)
    assert json.loads(made.spec.body) == {"images": ["a", "b"], "x": [{"k": [1]}]}


def test_files_count_jobs_through_all_entries():
    made = jobs_of(
        {"model": "m"}, {"from": "cups", "model": "m", "matrix": {"n": [1, 2]}}, {"model": "m"},
        output={"filename": "{index}"},
    )  # fmt: skip
    assert [job.stem for job in made] == ["1", "2", "3", "4", "5", "6"]


def jobs_of(*entries, **parts):
    return list(expand(manifest(*entries, **parts), CATALOG, CUPS))


BAD_ROWS = [
    ({"params": {"p": "{nil}"}}, ("jobs", 0, "params", "p"), "nil; its fields: seed, style"),
    ({"params": {"p": {"q": ["{nil}"]}}}, ("jobs", 0, "params", "p"), "no field nil"),
    ({"id": "{nil}"}, ("jobs", 0, "id"), "no field nil"),
    ({"model": "{nil}"}, ("jobs", 0, "model"), "no field nil"),
    ({"model": "{style}/x"}, ("jobs", 0, "model"), '"ink/x" cannot be'),
    ({"matrix": {"style": ["a"]}}, ("jobs", 0, "from"), "style stands in the row and in the"),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "path", "what"), BAD_ROWS)
def test_a_row_that_does_not_fill_its_templates_is_told_with_its_line(entry, path, what):
    found = from_rows(entry)
    assert [(item.path, item.spot.line) for item in found] == [(path, 1), (path, 2)]
    assert what in found[0].what
    assert found[0].remedy == found[1].remedy


@pytest.mark.parametrize("entry", [{"params": {"p": "a {tags}"}}, {"id": "a-{tags}"}])
@pytest.mark.parametrize("value", [["a"], {"a": 1}])
def test_a_list_or_an_object_cannot_stand_inside_text(entry, value):
    (remark,) = from_rows(entry, Shelf(cups=[{"tags": value}]))
    assert "cannot stand inside a text" in remark.what
    assert remark.spot.line == 1


def test_a_file_name_that_a_row_cannot_fill():
    (remark, _) = from_rows({}, output={"filename": "{nil}/{id}"})
    assert (remark.path, remark.spot.line) == (("output", "filename"), 1)


@pytest.mark.parametrize(
    ("entry", "sources", "what"),
    [
        ({"from": "nowhere"}, CUPS, "there is no file nowhere"),
        ({}, Shelf(cups=[]), "cups holds no rows"),
        ({"matrix": {"row": [1]}}, CUPS, "is the number of the row"),
        ({"params": {"p": "a {"}}, CUPS, "not part of a field"),
    ],
)
def test_what_is_wrong_with_a_source_as_a_whole_is_told_once(entry, sources, what):
    (remark,) = from_rows(entry, sources)
    assert what in remark.what
    assert remark.spot is None


def test_faulty_rows_are_told_and_the_others_are_made():
    sources = Shelf(cups=[{"a": 1}, "not JSON", {"a": 2}])
    first, fault, last = from_rows({"params": {"p": "{a}"}}, sources)
    assert (fault.what, fault.spot) == ("not JSON", RowLocation("cups", 2))
    assert (first.spec.body, last.spec.body) == ('{"p":1}', '{"p":2}')
