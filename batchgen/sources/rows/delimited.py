"""CSV and TSV in UTF-8: a header that names the columns, then one row a record.

Records are read as RFC 4180 has them: cells in double quotes may hold separators, line breaks and
doubled quotes. In a .csv file commas separate, unless the header has none and has semicolons or
tabs. An empty cell, quoted or not, is null; all others are text.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from batchgen.core.catalog.validation import quoted
from batchgen.core.manifest.rows.row import ROW_NUMBER, Row, RowFault
from batchgen.sources.rows.row_file import BOM, MAX_LINE_BYTES, Items, RowFile, not_utf8, skip_line

_UTF8 = "save the file as UTF-8; spreadsheets call it CSV UTF-8"
_UNCLOSED = 'close it, or write "" for each quote that is part of a quoted cell'
_QUOTES = 'put the whole cell in quotes, and write "" for each quote inside: "say ""hello"""'
_QUOTED = re.compile(r'"[^"]*"')
_ENDS = "save it with the line ends of Unix or Windows"
# What begins as the messages of the csv module do: what to say, and what to do.
_ERRORS = {
    "unexpected end of data": ("a quote that opens in this row is never closed", _UNCLOSED),
    "field larger": (
        f"a cell is longer than {MAX_LINE_BYTES // 2**20} MiB: is its quote never closed?",
        _UNCLOSED,
    ),
    "new-line character": ("a carriage return stands in the line", _ENDS),
}


def csv_rows(file: RowFile) -> Items:
    """The rows of comma-separated values."""
    return _rows(file, _separator)


def tsv_rows(file: RowFile) -> Items:
    """The rows of tab-separated values."""
    return _rows(file, lambda _header: "\t")


class _Lines:
    """The lines of a file as text, for the csv module; counted."""

    def __init__(self, opened: BinaryIO) -> None:
        self._opened = opened
        self._held: str | None = None
        self.number = 0
        self.wrong: tuple[int, str, str] | None = None
        """Of the first line that is not right: its number, what is wrong, and what to do."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._held is not None:
            text, self._held = self._held, None
            return text
        line = self._opened.readline(MAX_LINE_BYTES + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if self.number == 1:
            line = line.removeprefix(BOM)
        try:
            if len(line) <= MAX_LINE_BYTES:
                return line.decode()
            skip_line(self._opened, line)
            what = f"the line is longer than {MAX_LINE_BYTES // 2**20} MiB"
            self._note(what, "a file goes in as the URL where it lies")
        except UnicodeDecodeError as error:
            self._note(not_utf8(line, error), _UTF8)
        return "\n"

    def _note(self, what: str, remedy: str) -> None:
        self.wrong = self.wrong or (self.number, what, remedy)

    def header(self) -> str:
        """The first line that is not blank; it is read again afterwards."""
        self._held = next((line for line in self if line.strip() or self.wrong), None)
        return self._held or ""

    def is_held(self) -> bool:
        """Whether the line of the present number is still to be read."""
        return self._held is not None


@dataclass(frozen=True, slots=True)
class _Record:
    """The cells of one record and the line in which it begins; or why there are none."""

    line: int
    cells: Sequence[str]
    fault: RowFault | None = None
    is_last: bool = False


def _rows(file: RowFile, separator: Callable[[str], str]) -> Items:
    # The limit is the csv module's own, for all of the process; nobody else here uses it.
    csv.field_size_limit(MAX_LINE_BYTES)
    number = file.rows_before
    names: Sequence[str] | None = None
    with file.open() as opened:
        lines = _Lines(opened)
        reader = csv.reader(lines, delimiter=separator(lines.header()), strict=True)
        for record in _records(file, lines, reader):
            if names is None:
                names = record.cells
                fault = record.fault or _header_fault(file, record)
                if fault is not None:
                    yield fault
                    return
                continue
            number += 1
            yield record.fault or _row(file, names, record, number)
            if record.is_last:
                return


def _records(file: RowFile, lines: _Lines, reader: Iterator[list[str]]) -> Iterator[_Record]:
    """All records but blank lines."""
    while True:
        line = lines.number + (not lines.is_held())
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            what, remedy = _explained(str(error))
            # What follows a quote that was never closed would be taken for all kinds of things.
            is_last = remedy is _UNCLOSED
            yield _Record(line, (), file.fault(line, what, remedy), is_last)
            continue
        if lines.wrong is not None:
            yield _Record(line, (), file.fault(*lines.wrong))
            lines.wrong = None
        elif cells:
            yield _Record(line, cells)


def _explained(error: str) -> tuple[str, str]:
    """What is wrong, in the words of the csv module, in ours; and what to do."""
    for beginning, told in _ERRORS.items():
        if error.startswith(beginning):
            return told
    return "a quote stands in the middle of a cell", _QUOTES


def _row(file: RowFile, names: Sequence[str], record: _Record, number: int) -> Row | RowFault:
    cells = record.cells
    if len(cells) != len(names):
        what = f"the row has {len(cells)} cells, and the header {len(names)}"
        remedy = "give every row as many cells; put a cell with separators in it in quotes"
        return file.fault(record.line, what, remedy)
    fields = {name: cell or None for name, cell in zip(names, cells, strict=True)}
    return Row(file.name, record.line, number, {**fields, ROW_NUMBER: number}, untyped=True)


def _header_fault(file: RowFile, record: _Record) -> RowFault | None:
    """What is wrong with the names of the columns."""
    seen: set[str] = set()
    for position, name in enumerate(record.cells, start=1):
        if not name.strip():
            what = f"column {position} has no name"
            return file.fault(record.line, what, "name every column in the first line")
        if name != name.strip():
            what = f"there are blanks around the name of the column {quoted(name)}"
            return file.fault(record.line, what, "remove them, also behind separators")
        if name in seen:
            what = f"two columns are called {quoted(name)}"
            return file.fault(record.line, what, "rename or remove one of them")
        seen.add(name)
    return None


def _separator(header: str) -> str:
    header = _QUOTED.sub("", header)
    if "," in header:
        return ","
    return next((mark for mark in ";\t" if mark in header), ",")
