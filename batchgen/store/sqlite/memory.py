"""A ledger in memory: the real schema and the real SQL for whole runs in virtual time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from batchgen.core.jobs.job import Job
from batchgen.core.jobs.spec import JobSpec
from batchgen.store.sqlite.importer import import_jobs
from batchgen.store.sqlite.inputs import KnownInputs, placed_job
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.rows import JOB_COLUMNS, job_of
from batchgen.store.sqlite.schema import create_schema


class MemoryLedger(Ledger):
    """A ledger that lives as long as its object, and tells all it holds."""

    def __init__(self) -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        create_schema(connection)
        super().__init__(connection)

    def import_jobs(self, specs: Iterable[JobSpec]) -> None:
        """Bring in new jobs."""
        import_jobs(self, specs)

    def jobs(self) -> list[Job]:
        """Every job, without its outputs."""
        rows = self.connection.execute(f"SELECT {JOB_COLUMNS} FROM jobs")
        return [placed_job(self.connection, job) for job in map(job_of, rows)]

    def attempts(self) -> list[tuple[int, int, str, str]]:
        """Every attempt: job key, number, state, request_id."""
        return self.connection.execute(
            "SELECT job_key, number, state, coalesce(request_id, '') FROM attempts"
        ).fetchall()

    def is_uploaded(self, sha256: str) -> bool:
        """Whether a content stands at the service."""
        return KnownInputs(self.connection).is_uploaded(sha256)
