"""Instants on the reader's clock."""

from __future__ import annotations

from datetime import datetime


def local_time(at: float) -> str:
    """An instant on the reader's clock: `07:41:05`."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")
