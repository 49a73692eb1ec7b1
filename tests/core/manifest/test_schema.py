"""The manifest's shape: defaults, bounds, and every error in plain words."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from batchgen.core.jobs.policies import OnExpired, RateScope, WhenAbsent
from batchgen.core.jobs.spec import Mode
from batchgen.core.manifest.schema import (
    SCHEMA_DIALECT,
    Budget,
    Defaults,
    Entry,
    Manifest,
    OutputSettings,
    Reconcile,
    Retry,
    json_schema,
    parse_manifest,
)
from batchgen.errors import ManifestError

LEAST = {"version": 1, "name": "x", "jobs": [{}]}
PARTS = (Manifest, Budget, Retry, Reconcile, OutputSettings, Defaults, Entry)
PYDANTIC_WORDS = re.compile(
    r"Input should|pydantic|extra inputs|type=|ctx|Field required", re.IGNORECASE
)


def problems(value):
    with pytest.raises(ManifestError) as caught:
        parse_manifest(value)
    return caught.value.problems


def wrong(**changes):
    return problems({**LEAST, **changes})


def test_defaults_are_bounded_and_safe():
    manifest = parse_manifest(LEAST)
    assert manifest.budget == Budget(
        concurrency=16, requests_per_minute="auto", rate_limit_scope=RateScope.AUTO, max_spend=None
    )
    assert manifest.retry.max_attempts == 3
    assert manifest.reconcile == Reconcile(
        settle=120.0, when_absent=WhenAbsent.RESUBMIT, on_expired=OnExpired.RECOVER
    )
    assert manifest.output.filename == "{id}"
    assert manifest.defaults.params == {}
    assert manifest.jobs == [Entry()]


def test_everything_may_be_said():
    value = {
        "version": 1,
        "name": "street-portraits",
        "budget": {
            "concurrency": 16,
            "requests_per_minute": None,
            "rate_limit_scope": "submit",
            "max_spend": 20,
        },
        "retry": {"max_attempts": 1},
        "reconcile": {"settle": 0, "when_absent": "hold", "on_expired": "recover-only"},
        "output": {"filename": "{model}/{id}"},
        "defaults": {"model": "flux-pro", "api": "v1", "params": {"steps": 3}, "price": 0.1},
        "jobs": [
            {"id": "a", "model": "m", "api": "v2", "params": {}, "price": 0},
            {"id": "b-{s}", "matrix": {"s": [1, 1.5, "x", True, None]}},
        ],
    }
    manifest = parse_manifest(value)
    assert manifest.budget.max_spend == 20.0
    assert manifest.budget.requests_per_minute is None
    assert manifest.reconcile.on_expired is OnExpired.RECOVER_ONLY
    assert manifest.defaults.api is Mode.BLOCKING
    assert manifest.jobs[1].matrix == {"s": [1, 1.5, "x", True, None]}
    assert [type(item) for item in manifest.jobs[1].matrix["s"]] == [
        int, float, str, bool, type(None),
    ]  # fmt: skip


def test_a_manifest_is_frozen():
    with pytest.raises(ValidationError):
        parse_manifest(LEAST).name = "y"


@pytest.mark.parametrize(
    ("changes", "key", "phrase", "remedy"),
    [
        ({"version": 2}, "version", "reads version 1", "version: 1"),
        ({"version": "1"}, "version", "reads version 1", "version: 1"),
        ({"version": True}, "version", "whole number 1", "version: 1"),
        ({"version": 1.0}, "version", "whole number 1", "version: 1"),
        ({"version": None}, "version", "reads version 1", "version: 1"),
        ({"name": ""}, "name", "is empty", "letters"),
        ({"name": "../x"}, "name", "holds /", "letters"),
        ({"name": 7}, "name", "name is 7, and text is needed", 'name: "7"'),
        ({"jobs": []}, "jobs", "jobs is empty", "jobs: ["),
        ({"jobs": None}, "jobs", "jobs is empty, and a list", "jobs: ["),
        ({"jobs": {}}, "jobs", "a mapping, and a list is needed", "jobs: ["),
        ({"jobs": [7]}, "jobs[0]", "item 1 of jobs is 7", "jobs: ["),
        ({"bugdet": {}}, "bugdet", "unknown here", "did you mean budget?"),
        ({"x\x1b": 1}, '["x�"]', "\\u001b", "possible are: version"),
        ({"budget": None}, "budget", "budget is empty", "concurrency, requests_per_minute"),
        ({"budget": []}, "budget", "a list, and a mapping", "give it keys"),
        ({"budget": {"concurrency": 0}}, "budget.concurrency", "at least 1", "16"),
        ({"budget": {"concurrency": 10**6}}, "budget.concurrency", "at most 10,000", "16"),
        ({"budget": {"concurrency": 1.5}}, "budget.concurrency", "a whole number", "16"),
        ({"budget": {"concurrency": True}}, "budget.concurrency", "is true", "16"),
        ({"budget": {"concurrency": "4"}}, "budget.concurrency", 'is "4"', "16"),
        ({"budget": {"max_spend": 0}}, "budget.max_spend", "more than 0", "20"),
        ({"budget": {"max_spend": "9$"}}, "budget.max_spend", "a number", "20"),
        ({"budget": {"max_spend": float("nan")}}, "budget.max_spend", "at most 10,000,000", "20"),
        ({"budget": {"max_spend": float("inf")}}, "budget.max_spend", "at most 10,000,000", "20"),
        ({"budget": {"requests_per_minute": 10**9}}, "budget.requests", "1,000,000", "50"),
        ({"budget": {"from": 1}}, "budget.from", "unknown here", "concurrency"),
        ({"budget": {"rate_limit_scope": "al"}}, "budget.rate_limit_scope", '"al"', "mean all?"),
        ({"retry": {"max_attempts": 21}}, "retry.max_attempts", "at most 20", "3"),
        ({"reconcile": {"settle": -1}}, "reconcile.settle", "at least 0", "120"),
        ({"reconcile": {"on_expired": 3}}, "reconcile.on_expired", "is 3", "recover-only"),
        ({"output": {"filename": ""}}, "output.filename", "is empty", "{id}"),
        ({"output": {"filename": "x" * 2000}}, "output.filename", "too long", "shorten"),
        ({"jobs": [{"from": 3}]}, "jobs[0].from", "from is 3", 'from: "3"'),
        ({"jobs": [{"from": ""}]}, "jobs[0].from", "is empty", 'from: "prompts.csv"'),
        ({"jobs": [{"from_": "x"}]}, "jobs[0].from_", "unknown", "did you mean from?"),
        ({"jobs": [{"id": 42}]}, "jobs[0].id", "id is 42", 'id: "42"'),
        ({"jobs": [{"id": ""}]}, "jobs[0].id", "id is empty", "id: "),
        ({"jobs": [{"api": "v3"}]}, "jobs[0].api", "v3", "possible are: v1, v2"),
        ({"jobs": [{"params": []}]}, "jobs[0].params", "a mapping", "prompt"),
        ({"jobs": [{"params": {1: 2}}]}, "jobs[0].params", "", ""),
        ({"jobs": [{"price": -1}]}, "jobs[0].price", "at least 0", "0.04"),
        ({"jobs": [{"matrix": {}}]}, "jobs[0].matrix", "is empty", "style"),
        ({"jobs": [{"matrix": {"s": []}}]}, "jobs[0].matrix.s", "s is empty", "s: [1, 2, 3]"),
        ({"jobs": [{"matrix": {"s": 3}}]}, "jobs[0].matrix.s", "a list", "s: [1, 2, 3]"),
        ({"jobs": [{"matrix": {"s": [[]]}}]}, "jobs[0].matrix.s[0]", "a list cannot", "text"),
        ({"jobs": [{"matrix": {"s": [1, 1]}}]}, "jobs[0].matrix", "twice", "repeat: 3"),
        ({"jobs": [{"matrix": {"a b": [1]}}]}, "jobs[0].matrix", "cannot be a field", "letters"),
        ({"jobs": [{"matrix": {"id": [1]}}]}, "jobs[0].matrix", "its own", "id_of"),
        ({"defaults": {"price": "x"}}, "defaults.price", "a number", "0.04"),
        ({"defaults": {"matrix": {}}}, "defaults.matrix", "unknown here", "model, api"),
    ],
)  # fmt: skip
def test_told_in_plain_words(changes, key, phrase, remedy):
    (problem,) = wrong(**changes)
    assert problem.key.startswith(key)
    assert phrase in problem.what
    assert remedy in problem.remedy
    assert problem.remedy
    assert not PYDANTIC_WORDS.search(str(problem))


def test_values_that_differ_in_type_are_not_given_twice():
    jobs = [{"matrix": {"s": [1, 1.0, True, "1"]}}]
    assert parse_manifest({**LEAST, "jobs": jobs}).jobs[0].matrix == {"s": [1, 1.0, True, "1"]}


@pytest.mark.parametrize("value", [None, [], "text", 7, True])
def test_what_is_no_mapping_is_no_manifest(value):
    (problem,) = problems(value)
    assert "the manifest" in problem.what
    assert "version: 1" in problem.remedy


def test_everything_missing_and_unknown_is_told_at_once():
    found = problems({"nam": "x", "job": []})
    assert {problem.what for problem in found} == {
        "version is missing",
        "name is missing",
        "jobs is missing",
        'the key "nam" is unknown here',
        'the key "job" is unknown here',
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "matrix", "from", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = [*Manifest.model_fields, "x"]
ENTRY_KEYS = [*Entry.model_fields, "from"]


@given(
    st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4),
    st.lists(st.dictionaries(st.sampled_from(ENTRY_KEYS), JSON, max_size=3), max_size=2),
)
def test_any_value_is_a_manifest_or_plain_problems(changes, entries):
    try:
        parse_manifest({**LEAST, "jobs": entries, **changes})
    except ManifestError as error:
        text = str(error)
        remedies = [problem.remedy for problem in error.problems]
    else:
        text, remedies = "", []
    assert all(remedies)
    assert not PYDANTIC_WORDS.search(text)
    assert text.replace("\n", "").isprintable()


def test_the_schema_describes_every_field():
    schema = json_schema()
    assert schema["$schema"] == SCHEMA_DIALECT
    assert schema["title"] == "Manifest"
    assert schema["additionalProperties"] is False
    definitions = [schema, *schema["$defs"].values()]
    for definition in definitions:
        assert definition["description"]
        for name, field in definition.get("properties", {}).items():
            # A part's description stands with the part when the field's is the same.
            described = (
                field.get("description") or schema["$defs"][field["$ref"][8:]]["description"]
            )
            assert described, name
            assert "\n" not in described
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("part", PARTS)
def test_the_examples_of_a_field_are_valid(part: type[BaseModel]):
    for name, field in part.model_fields.items():
        for example in field.examples or ():
            base = LEAST if part is Manifest else {}
            made = part.model_validate({**base, field.alias or name: example})
            assert name in made.model_fields_set
