"""Text positions of a document's values, kept small: two numbers a key, none of them an object."""

from __future__ import annotations

from array import array
from typing import Any

from batchgen.core.manifest.text.locations import KeyPath, Position

COLUMN_BITS = 32
"""A packed position is `line << COLUMN_BITS | column`, both from 0."""
_COLUMN_MASK = (1 << COLUMN_BITS) - 1


class Positions:
    """Where the keys and values of a document stand; see `core.manifest.text.locations.SourceMap`.

    Keeps the document's value alive and goes by the identity of its containers. What an alias
    brings in stands where its anchor does.
    """

    def __init__(self) -> None:
        self._value: Any = None
        self._root = 0
        self._numbers = array("Q")
        """Of every container in turn: the packed positions of key and value of each item."""
        self._starts: dict[int, int] = {}
        """Where those of a container begin, by its identity."""
        self._orders: dict[int, dict[str | int, int]] = {}
        """Numbers of the keys of mappings that were asked for, by identity."""

    def begin(self, value: Any, numbers: list[int]) -> None:
        """Record the document's value; `numbers` as in `add`, empty where there is none."""
        self._value, self._root = value, numbers[-1] if numbers else 0

    def add(self, container: Any, numbers: list[int]) -> None:
        """Record a finished container: key and value of each item in turn."""
        self._starts[id(container)] = len(self._numbers)
        self._numbers.extend(numbers)

    def key(self, path: KeyPath) -> Position:
        """Line and column of the key of a path's last part."""
        return self._find(path, 0)

    def value(self, path: KeyPath) -> Position:
        """Line and column where the value of a path begins."""
        return self._find(path, 1)

    def _find(self, path: KeyPath, side: int) -> Position:
        """Walk down as far as the document goes: beyond it, the last thing found counts."""
        here, found = self._value, self._root
        for part in path:
            index = self._index(here, part)
            if index is None:
                break
            found = self._numbers[self._starts[id(here)] + 2 * index + side]
            here = here[part]
        return Position((found >> COLUMN_BITS) + 1, (found & _COLUMN_MASK) + 1)

    def _index(self, container: Any, part: str | int) -> int | None:
        """The number of an item in its container, None where there is no such item."""
        if isinstance(container, dict):
            if id(container) not in self._orders:
                self._orders[id(container)] = {key: n for n, key in enumerate(container)}
            return self._orders[id(container)].get(part)
        if isinstance(container, list) and isinstance(part, int) and part < len(container):
            return part
        return None
