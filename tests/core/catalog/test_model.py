"""Models of several sources, slips of slugs, and what a job of a kind takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.catalog.checker import Checker
from batchgen.core.catalog.facts import LayeredModels, ModelFacts
from batchgen.core.catalog.model import (
    Catalog,
    Parameter,
    ParameterType,
    Source,
    is_slip,
    latency_guesses,
)
from batchgen.core.catalog.validation import Severity, check
from batchgen.core.media.formats import AUDIO, FILE, IMAGE, MODEL, TEXT, VIDEO
from batchgen.providers.segmind.catalog import load

PRO = load().get("flux-pro")
STEPS = {"steps": Parameter("steps", ParameterType.INTEGER, required=True, maximum=9)}
PICTURE = {"image": Parameter("image", ParameterType.URI)}


def layered(listed=(), own=()):
    layers = [{facts.slug: facts for facts in layer} for layer in (listed, own)]
    return Catalog(LayeredModels({"flux-pro": PRO}, *layers))


def test_of_a_model_with_a_page_the_list_tells_prices_and_its_end_only():
    news = {"price_usd": 0.07, "estimated": "2027-01-01", "latency_s": 9.0, "is_deprecated": True}
    told = ModelFacts("flux-pro", name="other", output=VIDEO, parameters=STEPS, **news)
    found = layered(listed=[told]).get("flux-pro")
    assert found == replace(PRO, **news)
    assert layered(listed=[ModelFacts("flux-pro", latency_s=9.0)]).get("flux-pro") == replace(
        PRO, latency_s=9.0
    ), "the price stays of its day"


def test_an_own_file_lies_over_both_and_may_name_only_a_price():
    listed = ModelFacts("a", output=IMAGE, parameters=STEPS, price_usd=1.0, estimated="2027-01-01")
    found = layered([listed], [ModelFacts("a", price_usd=2.0)]).get("a")
    assert (found.price_usd, found.estimated, found.source) == (2.0, "", Source.LIST)
    assert found.parameters == STEPS
    assert found.is_third_hand, "the parameters still are"

    found = layered([listed], [ModelFacts("a", parameters=PICTURE)]).get("a")
    assert (found.price_usd, found.source) == (1.0, Source.OWN)
    assert found.parameters == PICTURE


def test_a_layer_that_turns_out_to_have_nothing_has_no_model():
    class Hollow(dict):
        def get(self, slug, default=None):
            return default

    catalog = Catalog(LayeredModels({}, Hollow(a=1), {}))
    assert catalog.slugs == ("a",)
    assert catalog.get("a") is None
    assert list(catalog) == []


def test_what_the_list_says_is_never_more_than_a_warning():
    listed = layered([ModelFacts("a", parameters=STEPS | PICTURE, output=IMAGE)])
    model = listed.get("a")
    for params in ({}, {"steps": 99}, {"steps": "many"}, {"steps": 1, "image": "no file", "x": 1}):
        found = check(model, params)
        assert found == Checker(model).check(params)
        assert {finding.severity for finding in found} == {Severity.WARNING}
        assert all("as the service's list" in finding.what for finding in found)


def test_of_a_model_without_parameters_nothing_is_checked():
    model = layered(own=[ModelFacts("a", price_usd=1.0)]).get("a")
    assert check(model, {"anything": [1]}) == Checker(model).check({"anything": [1]}) == ()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_any_value_suits_a_parameter_of_which_nobody_says_more(value):
    parameter = Parameter("x", ParameterType.ANY)
    model = replace(PRO, parameters={"x": parameter})
    assert check(model, {"x": value}) == ()


@pytest.mark.parametrize(
    ("output", "parameters", "seconds"),
    [(IMAGE, STEPS, 7.0), (IMAGE, PICTURE, 19.0), (VIDEO, STEPS, 140.0), (VIDEO, PICTURE, 140.0),
     (TEXT, {}, 9.0), (AUDIO, {}, 15.0), (MODEL, PICTURE, 37.0), (FILE, {}, None)],
)  # fmt: skip
def test_a_latency_that_nobody_told_is_guessed_by_the_kind(output, parameters, seconds):
    catalog = layered([ModelFacts("a", output=output, parameters=parameters)])
    guesses = latency_guesses(catalog, speed=2.0)
    assert guesses.get("a") == (None if seconds is None else seconds / 2)
    assert guesses.get("flux-pro") == 10.2
    assert guesses.get("unknown", 20.0) == 20.0
    assert set(guesses) == {"flux-pro"} | ({"a"} if seconds else set())


@pytest.mark.parametrize(
    ("word", "known", "slip"),
    [
        ("flux-kontex-pro", "flux-kontext-pro", True),
        ("flux-kontextt-pro", "flux-kontext-pro", True),
        ("flux-kontexd-pro", "flux-kontext-pro", True),
        ("flux-kontxet-pro", "flux-kontext-pro", True),
        ("lfux-pro", "flux-pro", True),
        ("flux-por", "flux-pro", True),
        ("fluxpro", "flux-pro", True),
        ("FLUX-PRO", "flux-pro", True),
        ("flux_kontext_pro", "flux-kontext-pro", True),
        ("kling-2.1", "kling-2.6", False),
        ("kling-2.16", "kling-2.6", False),
        ("kling-26", "kling-2.6", True),
        ("kling-21", "kling-12", False),
        ("flux-pro-2", "flux-pro", False),
        ("flux-pro2", "flux-pro", False),
        ("flux-kontext-dev", "flux-kontext-pro", False),
        ("flx-por", "flux-pro", False),
        ("ulfx-pro", "flux-pro", False),
        ("", "flux-pro", False),
        ("sdxl", "flux-pro", False),
    ],
)
def test_one_slip_of_the_finger(word, known, slip):
    assert is_slip(word, known) is slip
    assert Catalog({known: PRO}).slip_of(word) == (known if slip else None)


def test_a_known_slug_is_no_slip_of_another():
    assert Catalog({"flux-pro": PRO, "flux-pru": PRO}).slip_of("flux-pru") is None
    assert Catalog({"flux-pro": PRO}).slip_of("x" * 10_000) is None


def test_a_stamp_is_another_one_when_prices_or_parameters_are():
    first = Catalog({"flux-pro": PRO}).stamp
    assert first == Catalog({"flux-pro": replace(PRO, latency_s=1.0)}).stamp
    assert first != Catalog({"flux-pro": replace(PRO, price_usd=1.0)}).stamp
    assert first != Catalog({"flux-pro": replace(PRO, parameters=STEPS)}).stamp
    assert Catalog({"flux-pro": PRO}, "given").stamp == "given"
