"""Which column fits which parameter: by name first, and only with what could be sent."""

from __future__ import annotations

import pytest

from batchgen.core.manifest.rows.row import Row
from batchgen.core.manifest.scaffold.columns import columns_of, fit
from batchgen.providers.segmind import catalog

CATALOG = catalog.load()
MAX = CATALOG.get("flux-kontext-max")
DEV = CATALOG.get("flux-kontext-dev")


def columns(*rows, untyped=False):
    made = [Row("x.csv", n, n, {**fields, "row": n}, untyped) for n, fields in enumerate(rows, 1)]
    return columns_of(made)


def fitted(*rows, model=MAX, untyped=False):
    found = fit(columns(*rows, untyped=untyped), model)
    return {parameter: column.name for parameter, column in found.columns.items()}


def test_columns_in_the_order_in_which_they_turn_up():
    found = columns({"b": 1, "a": None}, {"b": 2, "c": "x"})

    assert [(c.name, c.values, c.is_everywhere) for c in found] == [
        ("b", (1, 2), True),
        ("a", (), False),
        ("c", ("x",), False),
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"prompt": "a cup", "seed": 7}, {"prompt": "prompt", "seed": "seed"}),
        ({"Prompt": "a cup"}, {"prompt": "Prompt"}),
        ({"caption": "a cup", "prompt": "b"}, {"prompt": "prompt"}),
        ({"text": "a cup", "Caption": "b"}, {"prompt": "Caption"}),
        ({"my_prompt": "a cup"}, {"prompt": "my_prompt"}),
        ({"negative_prompt": "cup"}, {}),
        ({"aspectRatio": "16:9"}, {}),
        ({"ratio": "16:9"}, {"aspect_ratio": "ratio"}),
        ({"image_url": "https://x.example/a.png"}, {"input_image": "image_url"}),
        ({"path": "photos/a.png"}, {"input_image": "path"}),
        ({"image": 7}, {}),
        ({"Aspect Ratio": "16:9"}, {}),
        ({"seed": "seven"}, {}),
        ({"seed": None}, {"seed": "seed"}),
        ({"output_format": "tiff"}, {}),
        ({"aspect_ratio": "7:5"}, {"aspect_ratio": "aspect_ratio"}),
        ({"safety_tolerance": 99}, {"safety_tolerance": "safety_tolerance"}),
        ({"id": "a", "model": "b", "index": 1}, {}),
        ({"remark": "a red fox in the snow"}, {"prompt": "remark"}),
        ({"remark": "a fox"}, {}),
        ({"link": "https://x.example/a b.png?c=d"}, {}),
        ({"note": "a red fox", "remark": "a red fox in the snow"}, {"prompt": "remark"}),
    ],
    ids=str,
)
def test_fits(fields, expected):
    assert fitted(fields) == expected


@pytest.mark.parametrize(
    ("cell", "fits"), [("7", True), ("007", False), ("7.0", False), ("", False), (None, True)]
)
def test_cells_are_read_as_the_type_of_the_parameter(cell, fits):
    assert ("seed" in fitted({"seed": cell}, untyped=True)) == fits
    assert "seed" not in fitted({"seed": "7"}), "a format with types means its text"


def test_a_column_must_be_in_every_row():
    assert fitted({"prompt": "a", "seed": 1}, {"prompt": "b"}) == {"prompt": "prompt"}


def test_what_is_only_called_like_it_is_told():
    found = fit(columns({"Aspect Ratio": "16:9", "seed": "x", "prompt": "a", "label": 1}), MAX)

    assert {name: column.name for name, column in found.near.items()} == {
        "aspect_ratio": "Aspect Ratio",
        "seed": "seed",
    }
    assert [column.name for column in found.others] == ["Aspect Ratio", "seed", "label"]
    assert found.guessed == frozenset()
    assert fit(columns({"remark": "a red fox in the snow"}), MAX).guessed == {"prompt"}


def test_none_fills_two_parameters():
    several = CATALOG.get("multi-image-kontext-max")
    found = fitted({"image": "https://x.example/a.png", "text": "a cup"}, model=several)

    assert len(set(found.values())) == len(found) == 2
    assert fitted({"image": "a.png", "prompt": "b"}, model=DEV) == {
        "input_image": "image",
        "prompt": "prompt",
    }
