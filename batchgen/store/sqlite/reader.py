"""Reading a state file without touching it, also while another process writes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from batchgen.core.dataset.export import Finished
from batchgen.core.jobs.job import Totals
from batchgen.errors import StateError
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.records import Records, attempts_of, files_of, jobs_of
from batchgen.store.sqlite.schema import check_header
from batchgen.store.sqlite.states import AWAITS_RESULT, is_done


@dataclass(frozen=True, slots=True)
class Overview:
    """A run as its state file tells it.

    `counts` by state, over the jobs that are (still) in the manifest or were ever submitted;
    `attempts` by their state. Money in USD, instants in epoch seconds, None where there is none.
    """

    counts: Mapping[str, int]
    attempts: Mapping[str, int]
    totals: Totals
    dropped_count: int
    file_count: int
    byte_count: int
    oldest_unfetched_at: float | None
    first_intent_at: float | None
    last_change_at: float | None
    recent_done_count: int
    notes: Mapping[str, str]


class StateReader:
    """A read-only view of a state file. Raises `StateError` when it is none."""

    def __init__(self, path: Path) -> None:
        if not path.exists() or path.stat().st_size == 0:
            raise StateError(f"{path} does not exist: nothing was run here yet")
        check_header(path)
        self._path = path
        self._connection = _open(path)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def overview(self, now: float) -> Overview:
        """Everything `status` shows. Raises `StateError` for a damaged file, as all reads do."""
        with self._told():
            return self._overview(now)

    def _overview(self, now: float) -> Overview:
        one = self._one
        return Overview(
            counts=self._counts(
                "SELECT state, count(*) FROM jobs WHERE listed = 1 OR attempt > 0 GROUP BY state"
            ),
            attempts=self._counts("SELECT state, count(*) FROM attempts GROUP BY state"),
            totals=Ledger(self._connection).totals(),
            dropped_count=one("SELECT count(*) FROM jobs WHERE listed = 0 AND attempt = 0"),
            file_count=one("SELECT count(*) FROM outputs WHERE name IS NOT NULL"),
            byte_count=one("SELECT coalesce(sum(size), 0) FROM outputs WHERE name IS NOT NULL"),
            oldest_unfetched_at=one(f"SELECT min(sent_at) FROM jobs WHERE {AWAITS_RESULT}"),
            first_intent_at=one("SELECT min(intent_at) FROM attempts"),
            last_change_at=one("SELECT max(changed_at) FROM jobs WHERE changed_at > 0"),
            recent_done_count=one(
                f"SELECT count(*) FROM jobs WHERE {is_done()} AND changed_at > ?", now - 300.0
            ),
            notes=dict(self._connection.execute("SELECT name, value FROM notes")),
        )

    def files(self) -> Records:
        """One record a finished file, to be iterated over as often as needed."""
        return files_of(self._path, self._connection)

    def jobs(self) -> Records:
        """One record a job, in any state."""
        return jobs_of(self._path, self._connection)

    def attempts(self) -> Records:
        """One record a POST."""
        return attempts_of(self._path, self._connection)

    def finished(self) -> Finished:
        """How much is finished: it changes whenever a file comes or goes."""
        with self._told():
            row = self._connection.execute(
                "SELECT count(*), coalesce(sum(o.size), 0), coalesce(max(o.saved_at), 0) "
                "FROM outputs o CROSS JOIN jobs j ON j.key = o.job_key "
                f"WHERE o.name IS NOT NULL AND {is_done('j.state')}"
            ).fetchone()
            return Finished(*row)

    def dataset_stamp(self) -> str:
        """What tells one set of finished files from another, but for the fields of their rows.

        Of a million files in a second or so: the bodies of the jobs are not read.
        """
        with self._told():
            row = self._connection.execute(
                "SELECT count(*), sum(o.size), sum(o.saved_at), max(o.saved_at), max(j.changed_at) "
                "FROM outputs o CROSS JOIN jobs j ON j.key = o.job_key "
                f"WHERE o.name IS NOT NULL AND {is_done('j.state')}"
            ).fetchone()
            return repr(row)

    def note(self, name: str) -> str | None:
        """A note, or None."""
        with self._told():
            row = self._connection.execute(
                "SELECT value FROM notes WHERE name = ?", (name,)
            ).fetchone()
            return None if row is None else str(row[0])

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Inside, all reads see the state of one instant, whatever is written meanwhile."""
        with self._told():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise StateError(f"{self._path} cannot be read: {error}") from error

    def _counts(self, sql: str) -> dict[str, int]:
        return {str(state): int(count) for state, count in self._connection.execute(sql)}

    def _one(self, sql: str, *arguments: object) -> Any:
        with closing(self._connection.execute(sql, arguments)) as cursor:
            return cursor.fetchone()[0]


def _open(path: Path) -> sqlite3.Connection:
    """A read-only connection, also on a read-only file system.

    There a WAL database cannot be opened the usual way; without a log beside it nobody writes it.
    """
    uri = f"file:{quote(str(path))}?mode=ro"
    alone = not path.with_name(f"{path.name}-wal").exists()
    for options in ("", "&immutable=1") if alone else ("",):
        connection = sqlite3.connect(uri + options, uri=True, isolation_level=None, timeout=10.0)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            connection.close()
            fault = error
        else:
            return connection
    raise StateError(f"{path} cannot be read: {fault}") from fault
