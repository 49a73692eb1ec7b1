"""A manifest's jobs into the state file: by id and fingerprint, never by position."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from batchgen.adapters.sqlite.ledger import Ledger
from batchgen.adapters.sqlite.rows import JOB_COLUMNS, job_of
from batchgen.core.event import Event, EventKind
from batchgen.core.http import canonical_json
from batchgen.core.job import Job, JobState
from batchgen.core.lifecycle import apply
from batchgen.core.spec import JobSpec

_CHUNK = 5_000
MAX_NAMED = 20
"""How many ids of paid and changed jobs are named in a message."""

_INCOMING = """
CREATE TEMP TABLE IF NOT EXISTS incoming (
  place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, model TEXT, api TEXT, body TEXT, stem TEXT,
  price_usd REAL, fields TEXT, fingerprint TEXT
) STRICT
"""
_CHANGED = "i.fingerprint <> j.fingerprint"
_UNTOUCHED = "(j.state = 'pending' AND j.billable = 0)"
_FREE = f"({_CHANGED} AND {_UNTOUCHED})"


class OnChange(StrEnum):
    """What to do about jobs that changed in the manifest after they were submitted."""

    STOP = "stop"
    """Nothing is written; the user is asked."""
    KEEP = "keep"
    """They stay as they were paid for; the change is taken note of and not asked about again."""
    RERUN = "rerun"
    """They are generated, and paid for, anew."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: counts of jobs, and what could not follow the manifest.

    `paid` names (up to `MAX_NAMED` of) the changed jobs that may already have been paid for, `busy`
    those of them that are still under way; when either is not empty, nothing was written.
    `replaced` are the files of jobs that are to be generated anew.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    dropped: int = 0
    paid: tuple[str, ...] = ()
    paid_count: int = 0
    busy: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


class _RefusedError(Exception):
    """Rolls the import back."""

    def __init__(self, imported: Imported) -> None:
        self.imported = imported


def import_jobs(
    ledger: Ledger,
    specs: Iterable[JobSpec],
    on_change: OnChange = OnChange.STOP,
    now: float = 0.0,
) -> Imported:
    """Bring the state in line with the manifest, in one transaction.

    New jobs are added behind the others, untouched ones kept, changed ones updated while they were
    never submitted, or failed, and otherwise as `on_change` says; jobs that left the manifest stay
    in the record but are not run.
    """
    ledger.connection.execute(_INCOMING)
    ledger.connection.execute("DELETE FROM incoming")
    try:
        with ledger.transaction() as connection:
            _load(connection, specs)
            replaced = _settle_paid(ledger, on_change, now)
            return replace(_merge(connection), replaced=replaced)
    except _RefusedError as refused:
        return refused.imported
    finally:
        ledger.connection.execute("DELETE FROM incoming")


def _settle_paid(ledger: Ledger, on_change: OnChange, now: float) -> tuple[str, ...]:
    """Changed jobs that may have been paid for; returns the files that are to be replaced."""
    columns = ", ".join(f"j.{name.strip()}" for name in JOB_COLUMNS.split(","))
    rows = ledger.connection.execute(
        f"SELECT {columns} FROM jobs j JOIN incoming i ON i.id = j.id "
        f"WHERE {_CHANGED} AND NOT {_UNTOUCHED} ORDER BY j.key"
    ).fetchall()
    changed = [job_of(row) for row in rows]
    # A failed job was not charged: editing it is how one mends it.
    _rerun(ledger, [job for job in changed if job.state is JobState.FAILED], now)
    jobs = [job for job in changed if job.state is not JobState.FAILED]
    if not jobs:
        return ()
    if on_change is OnChange.STOP:
        raise _RefusedError(Imported(paid=_named(jobs), paid_count=len(jobs)))
    if on_change is OnChange.KEEP:
        ledger.connection.execute(
            "UPDATE jobs AS j SET fingerprint = i.fingerprint FROM incoming i "
            f"WHERE i.id = j.id AND {_CHANGED} AND NOT {_UNTOUCHED}"
        )
        return ()
    return _rerun(ledger, jobs, now)


def _rerun(ledger: Ledger, jobs: Sequence[Job], now: float) -> tuple[str, ...]:
    busy = [job for job in jobs if not job.ended and job.state is not JobState.PENDING]
    if busy:
        raise _RefusedError(Imported(busy=_named(busy), paid_count=len(busy)))
    replaced = []
    for job in jobs:
        names = ledger.connection.execute(
            "SELECT name FROM outputs WHERE job_key = ? AND name IS NOT NULL", (job.key,)
        )
        replaced += [str(row[0]) for row in names]
        if job.ended:
            event = Event(EventKind.RETRIED, job.key, now, reason="changed in the manifest")
            ledger.write_change(ledger.connection, apply(job, event))
        ledger.connection.execute("UPDATE jobs SET billable = 0 WHERE key = ?", (job.key,))
    return tuple(replaced)


def _named(jobs: Sequence[Job]) -> tuple[str, ...]:
    return tuple(job.id for job in jobs[:MAX_NAMED])


def _load(connection: sqlite3.Connection, specs: Iterable[JobSpec]) -> None:
    rows = iter(specs)
    while chunk := list(islice(rows, _CHUNK)):
        connection.executemany(
            "INSERT INTO incoming (id, model, api, body, stem, price_usd, fields, fingerprint) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    spec.id, spec.model, spec.api, spec.body, spec.stem, spec.price_usd,
                    canonical_json(dict(spec.fields)), _fingerprint(spec),
                )
                for spec in chunk
            ],
        )  # fmt: skip


def _fingerprint(spec: JobSpec) -> str:
    """What makes a job another one than before: what it asks for, and where its files go."""
    return hashlib.sha256(f"{spec.fingerprint}\n{spec.stem}".encode()).hexdigest()


def _merge(connection: sqlite3.Connection) -> Imported:
    changed = connection.execute(
        "UPDATE jobs AS j SET model = i.model, api = i.api, body = i.body, stem = i.stem, "
        "fields = i.fields, fingerprint = i.fingerprint, trouble = 0, due_at = 0, reason = '' "
        f"FROM incoming i WHERE i.id = j.id AND {_FREE}"
    ).rowcount
    connection.execute(
        "UPDATE jobs AS j SET price_usd = i.price_usd, fields = i.fields, listed = 1 "
        "FROM incoming i WHERE i.id = j.id "
        "AND (j.listed = 0 OR j.price_usd IS NOT i.price_usd OR j.fields <> i.fields)"
    )
    dropped = connection.execute(
        "UPDATE jobs SET listed = 0 WHERE listed = 1 AND id NOT IN (SELECT id FROM incoming)"
    ).rowcount
    new = connection.execute(
        "INSERT INTO jobs (id, model, api, body, stem, price_usd, fields, fingerprint) "
        "SELECT i.id, i.model, i.api, i.body, i.stem, i.price_usd, i.fields, i.fingerprint "
        "FROM incoming i LEFT JOIN jobs j ON j.id = i.id WHERE j.id IS NULL ORDER BY i.place"
    ).rowcount
    total = connection.execute("SELECT count(*) FROM incoming").fetchone()[0]
    return Imported(new, changed, total - new - changed, dropped)
