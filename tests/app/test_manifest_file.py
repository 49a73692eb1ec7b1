"""Manifest files: those that run, every wrong one with its place, and those too big for files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.app.manifest_file import MAX_PRINTED, load_manifest
from batchgen.core.jobs.spec import Mode
from batchgen.core.manifest.schema import json_schema
from batchgen.errors import ManifestError
from batchgen.providers.segmind.catalog import load

ROOT = Path(__file__).parents[2]
JOBS = ROOT / "jobs"
WRONG = ROOT / "tests" / "manifests" / "wrong"
SCHEMA_LINE = "# yaml-language-server: $schema=manifest.schema.json"

# file: line, column, key, a phrase of what is wrong, a phrase of the remedy
EXPECTED = """
alias-cycle | 3:14 | | *jobs refers to nothing | &jobs
alias-nowhere | 6:13 | | *shared refers to nothing | quote
anchor-bomb | 6:36 | | blow the document up | matrix
aspect-ratio-not-allowed | 6:43 | jobs[0].params.aspect_ratio | perhaps "16:9" | allowed: "1:1"
brace-format | 7:22 | jobs[0].params.prompt | the { at character 5 | {{
brace-lone | 7:15 | jobs[0].params.prompt | the { at character 6 | {{
bracket-open | 3:8 | | never closed | close it
budget-unknown-key | 4:3 | budget.concurency | "concurency" is unknown | concurrency
budget-zero | 3:23 | budget.concurrency | at least 1 | concurrency: 16
colon-in-text | 7:20 | | a colon stands | in quotes
duplicate-key | 6:38 | | "seed" stands here a second time | remove one
duplicate-keys-and-tag | 7:15 | | !!python/object/apply:os.system | remove it
empty | 1:1 | | the document is empty | version: 1
field-attribute | 7:22 | jobs[0].params.prompt | {seed.__class__ | {{
field-unknown | 7:22 | jobs[0].params.prompt | {stile} is no field | {style}
field-without-matrix | 6:22 | jobs[0].params.prompt | without a matrix | {{style}}
filename-absolute | 3:20 | output.filename | "/tmp/a" | {model}/{id}
filename-escapes | 3:20 | output.filename | '..' | {model}/{id}
from-csv | 4:11 | jobs[0].from | there is no file | relative to the folder of the manifest
from-empty | 4:11 | jobs[0].from | holds no rows | one row at least
from-extension | 4:11 | jobs[0].from | ".txt" does not say | .csv, .tsv or .jsonl
from-folder | 4:11 | jobs[0].from | no pictures, video or sound in the folder | rows/*.csv
from-json | 4:11 | jobs[0].from | ".json" does not say | JSON Lines
from-missing | 4:11 | jobs[0].from | there is no file | relative to the folder of the manifest
huge-number | 6:35 | | 64 bits | in quotes
id-is-number | 4:9 | jobs[0].id | id is 42 | id: "42"
id-is-path | 4:10 | jobs[0].id | holds / | letters
id-metadata | 4:10 | jobs[0].id | is taken | another id
ids-equal | 6:10 | jobs[2].id | by a job of jobs[0] (line 4) | another id
ids-equal-by-case | 5:10 | jobs[1].id | jobs[0] (line 4) differ only by case | another id
ids-equal-by-unicode | 5:10 | jobs[1].id | Unicode form | another id
ids-equal-in-matrix | 4:9 | jobs[0].id | (and 1 more like it) | cup-{style}-{seed}
indentation | 5:11 | | a colon stands | indentation
infinity | 6:39 | | cannot be sent as JSON | quotes
jobs-empty | 3:7 | jobs | is empty | jobs: [
jobs-is-mapping | 4:3 | jobs | a list is needed | jobs: [
jobs-missing | 1:1 | | jobs is missing | jobs: [
key-is-null | 5:1 | | "~" is not text | '~'
key-is-number | 7:14 | | "1" is not text | '1'
list | 1:1 | | the manifest is a list | version: 1
local-file | 6:42 | jobs[0].params.input_image | there is no file | relative to the folder
many-mistakes | 1:1 | | name is missing | name: "
matrix-duplicate-value | 6:13 | jobs[0].matrix | lists a value twice | repeat: 3
matrix-empty-list | 6:20 | jobs[0].matrix.seed | seed is empty | seed: [1, 2, 3]
matrix-nested | 8:11 | jobs[0].matrix.size[0] | a mapping cannot be | text
matrix-reserved-field | 6:13 | jobs[0].matrix | meaning of its own | model_of
matrix-too-large | 7:7 | jobs[0].matrix | more than 10,000,000 | take values
max-duration-text | 3:24 | budget.max_duration | 'all night' is not a duration | 8h, 90m or 1h30m
max-duration-too-long | 3:24 | budget.max_duration | at most 2,678,400 s | max_duration: "8h"
max-duration-zero | 3:24 | budget.max_duration | more than 0 | max_duration: "8h"
max-spend-text | 3:21 | budget.max_spend | "20 USD" | max_spend: 20
merge-key | 5:6 | | merge keys | defaults
model-budget-number | 5:15 | budget.models.flux-pro | a mapping | requests_per_minute
model-budget-slug | 6:5 | budget.models["../flux-pro"] | '../flux-pro' cannot be | flux-kontext-pro
model-missing | 4:5 | jobs[0] | names no model | model:
model-unsafe | 4:20 | jobs[0].model | "../v1/flux-pro" | flux-kontext-pro
name-unsafe | 2:7 | name | holds / | letters
not-a-number | 6:39 | | cannot be sent as JSON | quotes
on-expired-typo | 3:25 | reconcile.on_expired | "recover_only" | recover-only
out-of-range | 4:19 | defaults.params.steps | steps is 500 | from 1 to 50
params-list | 6:13 | jobs[0].params | a mapping | params: {
paths-equal | 6:10 | jobs[1].id | "all/flux-pro" is already taken | {id}
percent | 6:22 | | cannot begin with '%' | in quotes
quote-open | 6:22 | | never closed | close it
required-missing | 6:13 | jobs[0].params | needs the parameter input_image | add input_image
seed-true | 6:35 | jobs[0].params.seed | seed is true | a whole number
tab | 4:1 | | a tab | spaces
tag | 4:47 | | "!secret" | remove it
text | 1:1 | | the manifest is "make me | version: 1
two-documents | 5:1 | | a second document | ---
version-missing | 1:1 | | version is missing | version: 1
version-two | 1:10 | version | reads version 1 | version: 1
wrong-types | 6:22 | jobs[0].params.prompt | prompt is 42 | in quotes
"""
CASES = [[cell.strip() for cell in line.split("|")] for line in EXPECTED.split("\n")[1:-1]]


def refused(path):
    with pytest.raises(ManifestError) as caught:
        load_manifest(path)
    return caught.value


@pytest.mark.parametrize(("name", "place", "key", "what", "remedy"), CASES, ids=lambda cell: cell)
def test_a_wrong_manifest_is_told_what_where_and_what_to_type(name, place, key, what, remedy):
    path = WRONG / f"{name}.yaml"
    error = refused(path)
    first = error.problems[0]
    assert f"{first.line}:{first.column}" == place
    assert first.key == key
    assert what in first.what
    assert remedy in first.remedy
    for problem in error.problems:
        assert problem.file == str(path)
        assert problem.line >= 1
        assert problem.remedy
    assert str(error).replace("\n", "").isprintable()


def test_every_wrong_manifest_is_in_the_table():
    assert [case[0] for case in CASES] == sorted(path.stem for path in WRONG.glob("*.yaml"))
    assert len(CASES) >= 30


def test_all_mistakes_of_a_manifest_are_told_at_once():
    keys = [problem.key for problem in refused(WRONG / "many-mistakes.yaml").problems]
    assert keys == [
        "",
        "version",
        "nam",
        "budget.concurrency",
        "budget.max_spend",
        "jobs[0].id",
        "jobs[0].modell",
        "jobs[0].matrix.seed",
    ]
    assert len(refused(WRONG / "wrong-types.yaml").problems) == 3
    assert len(refused(WRONG / "duplicate-keys-and-tag.yaml").problems) == 3


def test_many_problems_are_told_in_part_and_counted(tmp_path):
    path = tmp_path / "m.yaml"
    entries = "".join(f"  - {{id: {n}}}\n" for n in range(200))
    path.write_text(f"version: 1\nname: x\njobs:\n{entries}")
    error = refused(path)
    assert len(error.problems) == MAX_PRINTED + 1
    assert error.problems[-1].what == "and 150 more problems"
    assert [problem.line for problem in error.problems[:3]] == [4, 5, 6]


@pytest.mark.parametrize(
    ("name", "job_count", "notice_count"),
    [
        ("budget", 6, 1),
        ("demo", 12, 0),
        ("matrix", 13, 0),
        ("parquet", 3, 0),
        ("photos", 4, 0),
        ("repeat", 11, 0),
        ("rows", 4, 0),
        ("seeds", 5, 2),
        ("single", 1, 0),
        ("spreadsheet", 7, 0),
    ],
)
def test_the_manifests_in_jobs_expand(name, job_count, notice_count):
    path = JOBS / f"{name}.yaml"
    assert path.read_text().startswith(SCHEMA_LINE)
    found = load_manifest(path)
    assert found.path == path
    assert found.manifest.name == name
    assert len(found.notices) == notice_count
    assert len(list(found.jobs())) == job_count
    assert list(found.jobs()) == list(found.jobs())


def test_every_manifest_in_jobs_is_tried():
    assert {path.stem for path in JOBS.glob("*.yaml")} == {
        "budget", "demo", "matrix", "parquet", "photos", "repeat", "rows", "seeds", "single",
        "spreadsheet",
    }  # fmt: skip


def test_the_schema_file_is_up_to_date():
    stored = (JOBS / "manifest.schema.json").read_text()
    expected = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    assert stored == expected, "write it anew: batchgen schema > jobs/manifest.schema.json"


def test_the_seeds_are_the_examples_of_the_pages_through_their_own_doors():
    made = {job.model: job for job in load_manifest(JOBS / "seeds.yaml").jobs()}
    assert sorted(made) == [model.slug for model in load()]
    for model in load():
        assert json.loads(made[model.slug].body) == dict(model.example)
        assert made[model.slug].api is model.page_api
    assert {job.api for job in made.values()} == {Mode.BLOCKING, Mode.QUEUED}


def test_another_catalogue_may_be_used():
    from batchgen.providers.segmind.catalog import Catalog

    found = load_manifest(JOBS / "single.yaml", Catalog({}))
    assert "not in the catalogue" in found.notices[0].what
    assert next(found.jobs()).price_usd is None


def test_notices_carry_their_place():
    first, second = load_manifest(JOBS / "seeds.yaml").notices
    assert first.key == "jobs[0].params.safety_tolerance"
    line = (JOBS / "seeds.yaml").read_text().split("\n")[first.line - 1]
    assert line[first.column - 1 :] == "6"
    assert second.line > first.line


def test_a_missing_file():
    (problem,) = refused(Path("no/such/manifest.yaml")).problems
    assert problem.what == "there is no such file"
    assert problem.file == "no/such/manifest.yaml"


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        pytest.param("[" * 200_000, "nested deeper", id="brackets"),
        pytest.param("a: " + "[a, " * 50_000, "nested deeper", id="open lists"),
        pytest.param("- " * 900, "nested deeper", id="dashes"),
        pytest.param("a: &a [x]\n" + "b: [*a, *a]\n" * 90_000, "", id="aliases"),
        pytest.param("x" * 5_000_000, "the manifest is", id="one long word"),
        pytest.param("x: " + "9" * 5_000_000, "64 bits", id="one long number"),
        pytest.param("version: 1\n" * 100_000, "a second time", id="one key often"),
        pytest.param("".join(f"k{n}: 1\n" for n in range(50_000)), "missing", id="many keys"),
    ],
)
def test_hostile_manifests_are_refused(tmp_path, text, phrase):
    path = tmp_path / "bomb.yaml"
    path.write_text(text)
    error = refused(path)
    assert phrase in str(error)
    assert len(str(error)) < 200_000


@pytest.mark.processes
def test_bombs_do_not_kill_the_process(tmp_path):
    bombs = {"lists": "[" * 200_000, "mappings": "{a: " * 200_000, "dashes": "- " * 999}
    for name, text in bombs.items():
        (tmp_path / name).write_text(text)
    program = (
        "import sys, pathlib\n"
        "from batchgen.app.manifest_file import load_manifest\n"
        "from batchgen.errors import ManifestError\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n        load_manifest(pathlib.Path(path))\n"
        "    except ManifestError as error:\n        print('refused', error, flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *(str(tmp_path / name) for name in bombs)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    told = [line for line in done.stdout.splitlines() if line.startswith("refused ")]
    assert len(told) == len(bombs), done.stdout


SCRAPS = st.sampled_from(
    ["version: 1\n", "name: x\n", "jobs:\n", "  - ", "id: a\n", "    model: flux-pro\n", "    ",
     "params: {prompt: x}\n", "matrix: {s: [1, 2]}\n", "budget:\n", "{s}", "'{s}'", "[", "]", "~\n",
     "output: {filename: '{id}'}\n", ": ", "é", "\n", "null", "\t", "&a ", "*a"]
)  # fmt: skip


@given(st.lists(SCRAPS, max_size=20).map("".join) | st.binary(max_size=100))
def test_any_file_is_a_manifest_or_a_manifest_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    try:
        found = load_manifest(path)
    except ManifestError as error:
        count, problems = 0, error.problems
    else:
        count, problems = len(list(found.jobs())), ()
        assert count == len(found.few)
    assert bool(count) != bool(problems)
    assert all(problem.remedy for problem in problems)
