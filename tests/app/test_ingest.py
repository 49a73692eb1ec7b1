"""A manifest into the state: whole and checked, or not at all; read again only where it changed."""

from __future__ import annotations

import json
import os

import pytest

from batchgen.app.ingest import STEP, import_manifest
from batchgen.app.manifest_file import FIRST_CHARACTERS, FIRST_JOBS, load_manifest
from batchgen.errors import ManifestError, UserError
from batchgen.sources.import_note import NAME
from batchgen.store.base import Imported, OnChange
from batchgen.store.sqlite.state import SqliteState

MANY = FIRST_JOBS + 507


class DiedError(Exception):
    """Stands for the end of the process."""


class Place:
    """A manifest of rows and a state beside it."""

    def __init__(self, folder):
        self.folder = folder
        self.rows = folder / "rows.jsonl"
        self.path = folder / "m.yaml"
        self.manifest()

    def manifest(self, id_="{row}", prompt="{p}"):
        self.path.write_text(
            "version: 1\nname: x\njobs:\n"
            f'  - {{from: rows.jsonl, id: "{id_}", model: flux-pro,'
            f' params: {{prompt: "{prompt}"}}}}\n'
        )

    def write(self, count, **odd):
        """So many rows; `odd` ones by number: `_7={"p": 3}`."""
        lines = [json.dumps(odd.get(f"_{n}", {"p": f"cup {n}"})) for n in range(1, count + 1)]
        self.rows.write_text("\n".join(lines))

    def state(self):
        return SqliteState(self.folder / "state.db")

    def read(self, state, on_progress=None):
        """Load the manifest as it is now, and import it."""
        return import_manifest(
            load_manifest(self.path), state.importer, OnChange.STOP, 0.0, on_progress=on_progress
        )


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def ids(state):
    return [row[0] for row in state.ledger.connection.execute("SELECT id FROM jobs ORDER BY key")]


def names(count):
    return [str(number) for number in range(1, count + 1)]


@pytest.mark.parametrize("count", [10, FIRST_JOBS, FIRST_JOBS + 1, MANY])
def test_all_jobs_are_there_at_once_and_are_not_read_again(place, count):
    place.write(count)
    with place.state() as state:
        told = []
        assert place.read(state, told.append) == Imported(new=count)
        assert ids(state) == names(count)
        assert told == list(range(STEP, count + 1, STEP))

        told.clear()
        assert place.read(state, told.append) == Imported(unchanged=count)
        assert told == []


def test_an_import_that_died_begins_anew(place):
    place.write(MANY)

    def die(count):
        raise DiedError(count)

    with place.state() as state:
        with pytest.raises(DiedError):
            place.read(state, die)
        assert ids(state) == []

        assert place.read(state) == Imported(new=MANY)


def test_what_an_older_version_left_half_imported_is_completed(place):
    place.write(MANY)
    with place.state() as state:
        place.read(state)
        note = json.loads(state.ledger.note(NAME)) | {"complete": False, "job_count": 100}
        state.ledger.connection.execute("DELETE FROM jobs WHERE key > 100")
        state.ledger.record((), {NAME: json.dumps(note)})

        assert place.read(state) == Imported(new=MANY - 100, unchanged=100)
        assert ids(state) == names(MANY)


@pytest.mark.parametrize("complete", [{}, {"complete": True}], ids=str)
def test_the_note_of_an_older_version_that_is_complete_holds(place, complete):
    place.write(10)
    with place.state() as state:
        place.read(state)
        note = json.loads(state.ledger.note(NAME)) | complete
        state.ledger.record((), {NAME: json.dumps(note)})
        told = []
        assert place.read(state, told.append) == Imported(unchanged=10)


def test_an_edited_manifest_is_compared(place):
    place.write(MANY)
    with place.state() as state:
        place.read(state)

        place.manifest(prompt="{p}, ink")
        changed = place.read(state)
        place.write(FIRST_JOBS + 1)
        dropped = place.read(state)
        place.write(FIRST_JOBS + 1, _3={"p": "a jug"})
        one = place.read(state)

        assert changed == Imported(changed=MANY)
        assert dropped == Imported(unchanged=FIRST_JOBS + 1, dropped=MANY - FIRST_JOBS - 1)
        assert one == Imported(changed=1, unchanged=FIRST_JOBS)
        assert '"a jug, ink"' in state.ledger.draw(2, 1)[0].body


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"q": 1}, "the row has no field p"),
        ({"p": 3}, "prompt is 3"),
        ([], "this is a list"),
    ],
    ids=str,
)
@pytest.mark.parametrize("there", [0, 5], ids=["empty", "filled"])
def test_a_mistake_in_any_row_keeps_all_of_them_out(place, row, what, there):
    bad = FIRST_JOBS + 400
    with place.state() as state:
        if there:
            place.write(there)
            place.read(state)
        place.write(MANY, **{f"_{bad}": row})

        with pytest.raises(ManifestError) as caught:
            place.read(state)

        (problem,) = caught.value.problems
        assert (problem.file, problem.line) == (str(place.rows), bad)
        assert what in problem.what
        assert ids(state) == names(there)


def test_all_mistakes_of_a_large_file_are_counted(place):
    place.write(MANY)
    place.rows.write_text(place.rows.read_text() + "\n[]" * 100)
    with (
        place.state() as state,
        pytest.raises(ManifestError, match=r"\(and 99 more like it\)"),
    ):
        place.read(state)


def test_a_file_of_nothing_but_mistakes_is_not_read_to_its_end(place):
    place.rows.write_text("[]\n" * (5 * FIRST_JOBS))
    with pytest.raises(ManifestError, match=rf"\(and {FIRST_JOBS - 1:,} more like it\)"):
        load_manifest(place.path)


@pytest.mark.parametrize("last", ["cup 5", "CUP 5"])
def test_a_later_id_that_is_taken_is_told(place, last):
    place.manifest(id_="{p}")
    place.write(MANY, **{f"_{MANY}": {"p": last}})
    with place.state() as state:
        with pytest.raises(ManifestError, match=r"already taken by a job|differ only by case"):
            place.read(state)
        assert ids(state) == []


def test_rows_that_change_while_they_are_read_are_refused(place):
    place.write(MANY)

    def grow(_):
        with place.rows.open("a") as file:
            file.write('\n{"p": "late"}')

    with place.state() as state:
        with pytest.raises(UserError, match="changed while its rows were read"):
            place.read(state, grow)
        assert ids(state) == []


def test_a_mistake_in_rows_that_are_just_being_written_is_none(place):
    place.write(MANY)

    def half(count):
        if count == STEP:
            with place.rows.open("a") as file:
                file.write('\n{"p": ')

    with place.state() as state, pytest.raises(UserError, match="changed while its rows were"):
        place.read(state, half)


def test_a_hard_link_to_the_rows_is_no_change_of_them(place):
    place.write(MANY)

    def link(count):
        if count == STEP:
            (place.folder / "backup.jsonl").hardlink_to(place.rows)

    with place.state() as state:
        assert place.read(state, link) == Imported(new=MANY)
        assert place.read(state) == Imported(unchanged=MANY)


def test_rows_that_were_only_touched_are_compared_once(place):
    place.write(10)
    with place.state() as state:
        place.read(state)
        before = state.ledger.note(NAME)
        os.utime(place.rows, ns=(1, 1))
        assert place.read(state) == Imported(unchanged=10)
        assert state.ledger.note(NAME) != before


@pytest.mark.parametrize("count", [10, MANY])
def test_rows_that_change_between_the_check_and_the_import_are_refused(place, count):
    place.write(count)
    with place.state() as state:
        manifest = load_manifest(place.path)
        place.write(count, _3={"p": "jug 3"})
        with pytest.raises(UserError, match="changed while its rows were read"):
            import_manifest(manifest, state.importer, OnChange.STOP, 0.0)
        assert ids(state) == []

        place.read(state)
        assert '"jug 3"' in state.ledger.draw(2, 1)[0].body


def test_other_rows_of_the_same_size_and_time_are_seen(place):
    place.write(10)
    os.utime(place.rows, ns=(7, 7))
    with place.state() as state:
        place.read(state)

        other = place.folder / "other.jsonl"
        place.rows.rename(other)
        place.write(10, _3={"p": "jug 3"})
        os.utime(place.rows, ns=(7, 7))

        assert place.rows.stat().st_size == other.stat().st_size
        assert place.read(state) == Imported(changed=1, unchanged=9)


def test_rows_of_many_megabytes_are_not_held_in_memory(place):
    place.manifest(prompt="{p}" * 10)
    with place.rows.open("w") as file:
        file.write((json.dumps({"p": "x" * (FIRST_CHARACTERS // 100)}) + "\n") * 11)
    assert load_manifest(place.path).few is None
    with place.state() as state:
        assert place.read(state) == Imported(new=11)


def test_a_note_of_another_form_means_that_all_is_compared(place):
    place.write(10)
    with place.state() as state:
        place.read(state)
        state.ledger.record((), {NAME: '{"text": "x", "sources": {"rows.jsonl": {"age": 1}}}'})
        assert place.read(state) == Imported(unchanged=10)


@pytest.mark.parametrize("count", [3, MANY])
def test_rows_that_are_gone_are_told(place, count):
    place.write(count)
    with place.state() as state:
        manifest = load_manifest(place.path)
        place.rows.unlink()
        with pytest.raises(UserError, match="there is no file"):
            import_manifest(manifest, state.importer, OnChange.STOP, 0.0)
