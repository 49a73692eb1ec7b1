"""Text positions of a document's values, kept small: two numbers a key, none of them an object."""

from __future__ import annotations

from array import array
from typing import Any

from batchgen.core.manifest.text.locations import KeyPath, Position

COLUMN_BITS = 32
"""A packed position is `line << COLUMN_BITS | column`, both from 0."""
_COLUMN_MASK = (1 << COLUMN_BITS) - 1


class Marks:
    """Packed positions of every key and value, per container, in the order of its items."""

    def __init__(self) -> None:
        self.root = 0
        self._numbers = array("Q")
        self._starts: dict[int, int] = {}

    def add(self, container: Any, numbers: list[int]) -> None:
        """Record a finished container: key and value of each item in turn."""
        self._starts[id(container)] = len(self._numbers)
        self._numbers.extend(numbers)

    def find(self, container: Any, index: int) -> tuple[int, int]:
        """The packed positions of the key and the value of a container's item."""
        start = self._starts[id(container)] + 2 * index
        return self._numbers[start], self._numbers[start + 1]


class Positions:
    """Where the keys and values of a document stand; see `core.manifest.text.locations.Places`.

    Keeps the document's value alive and goes by the identity of its containers. What an alias
    brings in stands where its anchor does.
    """

    def __init__(self, value: Any, marks: Marks) -> None:
        self._value = value
        self._marks = marks
        self._orders: dict[int, dict[str | int, int]] = {}
        """Numbers of the keys of mappings that were asked for, by identity."""

    def key(self, path: KeyPath) -> Position:
        """Line and column of the key of a path's last part."""
        return self._find(path)[0]

    def value(self, path: KeyPath) -> Position:
        """Line and column where the value of a path begins."""
        return self._find(path)[1]

    def _find(self, path: KeyPath) -> tuple[Position, Position]:
        """Walk down as far as the document goes: beyond it, the last thing found counts."""
        here = self._value
        found = (self._marks.root, self._marks.root)
        for part in path:
            index = self._index(here, part)
            if index is None:
                break
            found = self._marks.find(here, index)
            here = here[part]
        return _place(found[0]), _place(found[1])

    def _index(self, container: Any, part: str | int) -> int | None:
        """The number of an item in its container, None where there is no such item."""
        if isinstance(container, dict):
            if id(container) not in self._orders:
                self._orders[id(container)] = {key: n for n, key in enumerate(container)}
            return self._orders[id(container)].get(part)
        if isinstance(container, list) and isinstance(part, int) and part < len(container):
            return part
        return None


def _place(number: int) -> Position:
    return Position((number >> COLUMN_BITS) + 1, (number & _COLUMN_MASK) + 1)
