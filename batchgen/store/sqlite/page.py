"""What the pages show of a state file: jobs with their files, and figures over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from batchgen.store.sqlite.queries import JobQueries
from batchgen.store.sqlite.rows import seed_of
from batchgen.store.sqlite.states import IS_ENDED, is_done, is_pending

LATENCY_GRAIN_S = 0.05
"""Latencies are counted in steps of so much: all of a million would not fit in flat memory."""
_KEYS_A_QUERY = 500
"""Below SQLite's smallest limit of bound variables."""

_COLUMNS = (
    "key, id, model, state, body, attempt, polls, request_id, reason, seed, cost_usd, price_usd, "
    "queue_s, inference_s, total_s, sent_at, changed_at"
)
_SEED = _COLUMNS.split(", ").index("seed")
_MEANT = "(listed = 1 OR attempt > 0)"
"""Jobs that are (still) in the manifest, or were ever submitted."""
_LATENCY = "coalesce(total_s, inference_s + coalesce(queue_s, 0))"


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A finished file. `name` is its path below `outputs/`; width and height in pixels or 0."""

    index: int
    name: str
    media_type: str
    size: int
    sha256: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ShownJob:
    """A job as the pages show it. `body` is JSON; instants in epoch seconds, 0 where there is none.

    `cost_usd` is what the service said, None before that; `price_usd` what it was reckoned with.
    """

    key: int
    id: str
    model: str
    state: str
    body: str
    attempts: int
    polls: int
    request_id: str
    reason: str
    seed: int | str | None
    cost_usd: float | None
    price_usd: float | None
    queue_s: float | None
    inference_s: float | None
    total_s: float | None
    sent_at: float
    changed_at: float
    files: tuple[ShownFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Steps:
    """A stretch of time, cut into equal steps: `count` of `step_s` seconds from `start_at`."""

    start_at: float
    step_s: float
    count: int


class PageQueries(JobQueries):
    """What the pages ask."""

    def last_key(self) -> int:
        """The key of the newest job, 0 when there is none."""
        return int(self._one("SELECT coalesce(max(key), 0) FROM jobs"))

    def newest(self, most: int) -> Iterator[ShownJob]:
        """At most so many jobs: what changed last comes first, and what waits last."""
        return self._jobs(
            f"SELECT {_COLUMNS} FROM jobs WHERE {_MEANT} "
            f"ORDER BY {is_pending()}, changed_at DESC, key LIMIT ?",
            most,
        )

    def changed(self, since_at: float, after_key: int, most: int) -> Iterator[ShownJob]:
        """Jobs that moved at or after an instant, or came in after a key; the latest first."""
        return self._jobs(
            f"SELECT {_COLUMNS} FROM jobs WHERE (changed_at >= ? OR key > ?) AND {_MEANT} "
            "ORDER BY changed_at DESC, key LIMIT ?",
            since_at,
            after_key,
            most,
        )

    def file(self, name: str) -> tuple[str, str] | None:
        """The media type and the SHA-256 of a finished file; None for a name that none has."""
        query = "SELECT media_type, coalesce(sha256, '') FROM outputs WHERE name = ?"
        return next(((str(kind), str(sha256)) for kind, sha256 in self._rows(query, name)), None)

    def span(self) -> tuple[float, float] | None:
        """From the first intent to the last change; None before anything was submitted."""
        first = self._one("SELECT min(intent_at) FROM attempts")
        last = self._one("SELECT max(changed_at) FROM jobs")
        return None if first is None else (first, max(first, last))

    def ends(self, steps: Steps) -> Iterator[tuple[int, str, int]]:
        """How many jobs ended in which state in each step: (step, state, count)."""
        yield from self._rows(
            f"SELECT {_step('changed_at')} AS step, state, count(*) FROM jobs "
            f"WHERE {IS_ENDED} AND changed_at >= ? GROUP BY step, state",
            *_bound(steps),
            steps.start_at,
        )

    def spending(self, steps: Steps) -> Iterator[tuple[int, float]]:
        """What attempts came to in each step, in USD: (step, usd)."""
        at = "coalesce(ended_at, outcome_at, intent_at)"
        yield from self._rows(
            f"SELECT {_step(at)} AS step, sum(cost_usd) FROM attempts "
            "WHERE cost_usd > 0 GROUP BY step",
            *_bound(steps),
        )

    def latencies(self) -> Iterator[tuple[str, int, int]]:
        """How long requests took: (model, latency in grains of `LATENCY_GRAIN_S`, count)."""
        yield from self._rows(
            f"SELECT model, CAST({_LATENCY} / ? AS INTEGER) AS grains, count(*) FROM jobs "
            f"WHERE {is_done()} AND {_LATENCY} >= 0 GROUP BY model, grains ORDER BY 1, 2",
            LATENCY_GRAIN_S,
        )

    def polls(self) -> Iterator[tuple[int, int]]:
        """How many finished jobs took how many polls: (polls, count)."""
        yield from self._rows(
            f"SELECT polls, count(*) FROM jobs WHERE {is_done()} GROUP BY polls ORDER BY polls"
        )

    def poll_count(self) -> int:
        """The polls of the current attempts of all jobs."""
        return int(self._one("SELECT coalesce(sum(polls), 0) FROM jobs"))

    def models(self) -> dict[str, int]:
        """Jobs by model, the commonest first."""
        rows = self._rows(
            f"SELECT model, count(*) FROM jobs WHERE {_MEANT} GROUP BY model ORDER BY 2 DESC, 1"
        )
        return dict(rows)

    def _jobs(self, sql: str, *variables: object) -> Iterator[ShownJob]:
        rows = self._rows(sql, *variables)
        while batch := list(islice(rows, _KEYS_A_QUERY)):
            files = self._files(row[0] for row in batch)
            for row in batch:
                yield _shown(row, files.get(row[0], ()))

    def _files(self, keys: Iterable[int]) -> dict[int, tuple[ShownFile, ...]]:
        variables = list(keys)
        marks = ", ".join("?" * len(variables))
        rows = self._rows(
            "SELECT job_key, idx, name, media_type, coalesce(size, 0), coalesce(sha256, ''), "
            "coalesce(width, 0), coalesce(height, 0) FROM outputs "
            f"WHERE job_key IN ({marks}) AND name IS NOT NULL ORDER BY job_key, idx",
            *variables,
        )
        return {
            key: tuple(ShownFile(*row[1:]) for row in group)
            for key, group in groupby(rows, key=itemgetter(0))
        }


def _shown(row: tuple[Any, ...], files: tuple[ShownFile, ...]) -> ShownJob:
    """The job of a row of `_COLUMNS`; seeds are stored as text."""
    values: list[Any] = [*row[:_SEED], seed_of(row[_SEED]), *row[_SEED + 1 :], files]
    return ShownJob(*values)


def _step(column: str) -> str:
    """The step an instant falls into, the last one for what is later."""
    return f"min(max(CAST(({column} - ?) / ? AS INTEGER), 0), ?)"


def _bound(steps: Steps) -> tuple[float, float, int]:
    return steps.start_at, steps.step_s, steps.count - 1
