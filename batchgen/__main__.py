"""`python -m batchgen`."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    _want_utf8()
    try:
        from batchgen.cli.main import run_cli  # noqa: PLC0415  the package stays light to import

        code = run_cli(sys.argv[1:])
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    # All is done: one more Ctrl-C ends the interpreter's own clearing up, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


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
