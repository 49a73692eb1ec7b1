"""What the jobs of an entry are made from, one step a job: rows × combinations × copies."""

from __future__ import annotations

from collections.abc import Iterator

from batchgen.core.manifest.entry import Entry
from batchgen.core.manifest.expansion.matrix import combinations
from batchgen.core.manifest.expansion.repeat import COPY_NUMBER
from batchgen.core.manifest.expansion.selection import Selection
from batchgen.core.manifest.rows.row import Row, SourceError, Sources
from batchgen.core.manifest.text.locations import Diagnostic, KeyPath
from batchgen.core.manifest.text.templates import Fields

MAX_JOBS = 10_000_000
"""Jobs one entry may expand to: a slip in a matrix makes billions."""


Step = tuple[Fields, Row | None, int, int]
"""One job to be: its fields; its row, if it has one; its number among the combinations of the
matrix, and among the copies of `repeat`, both from 1: 0 where there are none."""


def steps(entry: Entry, index: int, sources: Sources) -> Iterator[Step | Diagnostic]:
    """One for every job of an entry, in their order; remarks where there can be none."""
    path: KeyPath = ("jobs", index)
    if entry.from_ is not None:
        yield from _of_rows(entry, entry.from_, path, sources)
        return
    for number, fields in combinations(entry):
        yield from _copies(entry, fields, None, number)


def _of_rows(
    entry: Entry, name: str, path: KeyPath, sources: Sources
) -> Iterator[Step | Diagnostic]:
    count = 0
    selection = Selection(entry, path)
    is_plain = entry.matrix is None and entry.repeat is None
    here = (*path, "from")
    try:
        for item in selection.rows(sources.open(name)):
            count += 1
            if isinstance(item, Diagnostic):
                yield item
            elif is_plain:
                yield item.fields, item, 0, 0
            else:
                yield from _multiplied(entry, item, here)
            if count == MAX_JOBS:
                yield Diagnostic(
                    here, f"{name} holds more than {MAX_JOBS:,} rows", "split the file"
                )
                return
    except SourceError as error:
        yield Diagnostic(here, error.what, error.remedy)
        return
    if not count:
        yield _nothing(entry, name, path, selection.read_count)


def _nothing(entry: Entry, name: str, path: KeyPath, read_count: int) -> Diagnostic:
    if not read_count:
        return Diagnostic((*path, "from"), f"{name} holds no rows", "give it one row at least")
    key = "where" if entry.where is not None else "sample"
    what = f"{key} leaves none of the {read_count:,} rows of {name}"
    return Diagnostic((*path, key), what, "compare it with the rows, or remove it")


def _multiplied(entry: Entry, row: Row, path: KeyPath) -> Iterator[Step | Diagnostic]:
    """A row, once for every combination of a matrix and every copy."""
    both = sorted((entry.matrix or {}).keys() & row.fields.keys())
    if both:
        what = f"the field {both[0]} stands in the row and in the matrix"
        yield Diagnostic(path, what, "rename or remove one of them", spot=row.spot)
        return
    for number, values in combinations(entry):
        yield from _copies(entry, {**row.fields, **values}, row, number)


def _copies(entry: Entry, fields: Fields, row: Row | None, combination: int) -> Iterator[Step]:
    if entry.repeat is None:
        yield fields, row, combination, 0
        return
    for copy in range(1, entry.repeat + 1):
        yield {**fields, COPY_NUMBER: copy}, row, combination, copy
