"""The signals that end what this process does."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import anyio


def is_ignored(number: int) -> bool:
    """Whether whoever started this process has it ignore a signal (`nohup`, `trap '' HUP`, `&`)."""
    return signal.getsignal(number) is signal.SIG_IGN


@contextmanager
def signals_received(*numbers: signal.Signals) -> Iterator[AsyncIterator[signal.Signals]]:
    """`anyio.open_signal_receiver`, but a signal that is ignored at the start stays ignored."""
    heeded = [number for number in numbers if not is_ignored(number)]
    with anyio.open_signal_receiver(*heeded) as received:
        yield received
