"""JSON Lines: one JSON object a line, in UTF-8; blank lines are skipped."""

from __future__ import annotations

from itertools import count
from typing import BinaryIO

from batchgen.core.manifest.rows.row import ROW_NUMBER, Row, RowError, RowFault, parse_row
from batchgen.sources.rows.row_file import BOM, MAX_LINE_BYTES, Items, RowFile, not_utf8, skip_line


def jsonl_rows(file: RowFile) -> Items:
    """The rows in the order of their lines, with memory for one line only."""
    number = file.rows_before
    with file.open() as opened:
        for line_number in count(1):
            line = opened.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
            item = _item(file, opened, line, line_number, number + 1)
            if item is not None:
                number += 1
                yield item


def _item(
    file: RowFile, opened: BinaryIO, line: bytes, line_number: int, number: int
) -> Row | RowFault | None:
    try:
        if len(line) > MAX_LINE_BYTES:
            skip_line(opened, line)
            raise _too_long()
        if line_number == 1:
            line = line.removeprefix(BOM)
        text = line.decode().strip()
        if not text:
            return None
        fields = parse_row(text)
    except UnicodeDecodeError as error:
        return file.fault(line_number, not_utf8(line, error), "save the file as UTF-8")
    except RowError as error:
        return file.fault(line_number, str(error), error.remedy)
    fields[ROW_NUMBER] = number
    return Row(file.name, line_number, number, fields)


def _too_long() -> RowError:
    remedy = "write one object a line; a file goes in as the URL where it lies"
    return RowError(f"the line is longer than {MAX_LINE_BYTES // 2**20} MiB", remedy)
