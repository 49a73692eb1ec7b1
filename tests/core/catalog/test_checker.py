"""The quick check says what the thorough one says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.catalog.checker import Checker
from batchgen.providers.segmind.catalog import check, load

CATALOG = load()
ODD = st.sampled_from([None, True, False, 0, 1, 1.0, -1, 1e9, 10**30, "", "x", [], {}, "1:1"])
URIS = st.sampled_from(["https://example.com/a.png", "data:image/png;base64,AA==", "a.png"])


def likely(parameter):
    """Values a parameter may have: declared ones, those at the ends of its range, and odd ones."""
    ends = [end for end in (parameter.minimum, parameter.maximum) if end is not None]
    near = [*ends, *(int(end) for end in ends), *(end + 1 for end in ends)]
    known = [*parameter.allowed, parameter.default, *near, parameter.maximum_with_image]
    return st.sampled_from(known) | st.integers(-2, 2_000) | URIS | ODD


@given(st.sampled_from([model.slug for model in CATALOG]), st.data())
def test_it_says_what_the_thorough_check_says(slug, data):
    model = CATALOG.get(slug)
    values = {name: likely(parameter) for name, parameter in model.parameters.items()}
    required = {p.name: values.pop(p.name) for p in model.parameters.values() if p.required}
    whole = st.fixed_dictionaries(required, optional=values)
    params = data.draw(whole | st.dictionaries(st.sampled_from([*values, "x"]), ODD))

    assert Checker(model).check(params) == check(model, params)


@pytest.mark.parametrize("model", CATALOG, ids=lambda model: model.slug)
def test_it_says_the_same_of_the_examples_of_the_pages(model):
    assert Checker(model).check(model.example) == check(model, model.example)
