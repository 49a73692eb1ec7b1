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

from batchgen.core.http import canonical_json

_INT64 = 2**63
EXACT = 2**53
"""Whole numbers beyond it are not exact as floating-point ones."""
_STAMP = re.compile(r"\d{4}-\d\d-\d\d(?:[ T][\d:.]+(?:Z|[+-][\d:]+)?)?")


class Kind(StrEnum):
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


_WIDER: Mapping[frozenset[Kind], Kind] = {
    frozenset({Kind.WHOLE, Kind.LARGE}): Kind.LARGE,
    frozenset({Kind.WHOLE, Kind.NUMBER}): Kind.NUMBER,
    frozenset({Kind.STAMP, Kind.TEXT}): Kind.TEXT,
}


def kind_of(value: Any) -> Kind:
    """The kind of one value of a JSON document."""
    if value is None:
        return Kind.NOTHING
    if isinstance(value, str):
        return Kind.STAMP if _is_stamp(value) else Kind.TEXT
    if isinstance(value, bool):
        return Kind.FLAG
    if isinstance(value, float):
        return Kind.NUMBER
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return Kind.WHOLE if abs(value) <= EXACT else Kind.LARGE
    return Kind.JSON


def wider(one: Kind, other: Kind) -> Kind:
    """The least kind that holds the values of both."""
    if one is other or other is Kind.NOTHING:
        return one
    if one is Kind.NOTHING:
        return other
    return _WIDER.get(frozenset({one, other}), Kind.JSON)


CHANGING = frozenset({Kind.NUMBER, Kind.JSON})
"""Kinds whose values are written as something else than they are; see `as_kind`."""


def as_kind(value: Any, kind: Kind) -> Any:
    """A value as its column holds it; null stays null."""
    if value is None:
        return None
    if kind is Kind.NUMBER:
        return float(value)
    return canonical_json(value) if kind is Kind.JSON else value


def _is_stamp(text: str) -> bool:
    if not text[:4].isdigit() or not _STAMP.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
