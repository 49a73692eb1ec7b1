"""What an export is made of: which files, in which shards, under which names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from batchgen.core.common.json import canonical_json
from batchgen.core.common.text import scalar_text
from batchgen.core.dataset.columns import Record


class ExportKind(StrEnum):
    """What can be made of a run."""

    WEBDATASET = "webdataset"
    """Tar shards for `webdataset`: of each file the bytes and a JSON member beside them."""
    PARQUET = "parquet"
    """Parquet shards with the bytes embedded, as `datasets` has pictures."""
    IMAGEFOLDER = "imagefolder"
    """A folder of the files, with a `metadata.jsonl` and a card of its own."""
    CSV = "csv"
    """The ledger as a table: one row a job, or one an attempt."""
    JSONL = "jsonl"
    """The same as one JSON object a line."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file to be exported: its name below the outputs, what it must be, and its row."""

    name: str
    sha256: str
    size: int
    row: Mapping[str, Any]

    @property
    def extension(self) -> str:
        """Of its name, without the dot."""
        return self.name.rpartition(".")[2]

    @classmethod
    def of(cls, record: Record, row: Mapping[str, Any]) -> PlannedFile:
        """The file of a record, with its row in the dataset."""
        return cls(record.own["file_name"], record.own["sha256"], record.own["bytes"], row)


@dataclass(frozen=True, slots=True)
class ShardLimits:
    """A shard holds so many files and so many bytes at most; one file always fits."""

    files: int
    bytes: int


class Cutter:
    """Cuts a stream of files into shards; the same stream always into the same ones."""

    def __init__(self, limits: ShardLimits) -> None:
        self._limits = limits
        self._number = 0
        self._files = 0
        self._bytes = 0

    def number_of(self, cost: int) -> int:
        """The number, from 0, of the shard that the next file belongs to; `cost` in bytes."""
        full = self._files >= self._limits.files or self._bytes + cost > self._limits.bytes
        if self._files and full:
            self._number += 1
            self._files = self._bytes = 0
        self._files += 1
        self._bytes += cost
        return self._number


def pair_key(name: str, taken: Container[str] = ()) -> str:
    """The key of a file and its row in a tar shard: the name without extension, with no dot.

    Readers end the key at the first dot. A name that had dots gets the beginning of its hash, so
    that `a.b` and `a_b` stay two; and so does one whose key is `taken`, as `a.png` beside `a.jpg`.
    """
    stem = name.rpartition(".")[0] or name
    if "." not in stem and stem not in taken:
        return stem
    return f"{stem.replace('.', '_')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def member_names(file: PlannedFile, keys: set[str]) -> tuple[str, str]:
    """The names of the two members of a shard: the file, and its row as JSON.

    `keys` are those of the shard so far; theirs is added.
    """
    key, extension = pair_key(file.name, keys), file.extension.lower()
    keys.add(key)
    return f"{key}.{'output.json' if extension == 'json' else extension}", f"{key}.json"


class UnknownFieldError(ValueError):
    """A filter names a field that nothing has. `known` are names that there are."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name)
        self.name = name
        self.known = known


@dataclass(slots=True)
class Filter:
    """Passes the records whose fields match globs, all of them; an empty glob is a null."""

    conditions: tuple[tuple[str, str], ...]
    _unseen: set[str] = field(default_factory=set)
    _known: tuple[str, ...] = ()

    def passed(self, records: Iterable[Record]) -> Iterator[Record]:
        """Those that match. Raises `UnknownFieldError` after the last, if there were any."""
        self._unseen = {name for name, _ in self.conditions}
        for record in records:
            if not self._known:
                self._known = (*record.own, *record.params, *record.row)
            if all(self._matches(record, *condition) for condition in self.conditions):
                yield record
        if self._unseen and self._known:
            raise UnknownFieldError(min(self._unseen), self._known)

    def _matches(self, record: Record, name: str, glob: str) -> bool:
        try:
            value = record.value(name)
        except KeyError:
            return False
        self._unseen.discard(name)
        if value is None or not glob:
            return value is None and not glob
        text = canonical_json(value) if isinstance(value, dict | list) else scalar_text(value)
        return text == glob or fnmatchcase(text, glob)


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """`1GB` or `512MiB` in bytes. Raises `ValueError`."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        raise ValueError(text)
    power = " kmgt".index(match[2].lower() or " ")
    factor: int = (1024 if match[3] else 1000) ** power
    size = round(float(match[1]) * factor)
    if size < 1:
        raise ValueError(text)
    return size


@dataclass(frozen=True, slots=True)
class Finished:
    """Finished files: their number, their bytes, and when the last of them was saved."""

    count: int
    bytes: int
    saved_at: float
