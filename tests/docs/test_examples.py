"""Links, commands and examples of the documents: all of them can be followed, typed and run."""

from __future__ import annotations

import re

import pytest

from batchgen.app.manifest_file import load_manifest
from batchgen.providers.segmind.simulator.config import SimulatorConfig
from batchgen.sources.yaml.document import read_document
from scripts.doc_tables import commands
from tests.docs.readers import (
    DOCUMENTS,
    ROOT,
    blocks,
    broken_links,
    commands_in,
    missing_paths,
    unparsable,
    wrong_command,
)

COMMANDS = commands()
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
every_document = pytest.mark.parametrize("name", DOCUMENTS)


@every_document
def test_every_relative_link_resolves(name):
    assert broken_links(name, DOCUMENTS[name], DOCUMENTS) == []


def test_a_broken_link_is_noticed():
    pages = {"docs/manifest.md": "# One thing\n"}
    text = (
        "[a](nowhere.md) [b](manifest.md#one-thing) [c](manifest.md#another) [d](#here) "
        "[e](https://www.segmind.com/) [f](../jobs)\n"
    )
    broken = broken_links("docs/commands.md", text, pages)
    assert broken == ["nowhere.md", "manifest.md#another", "#here"]


@every_document
def test_every_path_that_is_named_is_there(name):
    assert missing_paths(DOCUMENTS[name]) == []


def test_a_path_that_is_not_there_is_noticed():
    text = "`batchgen/core/nothing.py` `jobs/demo.yaml`\n```console\n$ cd docs/nowhere\n```\n"
    assert missing_paths(text) == ["batchgen/core/nothing.py", "docs/nowhere"]


@every_document
def test_every_command_can_be_typed(name):
    wrong = {}
    for words in commands_in(DOCUMENTS[name]):
        complaint = wrong_command(words, COMMANDS, MAKEFILE)
        if complaint:
            wrong[" ".join(words)] = complaint
    assert wrong == {}


@every_document
def test_every_example_of_a_command_is_one_that_click_takes(name):
    examples = [
        words
        for block in blocks(DOCUMENTS[name], "console")
        for words in commands_in(f"```console\n{block.text}```\n")
        if words[:1] == ["batchgen"]
    ]
    assert {
        " ".join(words): said for words in examples if (said := unparsable(words, COMMANDS))
    } == {}


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("batchgen rum jobs/demo.yaml", "no command batchgen rum"),
        ("batchgen run jobs/demo.yaml --sped 3", "no option --sped"),
        ("batchgen --quiet run", "no option --quiet"),
        ("make nothing", "no target nothing"),
        ("python -m tests.nothing", "no module tests.nothing"),
        ("bachgen run", "no program bachgen"),
        ("batchgen run jobs/demo.yaml --speed=3", ""),
        ("make sim SEED=42", ""),
        ("git clone … batchgen", ""),
    ],
)
def test_a_wrong_command_is_noticed(typed, complaint):
    assert wrong_command(typed.split(), COMMANDS, MAKEFILE) == complaint


def test_commands_are_found_in_blocks_and_in_prose():
    typed = "$ cd x && batchgen plan a.yaml  # free; safe\nprinted\n"
    text = f"say `make test` or\n```console\n{typed}```\n"
    found = list(commands_in(text))
    assert found == [["cd", "x"], ["batchgen", "plan", "a.yaml"], ["make", "test"]]
    assert unparsable(["batchgen", "run"], COMMANDS) != ""
    assert unparsable(["batchgen", "run", "a.yaml", "--rpm", "none"], COMMANDS) != ""


YAML_BLOCKS = [
    pytest.param(block.text, id=f"{name}-{number}")
    for name, text in DOCUMENTS.items()
    for number, block in enumerate(blocks(text, "yaml"))
]


@pytest.mark.parametrize("text", YAML_BLOCKS)
def test_every_yaml_example_is_a_manifest_or_a_simulator_configuration(text, tmp_path):
    path = tmp_path / "example.yaml"
    path.write_text(text, "utf-8")
    if re.search(r"^jobs:", text, re.MULTILINE):
        assert next(load_manifest(path).jobs())
    else:
        assert SimulatorConfig.model_validate(read_document(path).value).faults


def test_there_are_examples_in_the_manuals():
    for name in ("README.md", "docs/manifest.md", "docs/commands.md"):
        assert blocks(DOCUMENTS[name], "yaml"), name


@every_document
def test_no_placeholder_is_left(name):
    assert re.findall(r"@@\w+@@|TODO|TBD|FIXME", DOCUMENTS[name]) == []
