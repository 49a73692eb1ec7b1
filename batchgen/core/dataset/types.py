"""Kinds of values in the columns of a dataset, and what becomes of a column that mixes them.

Loaders give a column one type, which they take from the first megabytes. So each column is written
as one kind throughout: the least one that holds all its values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from batchgen.core.common.json import canonical_json

_INT64 = 2**63
EXACT = 2**53
"""Whole numbers beyond it are not exact as floating-point ones."""
_STAMP = re.compile(r"\d{4}-\d\d-\d\d(?:[ T][\d:.]+(?:Z|[+-][\d:]+)?)?")


class ColumnType(StrEnum):
    """What a column holds."""

    NOTHING = "nothing"
    """Null in every row."""
    FLAG = "flag"
    """True or false."""
    WHOLE = "whole"
    """Whole numbers up to 2^53."""
    LARGE = "large"
    """Whole numbers of 64 bits."""
    NUMBER = "number"
    """Numbers, written with a fraction."""
    STAMP = "stamp"
    """Text that reads as a date or a time: some loaders make one of it."""
    TEXT = "text"
    """Any other text."""
    JSON = "json"
    """Lists, objects, or values of several kinds: each value as JSON text."""

    __hash__ = str.__hash__  # a member equals its text; Enum's own hash is Python, and slow


_WIDER: Mapping[frozenset[ColumnType], ColumnType] = {
    frozenset({ColumnType.WHOLE, ColumnType.LARGE}): ColumnType.LARGE,
    frozenset({ColumnType.WHOLE, ColumnType.NUMBER}): ColumnType.NUMBER,
    frozenset({ColumnType.STAMP, ColumnType.TEXT}): ColumnType.TEXT,
}


def kind_of(value: Any) -> ColumnType:
    """The kind of one value of a JSON document."""
    if value is None:
        return ColumnType.NOTHING
    if isinstance(value, str):
        return ColumnType.STAMP if _is_stamp(value) else ColumnType.TEXT
    if isinstance(value, bool):
        return ColumnType.FLAG
    if isinstance(value, float):
        return ColumnType.NUMBER
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return ColumnType.WHOLE if abs(value) <= EXACT else ColumnType.LARGE
    return ColumnType.JSON


def wider(one: ColumnType, other: ColumnType) -> ColumnType:
    """The least kind that holds the values of both."""
    if one is other or other is ColumnType.NOTHING:
        return one
    if one is ColumnType.NOTHING:
        return other
    return _WIDER.get(frozenset({one, other}), ColumnType.JSON)


CHANGING = frozenset({ColumnType.NUMBER, ColumnType.JSON})
"""Kinds whose values are written as something else than they are; see `as_kind`."""


def as_kind(value: Any, kind: ColumnType) -> Any:
    """A value as its column holds it; null stays null."""
    if value is None:
        return None
    if kind is ColumnType.NUMBER:
        return float(value)
    return canonical_json(value) if kind is ColumnType.JSON else value


def _is_stamp(text: str) -> bool:
    if not text[:4].isdigit() or not _STAMP.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
