"""The catalogue against what the five pages say, and against the strict reader of manifests."""

from __future__ import annotations

from importlib.resources import files

import pytest

from batchgen.core.catalog.model import Source
from batchgen.core.jobs.spec import Mode
from batchgen.core.media.formats import IMAGE
from batchgen.providers.segmind.catalog import ParameterType, Severity, check, load
from batchgen.providers.segmind.catalog.files import parse_model
from batchgen.sources.yaml.document import parse_document

SLUGS = (
    "flux-kontext-dev",
    "flux-kontext-max",
    "flux-kontext-pro",
    "flux-pro",
    "multi-image-kontext-max",
)
TEXTS = {
    entry.name: entry.read_text("utf-8")
    for entry in (files("batchgen.providers.segmind.catalog") / "models").iterdir()
    if entry.name.endswith(".yaml")
}
V1, V2 = Mode.BLOCKING, Mode.QUEUED


def test_iterates_in_the_order_of_slugs_and_is_read_once():
    catalog = load()
    assert tuple(model.slug for model in catalog) == SLUGS
    assert len(catalog) == 5
    assert load() is catalog
    assert "flux-pro" in catalog
    assert "flux" not in catalog
    assert catalog.get("flux-2") is None
    assert repr(catalog).startswith("<Catalog: flux-kontext-dev, ")


@pytest.mark.parametrize(
    ("slug", "api", "latency_s", "price_usd", "output"),
    [
        ("flux-kontext-dev", V1, 10.81, 0.04, IMAGE),
        ("flux-kontext-max", V1, 24.34, 0.1, IMAGE),
        ("flux-kontext-pro", V2, 21.8, 0.05, IMAGE),
        ("flux-pro", V2, 20.4, 0.067, IMAGE),
        ("multi-image-kontext-max", V2, 18.3, 0.088, IMAGE),
    ],
)
def test_head_of_the_page(slug, api, latency_s, price_usd, output):
    model = load().get(slug)
    assert model is not None
    assert (model.page_api, model.latency_s, model.price_usd) == (api, latency_s, price_usd)
    assert model.output is output
    assert model.estimated == "2026-08-19", "when these averages were published"
    assert (model.source, model.is_deprecated) == (Source.PAGE, False)


# slug, parameter: type, required, default, minimum, maximum, values shown, list is cut
DECLARED = """
flux-kontext-dev input_image uri yes … - - 0 no
flux-kontext-dev prompt string yes … - - 0 no
flux-kontext-dev aspect_ratio string no match_input_image - - 10 yes
flux-kontext-dev disable_safety_checker boolean no False - - 0 no
flux-kontext-dev guidance number no 7 0 10 0 no
flux-kontext-dev num_inference_steps integer no 35 4 50 0 no
flux-kontext-dev output_format string no png - - 3 no
flux-kontext-dev output_quality integer no 90 0 100 0 no
flux-kontext-dev seed integer no 42 - - 0 no
flux-kontext-max prompt string yes - - - 0 no
flux-kontext-max aspect_ratio string no 16:9 - - 10 yes
flux-kontext-max input_image uri no … - - 0 no
flux-kontext-max output_format string no png - - 2 no
flux-kontext-max safety_tolerance integer no 2 1 6 0 no
flux-kontext-max seed integer no 123 - - 0 no
flux-kontext-pro prompt string yes - - - 0 no
flux-kontext-pro aspect_ratio string no match_input_image - - 10 yes
flux-kontext-pro input_image uri no … - - 0 no
flux-kontext-pro output_format string no png - - 2 no
flux-kontext-pro safety_tolerance integer no 2 1 6 0 no
flux-kontext-pro seed integer no None - - 0 no
flux-pro prompt string yes … - - 0 no
flux-pro aspect_ratio string no "" - - 9 no
flux-pro guidance integer no 3 2 5 0 no
flux-pro interval integer no 2 1 4 0 no
flux-pro output_format string no webp - - 3 no
flux-pro output_quality integer no 80 0 100 0 no
flux-pro safety_tolerance integer no 2 1 5 0 no
flux-pro seed integer no 46588 - - 0 no
flux-pro steps integer no 25 1 50 0 no
multi-image-kontext-max input_image_1 uri yes … - - 0 no
multi-image-kontext-max input_image_2 uri yes … - - 0 no
multi-image-kontext-max prompt string yes … - - 0 no
multi-image-kontext-max aspect_ratio string no 16:9 - - 10 yes
multi-image-kontext-max output_format string no jpg - - 2 no
multi-image-kontext-max safety_tolerance integer no 1 0 2 0 no
multi-image-kontext-max seed integer no 42 - - 0 no
"""


def _row(slug, parameter):
    """A parameter as a line of the table above."""
    default = "-"
    if parameter.has_default:
        default = str(parameter.default) or '""'
    if len(default) > 20:
        default = "…"
    bounds = ["-" if bound is None else f"{bound:g}" for bound in _bounds(parameter)]
    cut = "yes" if parameter.allowed_is_cut else "no"
    required = "yes" if parameter.required else "no"
    words = (slug, parameter.name, parameter.type, required, default, *bounds)
    return " ".join((*words, str(len(parameter.allowed)), cut))


def _bounds(parameter):
    return parameter.minimum, parameter.maximum


def test_every_parameter_is_declared_as_on_its_page():
    rows = [
        _row(model.slug, parameter) for model in load() for parameter in model.parameters.values()
    ]
    assert rows == DECLARED.split("\n")[1:-1]


@pytest.mark.parametrize("slug", SLUGS)
def test_every_parameter_is_described_and_its_default_passes(slug):
    model = load().get(slug)
    for parameter in model.parameters.values():
        assert parameter.description.endswith(".")
        if parameter.has_default:
            found = check(model, {**model.example, parameter.name: parameter.default})
            assert not [finding for finding in found if finding.severity is Severity.ERROR]


@pytest.mark.parametrize("slug", SLUGS)
def test_the_examples_of_the_pages_pass_with_their_own_warnings_only(slug):
    model = load().get(slug)
    found = check(model, model.example)
    expected = {"flux-kontext-pro", "flux-kontext-max"}
    assert [finding.severity for finding in found] == [Severity.WARNING] * (slug in expected)
    assert {finding.param for finding in found} <= {"safety_tolerance"}


def test_long_texts_of_the_pages_are_word_for_word():
    dev = load().get("flux-kontext-dev")
    assert dev.example["prompt"].endswith("surrounding environment. ")
    assert "person’s" in dev.example["prompt"]
    assert dev.example["prompt"] == dev.parameters["prompt"].default
    assert load().get("flux-pro").example["prompt"].endswith("vibrant typography., 3d render")
    assert "'1 million users congratulations'under" in load().get("flux-pro").example["prompt"]


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_data_files_mean_the_same_to_the_strict_reader(name):
    text = TEXTS[name]
    strict = parse_document(text, name).value
    model = parse_model(text)
    assert f"{model.slug}.yaml" == name
    assert strict["slug"] == model.slug
    assert strict["example"] == dict(model.example)
    for key, values in strict["parameters"].items():
        parameter = model.parameters[key]
        assert values.get("default") == parameter.default
        assert tuple(values.get("allowed", ())) == parameter.allowed
        assert all(isinstance(value, str) for value in parameter.allowed)
        assert parameter.type in ParameterType


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("flux-kontext-prro", "flux-kontext-pro"),
        ("FLUX-PRO", "flux-pro"),
        ("sdxl", None),
        ("x" * 10_000, None),
    ],
)
def test_nearest_slug(slip, meant):
    assert load().nearest(slip) == meant
