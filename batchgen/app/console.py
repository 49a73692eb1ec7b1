"""A line for people on stderr, by whoever puts a run together; knows nothing of commands."""

from __future__ import annotations

import contextlib
import sys


def say(text: str) -> None:
    """A line on stderr. A reader that has gone is no reason to stop."""
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
