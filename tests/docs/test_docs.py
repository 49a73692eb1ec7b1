"""The documents against the code: generated parts are up to date, and nothing is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.jobs.job import AttemptState, JobState
from batchgen.core.jobs.lifecycle import diagram
from batchgen.core.jobs.outcomes import Signal
from batchgen.core.manifest.schema import Manifest
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.providers.segmind.simulator.config import SimulatorConfig
from batchgen.providers.segmind.simulator.fault_rules import FaultKind
from batchgen.system.run_directory import RunDirectory
from scripts.doc_tables import BLOCKS, commands, manifest_keys
from scripts.docs import RUNS, SCHEMA, MarkError, documents, regenerated, schema_text
from tests.docs.readers import (
    DOCUMENTS,
    ROOT,
    USER_DOCS,
    blocks,
    environment_names,
    not_in_code,
    rows_without,
    section,
    undocumented_options,
)

COMMANDS = commands()
PROXY_VARIABLES = {"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"}
"""What `urllib.request.getproxies_environment` looks for, as far as a URL of ours can need it."""


# Generated parts


@pytest.mark.parametrize("path", [path for path in documents() if path.exists()], ids=str)
def test_generated_parts_are_up_to_date(path):
    text = path.read_text("utf-8")
    assert regenerated(text) == text, "run `make docs`"


def test_the_schema_beside_the_examples_is_up_to_date():
    assert SCHEMA.read_text("utf-8") == schema_text(), "run `make docs`"


@pytest.mark.parametrize("block", BLOCKS)
def test_every_generated_part_is_shown_and_a_stale_one_is_noticed(block):
    marker = f"<!-- generated: {block} -->"
    shown = [text for text in DOCUMENTS.values() if marker in text]
    assert len(shown) == 1
    stale = shown[0].replace(f"{marker}\n\n", f"{marker}\n\nstale ", 1)
    assert stale != shown[0]
    assert regenerated(stale) == shown[0]


@pytest.mark.parametrize(
    "text",
    [
        "<!-- generated: signals -->\n",
        "<!-- end: signals -->\n",
        "<!-- generated: nothing of the kind -->\n<!-- end: nothing of the kind -->\n",
        "<!-- run: nothing of the kind -->\n<!-- end: nothing of the kind -->\n",
        "<!-- generated: gates -->\n<!-- end: signals -->\n",
    ],
)
def test_a_marker_that_leads_nowhere_is_refused(text):
    with pytest.raises(MarkError):
        regenerated(text)


@pytest.mark.parametrize("run", RUNS)
def test_figures_are_made_anew_by_a_run_and_left_alone_without_one(run):
    text = f"<!-- run: {run} -->\n\nold\n\n<!-- end: {run} -->"
    assert regenerated(text) == text
    assert regenerated(text, lambda name: f"new {name}") == text.replace("old", f"new {run}")


def test_the_figures_of_the_simulation_are_those_of_a_good_run():
    text = DOCUMENTS["docs/reliability.md"]
    figures = text.partition("<!-- run: simulation -->")[2].partition("<!-- end: simulation -->")[0]
    assert f"$ python -m {' '.join(RUNS['simulation'])}\n" in figures
    nights = int(RUNS["simulation"][-1])
    assert f"{nights} passed, 0 failed" in figures
    for word in ("bills", "ended: killed", "ghosts", "unclear events"):
        count = re.search(rf"^ *([\d,]+)  {word}$", figures, re.MULTILINE)
        assert count, word
        assert int(count[1].replace(",", "")) > 0, word


# Completeness: each check is also held against a text from which one thing was taken out


def assert_complete(text, things, missing_in):
    """Nothing is missing; and each thing, taken out of the text, is missed."""
    assert things
    assert missing_in(text) == []
    for thing in things:
        assert thing in missing_in(text.replace(f"`{thing}`", "`…`")), thing


def test_every_command_and_every_option_is_documented():
    text = DOCUMENTS["docs/commands.md"]
    assert undocumented_options(text, COMMANDS) == []
    for name, command in COMMANDS.items():
        heading = f"## `{name}`"
        assert name in undocumented_options(text.replace(heading, "## `…`"), COMMANDS)
        for flag in [flag for param in command.params for flag in param.opts if "--" in flag]:
            part = section(text, heading)
            mutilated = text.replace(part, re.sub(rf"{flag}(?![\w-])", "--…", part))
            assert f"{name} {flag}" in undocumented_options(mutilated, COMMANDS)


def test_every_command_is_on_the_first_page():
    text = DOCUMENTS["README.md"]
    names = [name for name in COMMANDS if " " in name]

    def missing_in(page):
        return [name for name in names if not re.search(rf"`{name}[ `]", page)]

    assert missing_in(text) == []
    for name in names:
        assert missing_in(text.replace(f"`{name}", "`…")) == [name]


def test_every_key_of_the_manifest_is_documented():
    keys = [path for path, _ in manifest_keys()]
    assert set(Manifest.model_fields) <= set(keys)
    text = DOCUMENTS["docs/manifest.md"]
    assert_complete(text, keys, lambda page: rows_without(page, keys))


def test_every_environment_variable_is_documented():
    sources = [path.read_text("utf-8") for path in (ROOT / "batchgen").rglob("*.py")]
    names = {name for source in sources for name in environment_names(source)}
    assert {"SEGMIND_API_KEY", "SEGMIND_BASE_URL"} <= names
    if any("getproxies_environment" in source for source in sources):
        names |= PROXY_VARIABLES
    assert_complete(USER_DOCS, names, lambda page: not_in_code(page, sorted(names)))


def test_variables_are_found_however_they_are_read():
    source = "\n".join(
        [
            "import os",
            "NAME = 'A'",
            "os.environ.get(NAME)",
            "os.environ['B']",
            "os.getenv('C', '')",
            "{}.get('not a variable')",
        ]
    )
    assert environment_names(source) == {"A", "B", "C"}
    with pytest.raises(LookupError):
        environment_names("import os\ndef f(x):\n    return os.environ[x]")


def test_every_exit_code_is_documented():
    codes = [str(code.value) for code in ExitCode]
    text = section(DOCUMENTS["docs/commands.md"], "## Exit codes")
    assert_complete(text, codes, lambda page: rows_without(page, codes))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("docs/architecture.md", [state.value for state in JobState]),
        ("docs/architecture.md", [state.value for state in AttemptState]),
        ("docs/architecture.md", [gate.value for gate in GateKind]),
        ("docs/commands.md", [kind.value for kind in FaultKind]),
        ("docs/commands.md", list(SimulatorConfig.model_fields)),
    ],
)
def test_every_member_of_a_closed_set_has_a_row(name, words):
    assert_complete(DOCUMENTS[name], words, lambda page: rows_without(page, words))


def test_every_signal_has_a_row():
    text = section(DOCUMENTS["docs/reliability.md"], "## Signals")
    for signal in Signal:
        assert f"\n| {signal} | " in text


def test_the_diagram_shows_every_move():
    shown = blocks(DOCUMENTS["docs/architecture.md"], "mermaid")
    assert diagram() + "\n" in [block.text for block in shown]


def test_every_file_of_a_run_directory_is_documented(tmp_path):
    properties = [name for name, kind in vars(RunDirectory).items() if isinstance(kind, property)]
    values = [getattr(RunDirectory(tmp_path), name) for name in properties]
    files = [value.name for value in values if isinstance(value, Path)]
    assert "state.db" in files
    text = section(DOCUMENTS["docs/commands.md"], "## The run directory")
    assert_complete(text, files, lambda page: rows_without(page, files))


def test_every_document_is_reached_from_the_first_page():
    pages = {name for name in DOCUMENTS if name != "README.md"}
    unreached, waiting = set(pages), ["README.md"]
    while waiting:
        name = waiting.pop()
        linked = {
            page
            for page in unreached
            if re.search(rf"\]\((?:\.\./)?(?:docs/)?{page.rpartition('/')[2]}[)#]", DOCUMENTS[name])
        }
        unreached -= linked
        waiting += linked
    assert unreached == set()
