"""Putting ended jobs back, through the same table of legal moves as everything else."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from batchgen.core.jobs.events import Event, EventKind
from batchgen.core.jobs.job import STATES, Job, JobState, StateGroup
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.spec import Mode
from batchgen.core.scheduling.learned import PRICES_NOTE, prices_of
from batchgen.store.sqlite.faults import typed_errors
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.rows import JOB_COLUMNS, job_of
from batchgen.store.sqlite.states import among

_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class RetrySelection:
    """Jobs to be put back, by what that means for money.

    `unclear` may have been billed without our knowing, `lost` and `rejected` were paid; `reopened`
    are only looked up again, `unfetched` only fetched. `risk_usd` is what submitting `unclear`,
    `lost` and `rejected` again may cost once more.
    """

    jobs: tuple[Job, ...]
    failed: int
    unclear: int
    lost: int
    rejected: int
    reopened: int
    unfetched: int
    risk_usd: float
    unpriced_count: int

    @property
    def count(self) -> int:
        """All of them."""
        return len(self.jobs)

    @property
    def at_risk(self) -> int:
        """Those that may be paid for twice."""
        return self.unclear + self.lost + self.rejected

    @property
    def unpriced(self) -> str:
        """A remark where prices are not known."""
        return f" and {self.unpriced_count} of unknown price" if self.unpriced_count else ""


class Retrier:
    """Puts ended jobs of a ledger back. Raises `DiskError`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @typed_errors()
    def note(self, name: str) -> str | None:
        """A note, or None."""
        return self._ledger.note(name)

    @typed_errors()
    def select(self, states: Collection[JobState], pattern: str) -> RetrySelection:
        """The ended jobs in these states whose ids match a glob."""
        rows = self._ledger.connection.execute(
            f"SELECT {JOB_COLUMNS} FROM jobs WHERE {among(states)} ORDER BY key"
        )
        jobs = [job for row in rows if fnmatchcase((job := job_of(row)).id, pattern)]
        unclear = [job for job in _in_group(jobs, StateGroup.UNKNOWN) if not _is_reopened(job)]
        lost = _in_group(jobs, StateGroup.LOST)
        rejected = _in_group(jobs, StateGroup.REJECTED)
        at_risk = [*unclear, *lost, *rejected]
        return RetrySelection(
            jobs=tuple(jobs),
            failed=len(_in_group(jobs, StateGroup.FAILED)),
            unclear=len(unclear),
            lost=len(lost),
            rejected=len(rejected),
            reopened=sum(_is_reopened(job) for job in jobs if job.state is JobState.UNKNOWN),
            unfetched=len(_in_group(jobs, StateGroup.UNFETCHED)),
            risk_usd=sum(price for job in at_risk if (price := self._price_usd(job)) is not None),
            unpriced_count=sum(self._price_usd(job) is None for job in at_risk),
        )

    def _price_usd(self, job: Job) -> float | None:
        """What a job is told to cost, else what the last one of its model did cost."""
        if job.price_usd is not None:
            return job.price_usd
        return prices_of({PRICES_NOTE: self._ledger.note(PRICES_NOTE) or "{}"}).get(job.model)

    def put_back(self, chosen: RetrySelection, now: float) -> None:
        """Record it, in chunks of durable transactions."""
        for start in range(0, len(chosen.jobs), _CHUNK):
            changes = []
            for job in chosen.jobs[start : start + _CHUNK]:
                kind = EventKind.REOPENED if _is_reopened(job) else EventKind.RETRIED
                event = Event(kind, job.key, now, reason="put back by the user")
                changes.append(apply(job, event))
                if job.state is JobState.UNKNOWN and _is_reopened(job) and job.api is Mode.BLOCKING:
                    # It cannot be polled: the history alone can bring it home.
                    gone = Event(EventKind.GONE, job.key, now, reason=event.reason)
                    changes.append(apply(changes[-1].after, gone))
            self._ledger.record(changes)


def _in_group(jobs: Iterable[Job], group: StateGroup) -> list[Job]:
    return [job for job in jobs if STATES[job.state].group is group]


def _is_reopened(job: Job) -> bool:
    """An accepted request is asked for again before anything is paid for again."""
    known = job.state is JobState.UNKNOWN and bool(job.request_id)
    return known or job.state is JobState.UNFETCHED
