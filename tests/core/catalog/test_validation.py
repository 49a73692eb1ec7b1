"""Parameters held against a model's page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.catalog.validation import quoted, shown
from batchgen.providers.segmind.catalog import Parameter, ParameterType, Severity, check, load

CATALOG = load()
BASE = {
    "flux-kontext-dev": {"prompt": "a cup", "input_image": "https://example.com/a.png"},
    "flux-kontext-pro": {"prompt": "a cup"},
    "flux-kontext-max": {"prompt": "a cup"},
    "flux-pro": {"prompt": "a cup"},
    "multi-image-kontext-max": {
        "prompt": "a cup",
        "input_image_1": "https://example.com/a.png",
        "input_image_2": "https://example.com/b.png",
    },
}
DEV, PRO, MAX, FLUX, MULTI = BASE
IMAGE = "https://example.com/a.png"
E, W = "error", "warning"


def found(slug, params):
    return check(CATALOG.get(slug), {**BASE[slug], **params})


@pytest.mark.parametrize("slug", BASE)
def test_the_least_that_is_needed_passes(slug):
    assert found(slug, {}) == ()


@pytest.mark.parametrize("slug", BASE)
def test_each_required_parameter_is_missed(slug):
    model = CATALOG.get(slug)
    assert {f.param for f in check(model, {})} == set(BASE[slug])
    assert all(f.severity is Severity.ERROR for f in check(model, {}))


@pytest.mark.parametrize(
    ("slug", "param", "value", "severity", "phrase"),
    [
        (DEV, "prompt", 42, E, "text is declared"),
        (DEV, "prompt", None, E, "is null"),
        (DEV, "seed", True, E, "a whole number is declared"),
        (DEV, "seed", "42", E, "a whole number is declared"),
        (DEV, "seed", 1.5, E, "a whole number is declared"),
        (DEV, "seed", float("inf"), E, "a whole number is declared"),
        (DEV, "seed", 7.0, W, "a whole number is declared"),
        (DEV, "seed", None, E, "is null"),
        (DEV, "guidance", True, E, "a number is declared"),
        (DEV, "guidance", 10.5, E, "out of range"),
        (DEV, "guidance", -0.1, E, "out of range"),
        (DEV, "num_inference_steps", 3, E, "out of range"),
        (DEV, "disable_safety_checker", "no", E, "true or false is declared"),
        (DEV, "disable_safety_checker", 0, E, "true or false is declared"),
        (DEV, "output_format", "gif", E, "not allowed"),
        (DEV, "output_format", ["png"], E, "a"),
        (DEV, "aspect_ratio", "7:3", W, "more than it shows"),
        (DEV, "input_image", "cup.png", E, "neither an http(s) URL nor"),
        (DEV, "input_image", "./a/cup.png", E, "neither an http(s) URL nor"),
        (DEV, "input_image", "C:\\cup.png", E, "neither an http(s) URL nor"),
        (DEV, "input_image", "file:///etc/passwd", E, "neither"),
        (DEV, "input_image", "ftp://example.com/a", E, "neither"),
        (DEV, "input_image", "https://", E, "neither"),
        (DEV, "input_image", "https://[bad", E, "neither"),
        (DEV, "input_image", "https://example.com/a b", E, "neither"),
        (DEV, "input_image", "data:image/png", E, "neither"),
        (DEV, "input_image", "data:image/png;base64,AAAA", W, "some models refuse these after"),
        (DEV, "input_image", "DATA:image/png;base64,AAAA", W, "must be a valid HTTP or HTTPS URL"),
        (DEV, "input_image", "", E, "neither"),
        (DEV, "stile", "ink", W, "declares no parameter"),
        (PRO, "safety_tolerance", 7, W, "out of range"),
        (FLUX, "safety_tolerance", 6, E, "out of range"),
        (MULTI, "safety_tolerance", 3, E, "out of range"),
        (FLUX, "aspect_ratio", "4:3", E, "not allowed"),
    ],
)
def test_one_finding(slug, param, value, severity, phrase):
    (finding,) = found(slug, {param: value})
    assert finding.param == param
    assert finding.severity == severity
    assert phrase in finding.what
    assert finding.remedy


@pytest.mark.parametrize(
    ("slug", "param", "value"),
    [
        (DEV, "guidance", 7),
        (DEV, "guidance", 7.5),
        (DEV, "guidance", 10),
        (DEV, "seed", 0),
        (DEV, "seed", 10**30),
        (DEV, "aspect_ratio", "match_input_image"),  # the default, cut from the list
        (FLUX, "aspect_ratio", ""),  # the default, not in the list
        (PRO, "seed", None),  # the default
        (MULTI, "safety_tolerance", 0),
        (PRO, "safety_tolerance", 6),
    ],
)
def test_accepted(slug, param, value):
    assert found(slug, {param: value}) == ()


def test_true_is_not_the_default_one():
    (finding,) = found(MULTI, {"safety_tolerance": True})
    assert finding.severity is Severity.ERROR


@pytest.mark.parametrize("slug", [PRO, MAX])
@pytest.mark.parametrize(("tolerance", "count"), [(2, 0), (3, 1), (6, 1), ("6", 1)])
def test_tolerance_with_a_picture(slug, tolerance, count):
    assert len(found(slug, {"safety_tolerance": tolerance, "input_image": IMAGE})) == count
    assert not found(slug, {"safety_tolerance": 6})


def test_errors_come_first_and_remedies_do_not_name_the_value():
    one = found(DEV, {"extra": 1, "seed": "x"})
    two = found(DEV, {"extra": 2, "seed": "y"})
    assert [f.severity for f in one] == [Severity.ERROR, Severity.WARNING]
    assert [f.remedy for f in one] == [f.remedy for f in two]


def test_an_unknown_parameter_gets_the_nearest_name():
    (finding,) = found(DEV, {"guidence": 3})
    assert "did you mean guidance?" in finding.remedy


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ("a\x1b[2J", '"a\\u001b[2J"'),
        pytest.param(10**5000, "a number of very many digits", id="huge"),
        pytest.param([10**5000], "a number of very many digits", id="huge in a list"),
        ("x" * 500, '"' + "x" * 59 + '…"'),
        (list(range(100)), str(list(range(100)))[:59] + "…"),
    ],
)
def test_values_are_shown_short_and_printable(value, text):
    assert shown(value) == text


@given(st.text())
def test_quoted_text_is_always_printable_and_short(text):
    assert quoted(text).isprintable()
    assert len(quoted(text)) <= 6 * 60 + 2


@pytest.mark.parametrize(
    ("bounds", "value", "words"),
    [
        ({"minimum": 1}, 0, "a number from 1 up"),
        ({"maximum": 1}, 2, "a number up to 1"),
        ({"minimum": 1, "maximum": 2}, 3, "a number from 1 to 2"),
    ],
)
def test_half_open_ranges(bounds, value, words):
    size = Parameter("size", ParameterType.NUMBER, **bounds)
    model = replace(CATALOG.get(FLUX), parameters={"size": size})
    (finding,) = check(model, {"size": value})
    assert finding.remedy == f"give {words}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(BASE)), st.data())
def test_any_json_is_checked_without_an_exception(slug, data):
    model = CATALOG.get(slug)
    names = st.sampled_from(sorted(model.parameters)) | st.text(max_size=30)
    params = data.draw(st.dictionaries(names, JSON, max_size=5))
    for finding in check(model, params):
        assert finding.what
        assert finding.remedy
        assert (finding.what + finding.remedy).isprintable()
