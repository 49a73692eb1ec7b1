"""Whether a process works on a run directory, found out without touching its lock.

To try the lock, even for a moment, could refuse a run that starts at that moment. Linux lists the
locks that are held; elsewhere the process id that the holder wrote down has to do.
"""

from __future__ import annotations

import os
from pathlib import Path

LOCK_NAME = "run.lock"
_LOCKS = Path("/proc/locks")


def holder_of(run: Path) -> int | None:
    """The process id of whoever works on a run directory; None when nobody does."""
    path = run / LOCK_NAME
    try:
        words = path.read_text("ascii", "replace").split()
        inode = path.stat().st_ino
    except OSError:
        return None
    if not words or not words[0].isdigit():
        return None  # a clean end leaves the file empty
    process = int(words[0])
    listed = _is_listed(inode)
    alive = _is_alive(process) if listed is None else listed
    return process if alive else None


def _is_listed(inode: int) -> bool | None:
    """Whether the kernel knows of a `flock` on a file; None where it does not tell.

    A line: `1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF`.
    """
    try:
        lines = _LOCKS.read_text("ascii", "replace").splitlines()
    except OSError:
        return None
    held = (line.split() for line in lines)
    return any(
        len(words) > 5 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode)
        for words in held
    )


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
