"""A question that must be answered before the work goes on."""

from __future__ import annotations

import select
import sys
from contextlib import suppress
from io import UnsupportedOperation

_HEARD_AFTER_S = 0.2
"""How long Ctrl-C may go unheard while nothing is typed."""


def agreed(question: str) -> bool | None:
    """Whether the answer is yes; None where nobody answers: the end of stdin.

    `click.confirm` would take Ctrl-C for the end of stdin. Python hears a signal that comes just
    before a read begins only when that read ends, so a read begins only when there is something to
    read.
    """
    sys.stderr.write(f"{question} [y/N]: ")
    sys.stderr.flush()
    with suppress(UnsupportedOperation):  # a stream in memory has no descriptor, and never waits
        while not select.select((sys.stdin,), (), (), _HEARD_AFTER_S)[0]:
            pass
    line = sys.stdin.readline()
    return line.strip().lower() in {"y", "yes"} if line else None
