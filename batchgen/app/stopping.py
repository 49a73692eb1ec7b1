"""Who may end a run early: the signals of the process, or the code that opened it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from batchgen.core.common.exit_codes import ExitCode
from batchgen.runner.runner import Runner
from batchgen.system.signals import is_ignored, signals_received

POSTS_WITHIN_S = 6.0
"""So long the answers of POSTs are waited for after the first signal. `docker stop` and Kubernetes'
shortest usual grace kill after 10 s; the rest of it is for the record and the dataset files."""


class Stopping(Protocol):
    """Waits for somebody who wants a run to end, and ends it. Used for one run."""

    async def watch(self, runner: Runner) -> None:
        """The first word stops submits and waits for POSTs; the second leaves at once."""
        ...

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a run that was ended so."""
        ...


class Signals:
    """SIGINT, SIGTERM and SIGHUP, as long as `watch` runs; ignored ones stay ignored."""

    def __init__(self) -> None:
        self._number = 0

    async def watch(self, runner: Runner) -> None:
        """See `Stopping.watch`."""
        with signals_received(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async for number in signals:
                if self._number:
                    runner.abandon()
                else:
                    self._number = number
                    runner.stop(f"{signal.Signals(number).name} received", POSTS_WITHIN_S)

    @property
    def exit_code(self) -> ExitCode:
        """See `Stopping.exit_code`."""
        return ExitCode.INTERRUPTED if self._number == signal.SIGINT else ExitCode.TERMINATED


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends what runs inside, which is rolled back; where it is ignored, it stays so.

    Only the main thread hears of signals; any other is left as it is.
    """
    if is_ignored(signal.SIGINT) or threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
