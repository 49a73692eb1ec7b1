"""Rows of a file as the fields of jobs: `from:` in a manifest.

A row has fields, all of which go along with its jobs; a template can name those of them that are
called so that it can. Values are taken as they are: text, numbers, true, false and null fill any
template, lists and objects only one that is exactly `{field}`. A row of JSON Lines is one JSON
object.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from batchgen.core.catalog.validation import quoted
from batchgen.core.common.json import canonical_json
from batchgen.core.manifest.text.locations import RowLocation
from batchgen.core.manifest.text.templates import Fields
from batchgen.core.net.http import is_deep

ROW_NUMBER = "row"
"""The field every row has: its number, from 1, blank lines not counted."""
MAX_DEPTH = 64
"""Deeper nesting is refused, as in the manifest itself."""

_MAX_WHOLE_DIGITS = 18
_ONE_OBJECT = "write one JSON object a line, and nothing after it"


class Row(NamedTuple):
    """One row of a file: its line and its number (both from 1), and its fields, `row` included.

    `line` is where it begins; in a file without lines its number there; 0 where it is the file.
    `number` goes through all files of a source. `untyped` says that its values are text because
    its format knows nothing else.
    """

    file: str
    line: int
    number: int
    fields: Fields
    untyped: bool = False

    @property
    def spot(self) -> RowLocation:
        """Where it stands."""
        return RowLocation(self.file, self.line)


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that cannot be read; `remedy` does not depend on what stands in it."""

    spot: RowLocation
    what: str
    remedy: str


class RowSource(Protocol):
    """The rows of one `from:`, of one or many files, read anew at each call."""

    def rows(self) -> Iterator[Row | RowFault]:
        """All rows in their order, faults in between."""
        ...


class SourceError(ValueError):
    """A `from:` that cannot be read at all; `what` and `remedy` are for the reader."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class Sources(Protocol):
    """Finds the source that a `from:` names."""

    def open(self, name: str) -> RowSource:
        """The source of that name. Raises `SourceError` when there is none that can be read."""
        ...


class NoSources:
    """For manifests made from Python values: there is no folder a path could be relative to."""

    def open(self, name: str) -> RowSource:
        """Refuses every one."""
        what = f"{quoted(name)} cannot be found: this manifest is no file"
        raise SourceError(what, "write the manifest into a file beside it")


class RowError(ValueError):
    """A text that is no row; the text says why, `remedy` what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


def parse_row(text: str) -> dict[str, Any]:
    """The fields of one row; blanks around it are removed already.

    Raises `RowError` for what is not one strict JSON object, as `parse_json` has it.
    """
    value = parse_json(text)
    if not isinstance(value, dict):
        remedy = 'write one object a line, such as {"prompt": "a cup", "seed": 1}'
        raise RowError(f"a row is an object, and this is {_kind(value)}", remedy)
    return value


def parse_json(text: str) -> Any:
    """A strict JSON value; blanks around it are removed already.

    Raises `RowError` for anything else: no key twice, no NaN or infinite number, whole numbers
    within 64 bits, nothing nested deeper than `MAX_DEPTH`, no half surrogate pairs.
    """
    try:
        value, end = _DECODER.raw_decode(text)
    except json.JSONDecodeError as error:
        what = f"not JSON: {error.msg} at column {error.colno}"
        raise RowError(what, _ONE_OBJECT) from None
    except RecursionError:
        raise _too_deep() from None
    if end < len(text):
        raise RowError(f"something follows the value at column {end + 1}", _ONE_OBJECT)
    if text.count("{") + text.count("[") > MAX_DEPTH and is_deep(value, MAX_DEPTH):
        raise _too_deep()
    if "\\u" in text:
        _refuse_half_characters(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in value if names.count(name) > 1)
        raise RowError(f"the key {quoted(twice)} stands in it twice", "remove one of them")
    return value


def _constant(name: str) -> Any:
    raise RowError(f"{name} is not JSON", "give a finite number, or null to leave it out")


def _fraction(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise RowError(f"{text[:40]} is out of range", "give a smaller number, or put it in quotes")
    return number


def _whole(text: str) -> int:
    if len(text) > _MAX_WHOLE_DIGITS and (len(text) > 20 or not -(2**63) <= int(text) < 2**64):
        raise RowError(f"{text[:40]} does not fit into 64 bits", "put it in quotes if it is text")
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_fraction, parse_int=_whole
)


def _too_deep() -> RowError:
    return RowError(f"nested deeper than {MAX_DEPTH} levels", "flatten it")


def _refuse_half_characters(value: Any) -> None:
    try:
        canonical_json(value).encode()
    except UnicodeEncodeError:
        remedy = "write the character itself, or both halves of its \\u escape"
        raise RowError("a text holds half a surrogate pair", remedy) from None


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return "text"
    return (
        "null" if value is None else "a number" if not isinstance(value, bool) else "true or false"
    )
