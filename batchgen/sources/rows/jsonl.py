"""JSON Lines: one JSON object a line, in UTF-8; blank lines are skipped."""

from __future__ import annotations

from functools import partial
from typing import BinaryIO

from batchgen.core.manifest.rows.row import ROW_NUMBER, Row, RowError, RowFault, parse_row
from batchgen.sources.rows.row_file import BOM, MAX_LINE_BYTES, Items, RowFile, not_utf8, skip_line


def jsonl_rows(file: RowFile) -> Items:
    """The rows in the order of their lines, with memory for one line only."""
    number = file.rows_before
    with file.open() as opened:
        lines = iter(partial(opened.readline, MAX_LINE_BYTES + 1), b"")
        for line_number, line in enumerate(lines, start=1):
            try:
                text = _text(opened, line, is_first=line_number == 1)
                if not text:
                    continue
                fields = parse_row(text)
            except UnicodeDecodeError as error:
                remedy = "save the file as UTF-8"
                item: Row | RowFault = file.fault(line_number, not_utf8(line, error), remedy)
            except RowError as error:
                item = file.fault(line_number, str(error), error.remedy)
            else:
                fields[ROW_NUMBER] = number + 1
                item = Row(file.name, line_number, number + 1, fields)
            number += 1
            yield item


def _text(opened: BinaryIO, line: bytes, *, is_first: bool) -> str:
    """A line without the blanks around it. Raises `RowError`, `UnicodeDecodeError`."""
    if len(line) > MAX_LINE_BYTES:
        skip_line(opened, line)
        raise _too_long()
    return (line.removeprefix(BOM) if is_first else line).decode().strip()


def _too_long() -> RowError:
    remedy = "write one object a line; a file goes in as the URL where it lies"
    return RowError(f"the line is longer than {MAX_LINE_BYTES // 2**20} MiB", remedy)
