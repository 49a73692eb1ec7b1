"""How the rows of a dataset are made: one consistent set of columns over all files of a run.

A row joins what is known of a file: columns of ours, the parameters that were sent, the fields of
the job's own row. Which columns there are, how they are called and what kind each holds can only be
said once all rows were seen: a `Survey` sees them, its `Columns` make the rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from batchgen.core.dataset.types import CHANGING, EXACT, ColumnType, as_kind, kind_of, wider

LOADER_NAMES = frozenset({"image", "audio", "video", "file"})
"""What loaders and exports call the column of the file itself."""
_FILE_LIKE = re.compile(r"(?:.*_)?file_names?")
"""Loaders take a column of such a name for one of files."""
_EARLY_ROWS = 1_000
_EARLY_CHARACTERS = 1_000_000
"""So much at the beginning surely stands in the 10 MiB from which loaders take the types."""
_MISSING = object()


class ColumnSource(StrEnum):
    """Where a column comes from. The earlier one keeps its name where two are called the same."""

    OWN = "own"
    """What batchgen knows of the job and the file."""
    PARAM = "param"
    """A parameter, as it was sent."""
    ROW = "row"
    """A field of the job's row or matrix."""

    __hash__ = str.__hash__


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of ours: `head` comes before parameters and fields, `tail` after them.

    `natural` is the kind of a column of ours in which every value is null. `rare` ones stand behind
    the tail, and only where some record has such a value.
    """

    head: Mapping[str, ColumnType]
    tail: Mapping[str, ColumnType]
    rare: Mapping[str, ColumnType] = field(default_factory=dict)

    @property
    def natural(self) -> dict[str, ColumnType]:
        """Every column of ours with its kind."""
        return {**self.head, **self.tail, **self.rare}


TOKENS = {"input_tokens": ColumnType.WHOLE, "output_tokens": ColumnType.WHOLE}
"""What text models count, as their makers do."""


FILES = Layout(
    {"file_name": ColumnType.TEXT, "id": ColumnType.TEXT, "model": ColumnType.TEXT},
    {
        "request_id": ColumnType.TEXT,
        "seed": ColumnType.WHOLE,
        "cost": ColumnType.NUMBER,
        "submitted_at": ColumnType.NUMBER,
        "finished_at": ColumnType.NUMBER,
        "inference_s": ColumnType.NUMBER,
        "queue_s": ColumnType.NUMBER,
        "total_s": ColumnType.NUMBER,
        "sha256": ColumnType.TEXT,
        "width": ColumnType.WHOLE,
        "height": ColumnType.WHOLE,
        "bytes": ColumnType.WHOLE,
        "media_type": ColumnType.TEXT,
        "verified": ColumnType.FLAG,
    },
    TOKENS,
)
"""Of a row for a file. `cost` in USD, instants in seconds since the epoch, sizes in pixels."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one file, or of one job: values by name, apart by where they come from."""

    own: Mapping[str, Any]
    params: Mapping[str, Any]
    row: Mapping[str, Any]

    def value(self, name: str) -> Any:
        """What a filter means by a name: ours, else the parameter, else the field; KeyError.

        A parameter or field that is hidden so has the name that its column has: `param_…`, `row_…`.
        """
        for values in (self.own, self.params, self.row):
            if name in values:
                return values[name]
        source, _, key = name.partition("_")
        return {"param": self.params, "row": self.row}[source][key]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in the dataset, and where its values are found."""

    name: str
    source: ColumnSource
    key: str
    kind: ColumnType


@dataclass(slots=True)
class _SeenValues:
    """What was seen of one column. `differs` from the one whose name it would take.

    `settled` are the types of values that tell nothing more about its kind.
    """

    kind: ColumnType = ColumnType.NOTHING
    differs: bool = False
    firsts: dict[ColumnType, tuple[int, Record | None]] = field(default_factory=dict)
    settled: set[type] = field(default_factory=set)

    def learn(self, value: Any, number: int, record: Record | None) -> None:
        """Take in a value of a record; the record is kept only if the kind is new."""
        kind = kind_of(value)
        if kind is not ColumnType.NOTHING and kind not in self.firsts:
            self.firsts[kind] = (number, record)
            self.kind = wider(self.kind, kind)
        # Of whole numbers and dates a later one may still be of another kind.
        if kind is not ColumnType.STAMP and type(value) is not int:
            self.settled.add(type(value))

    def is_like_others(self, value: Any) -> bool:
        """Whether it is a whole number of which `learn` would take in nothing new."""
        return type(value) is int and ColumnType.WHOLE in self.firsts and -EXACT <= value <= EXACT

    def witness(self, final: ColumnType) -> tuple[int, Record | None] | None:
        """The first record from which a loader can tell the kind of the column."""
        if final is ColumnType.TEXT:
            return self.firsts.get(ColumnType.TEXT)
        return min(self.firsts.values(), key=lambda first: first[0], default=None)


class Survey:
    """Sees every record once; memory does not grow with their number."""

    def __init__(self, layout: Layout = FILES) -> None:
        self._layout = layout
        self._seen: dict[tuple[ColumnSource, str], _SeenValues] = {}
        self._by_source: dict[ColumnSource, dict[str, _SeenValues]] = {
            source: {} for source in ColumnSource
        }
        for name in (*layout.head, *layout.tail):
            self._seen_of(ColumnSource.OWN, name)
        self._count = 0
        self._characters = 0
        self._early = True

    def add(self, record: Record) -> None:
        """See one record."""
        own, params, row = record.own, record.params, record.row
        self._learn(ColumnSource.OWN, own, record)
        self._learn(ColumnSource.PARAM, params, record)
        self._learn(ColumnSource.ROW, row, record)
        seen = self._by_source[ColumnSource.PARAM]
        for name, value in params.items():
            if not seen[name].differs:
                _compare(seen[name], value, own.get(name, _MISSING))
        seen = self._by_source[ColumnSource.ROW]
        for name, value in row.items():
            if not seen[name].differs:
                over = own if name in own else params
                _compare(seen[name], value, over.get(name, _MISSING))
        self._count += 1
        if self._early:
            self._characters += sum(len(str(v)) for v in (*own.values(), params, row))
            self._early = self._count < _EARLY_ROWS and self._characters < _EARLY_CHARACTERS

    def _learn(self, source: ColumnSource, values: Mapping[str, Any], record: Record) -> None:
        known = self._by_source[source]
        kept = None if self._early else record
        for name, value in values.items():
            seen = known.get(name) or self._seen_of(source, name)
            if type(value) not in seen.settled and not seen.is_like_others(value):
                seen.learn(value, self._count, kept)

    def _seen_of(self, source: ColumnSource, name: str) -> _SeenValues:
        made = self._seen[source, name] = self._by_source[source][name] = _SeenValues()
        return made

    def columns(self) -> Columns:
        """The columns of everything seen, and the records that must come early."""
        taken: set[str] = set(self._layout.natural)
        named: dict[tuple[ColumnSource, str], str] = {}
        for key in sorted(self._seen, key=self._is_shadowed):
            if self._is_needless(key):
                continue
            named[key] = self._layout_name(key, taken)
            taken.add(named[key])
        made = [self._column(key, named[key]) for key in self._seen if key in named]
        kept: dict[int, Record] = {}
        for column in made:
            seen = self._seen[column.source, column.key]
            first = seen.witness(column.kind)
            if first is not None and first[1] is not None:
                kept[first[0]] = first[1]
        return Columns(self._in_order(made), tuple(sorted(kept.items(), key=lambda one: one[0])))

    def _is_shadowed(self, key: tuple[ColumnSource, str]) -> bool:
        """Whether the name is another column's, or means something to loaders."""
        source, name = key
        if source is ColumnSource.OWN:
            return False
        if name in self._layout.natural or name in LOADER_NAMES or _FILE_LIKE.fullmatch(name):
            return True
        return source is ColumnSource.ROW and (ColumnSource.PARAM, name) in self._seen

    def _is_needless(self, key: tuple[ColumnSource, str]) -> bool:
        """Whether the column whose name it would take says the same in every row."""
        source, name = key
        over = name in self._layout.natural or (
            source is ColumnSource.ROW and (ColumnSource.PARAM, name) in self._seen
        )
        return source is not ColumnSource.OWN and over and not self._seen[key].differs

    def _layout_name(self, key: tuple[ColumnSource, str], taken: set[str]) -> str:
        source, name = key
        if source is ColumnSource.OWN:
            return name
        if self._is_shadowed(key):
            name = f"{source}_{name}"
        while name in taken or _FILE_LIKE.fullmatch(name):
            name += "_"
        return name

    def _column(self, key: tuple[ColumnSource, str], name: str) -> Column:
        source, of_source = key
        kind = self._seen[key].kind
        natural = (
            self._layout.natural[of_source] if source is ColumnSource.OWN else ColumnType.NOTHING
        )
        if kind is ColumnType.NOTHING or natural is ColumnType.NUMBER:
            kind = wider(kind, natural)
        return Column(name, source, of_source, kind)

    def _in_order(self, columns: list[Column]) -> tuple[Column, ...]:
        head: list[Column] = []
        tail: list[Column] = []
        for column in columns:
            own = column.source is ColumnSource.OWN
            (tail if own and column.key not in self._layout.head else head).append(column)
        order = {ColumnSource.OWN: 0, ColumnSource.PARAM: 1, ColumnSource.ROW: 2}
        return (*sorted(head, key=lambda column: order[column.source]), *tail)


def _compare(seen: _SeenValues, value: Any, shadow: Any) -> None:
    if value is not None and (type(shadow) is not type(value) or shadow != value):
        seen.differs = True


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a dataset in their order; `early` are records to be written first.

    A record of `early` comes with its number in the stream, from 0.
    """

    all: tuple[Column, ...]
    early: tuple[tuple[int, Record], ...] = ()
    _steps: tuple[tuple[str, int, str, ColumnType | None], ...] = field(
        init=False, repr=False, compare=False
    )
    """Of each column its name, the place of its source, its key, and its kind if values change.

    Made once: there are a million rows.
    """

    def __post_init__(self) -> None:
        """Say how a row is made."""
        places = {source: place for place, source in enumerate(ColumnSource)}
        steps = tuple(
            (c.name, places[c.source], c.key, c.kind if c.kind in CHANGING else None)
            for c in self.all
        )
        object.__setattr__(self, "_steps", steps)

    def row(self, record: Record) -> dict[str, Any]:
        """The row of a record: every column, null where the record has no such value."""
        values = (record.own, record.params, record.row)
        return {
            name: values[place].get(key) if kind is None else as_kind(values[place].get(key), kind)
            for name, place, key, kind in self._steps
        }

    def in_order(self, records: Iterable[Record]) -> Iterator[Record]:
        """All records, those first from which a loader learns types that it would see too late."""
        early = {number for number, _ in self.early}
        yield from (record for _, record in self.early)
        for number, record in enumerate(records):
            if number not in early:
                yield record
