"""A manifest's jobs into the state file: by id and fingerprint, never by position."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain, islice
from typing import TypeAlias

from batchgen.core.common.json import canonical_json
from batchgen.core.dataset.card import METADATA_NOTE
from batchgen.core.jobs.events import Event, EventKind
from batchgen.core.jobs.job import Job
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.spec import InputFile, JobSpec
from batchgen.errors import InternalError
from batchgen.store.sqlite.incoming import incoming
from batchgen.store.sqlite.inputs import forget_others, note_incoming, write_inputs
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.rows import JOB_COLUMNS, job_of

MAX_NAMED = 20
"""How many ids of paid and changed jobs are named in a message."""

_COLUMNS = "id, model, api, body, stem, price_usd, fields, fingerprint"
_MARKS = "?, ?, ?, ?, ?, ?, ?, ?"
_COLUMN_COUNT = 8
_CHANGED = "i.fingerprint <> j.fingerprint"
_UNTOUCHED = "(j.state = 'pending' AND j.billable = 0)"
_FREE = f"({_CHANGED} AND {_UNTOUCHED})"
_BOUND = f"{_CHANGED} AND NOT {_UNTOUCHED}"
_BOTH = "jobs j JOIN incoming i ON i.id = j.id"
_SOME = 1_000
"""Jobs held in memory at once."""

JobRow: TypeAlias = tuple[object, ...]
"""A job as a row of `_COLUMNS`; `row_of` makes it."""


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

    @property
    def job_count(self) -> int:
        """Jobs of the manifest."""
        return self.new + self.changed + self.unchanged


class _RefusedError(Exception):
    """Rolls the import back."""

    def __init__(self, imported: Imported) -> None:
        self.imported = imported


class TakenIdError(Exception):
    """Two jobs of a manifest have the same id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id


def has_jobs(ledger: Ledger) -> bool:
    """Whether anything was ever imported."""
    return ledger.connection.execute("SELECT 1 FROM jobs LIMIT 1").fetchone() is not None


def append_jobs(ledger: Ledger, specs: Sequence[JobSpec], notes: Mapping[str, str]) -> None:
    """Add new jobs behind the others, with notes about it, in one transaction.

    Raises `TakenIdError`: nothing was written.
    """
    append_rows(ledger, [row_of(spec) for spec in specs], notes, inputs_of(specs))


def append_rows(
    ledger: Ledger,
    rows: Sequence[JobRow],
    notes: Mapping[str, str],
    inputs: Sequence[InputFile] = (),
) -> None:
    """The same with rows that were made beforehand, so that the state is busy with them less.

    `inputs` are the files that the jobs name.
    """
    variable_count = ledger.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    most = variable_count // _COLUMN_COUNT
    try:
        with ledger.transaction() as connection:
            for start in range(0, len(rows), most):
                some = rows[start : start + most]
                # One statement for all: SQLite lets go of the interpreter once, not for each row.
                marks = ", ".join([f"({_MARKS})"] * len(some))
                connection.execute(
                    f"INSERT INTO jobs ({_COLUMNS}) VALUES {marks}", list(chain.from_iterable(some))
                )
            write_inputs(connection, inputs)
            ledger.write_notes(connection, notes)
    except sqlite3.IntegrityError as error:
        if (taken := _taken(ledger, rows)) is not None:
            raise TakenIdError(taken) from error
        raise


def _taken(ledger: Ledger, rows: Sequence[JobRow]) -> str | None:
    """The first id that another job has."""
    seen: set[str] = set()
    for job_id in (str(row[0]) for row in rows):
        known = ledger.connection.execute("SELECT 1 FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if known or job_id in seen:
            return job_id
        seen.add(job_id)
    return None


def import_jobs(
    ledger: Ledger,
    specs: Iterable[JobSpec],
    on_change: OnChange = OnChange.STOP,
    now: float = 0.0,
    notes: Callable[[int], Mapping[str, str]] | None = None,
) -> Imported:
    """Bring the state in line with the manifest, in one transaction, however many jobs it has.

    New jobs are added behind the others, untouched ones kept, changed ones updated while they were
    never submitted, or failed, and otherwise as `on_change` says; jobs that left the manifest stay
    in the record but are not run. `notes` are made from the count of jobs and written with them.
    """
    try:
        with incoming(ledger.connection), ledger.transaction() as connection:
            _load_whole(connection, specs)
            replaced = _settle_paid(ledger, on_change, now)
            imported = replace(_merge(connection), replaced=replaced)
            if notes is not None:
                ledger.write_notes(connection, notes(imported.job_count))
            return imported
    except _RefusedError as refused:
        return refused.imported


def _settle_paid(ledger: Ledger, on_change: OnChange, now: float) -> tuple[str, ...]:
    """Changed jobs that may have been paid for; returns the files that are to be replaced."""
    paid = f"{_BOUND} AND j.state <> 'failed'"
    if on_change is OnChange.STOP and (names := _named(ledger, paid)):
        raise _RefusedError(Imported(paid=names, paid_count=_count(ledger, paid)))
    if on_change is OnChange.KEEP:
        ledger.connection.execute(
            "UPDATE jobs AS j SET fingerprint = i.fingerprint FROM incoming i "
            f"WHERE i.id = j.id AND {paid}"
        )
    busy = f"{paid} AND j.state NOT IN ('pending', 'done', 'unknown', 'lost')"
    if names := _named(ledger, busy):
        raise _RefusedError(Imported(busy=names, paid_count=_count(ledger, busy)))
    # A failed job was not charged: editing it is how one mends it.
    return _rerun(ledger, now)


def _rerun(ledger: Ledger, now: float) -> tuple[str, ...]:
    """All changed jobs that are bound become pending again; returns the files of their past."""
    replaced: list[str] = []
    after_key = 0
    while jobs := _bound(ledger, after_key):
        after_key = jobs[-1].key
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


def _bound(ledger: Ledger, after_key: int) -> list[Job]:
    """Some of the changed jobs that were submitted, in the order of their keys."""
    columns = ", ".join(f"j.{name.strip()}" for name in JOB_COLUMNS.split(","))
    rows = ledger.connection.execute(
        f"SELECT {columns} FROM {_BOTH} WHERE j.key > ? AND {_BOUND} ORDER BY j.key LIMIT ?",
        (after_key, _SOME),
    )
    return [job_of(row) for row in rows]


def _named(ledger: Ledger, condition: str) -> tuple[str, ...]:
    rows = ledger.connection.execute(
        f"SELECT j.id FROM {_BOTH} WHERE {condition} ORDER BY j.key LIMIT {MAX_NAMED}"
    )
    return tuple(str(row[0]) for row in rows)


def _count(ledger: Ledger, condition: str) -> int:
    query = f"SELECT count(*) FROM {_BOTH} WHERE {condition}"
    return int(ledger.connection.execute(query).fetchone()[0])


def _load_whole(connection: sqlite3.Connection, specs: Iterable[JobSpec]) -> None:
    """All of them. Ids given twice are passed over at first: a review on the way tells of them."""
    coming = iter(specs)
    while some := list(islice(coming, _SOME)):
        if _load(connection, map(row_of, some)) < len(some):
            raise InternalError("two jobs of one id reached the state")
        if inputs := inputs_of(some):
            note_incoming(connection, inputs)
    forget_others(connection)


def _load(connection: sqlite3.Connection, rows: Iterable[JobRow]) -> int:
    """Returns how many have an id of their own; the others are left out."""
    insert = f"INSERT OR IGNORE INTO incoming ({_COLUMNS}) VALUES ({_MARKS})"
    return connection.executemany(insert, rows).rowcount


def inputs_of(specs: Iterable[JobSpec]) -> list[InputFile]:
    """The files that jobs name."""
    return [file for spec in specs for file in spec.inputs]


def row_of(spec: JobSpec) -> JobRow:
    """A job as it is written: its id, and the other `_COLUMNS`."""
    return (
        spec.id, spec.model, spec.api.value, spec.body, spec.stem, spec.price_usd,
        canonical_json(spec.fields) if spec.fields else "{}", fingerprint_of(spec),
    )  # fmt: skip


def fingerprint_of(spec: JobSpec) -> str:
    """What makes a job another one than before: what it asks for, and where its files go."""
    return hashlib.sha256(f"{spec.fingerprint}\n{spec.stem}".encode()).hexdigest()


def _merge(connection: sqlite3.Connection) -> Imported:
    changed = connection.execute(
        "UPDATE jobs AS j SET model = i.model, api = i.api, body = i.body, stem = i.stem, "
        "fields = i.fields, fingerprint = i.fingerprint, trouble = 0, due_at = 0, reason = '' "
        f"FROM incoming i WHERE i.id = j.id AND {_FREE}"
    ).rowcount
    described = connection.execute(
        "UPDATE jobs AS j SET price_usd = i.price_usd, fields = i.fields, listed = 1 "
        "FROM incoming i WHERE i.id = j.id "
        "AND (j.listed = 0 OR j.price_usd IS NOT i.price_usd OR j.fields <> i.fields)"
    ).rowcount
    if described:  # the fields of finished jobs, too, stand in their metadata
        connection.execute("DELETE FROM notes WHERE name = ?", (METADATA_NOTE,))
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
