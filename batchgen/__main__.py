"""`python -m batchgen`."""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType

from batchgen.system.streams import guard_streams

_SIGNALS: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""What stops a command, and its exit code: as `batchgen.core.common.exit_codes` has them."""
_STDERR = 2
_FEW_COLLECTIONS = 20_000
"""New objects between two looks for cycles. There are hardly any, and to look after every 700, as
Python does, takes a tenth of the time that an import takes."""
_USAGE = 2


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.platform == "win32":
        sys.exit(_refuse_windows())
    _SIGNALS[signal.SIGHUP] = 143
    _leave_when_signalled()
    guard_streams()
    _want_utf8()
    gc.set_threshold(_FEW_COLLECTIONS)
    try:
        from batchgen.cli.main import run_cli  # noqa: PLC0415  after the handlers

        code = run_cli(sys.argv[1:])
    except KeyboardInterrupt:
        code = _SIGNALS[signal.SIGINT]
    # All is done: one more Ctrl-C ends the interpreter's own clearing up, without a traceback.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def _refuse_windows() -> int:
    """Say what batchgen needs. Returns the exit code: nothing of it was begun."""
    from batchgen.errors import NOT_ON_WINDOWS  # noqa: PLC0415  nobody else needs it yet

    sys.stderr.write(f"error: {NOT_ON_WINDOWS}\n")
    return _USAGE


def _leave_when_signalled() -> None:
    """Until a run watches signals itself, they end the process at once.

    An exception would be raised in the middle of an import, where it is told as a traceback or
    lost. What the parent ignores (`nohup`) stays ignored.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)


def _leave(number: int, _frame: FrameType | None) -> None:
    """Nothing was submitted; what a start has written by then survives any kill."""
    name = signal.Signals(number).name
    try:
        os.write(_STDERR, f"stopped by {name}; nothing was submitted\n".encode())
    finally:
        os._exit(_SIGNALS[number])


def _want_utf8() -> None:
    """Start anew in Python's UTF-8 mode where the locale cannot name every file.

    Found out at the first `é` in an id, that would be after it was paid for.
    """
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  no shell is meant


if __name__ == "__main__":
    main()
