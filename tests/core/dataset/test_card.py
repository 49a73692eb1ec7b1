"""What a card tells a loader to load."""

from dataclasses import replace

import pytest
import yaml

from batchgen.core.dataset.card import (
    About,
    NameSurvey,
    folder_card,
    parquet_card,
    tar_card,
)
from batchgen.core.dataset.columns import Record, Survey
from batchgen.core.media.formats import AUDIO, FILE, IMAGE, VIDEO
from tests.core.dataset.test_columns import columns_of, record

ABOUT = About("cups", "runs/cups/outputs", "0123456789abcdef")


def names_of(*names):
    seen = NameSurvey()
    for name in names:
        seen.add(name)
    return seen


def head_of(card):
    return yaml.safe_load(card.split("---\n")[1])


def patterns(card):
    return head_of(card)["configs"][0]["data_files"][0]["path"]


@pytest.mark.parametrize(
    ("names", "medium", "loadable"),
    [
        (["a.png", "b/dev.jpg"], IMAGE, IMAGE),
        (["a.mp3"], AUDIO, AUDIO),
        (["a.mp4", "b.mov"], VIDEO, VIDEO),
        (["a.png", "b.txt"], FILE, FILE),
        (["a.png", "b.mp4"], FILE, FILE),
        (["a.svg"], FILE, FILE),
        ([], FILE, FILE),
        (["a.txt.png", "b.txt.png"], IMAGE, FILE),
        (["a.txt.png", "b.png"], IMAGE, IMAGE),
        (["v1.5/a.jpg.png", "b.v2.png"], IMAGE, IMAGE),
    ],
)
def test_what_the_files_are_and_what_a_loader_takes_them_for(names, medium, loadable):
    seen = names_of(*names)
    assert (seen.medium, seen.loadable) == (medium, loadable)


def test_a_file_that_is_not_verified_is_opened_by_no_loader():
    seen = names_of("a.png")
    seen.add("b.png", verified=False)
    columns = columns_of(record({"p": 1}))
    assert (seen.medium, seen.loadable, seen.count) == (FILE, FILE, 2)
    card = folder_card(ABOUT, columns, seen)
    assert patterns(card) == ["metadata.jsonl"]
    assert "1 of the files are not verified" in card
    for verified, dtype in ((True, "image"), (False, "binary")):
        head = head_of(tar_card(ABOUT, columns, ["png"], verified=verified))
        assert head["dataset_info"]["features"][0] == {"name": "png", "dtype": dtype}


def test_pictures_are_named_by_their_extensions_and_other_files_not_at_all():
    columns = columns_of(record({"p": 1}))
    pictures = folder_card(ABOUT, columns, names_of("a/dev/x.png", "b.jpg"))
    assert patterns(pictures) == ["metadata.jsonl", "**/*.jpg", "**/*.png"]
    assert 'load_dataset("runs/cups/outputs")' in pictures
    mixed = folder_card(ABOUT, columns, names_of("x.png", "b.txt"))
    assert patterns(mixed) == ["metadata.jsonl"]


def test_without_a_file_the_columns_are_declared():
    head = head_of(folder_card(ABOUT, Survey().columns(), names_of()))
    features = {one["name"]: one["dtype"] for one in head["dataset_info"]["features"]}
    assert (features["file_name"], features["width"], features["cost"]) == (
        "string", "int64", "float64",
    )  # fmt: skip


def test_every_column_has_a_meaning_whatever_it_is_called():
    hostile = Record(record().own, {"a|b`c\nd": 1, "image": [1]}, {"style": "ink"})
    survey = Survey()
    survey.add(hostile)
    card = tar_card(ABOUT, survey.columns(), ["png", "txt", "glb"], verified=True)
    lines = [line for line in card.splitlines() if line.startswith("| `")]
    assert len(lines) == len(survey.columns().all)
    assert all(line.count(" | ") == 1 and not line.endswith("|  |") for line in lines)
    assert "there called `image`, which is a word of loaders here; each value as JSON text" in card
    assert patterns(card) == ["*.tar"]
    members = {one["name"]: one for one in head_of(card)["dataset_info"]["features"]}
    assert [members[name]["dtype"] for name in ("png", "txt", "glb")] == [
        "image", "string", "binary",
    ]  # fmt: skip
    assert {"name": "a|b`c\nd", "dtype": "int64"} in members["json"]["struct"]


def test_of_json_outputs_nothing_is_declared_and_parquet_tells_its_types_itself():
    columns = columns_of(record())
    assert "dataset_info" not in head_of(tar_card(ABOUT, columns, ["json", "png"], verified=True))
    card = parquet_card(ABOUT, columns, IMAGE)
    assert list(head_of(card)) == ["configs"]
    assert patterns(card) == ["data/*.parquet"]


def test_cards_of_equal_form_and_other_content_are_told_apart():
    abouts = (ABOUT, replace(ABOUT, digest="fedcba9876543210"))
    one, other = (folder_card(about, columns_of(record()), names_of("a.png")) for about in abouts)
    assert head_of(one)["configs"][0].pop("description") != (
        head_of(other)["configs"][0].pop("description")
    )
