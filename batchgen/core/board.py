"""The board: everything the planner looks at, and nothing else.

It holds the active jobs, the budget and the gates in memory. It never decides and never acts: the
runner puts facts on it, the planner reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from batchgen.core.budget import Money, RateWindow
from batchgen.core.event import Change, Event, EventKind
from batchgen.core.gates import Gates
from batchgen.core.job import IN_FLIGHT, Job, JobState
from batchgen.core.polling import Latencies, next_poll_at


class RateScope(StrEnum):
    """Which calls count against `requests_per_minute`."""

    ALL = "all"
    """Every call to Segmind's hosts."""
    SUBMIT = "submit"
    """Submits only."""


class OnExpired(StrEnum):
    """What to do about a paid result whose record is gone."""

    RECOVER = "recover"
    """Look in the history; where that fails, pay again."""
    RECOVER_ONLY = "recover-only"
    """Look in the history; where that fails, the job is lost."""
    FAIL = "fail"
    """The job is lost."""


class WhenAbsent(StrEnum):
    """What to do about a submit that history proves absent."""

    RESUBMIT = "resubmit"
    """Submit it again."""
    HOLD = "hold"
    """Leave it to the user."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The budget and the policies of a run, as the manifest and the command line set them."""

    concurrency: int = 16
    rate_scope: RateScope = RateScope.ALL
    max_attempts: int = 3
    on_expired: OnExpired = OnExpired.RECOVER
    when_absent: WhenAbsent = WhenAbsent.RESUBMIT
    settle_s: float = 120.0
    save_concurrency: int = 16


_ACKED = frozenset({EventKind.ACKED, EventKind.ADOPTED, EventKind.RUNNING, EventKind.REOPENED})


@dataclass(slots=True)
class Board:
    """The planner's whole view. `jobs` holds active jobs and a small stock of pending ones."""

    limits: Limits
    rate: RateWindow
    money: Money = field(default_factory=Money)
    gates: Gates = field(default_factory=Gates)
    latencies: Latencies = field(default_factory=Latencies)
    jobs: dict[int, Job] = field(default_factory=dict)
    busy: set[int] = field(default_factory=set)
    probing: bool = False
    stock_ended: bool = False
    """Whether the state holds no pending jobs beyond those on the board."""
    drawn_key: int = 0
    quota: int | None = None
    """How many more pending jobs this run may draw; None is all of them."""
    held: Counter[str] = field(default_factory=Counter)
    """Pending jobs taken off the board because their model is closed, by model."""

    def put(self, jobs: Iterable[Job]) -> None:
        """Jobs come onto the board: active ones at the start, pending ones as they are drawn."""
        for job in jobs:
            self.jobs[job.key] = job
            self._account(job)

    def digest(self, event: Event) -> Event:
        """Complete an event with what only the board knows: the next poll, and the policies."""
        job = self.jobs[event.job_key]
        if event.kind in _ACKED and not event.retry_at:
            asked = replace(
                job,
                polls=job.polls + (event.kind is EventKind.RUNNING),
                sent_at=job.sent_at or event.at,
            )
            return replace(event, retry_at=next_poll_at(asked, self.latencies, event.at))
        if event.kind is EventKind.GIVEN_UP and job.state is JobState.RECOVERING:
            return self._expired(job, event)
        return event

    def _expired(self, job: Job, event: Event) -> Event:
        """A result that cannot be recovered is paid for again only if the policy allows."""
        pays_again = self.limits.on_expired is OnExpired.RECOVER
        if pays_again and job.billable < self.limits.max_attempts:
            return replace(event, kind=EventKind.AGAIN)
        return event

    def take_in(self, change: Change) -> None:
        """A change that is on disk becomes part of the view."""
        job = change.after
        self.gates.observe(change.event, job.model)
        self._learn(change)
        self._account(job)
        if job.ended:
            del self.jobs[job.key]
        elif job.state is JobState.PENDING and job.model in self.gates.closed_models:
            self.hold_back(job)
        else:
            self.jobs[job.key] = job

    def hold_back(self, job: Job) -> None:
        """Take a pending job of a closed model off the board; it stays pending in the state."""
        self.jobs.pop(job.key, None)
        self.held[job.model] += 1

    def _learn(self, change: Change) -> None:
        if change.event.kind is EventKind.RESULT and change.event.receipt is not None:
            receipt = change.event.receipt
            seen_s = receipt.total_s or receipt.inference_s
            if seen_s:
                self.latencies.learn(change.after.model, seen_s)

    def _account(self, job: Job) -> None:
        """Money: reserved while an attempt may be billed, settled once its cost is known."""
        reserved = self.money.reserved.pop(job.key, None)
        if job.state is JobState.PENDING or job.state is JobState.FAILED:
            return
        price = job.price_usd or 0.0
        if not job.ended:
            self.money.reserved[job.key] = price if reserved is None else reserved
        elif job.state is JobState.UNKNOWN:
            self.money.standing_usd += price
        else:
            cost = job.receipt.cost_usd
            self.money.settled_usd += price if cost is None else cost

    @property
    def in_flight(self) -> int:
        """Jobs that (may) have been accepted and are not known to be finished."""
        return sum(1 for job in self.jobs.values() if job.state in IN_FLIGHT)

    def __repr__(self) -> str:
        """A one-line dashboard."""
        counts = Counter(job.state.value for job in self.jobs.values())
        states = " ".join(f"{state}={count}" for state, count in sorted(counts.items()))
        gates = ",".join(self.gates.closed) or "open"
        return f"<Board {states or 'empty'} busy={len(self.busy)} gates={gates}>"
