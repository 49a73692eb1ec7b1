"""A manifest's jobs into the state file: by id and fingerprint, never by position."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from itertools import chain

from batchgen.core.common.json import canonical_json
from batchgen.core.dataset.card import METADATA_NOTE
from batchgen.core.jobs.events import Event, EventKind
from batchgen.core.jobs.job import Job
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.spec import InputFile, JobSpec
from batchgen.errors import InternalError
from batchgen.store.base import Imported, OnChange
from batchgen.store.sqlite.faults import typed_errors
from batchgen.store.sqlite.incoming import incoming
from batchgen.store.sqlite.inputs import KnownInputs, forget_others, note_incoming
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.rows import JOB_COLUMNS, job_of
from batchgen.store.sqlite.states import is_free, is_pending, is_uncharged, is_under_way

MAX_NAMED = 20
"""How many ids of paid and changed jobs are named in a message."""

_COLUMNS = "id, model, api, body, stem, price_usd, fields, fingerprint"
_MARKS = "?, ?, ?, ?, ?, ?, ?, ?"
_CHANGED = "i.fingerprint <> j.fingerprint"
_UNTOUCHED = f"({is_pending('j.state')} AND j.billable = 0)"
_FREE = f"({_CHANGED} AND {_UNTOUCHED})"
_BOUND = f"{_CHANGED} AND NOT {_UNTOUCHED}"
_IS_FREE = f"({is_free('j.state')} OR {is_uncharged('j')})"
_BOTH = "jobs j JOIN incoming i ON i.id = j.id"
_SOME = 1_000
"""Changed jobs held in memory at once."""
_BATCH = 500
"""Jobs written by one statement: at most, for SQLite takes 32,766 values."""
_BATCH_CHARACTERS = 8 * 2**20
"""With bodies of so much text together a batch is full sooner."""


class _RefusedError(Exception):
    """Rolls the import back."""

    def __init__(self, imported: Imported) -> None:
        self.imported = imported


class SqliteImporter:
    """`batchgen.store.base.Importer` over a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @typed_errors()
    def has_jobs(self) -> bool:
        """See `Importer.has_jobs`."""
        return _any(self._ledger, "jobs")

    @typed_errors()
    def has_files(self) -> bool:
        """See `Importer.has_files`."""
        return _any(self._ledger, "outputs WHERE name IS NOT NULL OR staged <> ''")

    def import_jobs(
        self,
        specs: Iterable[JobSpec],
        on_change: OnChange = OnChange.STOP,
        now: float = 0.0,
        notes: Callable[[int], Mapping[str, str]] | None = None,
    ) -> Imported:
        """See `Importer.import_jobs`."""
        return import_jobs(self._ledger, specs, on_change, now, notes)

    def known_inputs(self) -> Iterator[tuple[InputFile, bool]]:
        """See `Importer.known_inputs`."""
        return KnownInputs(self._ledger.connection).all()

    @typed_errors()
    def unpriced_models(self) -> list[str]:
        """See `Importer.unpriced_models`."""
        return self._ledger.unpriced_models()

    @typed_errors()
    def note(self, name: str) -> str | None:
        """See `Importer.note`."""
        return self._ledger.note(name)

    def write_notes(self, notes: Mapping[str, str]) -> None:
        """See `Importer.write_notes`."""
        self._ledger.record((), notes)


def import_jobs(
    ledger: Ledger,
    specs: Iterable[JobSpec],
    on_change: OnChange = OnChange.STOP,
    now: float = 0.0,
    notes: Callable[[int], Mapping[str, str]] | None = None,
) -> Imported:
    """See `Importer.import_jobs`."""
    try:
        with incoming(ledger.connection), ledger.transaction() as connection:
            if not _any(ledger, "jobs"):
                imported = Imported(new=_load(connection, "jobs", specs))
            else:
                _load(connection, "incoming", specs)
                _refuse_paid(ledger, on_change)
                replaced = _settle_paid(ledger, on_change, now)
                imported = replace(_merge(connection), replaced=replaced)
            if notes is not None:
                ledger.write_notes(connection, notes(imported.job_count))
            return imported
    except _RefusedError as refused:
        return refused.imported


def _any(ledger: Ledger, table: str) -> bool:
    """Whether a table, or what is chosen of it, holds a row."""
    return ledger.connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None


def _refuse_paid(ledger: Ledger, on_change: OnChange) -> None:
    """Raise `_RefusedError` where jobs changed that may have been paid for, unless they are kept.

    Those that are under way cannot be generated anew yet.
    """
    paid = f"{_BOUND} AND NOT {_IS_FREE}"
    if on_change is OnChange.STOP and (names := _named(ledger, paid)):
        raise _RefusedError(Imported(paid=names, paid_count=_count(ledger, paid)))
    busy = f"{_BOUND} AND {is_under_way('j.state')}"
    if on_change is OnChange.RERUN and (names := _named(ledger, busy)):
        raise _RefusedError(Imported(busy=names, paid_count=_count(ledger, busy)))


def _settle_paid(ledger: Ledger, on_change: OnChange, now: float) -> tuple[str, ...]:
    """Changed jobs that may have been paid for; returns the files that are to be replaced."""
    if on_change is OnChange.KEEP:
        ledger.connection.execute(
            "UPDATE jobs AS j SET fingerprint = i.fingerprint FROM incoming i "
            f"WHERE i.id = j.id AND {_BOUND} AND NOT {_IS_FREE}"
        )
    # A job that failed was not charged: editing it is how one mends it.
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


def _load(connection: sqlite3.Connection, table: str, specs: Iterable[JobSpec]) -> int:
    """Write all of them into a table that is empty. Returns how many there are."""
    count = new_count = 0
    for some in _batches(specs):
        # One statement for all: SQLite lets go of the interpreter once, not for each row. Ids given
        # twice are passed over: a review on the way tells of them behind the last job.
        marks = ", ".join([f"({_MARKS})"] * len(some))
        insert = f"INSERT OR IGNORE INTO {table} ({_COLUMNS}) VALUES {marks}"
        count += len(some)
        values = list(chain.from_iterable(map(_row_of, some)))
        new_count += connection.execute(insert, values).rowcount
        if inputs := [file for spec in some for file in spec.inputs]:
            note_incoming(connection, inputs)
    if new_count < count:
        raise InternalError("two jobs of one id reached the state")
    forget_others(connection)
    return count


def _batches(specs: Iterable[JobSpec]) -> Iterator[list[JobSpec]]:
    """Some jobs at a time, never much text: they are held in memory."""
    some: list[JobSpec] = []
    size = 0
    for spec in specs:
        some.append(spec)
        size += len(spec.body)
        if len(some) == _BATCH or size > _BATCH_CHARACTERS:
            yield some
            some, size = [], 0
    if some:
        yield some


def _row_of(spec: JobSpec) -> tuple[object, ...]:
    """A job as it is written, in the order of `_COLUMNS`."""
    return (
        spec.id, spec.model, str(spec.api), spec.body, spec.stem, spec.price_usd,
        canonical_json(spec.fields) if spec.fields else "{}", fingerprint_of(spec),
    )  # fmt: skip


def fingerprint_of(spec: JobSpec) -> str:
    """What makes a job another one than before: what it asks for, and where its files go."""
    return sha256(f"{spec.fingerprint}\n{spec.stem}".encode()).hexdigest()


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
