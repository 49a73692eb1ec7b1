"""`where:` of an entry: which rows it takes.

A condition is one value (`label: cat`), a list of values (`label: [cat, dog]`), what it may not be
(`label: {not: cat}`, or a list there), or bounds, both inclusive (`width: {min: 512, max: 2048}`).

Numbers, true and false of a condition also find text that is written so, since the cells of CSV are
text. Bounds compare numbers with numbers, and text with text character by character, which is right
for dates such as 2024-01-02. Null is within no bounds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import AfterValidator, WithJsonSchema

from batchgen.core.catalog.validation import shown
from batchgen.core.manifest.rows.cells import CellError, CellType, read_cell
from batchgen.core.manifest.text.fields import Scalar, fault

Test = Callable[[Any], bool]
"""Whether a value fulfils a condition. Raises `ConditionError` where they cannot be compared."""

_SCALAR = (str, int, float, bool, type(None))
_BOUNDS = frozenset({"min", "max"})
_SHAPES = (
    "write a value, a list of values, {not: value}, or {min: 1, max: 9}; for instance "
    "where: {label: [cat, dog], width: {min: 512}}"
)
_SCALAR_SCHEMAS = [{"type": kind} for kind in ("string", "number", "boolean", "null")]
_SCHEMA = {
    "anyOf": [
        *_SCALAR_SCHEMAS,
        {"type": "array", "items": {"anyOf": _SCALAR_SCHEMAS}, "minItems": 1},
        {
            "type": "object",
            "propertyNames": {"enum": ["not", "min", "max"]},
            "minProperties": 1,
            "maxProperties": 2,
        },
    ]
}


class ConditionError(ValueError):
    """A value that a condition cannot judge; `remedy` does not depend on the value."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


def compile_condition(raw: Any) -> Test:
    """The test that a condition of a manifest means; its shape was checked before."""
    if not isinstance(raw, Mapping):
        return _one_of(_values(raw))
    if "not" in raw:
        found = _one_of(_values(raw["not"]))
        return lambda value: not found(value)
    return _between(raw.get("min"), raw.get("max"))


def _one_of(wanted: tuple[Scalar, ...]) -> Test:
    keys = frozenset(map(_key, wanted))
    readings = [
        kind
        for kind, types in ((CellType.NUMBER, (int, float)), (CellType.BOOLEAN, (bool,)))
        if any(type(value) in types for value in wanted)
    ]

    def is_one_of(value: Any) -> bool:
        if _key(value) in keys:
            return True
        if not isinstance(value, str):
            return False
        read = (_reading(value, kind) for kind in readings)
        return any(item is not None and _key(item) in keys for item in read)

    return is_one_of


def _between(low: Any, high: Any) -> Test:
    bound = high if low is None else low
    wants_text = isinstance(bound, str)
    remedy = (
        "give text in that field, or write the bounds as numbers, without quotes"
        if wants_text
        else "leave such rows out first (a file of their own), or write the bounds in quotes"
    )

    def is_between(value: Any) -> bool:
        if value is None:
            return False
        if isinstance(value, str) and not wants_text:
            number = _reading(value, CellType.NUMBER)
            value = value if number is None else number
        if isinstance(value, str) is not wants_text or not isinstance(value, _SCALAR):
            raise ConditionError(f"{_shown(value)} cannot be compared with {shown(bound)}", remedy)
        if isinstance(value, bool):
            raise ConditionError(f"{shown(value)} is neither small nor large", remedy)
        return (low is None or value >= low) and (high is None or value <= high)

    return is_between


def _reading(text: str, kind: CellType) -> Any:
    """What a text is as a cell of that kind; None where it is none."""
    try:
        return read_cell(text, kind)
    except CellError:
        return None


def _key(value: Any) -> tuple[str, Any]:
    """Equal for values that are the same: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, (int, float)):
        return "number", value
    if isinstance(value, (list, dict)):
        return "other", None
    return type(value).__name__, value


def _shown(value: Any) -> str:
    return shown(value) if isinstance(value, _SCALAR) else json.dumps(value)[:40]


def _values(raw: Any) -> tuple[Scalar, ...]:
    return tuple(raw) if isinstance(raw, list) else (raw,)


def _condition(raw: Any) -> Any:
    """Check the shape of one condition."""
    if not isinstance(raw, Mapping):
        _check_values(raw)
        return raw
    keys = set(raw)
    if keys == {"not"}:
        _check_values(raw["not"])
        return raw
    if not keys or not keys <= _BOUNDS:
        raise fault("the condition is not one that where knows", _SHAPES)
    _check_bounds(list(raw.values()))
    return raw


def _check_values(raw: Any) -> None:
    values = _values(raw)
    if not values or not all(isinstance(value, _SCALAR) for value in values):
        raise fault("the condition is not one that where knows", _SHAPES)


def _check_bounds(bounds: list[Any]) -> None:
    are_numbers = [isinstance(b, (int, float)) and not isinstance(b, bool) for b in bounds]
    if not all(are_numbers) and not all(isinstance(bound, str) for bound in bounds):
        raise fault("min and max are numbers, or both text", _SHAPES)


Condition = WithJsonSchema(_SCHEMA)
CheckCondition = AfterValidator(_condition)
