"""Text from elsewhere, made fit to be shown."""

from __future__ import annotations

from typing import Any

MAX_ERROR_CHARACTERS = 500


def printable(text: str, limit: int = MAX_ERROR_CHARACTERS) -> str:
    """Text from elsewhere made fit for a terminal and a log: no control characters, one line.

    Escape sequences in error texts could otherwise rewrite what the reader sees.
    """
    kept = text[: limit * 4]
    if not kept.isprintable():
        kept = "".join(c if c.isprintable() else " " for c in kept)
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def scalar_text(value: Any) -> str:
    """Text, a number, a truth value or nothing, as YAML writes it."""
    if type(value) is str:
        return value
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)
