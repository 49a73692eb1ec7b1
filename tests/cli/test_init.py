"""Manifests to begin with: whatever is written passes `plan` as it stands."""

import json
import re

import pytest

from batchgen.cli.init import DEFAULT_MODEL
from batchgen.providers.segmind import catalog
from tests.core.builders import PNG

MODELS = [model.slug for model in catalog.load()]
FIRST_LINE = "# yaml-language-server: $schema=manifest.schema.json"


def written(place, *arguments, output="new.yaml"):
    ended = place.inside("init", *arguments, "-o", output)
    assert ended.code == 0, ended.text
    assert ended.out == f"{output} is written\n"
    assert f"batchgen plan {output}" in ended.err
    return (place.path / output).read_text()


def planned(place, path="new.yaml"):
    ended = place.inside("plan", path, "--json")
    assert ended.code == 0, ended.text
    return ended.json


def unwrapped(text):
    """Comments without their line ends."""
    return re.sub(r"\n +# ", " ", text)


@pytest.mark.parametrize("slug", MODELS)
def test_every_model_of_the_catalogue(place, slug):
    text = written(place, slug)
    assert text.startswith(FIRST_LINE)
    told = planned(place)
    assert told["jobs"] == 1
    assert list(told["models"]) == [slug]
    assert told["warnings"] == []

    model = catalog.load().get(slug)
    for parameter in model.parameters.values():
        mark = "" if parameter.required else "# "
        assert f"\n      {mark}{parameter.name}: " in text
        assert all(json.dumps(value) in unwrapped(text) for value in parameter.allowed)

    # Each parameter in a comment is a line that can be used as it is.
    names = "|".join(model.parameters)
    used, count = re.subn(rf"^( +)# ((?:{names}): )", r"\1\2", text, flags=re.MULTILINE)
    assert count == sum(not parameter.required for parameter in model.parameters.values())
    place.write("used.yaml", used)
    assert planned(place, "used.yaml")["jobs"] == 1


def test_a_model_that_the_catalogue_does_not_have(place):
    text = written(place, "flux-kontext-mix")
    assert text.startswith(FIRST_LINE)
    told = planned(place)
    assert told["jobs"] == 1
    assert list(told["models"]) == ["flux-kontext-mix"]
    assert told["unpriced"] == 1
    again = place.inside("init", "flux-kontext-mix", "-o", "-")
    assert "did you mean flux-kontext-max?" in again.err
    assert again.out == text.replace("new.yaml", "manifest.yaml")


ODD = '''Image Prompt,seed,Größe,id,model,row,index,a b,"{x}",prompt_2
"a fox, in ""snow""",7,3,a,x,1,2,yes,y,one
"two
lines",,,b,,2,3,no,,two
'''


def test_a_csv_with_odd_headers(place):
    place.write("odd.csv", "\ufeff" + ODD)
    text = written(place, "odd.csv")
    assert text.startswith(FIRST_LINE)
    assert '\n      seed: "{seed}"\n' in text
    assert 'A template cannot name the column "Image Prompt": call it prompt.' not in text
    assert '\n      prompt: "{prompt_2}"\n' in text
    assert "{id}, {model}, {index}" in text
    assert '"Image Prompt", "Größe", "a b", "{x}"' in unwrapped(text)
    told = planned(place)
    assert told["jobs"] == 2
    assert list(told["models"]) == [DEFAULT_MODEL]
    assert told["warnings"] == []


def test_a_csv_whose_columns_fit_nothing(place):
    place.write("plain.csv", "Image Prompt,seed\na cup,007\n")
    assert "no column fits prompt" in place.inside("init", "plain.csv", "-o", "-").err
    text = written(place, "plain.csv")
    assert 'A template cannot name the column "Image Prompt": call it prompt.' in text
    assert 'Something in the column "seed" cannot be sent as seed.' in text
    assert planned(place)["jobs"] == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.tsv", "caption\timage\na cup\thttps://example.com/a.png\n"),
        ("rows.jsonl", '{"caption": "a cup", "image": "https://example.com/a.png", "x": [1]}\n'),
    ],
)
@pytest.mark.parametrize("model", ["flux-kontext-dev", "no-such-model"])
def test_rows_of_other_kinds_and_for_other_models(place, name, content, model):
    place.write(f"data/{name}", content)
    (place.path / "jobs").mkdir()
    text = written(place, f"data/{name}", "--model", model, output="jobs/new.yaml")
    assert f"  - from: ../data/{name} # one job a row" in text or f'"../data/{name}"' in text
    column = "image: " if model == "no-such-model" else "input_image: "
    assert f'      {column}"{{image}}"\n' in text
    told = planned(place, "jobs/new.yaml")
    assert (told["jobs"], list(told["models"])) == (1, [model])


def test_a_folder_of_pictures(place):
    (place.path / "photos").mkdir()
    (place.path / "photos/a b.png").write_bytes(PNG)
    text = written(place, "photos", "--model", "flux-kontext-dev")
    assert '\n      input_image: "{path}"\n' in text
    assert planned(place)["uploads"]["files"] == 1


def test_the_name_of_a_file_is_no_template(place):
    place.write("we{i}rd: [1].csv", "prompt\na cup\n")
    assert '"we{i}rd: [1].csv"' in written(place, "we{i}rd: [1].csv")
    assert planned(place)["name"] == "we-i-rd-1"


def test_a_field_that_is_missing_in_a_row_is_not_used(place):
    place.write("rows.jsonl", '{"prompt": "a", "seed": 1}\n{"prompt": "b"}\n')
    text = written(place, "rows.jsonl")
    assert 'The column "seed" is not in every row' in text
    told = planned(place)
    assert (told["jobs"], told["warnings"]) == (2, [])


def test_nothing_is_written_over(place):
    place.write("manifest.yaml", "mine")
    ended = place.inside("init", "flux-pro")
    assert ended.code == 2
    assert (
        ended.err == "error: manifest.yaml is there already\n    give another name: -o other.yaml\n"
    )
    assert (place.path / "manifest.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing.csv"], 'there is no file "nothing.csv"'),
        ([""], "neither the slug of a model nor a file of rows"),
        (["a b"], "neither the slug of a model nor a file of rows"),
        (["flux-pro", "--model", "flux-pro"], "--model goes with a FILE"),
        (["flux-pro", "-o", "no/such/x.yaml"], "there is no folder no/such"),
        (["twice.csv"], 'two columns are called "prompt"'),
        (["empty.jsonl"], "holds no rows"),
        (["good.jsonl", "--model", "a b"], "neither the slug"),
        (["torn.jsonl"], "torn.jsonl:1: not JSON"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_written(place, arguments, said):
    place.write("twice.csv", "prompt,prompt\na,b\n")
    place.write("empty.jsonl", "")
    place.write("good.jsonl", "{}")
    place.write("torn.jsonl", '{"prompt": \n')
    before = sorted(path.name for path in place.path.iterdir())
    ended = place.inside("init", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert ended.out == ""
    assert sorted(path.name for path in place.path.iterdir()) == before
