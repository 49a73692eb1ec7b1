"""What SQLite raises about the disk or the file, in our own words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from batchgen.errors import BatchgenError, DiskError, DiskFullError, InternalError

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


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
    text = str(error).lower()
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
        return DiskError(
            f"the state file is damaged ({error}); keep a copy of the run directory, and try "
            "`sqlite3 state.db .recover` on the copy before running again"
        )
    if "full" in text:
        return DiskFullError("the disk is full: the state file cannot grow")
    if "locked" in text:
        return DiskError("the state file is locked by another program; close it and run again")
    if "i/o" in text or "readonly" in text or "unable to open" in text:
        return DiskError(f"the state file cannot be written: {error}")
    return InternalError(f"state file: {error}")
