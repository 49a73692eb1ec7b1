"""JSON Lines: one JSON object a line, in UTF-8; blank lines are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import BinaryIO

from batchgen.core.place import Spot
from batchgen.core.rows import ROW_NUMBER, Row, RowError, RowFault, parse_row

MAX_LINE_BYTES = 8 * 2**20
"""A longer line is refused: it is more likely a file of another kind than a prompt."""

_BUFFER_BYTES = 2**20
"""Reads are to be rare: each lets go of the interpreter for a moment, and takes it back before a
loop that waits for it may have it."""

_BOM = b"\xef\xbb\xbf"


class JsonlRows:
    """`RowSource` over one file. `name` is what messages call it."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name

    def rows(self) -> Iterator[Row | RowFault]:
        """The rows in the order of their lines, with memory for one line only."""
        number = 0
        try:
            with self._path.open("rb", buffering=_BUFFER_BYTES) as file:
                for line_number in count(1):
                    line = file.readline(MAX_LINE_BYTES + 1)
                    if not line:
                        return
                    item = self._item(file, line, line_number, number + 1)
                    if item is not None:
                        number += 1
                        yield item
        except OSError as error:
            what = f"the file cannot be read: {error.strerror or error}"
            yield RowFault(Spot(self._name, 0), what, "mend that, and run again")

    def _item(
        self, file: BinaryIO, line: bytes, line_number: int, number: int
    ) -> Row | RowFault | None:
        try:
            if len(line) > MAX_LINE_BYTES:
                _skip_line(file, line)
                raise _too_long()
            if line_number == 1:
                line = line.removeprefix(_BOM)
            text = line.decode().strip()
            if not text:
                return None
            fields = parse_row(text)
        except UnicodeDecodeError as error:
            what = f"the line is not UTF-8: byte {error.start + 1} is {line[error.start]:#04x}"
            return RowFault(Spot(self._name, line_number), what, "save the file as UTF-8")
        except RowError as error:
            return RowFault(Spot(self._name, line_number), str(error), error.remedy)
        fields[ROW_NUMBER] = number
        return Row(self._name, line_number, number, fields)


def _too_long() -> RowError:
    remedy = "write one object a line; a file goes in as the URL where it lies"
    return RowError(f"the line is longer than {MAX_LINE_BYTES // 2**20} MiB", remedy)


def _skip_line(file: BinaryIO, line: bytes) -> None:
    """Read on to the end of a line that is too long to be kept."""
    while line and not line.endswith(b"\n"):
        line = file.readline(MAX_LINE_BYTES)
