"""Which rows of a source an entry takes, and with which types: `types`, `where`, `sample`, `limit`.

Rows stream through. The fields that `where` names get their types first, the others once the row is
taken: what stands in a row that is left out does not matter.

A sample does not change from run to run: what decides is a hash of the row's number. For a share,
that is all; for a number of rows, the rows are read once before to find those with the smallest
hashes, of which only the numbers are kept.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from batchgen.core.manifest.entry import Entry
from batchgen.core.manifest.rows.cells import CellError, CellType, read_cell
from batchgen.core.manifest.rows.row import ROW_NUMBER, Row, RowFault, RowSource
from batchgen.core.manifest.rows.where import ConditionError, compile_condition
from batchgen.core.manifest.text.locations import Diagnostic, KeyPath
from batchgen.core.manifest.text.templates import Fields

_HASH_BITS = 64
_NUMBER_BITS = 40
"""More rows than that no file has."""
_NAMES_SHOWN = 100


class Selection:
    """The rows of one entry; `path` is the entry's."""

    def __init__(self, entry: Entry, path: KeyPath) -> None:
        self._path = path
        self._tests = {name: compile_condition(raw) for name, raw in (entry.where or {}).items()}
        types = entry.types or {}
        self._early = {name: kind for name, kind in types.items() if name in self._tests}
        self._late = {name: kind for name, kind in types.items() if name not in self._tests}
        self._sample = entry.sample
        self._limit = entry.limit
        self.read_count = 0
        """Rows that were looked at so far."""

    def rows(self, source: RowSource) -> Iterator[Row | Diagnostic]:
        """Those that are taken, in their order, and everything that is wrong on the way."""
        if self._late or self._limit or self._sample:
            return self._chosen(source)
        return self._fulfilling(source)

    def _chosen(self, source: RowSource) -> Iterator[Row | Diagnostic]:
        """Of the rows that `where` leaves those of the sample, as far as the limit, typed."""
        left = self._limit
        is_sampled = self._sampler(source)
        for item in self._fulfilling(source):
            if isinstance(item, Row):
                if is_sampled is not None and not is_sampled(item.number):
                    continue
                yield self._typed(item, self._late) if self._late else item
                left = None if left is None else left - 1
                if left == 0:
                    return
            else:
                yield item

    def _fulfilling(self, source: RowSource) -> Iterator[Row | Diagnostic]:
        """The rows that `where` leaves."""
        tests = self._tests
        self.read_count = 0
        for row in source.rows():
            self.read_count += 1
            if isinstance(row, RowFault):
                yield Diagnostic((*self._path, "from"), row.what, row.remedy, spot=row.spot)
            elif not tests:
                yield row
            else:
                item = self._typed(row, self._early) if self._early else row
                verdict = self._judged(item) if isinstance(item, Row) else item
                if verdict is not None:
                    yield verdict

    def _judged(self, row: Row) -> Row | Diagnostic | None:
        """The row, None where it is left out, or what is wrong with it."""
        name = ""
        try:
            for name, test in self._tests.items():
                if not test(row.fields[name]):
                    return None
        except KeyError:
            return self._missing("where", name, row)
        except ConditionError as error:
            what = f"the field {name}: {error}"
            return Diagnostic((*self._path, "where", name), what, error.remedy, spot=row.spot)
        return row

    def _typed(self, row: Row, types: Mapping[str, CellType]) -> Row | Diagnostic:
        """The row with its texts read as what they are said to be."""
        fields: dict[str, Any] = dict(row.fields)
        name = ""
        try:
            for name, kind in types.items():
                value = fields[name]
                if isinstance(value, str):
                    fields[name] = read_cell(value, kind)
        except KeyError:
            return self._missing("types", name, row)
        except CellError as error:
            what = f"the field {name} {error}"
            return Diagnostic((*self._path, "types", name), what, error.remedy, spot=row.spot)
        return Row(row.file, row.line, row.number, fields, row.untyped)

    def _missing(self, key: str, name: str, row: Row) -> Diagnostic:
        path = (*self._path, key, name)
        remedy = f"give every row that field, or take it out of {key}"
        return Diagnostic(path, no_field(name, row.fields), remedy, at_key=True, spot=row.spot)

    def _sampler(self, source: RowSource) -> Callable[[int], bool] | None:
        """Whether the row of a number is in the sample; None where all are."""
        if self._sample is None:
            return None
        if isinstance(self._sample, float):
            below = int(self._sample * 2**_HASH_BITS)
            return lambda number: _hash(number) < below
        ranks = (
            _hash(item.number) << _NUMBER_BITS | item.number
            for item in self._fulfilling(source)
            if isinstance(item, Row)
        )
        smallest = heapq.nsmallest(self._sample, ranks)
        chosen = frozenset(rank & (2**_NUMBER_BITS - 1) for rank in smallest)
        return lambda number: number in chosen


def no_field(name: str, fields: Fields) -> str:
    """What is said of a row that lacks a field."""
    named = ", ".join(sorted(fields.keys() - {ROW_NUMBER})) or "none"
    shown = named if len(named) <= _NAMES_SHOWN else f"{named[: _NAMES_SHOWN - 1]}…"
    return f"the row has no field {name}; its fields: {shown}"


def _hash(number: int) -> int:
    digest = hashlib.blake2b(number.to_bytes(8, "big"), digest_size=_HASH_BITS // 8).digest()
    return int.from_bytes(digest, "big")
