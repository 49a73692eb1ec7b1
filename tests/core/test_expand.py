"""Entries into jobs: what each job is made of, and that they stream."""

from __future__ import annotations

import json
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.catalog import load
from batchgen.core.expand import Draft, drafts, expand, unused_fields
from batchgen.core.manifest import parse_manifest
from batchgen.core.names import check_part, check_stem
from batchgen.core.place import Remark
from batchgen.core.spec import ApiVersion
from batchgen.errors import ManifestError

CATALOG = load()


def manifest(*jobs, **parts):
    return parse_manifest({"version": 1, "name": "x", "jobs": list(jobs), **parts})


def jobs(*entries, **parts):
    return list(expand(manifest(*entries, **parts), CATALOG))


def remarks(*entries, **parts):
    found = list(drafts(manifest(*entries, **parts), CATALOG))
    return [item for item in found if isinstance(item, Remark)]


def test_one_job():
    (job,) = jobs({"id": "cup", "model": "flux-kontext-max", "params": {"seed": 3, "prompt": "é"}})
    assert job.id == job.stem == "cup"
    assert job.model == "flux-kontext-max"
    assert job.body == '{"prompt":"é","seed":3}'
    assert job.api is ApiVersion.V2
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
    assert (plain.model, plain.api, plain.price_usd) == ("flux-pro", ApiVersion.V1, 0.5)
    assert json.loads(plain.body) == {"a": 1, "b": 2, "c": {"x": 1}}
    assert (mine.model, mine.api, mine.price_usd) == ("m", ApiVersion.V2, 0)
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
        drafts(
            manifest(
                {"id": "{x}", "model": "m", "params": {"p": "{", "q": "}"}},
                {"id": "good", "model": "m"},
            ),
            CATALOG,
        )
    )
    assert [item.path[-1] for item in found if isinstance(item, Remark)] == ["id", "p", "q"]
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
    for item in drafts(manifest(entry, output={"filename": filename}), CATALOG):
        if isinstance(item, Remark):
            assert item.path in {("jobs", 0, "id"), ("output", "filename")}
            continue
        check_part(item.spec.id)
        check_stem(item.spec.stem)
        assert json.loads(item.spec.body).get("p") == item.spec.fields["v"]
