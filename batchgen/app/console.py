"""A line for people on stderr, by whoever puts a run together; knows nothing of commands."""

from __future__ import annotations

import contextlib
import sys


def say(text: str) -> None:
    """A line on stderr. That nobody can read it is no reason to stop."""
    if sys.stderr is not None:  # as it is in a program without a console
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
