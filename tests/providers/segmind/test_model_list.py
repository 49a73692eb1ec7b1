"""The service's list of models and its llms.txt: what is read, whatever they look like."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.catalog.facts import ModelFacts
from batchgen.core.catalog.model import Parameter, ParameterType
from batchgen.core.manifest.model_file import parse_model_file
from batchgen.core.manifest.text.locations import ManifestText
from batchgen.core.media.formats import AUDIO, IMAGE, MODEL, TEXT, VIDEO
from batchgen.providers.segmind.catalog.listed import ListedModels
from batchgen.providers.segmind.catalog.written import text_of, write_models
from batchgen.providers.segmind.llms_text import read_duration, read_llms, read_price
from batchgen.providers.segmind.model_list import (
    PublishedModels,
    ShapeError,
    family_of,
    is_file_name,
    read_list,
)
from batchgen.sources.yaml.document import parse_document

T = ParameterType
KEY = "Inference Segmind Model Information List With Details"
ROW = {
    "title": "Seedance\u001b[31m 2.0",
    "slug": "seedance-2.0",
    "type": "imageToVideo",
    "description": "Films.\nOf pictures.",
    "is_depreciated": True,
    "parameters": {
        "prompt": {"isRequired": True, "component": "textarea"},
        "image": {"component": "ImageUpload", "default": None},
        "duration": {
            "default": "10",
            "options": [{"value": 5}, {"value": 10}],
            "affectsPricing": 1,
        },
        "steps": {"default": "30", "min": "1", "max": "50", "step": 1, "component": "slider"},
        "guidance": {"default": 7, "min": 0, "max": 10, "component": "slider"},
        "audio": {"default": False},
        "sound": {"component": "toggle", "isRequired": "true"},
        "style": {"options": [{"label": "ink"}, "oil", None, {}], "default": "ink"},
        "picture": {"default": "https://x.test/a.png"},
        "list": {"default": ["https://x.test/a.png"]},
        "odd": "what",
        "huge": {"default": 2**64, "options": [{"value": 2**65}]},
        "not a name": {"default": 1},
    },
}


def listed(*rows, key=KEY):
    return read_list(json.dumps({key: list(rows)}).encode())


def test_a_row_of_the_list():
    facts = listed(ROW).models["seedance-2.0"]
    assert facts.name == "Seedance [31m 2.0"
    assert facts.summary == "Films. Of pictures."
    assert (facts.output, facts.is_deprecated, facts.price_usd) == (VIDEO, True, None)
    made = facts.parameters
    assert {name: parameter.type for name, parameter in made.items()} == {
        "prompt": T.STRING, "image": T.URI, "duration": T.INTEGER, "steps": T.INTEGER,
        "guidance": T.NUMBER, "audio": T.BOOLEAN, "sound": T.BOOLEAN, "style": T.STRING,
        "picture": T.URI, "list": T.ANY, "odd": T.ANY,
        "huge": T.NUMBER,
    }  # fmt: skip
    assert [name for name, parameter in made.items() if parameter.required] == ["prompt", "sound"]
    assert [name for name, parameter in made.items() if parameter.affects_price] == ["duration"]
    assert (made["steps"].default, made["steps"].minimum, made["steps"].maximum) == (30, 1, 50)
    assert made["duration"].allowed == (5, 10)
    assert made["duration"].default == 10
    assert made["style"].allowed == ("ink", "oil")
    assert not made["image"].has_default
    assert (made["huge"].has_default, made["huge"].allowed) == (False, ())


@pytest.mark.parametrize(
    ("row", "slug"),
    [
        ({"slug": "a"}, "a"),
        ({"model_id": "a"}, "a"),
        ({"id": 7, "name": "a"}, "a"),
        ({"slug": "Simple_Vector_Flux"}, "Simple_Vector_Flux"),
        ({"slug": "kling-2.6", "parameters": None}, "kling-2.6"),
        ({"slug": "a", "parameters": json.dumps({"seed": {"default": 1}})}, "a"),
        ({"slug": "../../etc/passwd"}, None),
        ({"slug": "a/b"}, None),
        ({"slug": "a..b"}, None),
        ({"slug": ".hidden"}, None),
        ({"slug": "a" * 101}, None),
        ({"slug": "a\n"}, None),
        ({"slug": ""}, None),
        ({}, None),
        (None, None),
        ([], None),
    ],
    ids=repr,
)
def test_slugs_that_can_and_cannot_name_a_file(row, slug):
    found = listed({"slug": "known"}, row)
    assert list(found.models) == ["known"] + [slug] * (slug is not None)
    assert found.unreadable_count == (slug is None)


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"x": 1, "any": rows},
                                  lambda rows: {"data": {"models": rows}}])  # fmt: skip
def test_the_first_list_under_any_key(wrap):
    assert list(read_list(json.dumps(wrap([{"slug": "a"}])).encode()).models) == ["a"]


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"null", b"3", b"{}", b"[]", b'{"a": []}', b'{"a": [null]}', b"\xff\xfe",
     b'{"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", b'{"a": [{"slug": NaN}]}'],
    ids=lambda body: body[:12],
)  # fmt: skip
def test_another_shape_is_said_in_a_sentence(body):
    with pytest.raises(ShapeError, match=r"^(it|no row)"):
        read_list(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12) | st.sampled_from(["https://x.test/a.png", "1e999", "-3", "select"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)  # fmt: skip
FIELDS = ("isRequired", "default", "min", "max", "step", "options", "component", "type", "label",
          "description", "affectsPricing")  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(["a", "b_1", "no", "x y"]),
                    st.dictionaries(st.sampled_from(FIELDS), JSON) | JSON) | JSON,
    JSON,
)  # fmt: skip
def test_whatever_a_row_says_is_written_and_read_back_as_it_was(parameters, other):
    """By the reader of the user's folder and by the strict one of manifests."""
    row = {"slug": "m", "parameters": parameters, "title": other, "type": other}
    facts = listed(row).models["m"]
    text = text_of(facts)
    for value in (yaml.safe_load(text), parse_document(text).value):
        again = parse_model_file(value, ManifestText())
        assert again == facts
        assert repr(again.parameters) == repr(facts.parameters)


LLMS = """# Segmind

## Text to Image

| Description | Avg. latency | Model | Average cost (USD) | slug |
| :-- | --: | --- | --- | --- |
| Draws \\| quickly | 1m 3s | **Flux** | $0.05 | `flux-pro` |
| - | - | [Kling](https://www.segmind.com/models/kling-2.6/llms.txt) | $0.000003 |  |
| x | y | z |
"""


def test_tables_by_the_words_of_their_heads():
    found = read_llms(LLMS.encode())
    assert found.unreadable_count == 1
    assert found.models == {
        "flux-pro": ModelFacts("flux-pro", name="Flux", summary="Draws | quickly", output=IMAGE,
                               price_usd=0.05, latency_s=63.0),
        "kling-2.6": ModelFacts("kling-2.6", name="Kling", output=IMAGE, price_usd=0.000003),
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "<html></html>", "# no table", "| a | b |\n|---|---|\n| 1 |"])
def test_a_text_without_models(text):
    with pytest.raises(ShapeError):
        read_llms(text.encode())


@given(st.text(alphabet="|-ab$1.s slugcotm\n`[](){}\\", max_size=200))
def test_any_text_is_read_or_refused(text):
    try:
        found = read_llms(f"| slug | cost |\n|---|---|\n{text}".encode())
    except ShapeError:
        return
    assert all(is_file_name(slug) for slug in found.models)


@pytest.mark.parametrize(
    ("text", "price_usd"),
    [("$0.05", 0.05), ("-", None), ("", None), ("0.05 USD", 0.05), ("$0.02 – $0.04", 0.04),
     ("~$1,200.50", 1200.5), ("free", None), ("$0", None), ("$1e9", None), ("$9" + "9" * 400, None),
     ("GPT-4", None)],
)  # fmt: skip
def test_prices(text, price_usd):
    assert read_price(text) == price_usd


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("21.8s", 21.8), ("1m 3s", 63.0), ("850 ms", 0.85), ("1h 2m", 3720.0), ("12", 12.0),
     ("-", None), ("2 min 5 sec", 125.0), ("0s", None), ("99999h", None), ("soon", None)],
)  # fmt: skip
def test_durations(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    ("modality", "family"),
    [("textToImage", IMAGE), ("imageTOImage", IMAGE), ("imageToVideo", VIDEO), ("LLM", TEXT),
     ("text to speech", AUDIO), ("speech to text", TEXT), ("Image to 3D", MODEL), ("", None)],
)  # fmt: skip
def test_families(modality, family):
    assert family_of(modality) is family


def listing(*facts):
    made = PublishedModels()
    for one in facts:
        made.add(one)
    return made


def test_what_one_source_does_not_tell_stays_as_it_was(tmp_path):
    seed = {"seed": Parameter("seed", T.INTEGER)}
    rows = listing(ModelFacts("a", name="A", parameters=seed, is_deprecated=False), ModelFacts("b"))
    prices = listing(ModelFacts("a", price_usd=0.05, latency_s=3.0))
    assert write_models(tmp_path, [rows, prices], "2026-01-01").priced_count == 1
    again = listing(ModelFacts("a", name="A2", is_deprecated=True), None)
    learned = write_models(tmp_path, [again], "2026-02-02")
    assert learned.text() == "1 model: 1 with a price, 1 deprecated; 1 row could not be read"
    found = ListedModels(tmp_path, pytest.fail)
    old = {"price_usd": 0.05, "latency_s": 3.0, "estimated": "2026-01-01", "parameters": seed}
    assert found["a"] == ModelFacts("a", name="A2", is_deprecated=True, **old)
    assert set(found) == {"a", "b"}
    assert {path.name for path in tmp_path.iterdir()} == {"a.yaml", "b.yaml"}


def test_parameters_too_large_for_a_file_are_left_out(tmp_path):
    texts = tuple(f"{n}{'x' * 10_000}" for n in range(300))
    odd = {"odd": Parameter("odd", T.STRING, allowed=texts)}
    write_models(tmp_path, [listing(ModelFacts("a", price_usd=1.0, parameters=odd))], "d")
    found = ListedModels(tmp_path, pytest.fail)["a"]
    assert (found.price_usd, found.parameters) == (1.0, None)


def test_slugs_that_differ_by_case_are_one_file_on_many_disks(tmp_path):
    learned = write_models(tmp_path, [listing(ModelFacts("a")), listing(ModelFacts("A"))], "d")
    assert (learned.model_count, learned.unreadable_count) == (1, 1)
    assert listing(ModelFacts("a"), ModelFacts("A"), ModelFacts("a")).unreadable_count == 1


def test_a_file_is_written_anew_only_when_it_changed(tmp_path):
    rows = listing(ModelFacts("a", price_usd=1.0), ModelFacts("b", name="B"))
    write_models(tmp_path, [rows], "2026-01-01")
    stamp = ListedModels(tmp_path, pytest.fail).stamp
    write_models(tmp_path, [rows], "2026-01-01")
    assert ListedModels(tmp_path, pytest.fail).stamp == stamp
    write_models(tmp_path, [rows], "2026-01-02")
    assert ListedModels(tmp_path, pytest.fail).stamp != stamp


@pytest.mark.parametrize(
    "text",
    ["", "[", "slug: b", "slug: a\nprice_usd: x", "slug: a\nparameters: {s: {type: spirit}}", "- a",
     "slug: a\nname: 2026-01-01", "? [1]\n: 2", "slug: a\nparameters: {1: {}}", "\0", "\udcff"],
    ids=repr,
)  # fmt: skip
def test_a_broken_file_is_told_once_and_is_no_model(tmp_path, text):
    told = []
    (tmp_path / "a.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    found = ListedModels(tmp_path, told.append)
    assert [found.get("a"), found.get("a")] == [None, None]
    (line,) = told
    assert "a.yaml cannot be read" in line
    assert "`batchgen models --update`" in line
