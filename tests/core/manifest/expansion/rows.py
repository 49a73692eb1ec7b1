"""Rows from memory, where a test needs no file."""

from __future__ import annotations

from batchgen.core.manifest.rows.row import Row, RowFault
from batchgen.core.manifest.text.locations import RowLocation


class Rows:
    """One source of untyped rows; counts how often it was read."""

    def __init__(self, *rows, untyped=True):
        self._rows = rows
        self._untyped = untyped
        self.read_count = 0

    def open(self, name):
        return self

    def rows(self):
        self.read_count += 1
        for number, fields in enumerate(self._rows, start=1):
            if isinstance(fields, str):
                yield RowFault(RowLocation("rows", number + 1), fields, "mend it")
            else:
                line = number + 1
                yield Row("rows", line, number, {**fields, "row": number}, self._untyped)
