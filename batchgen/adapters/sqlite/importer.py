"""A manifest's jobs into the state file: by id and fingerprint, never by position."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from batchgen.adapters.sqlite.ledger import Ledger
from batchgen.core.http import canonical_json
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
_CHANGED = "(i.fingerprint <> j.fingerprint OR i.stem <> j.stem)"
_UNTOUCHED = "(j.state = 'pending' AND j.billable = 0)"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: counts of jobs, and the ids that could not follow the manifest.

    `paid` names (up to `MAX_NAMED` of) the changed jobs that may already have been paid for; when
    it is not empty, nothing was written. `paid_count` counts all of them.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    dropped: int = 0
    paid: tuple[str, ...] = ()
    paid_count: int = 0


class _PaidChangeError(Exception):
    """Rolls the import back."""

    def __init__(self, imported: Imported) -> None:
        self.imported = imported


def import_jobs(ledger: Ledger, specs: Iterable[JobSpec]) -> Imported:
    """Bring the state in line with the manifest, in one transaction.

    New jobs are added behind the others, untouched ones kept, changed ones updated while they were
    never submitted; jobs that left the manifest stay in the record but are not run.
    """
    ledger.connection.execute(_INCOMING)
    ledger.connection.execute("DELETE FROM incoming")
    try:
        with ledger.transaction() as connection:
            _load(connection, specs)
            return _merge(connection)
    except _PaidChangeError as stopped:
        return stopped.imported
    finally:
        ledger.connection.execute("DELETE FROM incoming")


def _load(connection: sqlite3.Connection, specs: Iterable[JobSpec]) -> None:
    rows = iter(specs)
    while chunk := list(islice(rows, _CHUNK)):
        connection.executemany(
            "INSERT INTO incoming (id, model, api, body, stem, price_usd, fields, fingerprint) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    spec.id, spec.model, spec.api, spec.body, spec.stem, spec.price_usd,
                    canonical_json(dict(spec.fields)), spec.fingerprint,
                )
                for spec in chunk
            ],
        )  # fmt: skip


def _merge(connection: sqlite3.Connection) -> Imported:
    paid = connection.execute(
        f"SELECT j.id FROM jobs j JOIN incoming i ON i.id = j.id "
        f"WHERE {_CHANGED} AND NOT {_UNTOUCHED} ORDER BY j.key"
    ).fetchall()
    if paid:
        ids = tuple(str(row[0]) for row in paid[:MAX_NAMED])
        raise _PaidChangeError(Imported(paid=ids, paid_count=len(paid)))
    changed = connection.execute(
        "UPDATE jobs AS j SET model = i.model, api = i.api, body = i.body, stem = i.stem, "
        "fields = i.fields, fingerprint = i.fingerprint, trouble = 0, due_at = 0, reason = '' "
        f"FROM incoming i WHERE i.id = j.id AND {_CHANGED}"
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
