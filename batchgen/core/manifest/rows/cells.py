"""The cells of CSV and TSV: text, until a type is asked for.

Nothing is guessed: `007`, `16:9`, `no` and `2024-01-02` stay the text they are. A type is asked for
by the catalogue, where a cell wholly fills a parameter that it declares as one, or by `types:`.
Then a cell must be written as that type is written, and one that is not is a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from batchgen.core.catalog.model import ParameterType
from batchgen.core.catalog.validation import quoted
from batchgen.core.manifest.rows.row import RowError, parse_json
from batchgen.core.manifest.text.scalars import MAX_INTEGER

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,19})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_LONGEST_NUMBER = 400
_BOOLEANS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class CellType(StrEnum):
    """What the text of a field is read as."""

    INTEGER = "integer"
    """A whole number such as 42 or -7, within 64 bits; 007 and 42.0 are none."""
    NUMBER = "number"
    """A number such as 0.5, 42 or 1e-3; not .5, and no comma in it."""
    BOOLEAN = "boolean"
    """true or false, also True, TRUE, False and FALSE."""
    JSON = "json"
    """Any JSON value, such as ["a", "b"]."""


OF_PARAMETER: Mapping[ParameterType, CellType] = {
    ParameterType.INTEGER: CellType.INTEGER,
    ParameterType.NUMBER: CellType.NUMBER,
    ParameterType.BOOLEAN: CellType.BOOLEAN,
}
"""As what a cell is read that wholly fills a parameter of that type."""


class CellError(ValueError):
    """A text that is not written as its type; `remedy` does not depend on the text."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


def read_cell(text: str, kind: CellType) -> Any:
    """The value that a text is. Raises `CellError`."""
    return _READERS[kind](text)


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text) or abs(int(text)) > MAX_INTEGER:
        remedy = "write a whole number such as 42, without zeros before it or a decimal point"
        raise CellError(f"is {quoted(text)}, and a whole number is needed", remedy)
    return int(text)


def _number(text: str) -> int | float:
    if _INTEGER.fullmatch(text) and abs(int(text)) <= MAX_INTEGER:
        return int(text)
    # Beyond the largest float there is only infinity, and it is none.
    value = float(text) if len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text) else None
    if value is None or value - value != 0.0:
        remedy = "write a number such as 0.5 or 42, with a point and without zeros before it"
        raise CellError(f"is {quoted(text)}, and a number is needed", remedy)
    return value


def _boolean(text: str) -> bool:
    if text not in _BOOLEANS:
        remedy = "write true or false"
        raise CellError(f"is {quoted(text)}, and true or false is needed", remedy)
    return _BOOLEANS[text]


def _json(text: str) -> Any:
    try:
        return parse_json(text.strip())
    except RowError as error:
        remedy = 'write JSON, such as ["a", "b"] or {"a": 1}'
        raise CellError(f"is {quoted(text)}: {error}", remedy) from None


_READERS: Mapping[CellType, Callable[[str], Any]] = {
    CellType.INTEGER: _integer,
    CellType.NUMBER: _number,
    CellType.BOOLEAN: _boolean,
    CellType.JSON: _json,
}
