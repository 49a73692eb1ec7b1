"""`metadata.jsonl` and the dataset card: what makes a folder of files a dataset.

`survey` and `metadata_lines` make the text, `write_metadata` puts it into a folder, from which it
may go on to a bucket.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchgen.core.dataset.card import About, NameSurvey, folder_card
from batchgen.core.dataset.columns import FILES, Columns, Layout, Record, Survey

METADATA_NAME = "metadata.jsonl"
CARD_NAME = "README.md"

DATASET_NAMES = (METADATA_NAME, CARD_NAME)
"""What a run writes among its outputs by itself."""

_LINE_ENDS = re.compile("[\x85\u2028\u2029]")
"""JSON has no need to escape them, and some readers of lines end a line at them."""
_encoded = json.JSONEncoder(ensure_ascii=False).encode
"""`json.dumps` would make a new encoder for every row."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What all records of a dataset have in common, seen in one pass over them."""

    columns: Columns
    names: NameSurvey


def survey(records: Iterable[Record], layout: Layout = FILES) -> Surveyed:
    """See every record once. Memory does not grow with their number."""
    seen, names = Survey(layout), NameSurvey()
    for record in records:
        seen.add(record)
        own = record.own
        names.add(own.get("file_name") or "", verified=own.get("verified") is not False)
    return Surveyed(seen.columns(), names)


def metadata_lines(records: Iterable[Record], columns: Columns) -> Iterator[str]:
    """The lines of `metadata.jsonl`, one a record, each with its line end."""
    for record in columns.in_order(records):
        yield json_line(columns.row(record))


def json_line(row: Mapping[str, Any] | Sequence[Any]) -> str:
    """A row as one line of JSON, whatever reads it."""
    text = _encoded(row)
    if not text.isascii():
        text = _LINE_ENDS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return text + "\n"


def write_metadata(folder: Path, records: Iterable[Record], title: str, place: str = "") -> int:
    """Write both files, each whole and then renamed; returns the count of rows.

    `title` is the dataset's, `place` where it will be loaded from if not from `folder`. `records`
    are iterated over twice, and have to be the same both times. Raises `OSError` when the disk
    refuses.
    """
    surveyed = survey(records)
    digest = replace_text(folder / METADATA_NAME, metadata_lines(records, surveyed.columns))
    about = About(title, place or folder.as_posix(), digest)
    replace_text(folder / CARD_NAME, [folder_card(about, surveyed.columns, surveyed.names)])
    return surveyed.names.count


def replace_text(path: Path, lines: Iterable[str]) -> str:
    """Write a text file beside its place, sync it, and then give it its name; its SHA-256."""
    # Hidden: a dataset loader passes over it if a death leaves it behind.
    partial = path.with_name(f".{path.name}.part")
    try:
        digest = hashlib.sha256()
        with partial.open("wb") as file:
            for line in lines:
                data = line.encode()
                digest.update(data)
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        return digest.hexdigest()
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
