"""The one text form of a JSON value."""

from __future__ import annotations

import json
from typing import Any

_CANONICAL = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)


def canonical_json(value: Any) -> str:
    """The one text form of a JSON value: sorted keys, no spaces, NaN refused (ValueError).

    Bodies are sent, stored, fingerprinted and compared with history rows in this form.
    """
    return _CANONICAL.encode(value)
