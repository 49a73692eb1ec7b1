"""What a run came to, read from its state: money by model, the slowest jobs, what is left."""

from __future__ import annotations

from dataclasses import dataclass, replace

from batchgen.core.jobs.job import AttemptState
from batchgen.core.jobs.spec import Mode
from batchgen.core.media.formats import BY_EXTENSION
from batchgen.store.sqlite.queries import JobQueries
from batchgen.store.sqlite.schema import HAS_TOKENS, TOKENS_SINCE
from batchgen.store.sqlite.states import IS_ENDED, IS_PROBLEM, among, is_done, is_pending

RECENT_S = 300.0
"""The pace looks back so far."""
TEXT_TYPES = (BY_EXTENSION["txt"].mime, BY_EXTENSION["json"].mime)
_SLOWEST = 3
_LATENCY = "coalesce(total_s, inference_s + coalesce(queue_s, 0), changed_at - sent_at)"


@dataclass(frozen=True, slots=True)
class ModelAccount:
    """The jobs of one model: how many there are and are done, and what their attempts cost."""

    model: str
    job_count: int
    done_count: int
    spent_usd: float


@dataclass(frozen=True, slots=True)
class SlowJob:
    """A finished job and the seconds it took: at the service, where that told them."""

    id: str
    model: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TextsOfModel:
    """So many done jobs of a model brought texts, such as `example`; others brought media."""

    model: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class LeftOfModel:
    """Jobs of one model that wait, by the first API or not, and those that are under way."""

    model: str
    queued_count: int
    blocking_count: int
    under_way_count: int


class StatusQueries(JobQueries):
    """What `status`, the end of a run and `doctor` ask."""

    def accounts(self) -> list[ModelAccount]:
        """Every model, the dearest first."""
        spent = dict(
            self._rows(
                "SELECT j.model, sum(a.cost_usd) FROM attempts a JOIN jobs j ON j.key = a.job_key "
                "WHERE a.cost_usd > 0 GROUP BY j.model"
            )
        )
        rows = self._rows(
            f"SELECT model, count(*), sum({is_done()}) FROM jobs "
            "WHERE listed = 1 OR attempt > 0 GROUP BY model"
        )
        found = [
            ModelAccount(model, count, done, spent.get(model, 0.0)) for model, count, done in rows
        ]
        return sorted(found, key=lambda one: (-one.spent_usd, one.model))

    def slowest(self) -> list[SlowJob]:
        """The finished jobs that took longest."""
        rows = self._rows(
            f"SELECT id, model, {_LATENCY} AS seconds FROM jobs WHERE {is_done()} "
            "AND sent_at > 0 ORDER BY seconds DESC, key LIMIT ?",
            _SLOWEST,
        )
        return [SlowJob(*row) for row in rows]

    def texts_beside_media(self) -> list[TextsOfModel]:
        """The models of which some jobs brought texts alone and others files of other kinds."""
        rows = self._rows(
            "SELECT j.model, sum(o.is_text), min(CASE WHEN o.is_text THEN j.id END) FROM "
            "(SELECT job_key, min(media_type IN (?, ?)) AS is_text FROM outputs "
            "WHERE name IS NOT NULL GROUP BY job_key) o JOIN jobs j ON j.key = o.job_key "
            f"WHERE {is_done('j.state')} GROUP BY j.model "
            "HAVING sum(o.is_text) BETWEEN 1 AND count(*) - 1 ORDER BY j.model",
            *TEXT_TYPES,
        )
        return [TextsOfModel(*row) for row in rows]

    def tried_again(self) -> dict[str, int]:
        """Jobs that failed at the service, free of charge, and were submitted again: by state."""
        return dict(
            self._rows(
                "SELECT j.state, count(DISTINCT j.key) FROM attempts a JOIN jobs j "
                f"ON j.key = a.job_key WHERE {among([AttemptState.ACKED], 'a.state')} "
                "AND a.cost_usd = 0 AND a.reason <> '' AND a.ended_at IS NOT NULL "
                f"AND (a.number < j.attempt OR {is_pending('j.state')}) GROUP BY j.state"
            )
        )

    def tokens(self) -> tuple[int, int]:
        """Tokens that text models read and wrote, as their makers count them."""
        if self._one("PRAGMA user_version") < TOKENS_SINCE:
            return 0, 0
        told = self._rows(
            "SELECT coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0) "
            f"FROM jobs WHERE {HAS_TOKENS} AND {is_done()}"
        )
        return next((int(read), int(written)) for read, written in told)

    def problem_counts(self) -> dict[str, int]:
        """Jobs that failed, are unknown or lost."""
        return dict(
            self._rows(f"SELECT state, count(*) FROM jobs WHERE {IS_PROBLEM} GROUP BY state")
        )

    def left(self) -> list[LeftOfModel]:
        """What is still to be done, model by model; jobs on hold are not."""
        held = {one.model for one in self.held()}
        rows = self._rows(
            f"SELECT model, sum({is_pending()} AND api <> '{Mode.BLOCKING}'), "
            f"sum({is_pending()} AND api = '{Mode.BLOCKING}'), sum(NOT {is_pending()}) FROM jobs "
            f"WHERE NOT {IS_ENDED} "
            "AND (listed = 1 OR attempt > 0) GROUP BY model"
        )
        left = (LeftOfModel(*row) for row in rows)
        return [
            replace(one, queued_count=0, blocking_count=0) if one.model in held else one
            for one in left
        ]

    def pace_per_s(self, now: float) -> float | None:
        """Jobs that ended a second, over the last minutes; None while it is unknown."""
        count, first_at = next(
            self._rows(
                f"SELECT count(*), min(changed_at) FROM jobs WHERE {IS_ENDED} AND changed_at > ?",
                now - RECENT_S,
            )
        )
        return count / max(1.0, now - first_at) if count >= 2 else None

    def submit_count(self, since_at: float) -> int:
        """Submits since an instant."""
        return int(self._one("SELECT count(*) FROM attempts WHERE intent_at > ?", since_at))

    def pending_usd(self) -> float:
        """What the jobs that wait are reckoned to cost, where that is known."""
        query = f"SELECT coalesce(sum(price_usd), 0) FROM jobs WHERE {is_pending()} AND listed = 1"
        return float(self._one(query))

    def faults(self) -> list[str]:
        """What SQLite finds wrong with the pages of the file; empty when nothing is."""
        told = [str(row[0]) for row in self._rows("PRAGMA quick_check(5)")]
        return [] if told == ["ok"] else told

    def bytes_per_s(self, now: float) -> float:
        """Finished files of the last 60 s, as bytes a second."""
        size, first_at = next(
            self._rows(
                "SELECT coalesce(sum(size), 0), min(saved_at) FROM outputs WHERE saved_at > ?",
                now - 60.0,
            )
        )
        return 0.0 if first_at is None else size / min(60.0, max(1.0, now - first_at))
