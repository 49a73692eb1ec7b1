"""What other models make, as users meet it: texts, workflows, and what was tried again."""

import json

import pytest

from batchgen.cli.show.summary import print_epilogue

FREE = ("--simulate", "--speed", "1000")


def lines(place, run):
    text = (place.path / run / "outputs/metadata.jsonl").read_text()
    return {row["file_name"]: row for row in map(json.loads, text.splitlines())}


def test_a_text_model_brings_texts_and_its_tokens_are_counted(place, simulate):
    service = simulate(models={"glot-1": {"shape": "chat"}})
    there = place.at(service)
    document = {
        "version": 1, "name": "texts", "defaults": {"model": "glot-1", "api": "v1", "price": 0.01},
        "jobs": [{"id": f"job-{n}", "params": {"prompt": f"number {n}."}} for n in range(3)],
    }  # fmt: skip

    ended = there.inside("run", there.write("texts.yaml", json.dumps(document)))

    assert ended.code == 0, ended.text
    outputs = there.path / "runs/texts/outputs"
    assert "number 1." in (outputs / "job-1.txt").read_text()
    assert json.loads((outputs / "job-1~answer.json").read_text())["citations"]
    rows = lines(there, "runs/texts")
    assert sorted(rows) == sorted(
        name for n in range(3) for name in (f"job-{n}.txt", f"job-{n}~answer.json")
    )
    assert {row["input_tokens"] for row in rows.values()} == {12}
    written = sum(row["output_tokens"] for row in rows.values()) // 2
    assert f"  tokens: 36 read, {written:,} written" in ended.out
    told = there.inside("status", "runs/texts", "--json").json
    assert told["tokens"] == {"read": 36, "written": written}


def test_a_workflow_is_rehearsed_and_its_outputs_have_their_names(place):
    document = {
        "version": 1, "name": "flow",
        "output": {"filename": "{model}/{id}"},
        "jobs": [{"model": "workflows/v2/portrait", "params": {"prompt": "a cup"}}],
    }  # fmt: skip

    ended = place.inside("run", place.write("flow.yaml", json.dumps(document)), *FREE)

    assert ended.code == 0, ended.text
    folder = "workflows-v2-portrait"
    assert sorted(lines(place, "runs/flow")) == [
        f"{folder}/{folder}-001~caption.txt",
        f"{folder}/{folder}-001~mask.png",
        f"{folder}/{folder}-001~portrait.png",
    ]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("workflows/v2/", "the model \"workflows/v2/\" cannot be"),
        ("workflows/v1/a", "the model \"workflows/v1/a\" cannot be"),
        ("workflows/v2/a/b", "the model \"workflows/v2/a/b\" cannot be"),
        ("workflows/v2/a", "cannot be called through v1"),
    ],
)  # fmt: skip
def test_a_workflow_that_cannot_be_is_told(place, model, told):
    entry = {"model": model, "api": "v1", "params": {}}
    document = {"version": 1, "name": "flow", "jobs": [entry]}

    ended = place.inside("plan", place.write("flow.yaml", json.dumps(document)))

    assert ended.code == 2
    assert told in ended.err


def test_what_failed_and_was_tried_again_is_shown_apart(capsys):
    told = {"models": {}, "slowest": [], "texts": [], "tokens": {"read": 0, "written": 0},
            "tried_again": {"done": 10, "failed": 2}}  # fmt: skip

    print_epilogue(told)

    assert capsys.readouterr().out == (
        "  tried again after a failure (free): 12 (10 done, 2 failed)\n"
    )


def test_a_rehearsal_makes_what_the_models_make_and_asks_their_prices(place):
    """As the files beside the manifest say."""
    models = place.path / "models"
    models.mkdir()
    parameters = "parameters:\n  prompt: {type: string, required: true}\n"
    head = "slug: glot-1\noutput: text\nprice_usd: 0.002\n"
    (models / "glot-1.yaml").write_text(head + parameters)
    (models / "clip-2.yaml").write_text("slug: clip-2\noutput: video\nprice_usd: 0.4\n")
    (models / "song-3.yaml").write_text("slug: song-3\noutput: audio\n")
    entries = [
        {"id": slug, "model": slug, "params": {"prompt": "a cup"}}
        for slug in ("glot-1", "clip-2", "song-3")
    ]
    document = {"version": 1, "name": "kinds", "jobs": entries}

    ended = place.inside("run", place.write("kinds.yaml", json.dumps(document)), *FREE)

    assert ended.code == 0, ended.text
    assert sorted(lines(place, "runs/kinds")) == [
        "clip-2.mp4", "glot-1.txt", "glot-1~answer.json", "song-3.wav",
    ]  # fmt: skip
    assert "clip-2    1/1     $0.40" in ended.out
