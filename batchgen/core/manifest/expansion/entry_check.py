"""Keys of an entry that do not go together."""

from __future__ import annotations

from collections.abc import Iterator

from batchgen.core.manifest.entry import Entry
from batchgen.core.manifest.expansion.matrix import combination_count, combination_faults
from batchgen.core.manifest.expansion.repeat import COPY_NUMBER
from batchgen.core.manifest.expansion.steps import MAX_JOBS
from batchgen.core.manifest.rows.row import ROW_NUMBER
from batchgen.core.manifest.text.locations import Diagnostic, KeyPath

_OF_ROWS = ("where", "sample", "limit", "types")
_OF_MATRIX = ("exclude", "include")


def entry_faults(entry: Entry, path: KeyPath) -> Iterator[Diagnostic]:
    """What is wrong with an entry before any of its jobs is made; `path` is its own."""
    yield from _without_use(entry, path)
    if combination_count(entry.matrix) * (entry.repeat or 1) > MAX_JOBS:
        key = "matrix" if entry.matrix else "repeat"
        what = f"the {key} makes more than {MAX_JOBS:,} jobs"
        yield Diagnostic((*path, key), what, "take values or fields out")
        return
    yield from _taken_names(entry, path)
    if entry.matrix is not None:
        yield from combination_faults(entry, path)


def _without_use(entry: Entry, path: KeyPath) -> Iterator[Diagnostic]:
    for key in _OF_ROWS:
        if getattr(entry, key) is not None and entry.from_ is None:
            what = f"{key} chooses among rows or reads them, and the entry has none"
            remedy = f"add from: with a file of rows, or remove {key}"
            yield Diagnostic((*path, key), what, remedy, at_key=True)
    for key in _OF_MATRIX:
        if getattr(entry, key) is not None and entry.matrix is None:
            what = f"{key} is about combinations of a matrix, and the entry has none"
            remedy = f"add a matrix, or remove {key}; rows are chosen with where"
            yield Diagnostic((*path, key), what, remedy, at_key=True)


def _taken_names(entry: Entry, path: KeyPath) -> Iterator[Diagnostic]:
    matrix = entry.matrix or {}
    reserved = {
        ROW_NUMBER: (entry.from_ is not None, "the number of the row"),
        COPY_NUMBER: (entry.repeat is not None, "the number of the copy"),
    }
    for name, (is_taken, meaning) in reserved.items():
        if is_taken and name in matrix:
            what = f"the field {name} is {meaning}"
            remedy = f"call it something else, such as {name}_of"
            yield Diagnostic((*path, "matrix", name), what, remedy, at_key=True)
    for name in sorted((entry.types or {}).keys() & matrix.keys()):
        what = f"{name} is a field of the matrix, which has its type already"
        yield Diagnostic((*path, "types", name), what, "remove it from types", at_key=True)
