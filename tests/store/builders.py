"""State files for the tests: fresh ones, and ones with a history."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import Job
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.spec import JobSpec
from batchgen.store.sqlite.importer import import_jobs
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.schema import connect
from tests.core.builders import NOW, event


def spec(id_, body="{}", **changes):
    """A job of a manifest."""
    fields = {"model": "flux-pro", "body": body, "stem": id_, "price_usd": 0.1} | changes
    return JobSpec(id_, **fields)


def ledger_at(path, *ids):
    """A ledger on a new file with jobs of these ids."""
    ledger = Ledger(connect(path, create=True))
    import_jobs(ledger, [spec(id_) for id_ in ids])
    return ledger


def load(ledger, id_) -> Job:
    """The job as the state holds it, whatever its state is."""
    (key,) = ledger.connection.execute("SELECT key FROM jobs WHERE id = ?", (id_,)).fetchone()
    everything = [*ledger.active(), *ledger.draw(0, 1000)]
    return next(found for found in everything if found.key == key)


def live(ledger, current, *kinds, at=NOW, **fields):
    """Events of one job, each recorded by itself; the job after them. Fields go to the last."""
    for number, kind in enumerate(kinds):
        some = fields if number == len(kinds) - 1 else {}
        if kind in {E.ACKED, E.ADOPTED}:
            some = {"request_id": f"r-{current.key}-{current.attempt}"} | some
        change = apply(current, event(kind, at + number, job_key=current.key, **some))
        ledger.record([change])
        current = change.after
    return current


def dump(ledger, table):
    """All rows of a table as dictionaries."""
    cursor = ledger.connection.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def break_off_at_once(path, first_page="written"):
    """Leave a state file as a power cut in its very first transaction does, with its journal."""
    made = path.with_name("made.db")
    with closing(sqlite3.connect(made, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")  # pages go to the disk before the commit
        connection.execute("BEGIN IMMEDIATE")
        for number in range(200):
            connection.execute(f"CREATE TABLE t{number} (a TEXT DEFAULT '{'x' * 500}')")
        content = bytearray(made.read_bytes())
        path.with_name(f"{path.name}-journal").write_bytes(
            made.with_name("made.db-journal").read_bytes()
        )
    made.unlink()
    assert len(content) > 4096
    content[:4096] = content[:4096] if first_page == "written" else bytes(4096)
    path.write_bytes(content)
