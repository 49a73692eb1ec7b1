"""Ended jobs as a state file has them, for programs: by key as they land, or all in their order."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchgen.core.jobs.job import JobState
from batchgen.core.jobs.placeholders import Content, placed
from batchgen.core.manifest.expansion.input_files import PREFIX
from batchgen.store.sqlite.inputs import files_of_content, placed_body
from batchgen.store.sqlite.queries import JobQueries
from batchgen.store.sqlite.rows import seed_of
from batchgen.store.sqlite.states import IS_PROBLEM, among, is_done

_COLUMNS = """
key, id, model, state, body, fields, attempt, request_id, reason, seed,
  (SELECT sum(a.cost_usd) FROM attempts a WHERE a.job_key = key), sent_at, changed_at,
  inference_s, queue_s, total_s,
  (SELECT json_group_array(o.name) FROM
    (SELECT name FROM outputs WHERE job_key = key AND name IS NOT NULL ORDER BY idx) o),
  (SELECT min({verified}) FROM outputs WHERE job_key = key AND name IS NOT NULL)
"""
_FAILURES = f"""
SELECT id, model, state, reason, request_id, attempt, api, body, fields FROM jobs
WHERE {IS_PROBLEM} ORDER BY key
"""
_NAMES = ("id", "model", "state", "reason", "request_id", "attempts", "api")
_MEANT = "(listed = 1 OR attempt > 0)"
"""Jobs that are (still) in the manifest, or were ever submitted."""


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A job that ended. `cost_usd` over all its attempts, None where nothing is known of it;
    instants in epoch seconds, None where there is none; `names` of its files below `outputs/`, and
    whether all of them are `verified`."""

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
    verified: bool


class ResultQueries(JobQueries):
    """What programs ask of the jobs that ended, also while a run works."""

    def of(self, keys: Sequence[int]) -> list[EndedJob]:
        """The jobs of these keys, in the order of the keys as given."""
        query = f"SELECT {self._columns()} FROM jobs WHERE key IN (SELECT value FROM json_each(?))"
        found = {job.key: job for job in self._jobs(query, json.dumps(list(keys)))}
        return [found[key] for key in keys if key in found]

    def after(
        self, key: int, most: int, states: Collection[JobState], before_at: float = float("inf")
    ) -> list[EndedJob]:
        """Up to so many jobs above a key, in these states, that ended before an instant."""
        return self._jobs(
            f"SELECT {self._columns()} FROM jobs WHERE key > ? AND changed_at < ? AND {_MEANT} "
            f"AND {among(states)} ORDER BY key LIMIT ?",
            key,
            before_at,
            most,
        )

    def count(self, states: Collection[JobState]) -> int:
        """How many jobs are in these states."""
        query = f"SELECT count(*) FROM jobs WHERE {_MEANT} AND {among(states)}"
        return int(self._one(query))

    def file_count(self) -> int:
        """How many finished files there are."""
        return int(
            self._one(
                "SELECT count(*) FROM outputs o CROSS JOIN jobs j ON j.key = o.job_key "
                f"WHERE o.name IS NOT NULL AND {is_done('j.state')}"
            )
        )

    def failures(self) -> Iterator[dict[str, Any]]:
        """The jobs that ended without files, with all that is needed to ask for them again.

        Each by its id, model, state, reason, request_id, attempts, api, params and fields. Files
        among the params are addresses where they were uploaded, else `file:` and their path.
        """
        for *values, body, fields in self._rows(_FAILURES):
            yield {
                **dict(zip(_NAMES, values, strict=True)),
                "params": json.loads(self._with_files(body)),
                "fields": json.loads(fields),
            }

    def _with_files(self, body: str) -> str:
        return placed(placed_body(self._connection, body), self._path_of)

    def _path_of(self, content: Content) -> str | None:
        files = files_of_content(self._connection, content)
        return PREFIX + files[0].path if files else None

    def _columns(self) -> str:
        return _COLUMNS.format(verified=self._verified("verified"))

    def _jobs(self, query: str, *arguments: object) -> list[EndedJob]:
        return [self._job(row) for row in self._rows(query, *arguments)]

    def _job(self, row: tuple[Any, ...]) -> EndedJob:
        (key, id_, model, state, body, fields, attempts, request_id, reason, seed, cost_usd,
         sent_at, changed_at, inference_s, queue_s, total_s, names, verified) = row  # fmt: skip
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
            verified=verified != 0,
        )
