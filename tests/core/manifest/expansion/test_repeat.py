"""`repeat`: copies of a job, each with a body of its own, the same ones in every run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.catalog.model import Parameter, ParameterType, Source
from batchgen.core.manifest.expansion.expand import Drafts, expand
from batchgen.core.manifest.expansion.repeat import CopyError, seed_of_copy
from batchgen.core.manifest.schema import parse_manifest
from batchgen.core.manifest.text.locations import Diagnostic
from batchgen.providers.segmind.catalog import load

CATALOG = load()
DEV = CATALOG.get("flux-kontext-dev")


def manifest(*entries):
    return parse_manifest({"version": 1, "name": "x", "jobs": list(entries)})


def made(*entries):
    return list(expand(manifest(*entries), CATALOG))


def fox(**entry):
    return {"model": "flux-pro", "params": {"prompt": "a fox"}, "repeat": 3, **entry}


def seeds(specs):
    return [json.loads(spec.body)["seed"] for spec in specs]


def test_a_seed_that_is_given_goes_up_by_one():
    specs = made(fox(id="fox", params={"prompt": "a fox", "seed": 100}))
    assert [spec.id for spec in specs] == ["fox-1", "fox-2", "fox-3"]
    assert seeds(specs) == [100, 101, 102]
    assert [spec.fields for spec in specs] == [{"repeat": n} for n in (1, 2, 3)]


def test_without_one_seeds_follow_from_the_id_and_from_nothing_else():
    alone = made(fox(id="fox"))
    behind = made({"model": "m"}, fox(id="fox", params={"prompt": "another"}))[1:]
    first = seeds(alone)[0]
    assert seeds(alone) == seeds(behind) == [first, first + 1, first + 2]
    assert seeds(made(fox(id="hare"))) != seeds(alone)
    assert seeds(made(fox(id="fox", model="flux-kontext-max"))) != seeds(alone)
    named = seeds(made(fox(id="fox-take-{repeat}")))
    assert [seed - named[0] for seed in named] == [0, 1, 2]


def test_without_an_id_the_number_of_the_copy_comes_last():
    specs = made(fox(matrix={"s": ["a", "b"]}, params={"prompt": "{s}"}))
    assert [spec.id for spec in specs] == [
        f"flux-pro-001-000{n}-{copy}" for n in (1, 2) for copy in (1, 2, 3)
    ]
    assert len({spec.body for spec in specs}) == 6


def test_params_that_name_the_copy_are_left_as_they_are():
    specs = made(fox(model="other", id="v{repeat}", params={"seed": "{repeat}", "p": 7}))
    assert [spec.id for spec in specs] == ["v1", "v2", "v3"]
    assert [json.loads(spec.body) for spec in specs] == [{"p": 7, "seed": n} for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("entry", "path", "what", "remedy"),
    [
        ({"model": "other"}, ("repeat",), "other is not in the catalogue", "seed: 1"),
        ({"params": {"seed": "{{x}}"}}, ("params", "seed"), 'seed is "{x}"', "types: {seed"),
        ({"params": {"seed": 1.5}}, ("params", "seed"), "seed is 1.5", "whole number"),
        ({"params": {"seed": True}}, ("params", "seed"), "seed is true", "whole number"),
    ],
)
def test_copies_that_would_be_equal_are_refused(entry, path, what, remedy):
    found = list(Drafts(manifest(fox(**entry)), CATALOG))
    assert len(found) == 3
    assert all(isinstance(remark, Diagnostic) for remark in found)
    assert found[0].path == ("jobs", 0, *path)
    assert what in found[0].what
    assert remedy in found[0].remedy


def test_a_model_that_takes_no_seed_is_refused():
    seedless = replace(DEV, parameters={"prompt": DEV.parameters["prompt"]})
    with pytest.raises(CopyError, match="m takes no seed: its copies would be equal") as caught:
        seed_of_copy({}, 1, "fox", "m", seedless)
    assert "leave repeat out, or name {repeat} in a parameter" in caught.value.remedy


@pytest.mark.parametrize("changes", [{"source": Source.LIST}, {"parameters": {}}], ids=str)
def test_where_nobody_vouches_for_the_parameters_a_seed_may_be_given(changes):
    doubtful = replace(DEV, **{"parameters": {"prompt": DEV.parameters["prompt"]}, **changes})
    with pytest.raises(CopyError, match="m is not known to take a seed") as caught:
        seed_of_copy({}, 1, "fox", "m", doubtful)
    assert "give it a seed" in caught.value.remedy
    assert seed_of_copy({"seed": 5}, 2, "fox", "m", doubtful) == 6


def test_limits_that_cannot_be_leave_a_seed():
    seed = Parameter("seed", ParameterType.INTEGER, minimum=2**40)
    odd = replace(DEV, parameters={"seed": seed})
    assert 0 <= seed_of_copy({}, 1, "fox", "m", odd) < 2**31


@given(st.text(max_size=20), st.integers(0, 1000), st.integers(1, 50), st.integers(51, 90))
def test_derived_seeds_differ_and_keep_the_bounds_of_the_model(name, low, count, span):
    seed = Parameter("seed", ParameterType.INTEGER, minimum=low, maximum=low + span)
    bounded = replace(DEV, parameters={"seed": seed})
    found = {seed_of_copy({}, copy, name, "m", bounded) for copy in range(1, count + 1)}
    assert len(found) == count
    assert all(low <= seed <= low + span for seed in found)
    free = {seed_of_copy({}, copy, name, "m", DEV) for copy in range(1, count + 1)}
    assert len(free) == count
    assert all(0 <= seed < 2**31 for seed in free)
