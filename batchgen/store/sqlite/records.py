"""What a state file knows of files, jobs and attempts, as records for data sets and tables."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batchgen.core.dataset.columns import Record
from batchgen.core.dataset.export import Finished
from batchgen.core.jobs.job import JobState
from batchgen.core.jobs.placeholders import MARK
from batchgen.errors import StateError
from batchgen.store.sqlite.inputs import placed_body
from batchgen.store.sqlite.queries import JobQueries
from batchgen.store.sqlite.rows import seed_of
from batchgen.store.sqlite.states import is_done

_FILES = f"""
SELECT o.name, j.id, j.model, j.request_id, j.seed, j.cost_usd, j.sent_at, o.saved_at,
  j.inference_s, j.queue_s, j.total_s, {{tokens}}, o.sha256, o.width, o.height, o.size,
  o.media_type, {{verified}}, j.body, j.fields
FROM outputs o CROSS JOIN jobs j ON j.key = o.job_key
WHERE o.name IS NOT NULL AND {is_done("j.state")} AND j.id GLOB ? AND j.model GLOB ?
ORDER BY o.job_key, o.idx
"""
"""CROSS JOIN keeps the order of the loops: the other one sorts all jobs, bodies included."""

_JOBS = """
SELECT j.id, j.model, j.state, j.reason, j.listed, j.attempt, j.request_id, j.seed,
  (SELECT sum(a.cost_usd) FROM attempts a WHERE a.job_key = j.key), j.sent_at, j.changed_at,
  j.inference_s, j.queue_s, j.total_s, {tokens},
  (SELECT json_group_array(o.name) FROM outputs o WHERE o.job_key = j.key AND o.name IS NOT NULL),
  (SELECT min({verified}) FROM outputs o WHERE o.job_key = j.key AND o.name IS NOT NULL),
  j.body, j.fields
FROM jobs j WHERE (j.listed = 1 OR j.attempt > 0) AND j.id GLOB ? AND j.model GLOB ?
ORDER BY j.key
"""

_ATTEMPTS = """
SELECT j.id, j.model, j.state, a.number, a.state, a.request_id, a.intent_at, a.outcome_at,
  a.ended_at, a.reserved_usd, a.cost_usd, a.reason, j.body, j.fields
FROM attempts a CROSS JOIN jobs j ON j.key = a.job_key
WHERE j.id GLOB ? AND j.model GLOB ? ORDER BY a.job_key, a.number
"""

_FINISHED = f"""FROM outputs o CROSS JOIN jobs j ON j.key = o.job_key
WHERE o.name IS NOT NULL AND {is_done("j.state")}"""

_BODY = -2
"""In each of these selections: what was sent, and behind it the fields of the row."""

_decoded = json.JSONDecoder().decode


@dataclass(frozen=True, slots=True)
class Records:
    """Records of a state file, read anew each time they are iterated over; never held.

    `path` is for messages; `id_glob` and `model_glob` are globs as SQLite has them: `*`, `?`,
    `[a-z]`.
    """

    path: Path
    connection: sqlite3.Connection
    sql: str
    record_of: Callable[[tuple[Any, ...]], Record]
    id_glob: str = "*"
    model_glob: str = "*"

    def __iter__(self) -> Iterator[Record]:
        """One record a row, in the order of the manifest. Raises `StateError`."""
        globs = (self.id_glob, self.model_glob)
        try:
            for row in self.connection.execute(self.sql, globs):
                yield self.record_of(self._placed(row) if MARK in row[_BODY] else row)
        except sqlite3.DatabaseError as error:
            raise StateError(f"{self.path} cannot be read: {error}") from error

    def _placed(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        *values, body, fields = row
        return (*values, placed_body(self.connection, body), fields)

    def only(self, id_glob: str, model_glob: str) -> Records:
        """Those of such ids and models."""
        return replace(self, id_glob=id_glob, model_glob=model_glob)


class ExportQueries(JobQueries):
    """What exports and the metadata of a dataset ask."""

    def files(self) -> Records:
        """One record a finished file (`core.dataset.columns.FILES`)."""
        sql = _FILES.format(verified=self._verified("o.verified"), tokens=self._tokens("j."))
        return Records(self._path, self._connection, sql, _file_record)

    def jobs(self) -> Records:
        """One record a job of the manifest, or that was ever submitted (`dataset.tables.JOBS`)."""
        sql = _JOBS.format(verified=self._verified("o.verified"), tokens=self._tokens("j."))
        return Records(self._path, self._connection, sql, _job_record)

    def attempts(self) -> Records:
        """One record a POST (`core.dataset.tables.ATTEMPTS`)."""
        return Records(self._path, self._connection, _ATTEMPTS, _attempt_record)

    def finished(self) -> Finished:
        """How much is finished: it changes whenever a file comes or goes."""
        rows = self._rows(
            "SELECT count(*), coalesce(sum(o.size), 0), coalesce(max(o.saved_at), 0) " + _FINISHED
        )
        return Finished(*next(rows))

    def dataset_stamp(self) -> str:
        """What tells one set of finished files from another, but for the fields of their rows.

        Of a million files in a second or so: the bodies of the jobs are not read.
        """
        rows = self._rows(
            "SELECT count(*), sum(o.size), sum(o.saved_at), max(o.saved_at), max(j.changed_at) "
            + _FINISHED
        )
        return repr(next(rows))


def _file_record(row: tuple[Any, ...]) -> Record:
    (name, id_, model, request_id, seed, cost, sent_at, saved_at, inference_s, queue_s, total_s,
     input_tokens, output_tokens, sha256, width, height, size, media_type, verified, body,
     fields) = row  # fmt: skip
    params = _decoded(body)
    own = {
        "file_name": name,
        "id": id_,
        "model": model,
        "request_id": request_id or None,
        "seed": params.get("seed") if seed is None else seed_of(seed),
        "cost": cost,
        "submitted_at": sent_at or None,
        "finished_at": saved_at,
        "inference_s": inference_s,
        "queue_s": queue_s,
        "total_s": total_s,
        **_told_tokens(input_tokens, output_tokens),
        "sha256": sha256,
        "width": width or None,
        "height": height or None,
        "bytes": size,
        "media_type": media_type,
        "verified": bool(verified),
    }
    return Record(own, params, _decoded(fields))


def _told_tokens(input_tokens: int | None, output_tokens: int | None) -> dict[str, int | None]:
    """Most datasets are pictures: there is no column for what no model told."""
    if input_tokens is None and output_tokens is None:
        return {}
    return {"input_tokens": input_tokens, "output_tokens": output_tokens}


def _job_record(row: tuple[Any, ...]) -> Record:
    (id_, model, state, reason, listed, attempts, request_id, seed, cost, sent_at, changed_at,
     inference_s, queue_s, total_s, input_tokens, output_tokens, names, verified, body,
     fields) = row  # fmt: skip
    files = _decoded(names) if state == JobState.DONE else None
    own = {
        "id": id_,
        "model": model,
        "state": state,
        "reason": reason or None,
        "in_manifest": bool(listed),
        "attempts": attempts,
        "request_id": request_id or None,
        "seed": seed_of(seed),
        "cost": cost,
        "submitted_at": sent_at or None,
        "changed_at": changed_at or None,
        "inference_s": inference_s,
        "queue_s": queue_s,
        "total_s": total_s,
        **_told_tokens(input_tokens, output_tokens),
        "files": files or None,
        "verified": bool(verified) if files else None,
    }
    return Record(own, _decoded(body), _decoded(fields))


_ATTEMPT_NAMES: Sequence[str] = (
    "id", "model", "state", "attempt", "attempt_state", "request_id", "intent_at", "outcome_at",
    "ended_at", "reserved_usd", "cost_usd", "reason",
)  # fmt: skip


def _attempt_record(row: tuple[Any, ...]) -> Record:
    *values, body, fields = row
    own = dict(zip(_ATTEMPT_NAMES, values, strict=True))
    own["reason"] = own["reason"] or None
    return Record(own, _decoded(body), _decoded(fields))
