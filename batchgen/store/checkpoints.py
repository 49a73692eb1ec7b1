"""Checkpoints by the clock, so that the state file alone never lags far behind its log.

SQLite copies its write-ahead log into the file once it has grown by 4 MiB. That may take hours, and
a backup tool that knows nothing of the log would copy a file of hours ago.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Thread

CHECKPOINT_S = 20.0

_PASSIVE = "PRAGMA wal_checkpoint(PASSIVE)"
"""Waits for nobody, and leaves the log its length: after a death an empty one is taken for lost."""


class Checkpoints:
    """A thread with a connection of its own: no commit waits for it."""

    def __init__(self, path: Path, every_s: float = CHECKPOINT_S) -> None:
        self._path = path
        self._every_s = every_s
        self._ended = Event()
        self._thread = Thread(target=self._work, name="checkpoints", daemon=True)

    def start(self) -> None:
        """Begin; the file is there, and in WAL mode."""
        self._thread.start()

    def stop(self) -> None:
        """End, before the writing connection is closed: the last one of all clears the log away."""
        self._ended.set()
        self._thread.join()

    def _work(self) -> None:
        # What the disk refuses here, the writing connection hears of when it matters.
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(self._path)) as connection:
            while not self._ended.wait(self._every_s):
                checkpoint(connection)


def checkpoint(connection: sqlite3.Connection) -> bool:
    """Copy what is committed into the file, as far as no reader stands in the way.

    Whether all of it is there, and durable.
    """
    with suppress(sqlite3.DatabaseError):
        is_busy, logged, copied = connection.execute(_PASSIVE).fetchone()
        return not is_busy and bool(logged == copied)
    return False
