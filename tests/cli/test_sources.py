"""Rows of spreadsheets, of sets of files and of folders, from the command line to the service."""

import json

MISTAKES = """caption,seed,size,width
a cup,007,1:1,512
"a ""blue"" cup",8,1:1,640
a bowl,9,9:17,wide
a kettle,10
"a
jug",11.0,1:1,
"""
MANIFEST = """version: 1
name: sources
budget: {requests_per_minute: null}
defaults: {model: flux-kontext-max, api: v1}
jobs:
"""
CUPS = """  - from: cups.csv
    where: {width: {min: 100}}
    types: {width: integer}
    id: "cup-{row}"
    params: {prompt: "{caption}", seed: "{seed}", aspect_ratio: "{size}"}
"""
PROMPTS = """  - from: prompts/*.csv
    id: "prompt-{row}"
    params: {prompt: "sources {p}"}
"""
PHOTOS = """  - from: "**/*.[pj]*g"
    id: "{stem}"
    params: {prompt: "sources {name}"}
"""


def written(place, *entries):
    path = place.path / "sources.yaml"
    path.write_text(MANIFEST + "".join(entries))
    return path


def test_every_mistake_of_a_spreadsheet_is_told_with_its_line_and_its_column(place):
    (place.path / "cups.csv").write_text(MISTAKES)

    ended = place.inside("plan", written(place, CUPS))

    assert ended.code == 2
    told = [line for line in ended.err.splitlines() if "cups.csv:" in line]
    heads = [line.partition("cups.csv:")[2] for line in told]
    assert [head.partition(": ")[0] for head in heads] == ["2", "4", "5"], ended.err
    assert 'jobs[0].params.seed: the field seed is "007", and a whole number' in heads[0]
    assert 'jobs[0].types.width: the field width is "wide", and a whole number' in heads[1]
    assert "jobs[0].from: the row has 2 cells, and the header 4" in heads[2]


def test_what_is_added_to_a_set_of_files_is_new_and_the_rest_is_not_paid_again(place, service):
    there = place.at(service)
    for name in ("photos/a.png", "photos/b.png", "photos/notes.txt"):
        (there.path / name).parent.mkdir(exist_ok=True)
        (there.path / name).write_bytes(b"")
    (there.path / "prompts").mkdir()
    (there.path / "prompts/1.csv").write_text("p\none\n")
    path = written(there, PROMPTS, PHOTOS)

    def run():
        ended = there.inside("run", path, "--json")
        assert ended.code == 0, ended.err
        return ended.json["counts"]["done"], len(service.bills("sources "))

    assert run() == (3, 3)
    assert run() == (3, 3)  # its own results are no rows of it
    (there.path / "photos/c.png").write_bytes(b"")
    (there.path / "prompts/2.csv").write_text("p\ntwo\n")
    assert run() == (5, 5)

    metadata = (there.path / "runs/sources/outputs/metadata.jsonl").read_text()
    rows = {row["id"]: row for row in map(json.loads, metadata.splitlines())}
    assert rows["prompt-2"]["p"] == "two"
    assert (rows["c"]["path"], rows["c"]["folder"]) == ("photos/c.png", "photos")
