"""The one text form of a JSON value."""

from __future__ import annotations

import json
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

_FORM = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def canonical_json(value: Any) -> str:
    """The one text form of a JSON value: sorted keys, no spaces, NaN refused (ValueError).

    Bodies are sent, stored, fingerprinted and compared with history rows in this form.
    """
    if type(value) is not dict:
        return _FORM.encode(value)
    layout = _layout(tuple(value))
    if layout is None:
        return _FORM.encode(value)
    # The rows of a file have the same keys a million times: sorted and written once, they take
    # half the time.
    parts = []
    for before, key in layout:
        item = value[key]
        kind = type(item)
        if kind is str:
            parts.append(before + encode_basestring(item))
        elif kind is int:
            parts.append(before + str(item))
        else:
            parts.append(before + _FORM.encode(item))
    return "{" + ",".join(parts) + "}"


@lru_cache(maxsize=32)
def _layout(keys: tuple[Any, ...]) -> tuple[tuple[str, str], ...] | None:
    """The keys of an object, sorted, each with the text before its value; None for odd keys."""
    if not all(type(key) is str for key in keys):
        return None
    return tuple((encode_basestring(key) + ":", key) for key in sorted(keys))
