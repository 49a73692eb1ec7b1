"""stdin, stdout and stderr as a process finds them: closed, on a full disk, or read by nobody.

cron, daemons and CI start processes so. None of it may keep a run from its work, change its exit
code, or let the record be opened as descriptor 2, where every message would be written into it.
"""

from __future__ import annotations

import io
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, TextIO

from batchgen.errors import BatchgenError, StoppedEarly

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STREAMS = ("stdin", "stdout", "stderr")
"""By their descriptors."""


class UnwritableError(StoppedEarly):
    """What was asked for could not be printed."""


class ReaderGoneError(BatchgenError):
    """Whoever read what is printed has had enough.

    No `BrokenPipeError`: click makes exit code 1 of it.
    """


class _Output(io.FileIO):
    """A descriptor that takes everything: what cannot be written is dropped.

    Where `is_needed`, the first such fault is raised instead: `ReaderGoneError` or
    `UnwritableError`.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.is_needed = False
        self.fault = ""
        """Why something was dropped, other than that its reader had gone."""

    def write(self, data: ReadableBuffer) -> int:
        """Write it, or a part of it; returns how much."""
        try:
            while (count := super().write(data)) is None:  # somebody made it non-blocking
                select.select((), (self,), ())
        except OSError as error:
            self._failed(error)
            return memoryview(data).nbytes
        return count

    def _failed(self, error: OSError) -> None:
        gone = isinstance(error, BrokenPipeError)
        reason = error.strerror or str(error)
        self.fault = self.fault or ("" if gone else reason)
        if self.is_needed:
            self.is_needed = False  # once: the interpreter flushes again at its end
            if gone:
                raise ReaderGoneError("stdout has no reader") from error
            raise UnwritableError(f"stdout cannot be written: {reason}") from error


def guard_streams() -> None:
    """Let the standard streams take whatever is written, and closed ones be the null device.

    To be called before anything is opened.
    """
    for descriptor in range(len(_STREAMS)):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free descriptor is taken: this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _output(1, sys.stdout)
    sys.stderr = _output(2, sys.stderr)


def _output(descriptor: int, found: TextIO | None) -> TextIO:
    """A stream in place of the one that Python made, if it made one."""
    plain = found if isinstance(found, io.TextIOWrapper) else None
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(descriptor)),
        encoding=plain.encoding if plain else "utf-8",
        # A terminal that cannot show a character shows its number: that must stop no run.
        errors="backslashreplace",
        line_buffering=plain.line_buffering if plain else False,
        write_through=plain.write_through if plain else False,
    )


def _of_stdout() -> _Output | None:
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw if isinstance(raw, _Output) else None


def need_stdout() -> None:
    """From here on printing is the work: raise where it cannot be done."""
    output = _of_stdout()
    if output is not None:
        output.is_needed = True


def leave(code: int) -> NoReturn:
    """End the process at once: whatever its threads do, and without the interpreter's own end."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def lost_on_stdout() -> str:
    """Why something that was printed is lost; empty where nothing is, or where its reader left."""
    output = _of_stdout()
    return "" if output is None else output.fault
