"""When a manifest was imported already, and when it only looks like it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from batchgen.core.manifest.schema import parse_manifest
from batchgen.providers.segmind.catalog import Catalog, load
from batchgen.sources.import_note import NAME, note_of, read_note
from batchgen.sources.rows import FileSources

ENTRY = {"from": "rows.jsonl", "model": "flux-pro", "params": {"prompt": "{p}"}}


def manifest(**parts):
    return parse_manifest({"version": 1, "name": "x", "jobs": [ENTRY], **parts})


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"p": "a"}\n')
    os.utime(path, ns=(1, 1))
    return path


def note(rows, catalog=None, **parts):
    models = load() if catalog is None else catalog
    return note_of(
        manifest(**parts), models, {rows.name: FileSources(rows.parent).stamp(rows.name)}
    )


def finished(rows):
    made = note(rows)
    return made.finished(1, FileSources(rows.parent))


def test_a_note_comes_back_as_it_was_written(rows):
    for written in (note(rows), finished(rows)):
        assert read_note(written.dump()[NAME]) == written
    assert read_note(None) is None


@pytest.mark.parametrize(
    ("parts", "holds"),
    [
        ({}, True),
        ({"budget": {"concurrency": 3, "max_spend": 5}}, True),
        ({"name": "y"}, True),
        ({"retry": {"max_attempts": 1}}, True),
        ({"defaults": {"params": {"seed": 1}}}, False),
        ({"output": {"filename": "{model}/{id}"}}, False),
        ({"jobs": [ENTRY, ENTRY | {"id": "{row}"}]}, False),
    ],
    ids=str,
)
def test_what_jobs_are_made_from_counts(rows, parts, holds):
    assert note(rows, **parts).still_holds(finished(rows), FileSources(rows.parent)) is holds


def test_another_catalogue_means_other_prices(rows):
    files = FileSources(rows.parent)
    assert not note(rows, Catalog({})).still_holds(finished(rows), files)


_TEXT_OF_A_NOTE = """
from batchgen.core.manifest.schema import parse_manifest
from batchgen.providers.segmind.catalog import load
from batchgen.sources.import_note import note_of
entry = {
    "from": "r.jsonl", "model": "flux-pro", "params": {"prompt": "{p}", "q": {"b": 1, "a": 2}},
    "matrix": {"b": [1, 2], "a": [3]}, "where": {"p": ["x", "y"]}, "types": {"n": "integer"},
}
manifest = parse_manifest({"version": 1, "name": "x", "jobs": [entry]})
print(note_of(manifest, load(), {}).text)
"""


def test_another_process_makes_the_same_note():
    """Python orders a set anew in every process."""
    texts = {
        subprocess.run(
            [sys.executable, "-c", _TEXT_OF_A_NOTE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in "123"
    }
    assert len(texts) == 1


def test_rows_that_were_only_touched_are_compared_by_content(rows):
    known, files = finished(rows), FileSources(rows.parent)
    os.utime(rows, ns=(9, 9))
    assert note(rows).still_holds(known, files)

    rows.write_text('{"p": "b"}\n')
    assert not note(rows).still_holds(known, files), "of the same size"

    rows.write_text('{"p": "ab"}\n')
    assert not note(rows).still_holds(known, files)


@pytest.mark.parametrize(("complete", "means_nothing"), [(True, False), (False, True)])
def test_a_note_of_an_import_that_was_left_incomplete_is_none(rows, complete, means_nothing):
    """Versions before this one imported while the run worked."""
    text = json.dumps(json.loads(finished(rows).dump()[NAME]) | {"complete": complete})
    assert (read_note(text) is None) is means_nothing


@pytest.mark.parametrize(
    "text",
    ["", "[]", "7", "{}", '{"sources": []}', '{"text": "x", "sources": {"a": {"size": 1}}}'],
)
def test_a_note_of_another_version_is_none(text):
    assert read_note(text) is None
