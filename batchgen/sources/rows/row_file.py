"""One file of rows: how it is called, and how it is opened, packed or not."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from batchgen.core.manifest.rows.row import Row, RowFault
from batchgen.core.manifest.text.locations import RowLocation
from batchgen.sources.rows.zst import ZstFile

MAX_LINE_BYTES = 8 * 2**20
"""A longer line, or cell, is refused: it is more likely a file of another kind than a prompt."""

BOM = b"\xef\xbb\xbf"

_BUFFER_BYTES = 2**20
"""Reads are to be rare: each lets go of the interpreter for a moment, and takes it back before a
loop that waits for it may have it."""

Items = Iterator[Row | RowFault]


@dataclass(frozen=True, slots=True)
class RowFile:
    """A file of rows. `name` is what messages call it; `rows_before` counts those of the files of
    the same source that come before."""

    path: Path
    name: str
    rows_before: int = 0

    def open(self) -> BinaryIO:
        """Its bytes, unpacked. Raises `OSError`; reading may raise what `guarded` knows."""
        suffix = self.path.suffix.lower()
        if suffix == ".gz":
            packed = cast("io.RawIOBase", gzip.GzipFile(self.path, "rb"))
            return io.BufferedReader(packed, _BUFFER_BYTES)
        if suffix == ".zst":
            return io.BufferedReader(ZstFile(self.path), _BUFFER_BYTES)
        return self.path.open("rb", buffering=_BUFFER_BYTES)

    def fault(self, line: int, what: str, remedy: str) -> RowFault:
        """Something that is wrong in a line; 0 is the file."""
        return RowFault(RowLocation(self.name, line), what, remedy)


Reader = Callable[[RowFile], Items]
"""What makes rows of the files of one format."""


def guarded(reader: Reader, file: RowFile) -> Items:
    """The rows of a file; that it cannot be read is a fault like others."""
    try:
        yield from reader(file)
    except EOFError:
        remedy = "fetch or pack it anew: rows are missing"
        yield file.fault(0, "the file ends in the middle: it was cut", remedy)
    except (OSError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        yield file.fault(0, f"the file cannot be read: {reason}", "mend that, and run again")
    except ImportError:
        remedy = "python -m pip install zstandard"
        yield file.fault(0, "rows from .zst files need the library zstandard", remedy)


def skip_line(file: BinaryIO, line: bytes) -> None:
    """Read on to the end of a line that is too long to be kept."""
    while line and not line.endswith(b"\n"):
        line = file.readline(MAX_LINE_BYTES)


def not_utf8(line: bytes, error: UnicodeDecodeError) -> str:
    """What is said of a line of another encoding; bytes count from 1."""
    return f"the line is not UTF-8: byte {error.start + 1} is {line[error.start]:#04x}"
