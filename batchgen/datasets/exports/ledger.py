"""The ledger as a table, in one file that is written whole and then renamed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from batchgen.core.dataset.columns import Columns, Record
from batchgen.core.dataset.export import ExportKind, Filter
from batchgen.core.dataset.tables import ATTEMPTS, JOBS, cell
from batchgen.datasets.metadata import json_line, replace_text, survey
from batchgen.ports import RecordReader


@dataclass(frozen=True, slots=True)
class LedgerRequest:
    """Which rows: those of jobs, or with `attempts` one a POST, in these states (none: in any)."""

    kind: ExportKind
    filter: Filter
    attempts: bool = False
    states: frozenset[str] = frozenset()
    id_glob: str = "*"
    model_glob: str = "*"

    @property
    def file_name(self) -> str:
        """What the table is called."""
        return f"{'attempts' if self.attempts else 'jobs'}.{self.kind}"


@dataclass(slots=True)
class Written:
    """What stands in a table: its rows, and how many of its cells had to be made harmless."""

    row_count: int = 0
    guarded_count: int = 0


def write_ledger(folder: Path, reader: RecordReader, wish: LedgerRequest) -> Written:
    """Write the table. Raises `UnknownFieldError` and `OSError`."""
    written = Written()
    rows = reader.attempts() if wish.attempts else reader.jobs()
    records = rows.only(wish.id_glob, wish.model_glob)

    def chosen() -> Iterator[Record]:
        for record in wish.filter.passed(records):
            if not wish.states or record.own["state"] in wish.states:
                yield replace(record, params={}, row={}) if wish.attempts else record

    with reader.snapshot():
        columns = survey(chosen(), ATTEMPTS if wish.attempts else JOBS).columns
        lines = _csv_lines if wish.kind is ExportKind.CSV else _json_lines
        replace_text(folder / wish.file_name, lines(chosen(), columns, written))
    return written


def _json_lines(records: Iterator[Record], columns: Columns, written: Written) -> Iterator[str]:
    for record in records:
        written.row_count += 1
        yield json_line(columns.row(record))


def _csv_lines(records: Iterator[Record], columns: Columns, written: Written) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(cell(column.name) for column in columns.all)
    yield buffer.getvalue()
    for record in records:
        buffer.seek(0)
        buffer.truncate()
        cells = [(value, cell(value)) for value in columns.row(record).values()]
        writer.writerow(text for _, text in cells)
        written.row_count += 1
        written.guarded_count += sum(isinstance(v, str) and v != text for v, text in cells)
        yield buffer.getvalue()
