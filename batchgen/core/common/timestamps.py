"""Instants as the service writes them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def instant_of(text: str) -> float | None:
    """Seconds since the epoch of an ISO 8601, HTTP-date or epoch (s or ms) text; None if neither.

    A missing time zone is UTC: every instant of the service is.
    """
    text = text.strip()
    if not text:
        return None
    epoch = _epoch(text)
    if epoch is not None:
        return epoch
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            value = parse(text)
            at = value if value.tzinfo else value.replace(tzinfo=UTC)
            return at.timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def _epoch(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value) or value <= 0:
        return None
    return value / 1000 if value > 1e11 else value
