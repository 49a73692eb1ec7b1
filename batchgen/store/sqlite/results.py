"""Ended jobs as a state file has them, for programs: by key as they land, or all in their order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchgen.core.jobs.job import JobState
from batchgen.store.sqlite.inputs import placed_body
from batchgen.store.sqlite.reader import StateReader
from batchgen.store.sqlite.rows import seed_of

_COLUMNS = """
key, id, model, state, body, fields, attempt, request_id, reason, seed,
  (SELECT sum(a.cost_usd) FROM attempts a WHERE a.job_key = key), sent_at, changed_at,
  inference_s, queue_s, total_s,
  (SELECT json_group_array(o.name) FROM
    (SELECT name FROM outputs WHERE job_key = key AND name IS NOT NULL ORDER BY idx) o)
"""
_MEANT = "(listed = 1 OR attempt > 0)"
"""Jobs that are (still) in the manifest, or were ever submitted."""


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A job that ended. `cost_usd` over all its attempts, None where nothing is known of it;
    instants in epoch seconds, None where there is none; `names` of its files below `outputs/`."""

    key: int
    id: str
    model: str
    state: JobState
    params: Mapping[str, Any]
    fields: Mapping[str, Any]
    attempts: int
    request_id: str
    reason: str
    seed: int | str | None
    cost_usd: float | None
    submitted_at: float | None
    ended_at: float | None
    inference_s: float | None
    queue_s: float | None
    total_s: float | None
    names: tuple[str, ...]


class ResultReader(StateReader):
    """A read-only view of a state file, also while a run works. For the thread that made it."""

    def of(self, keys: Sequence[int]) -> list[EndedJob]:
        """The jobs of these keys, in the order of the keys as given."""
        query = f"SELECT {_COLUMNS} FROM jobs WHERE key IN (SELECT value FROM json_each(?))"
        found = {job.key: job for job in self._jobs(query, json.dumps(list(keys)))}
        return [found[key] for key in keys if key in found]

    def after(
        self, key: int, most: int, states: Iterable[JobState], before_at: float = float("inf")
    ) -> list[EndedJob]:
        """Up to so many jobs above a key, in these states, that ended before an instant."""
        return self._jobs(
            f"SELECT {_COLUMNS} FROM jobs WHERE key > ? AND changed_at < ? AND {_MEANT} "
            "AND state IN (SELECT value FROM json_each(?)) ORDER BY key LIMIT ?",
            key,
            before_at,
            json.dumps([state.value for state in states]),
            most,
        )

    def count(self, states: Iterable[JobState]) -> int:
        """How many jobs are in these states."""
        with self._told():
            query = f"SELECT count(*) FROM jobs WHERE {_MEANT} AND state IN "
            words = json.dumps([state.value for state in states])
            return int(self._one(query + "(SELECT value FROM json_each(?))", words))

    def file_count(self) -> int:
        """How many finished files there are."""
        return self.finished().count

    def _jobs(self, query: str, *arguments: object) -> list[EndedJob]:
        with self._told():
            rows = self._connection.execute(query, arguments).fetchall()
            return [self._job(row) for row in rows]

    def _job(self, row: tuple[Any, ...]) -> EndedJob:
        (key, id_, model, state, body, fields, attempts, request_id, reason, seed, cost_usd,
         sent_at, changed_at, inference_s, queue_s, total_s, names) = row  # fmt: skip
        params = json.loads(placed_body(self._connection, body))
        return EndedJob(
            key=key,
            id=id_,
            model=model,
            state=JobState(state),
            params=params,
            fields=json.loads(fields),
            attempts=attempts,
            request_id=request_id,
            reason=reason,
            seed=params.get("seed") if seed is None else seed_of(seed),
            cost_usd=cost_usd,
            submitted_at=sent_at or None,
            ended_at=changed_at or None,
            inference_s=inference_s,
            queue_s=queue_s,
            total_s=total_s,
            names=tuple(json.loads(names)) if state == JobState.DONE else (),
        )
