"""What SQLite raises about the disk or the file, in our own words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from batchgen.errors import BatchgenError, DiskError, DiskFullError, InternalError

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_IN_USE = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_FORBIDDEN = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM})


@contextmanager
def typed_errors() -> Iterator[None]:
    """What SQLite raises about the disk or the file, as `DiskError`.

    A broken constraint passes: it is about what was written.
    """
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        raise _typed(error) from error


def _typed(error: sqlite3.DatabaseError) -> BatchgenError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
    if code in _DAMAGED:
        return DiskError(
            f"the state file is damaged ({error}); keep a copy of the run directory, and try "
            "`sqlite3 state.db .recover` on the copy before running again"
        )
    if code == sqlite3.SQLITE_FULL:
        return DiskFullError("the disk is full: the state file cannot grow")
    if code in _IN_USE:
        return DiskError("the state file is locked by another program; close it and run again")
    if code in _FORBIDDEN:
        # SQLite gives the files beside it the mode that the state file has at that moment.
        return DiskError(
            f"the state file cannot be written: {error}\n    mend the permissions of the run "
            "directory and of every state.db* in it (ls -la)"
        )
    if code == sqlite3.SQLITE_IOERR:
        return DiskError(f"the state file cannot be written: {error}")
    return InternalError(f"state file: {error}")
