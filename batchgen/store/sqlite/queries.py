"""Reading a state file without touching it, also while another process writes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from batchgen.core.jobs.job import Totals
from batchgen.core.progress.reasons import Told
from batchgen.core.scheduling.gates.holds import HeldJobs
from batchgen.errors import StateError
from batchgen.store.sqlite.inputs import uploaded_so_far
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.schema import TOKENS_SINCE, VERIFIED_SINCE, check_header, is_begun
from batchgen.store.sqlite.states import AWAITS_RESULT, IS_PROBLEM, is_done

MOST_REASONS = 2_000
"""Reasons that differ; the commonest are kept."""


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
    uploaded_count: int
    uploaded_bytes: int
    oldest_unfetched_at: float | None
    first_intent_at: float | None
    last_change_at: float | None
    recent_done_count: int
    notes: Mapping[str, str]
    held: Sequence[HeldJobs]

    @property
    def held_count(self) -> int:
        """Pending jobs that are on hold."""
        return sum(one.count for one in self.held)


class JobQueries:
    """What everybody asks of a run. One read-only connection, for the thread that made it.

    What only one of them asks stands in the classes below this one: `StatusQueries`, `PlanQueries`,
    `PageQueries`, `ResultQueries` and `ExportQueries`. All reads raise `StateError` where the file
    is damaged.
    """

    def __init__(self, path: Path, *, is_known: bool = False) -> None:
        """Raises `StateError` where there is no state file of ours.

        The header of one that `is_known`, since somebody has looked into it before, is not read
        again. Whoever closes a file drops all POSIX locks that this process has on it; a connection
        without its lock loses the log of changes as soon as a writer elsewhere ends, and sees
        nothing from then on.
        """
        if not is_known:
            if not is_begun(path):
                broken = (
                    "was broken off before its first record" if path.exists() else "is not there"
                )
                raise StateError(
                    f"{path} {broken}: nothing was run here yet; `batchgen run` begins anew"
                )
            check_header(path)
        self._path = path
        self._connection = _open(path)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def version(self) -> int:
        """A number that changes whenever another process has written to the file."""
        return int(self._one("PRAGMA data_version"))

    def overview(self, now: float) -> Overview:
        """How far the run is, what it cost, and its notes."""
        one = self._one
        with self._guarded():
            totals = Ledger(self._connection).totals()
        uploaded_count, uploaded_bytes = self._uploaded()
        return Overview(
            counts=totals.counts,
            attempts=dict(self._rows("SELECT state, count(*) FROM attempts GROUP BY state")),
            totals=totals,
            dropped_count=one("SELECT count(*) FROM jobs WHERE listed = 0 AND attempt = 0"),
            file_count=one("SELECT count(*) FROM outputs WHERE name IS NOT NULL"),
            byte_count=one("SELECT coalesce(sum(size), 0) FROM outputs WHERE name IS NOT NULL"),
            uploaded_count=uploaded_count,
            uploaded_bytes=uploaded_bytes,
            oldest_unfetched_at=one(f"SELECT min(sent_at) FROM jobs WHERE {AWAITS_RESULT}"),
            first_intent_at=one("SELECT min(intent_at) FROM attempts"),
            last_change_at=one("SELECT max(changed_at) FROM jobs WHERE changed_at > 0"),
            recent_done_count=one(
                f"SELECT count(*) FROM jobs WHERE {is_done()} AND changed_at > ?", now - 300.0
            ),
            notes=self.notes(),
            held=self.held(),
        )

    def _uploaded(self) -> tuple[int, int]:
        """Count and bytes of uploaded contents; states of earlier versions have no such table."""
        if not self._one("SELECT count(*) FROM sqlite_master WHERE name = 'uploads'"):
            return 0, 0
        with self._guarded():
            return uploaded_so_far(self._connection)

    def reasons(self) -> Iterator[Told]:
        """Why jobs failed, are unknown or lost; the commonest first."""
        rows = self._rows(
            f"SELECT state, reason, count(*), min(id) FROM jobs WHERE {IS_PROBLEM} "
            "GROUP BY state, reason ORDER BY 3 DESC, 4 LIMIT ?",
            MOST_REASONS,
        )
        return (Told(*row) for row in rows)

    def held(self) -> list[HeldJobs]:
        """The models whose jobs are on hold."""
        with self._guarded():
            return Ledger(self._connection).held()

    def notes(self) -> dict[str, str]:
        """All notes by their names."""
        return dict(self._rows("SELECT name, value FROM notes"))

    def _verified(self, column: str) -> str:
        """The column that says whether a file is verified; of an older state all are."""
        return column if self._one("PRAGMA user_version") >= VERIFIED_SINCE else "1"

    def _tokens(self, prefix: str = "") -> str:
        """The columns of the tokens; of an older state nobody counted any."""
        counted = self._one("PRAGMA user_version") >= TOKENS_SINCE
        names = (f"{prefix}input_tokens", f"{prefix}output_tokens") if counted else ("NULL", "NULL")
        return "{} AS input_tokens, {} AS output_tokens".format(*names)

    def note(self, name: str) -> str | None:
        """A note, or None."""
        found = next(self._rows("SELECT value FROM notes WHERE name = ?", name), None)
        return None if found is None else str(found[0])

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Inside, all reads see the state of one instant, whatever is written meanwhile."""
        with self._guarded():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise StateError(f"{self._path} cannot be read: {error}") from error

    def _rows(self, sql: str, *variables: object) -> Iterator[tuple[Any, ...]]:
        with self._guarded():
            yield from self._connection.execute(sql, variables)

    def _one(self, sql: str, *variables: object) -> Any:
        """The first value of the first row."""
        with self._guarded(), closing(self._connection.execute(sql, variables)) as cursor:
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
