"""What a plain (unquoted) YAML scalar means: the YAML 1.2 core schema, minus its traps.

Numbers, true/false and null are what they look like; everything else stays the text it is: `16:9`,
`no`, `2024-01-02`, `1_000`. Two deviations: a number with leading zeros (`010`) stays text, since
it is a label more often than a number; what JSON cannot carry (`.nan`, `.inf`, 1e999) is refused.
"""

from __future__ import annotations

import math
import re
from typing import Any

MAX_INTEGER = 2**64 - 1
"""Whole numbers beyond 64 bits are refused: services would round them silently."""

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
MEANINGFUL_STARTS = frozenset("-+.0123456789~ntfNTF")
"""A plain scalar that begins otherwise, and is not empty, is text."""
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MAX_DIGITS = 25
"""More digits cannot be a 64-bit number; Python is slow at, or refuses, far longer ones."""


class ScalarError(ValueError):
    """A plain scalar that means a number which cannot be sent; the text says why."""


def resolve(text: str) -> Any:
    """The value of a plain scalar: None, bool, int, float or str. Raises `ScalarError`."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in MEANINGFUL_STARTS:
        return text
    if _WHOLE.fullmatch(text):
        value = int(text, 0) if len(text) <= _MAX_DIGITS else None
        if value is None or abs(value) > MAX_INTEGER:
            raise ScalarError("the number is larger than 64 bits can hold")
        return value
    if _FLOAT.fullmatch(text):
        if not math.isfinite(float(text)):
            raise ScalarError("the number is larger than a floating-point number can hold")
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        raise ScalarError("infinity and not-a-number cannot be sent as JSON")
    return text
