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
from batchgen.core.history import HistoryRead
from batchgen.core.job import IN_FLIGHT, Job, JobState
from batchgen.core.polling import Latencies, next_poll_at
from batchgen.core.signals import Signal
from batchgen.core.treatment import PATIENCE, overdue


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


DENIALS = 3
"""A listed row is a team-mate's after so many denials, some seconds apart."""

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
    history: HistoryRead | None = None
    """The read of the account's history that is under way, for all ambiguous jobs."""
    skew_s: float = 0.0
    """The service's clock minus ours, as its last answer's `Date` said; whole seconds."""
    reading: bool = False
    """Whether a page of it is being fetched."""
    candidates: dict[int, str] = field(default_factory=dict)
    """request_ids that may be an ambiguous job's, to be confirmed, by job key."""
    unlisted: set[int] = field(default_factory=set)
    """Ambiguous jobs that a complete read after the settle time does not show, by key.

    They no longer take a place of the concurrency: otherwise the later submit that is to prove
    their absence might never find a place itself.
    """
    denials: Counter[str] = field(default_factory=Counter)
    """How often the history denied that a listed request_id is ours."""
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
        event = overdue(job, event)
        if event.kind is EventKind.GONE and self.limits.on_expired is OnExpired.FAIL:
            return replace(
                event, kind=EventKind.GIVEN_UP, reason=f"{event.reason}; on_expired: fail"
            )
        if event.kind in _ACKED and not event.retry_at:
            asked = replace(
                job,
                polls=job.polls + (event.kind is EventKind.RUNNING),
                sent_at=job.sent_at or event.at,
            )
            return replace(event, retry_at=next_poll_at(asked, self.latencies, event.at))
        if event.kind is EventKind.GIVEN_UP and job.state is JobState.RECOVERING:
            return self._expired(job, event)
        if event.kind is EventKind.ABSENT:
            return self._absent(job, event)
        return event

    def _absent(self, job: Job, event: Event) -> Event:
        """A submit proved absent goes out again, unless the policy or its own record forbids."""
        if job.trouble >= PATIENCE:
            reason = f"{job.reason}; refused {job.trouble} times in a row"
            return replace(event, kind=EventKind.REFUSED, reason=reason)
        if self.limits.when_absent is WhenAbsent.HOLD:
            reason = f"{event.reason}; when_absent: hold leaves it to you"
            return replace(event, kind=EventKind.SET_ASIDE, reason=reason)
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
        self.hear(change.event)
        self._learn(change)
        self._account(job, paid_in_vain=change.event.kind is EventKind.AGAIN)
        if job.state is not JobState.AMBIGUOUS:
            self.candidates.pop(job.key, None)
            self.unlisted.discard(job.key)
        if job.ended:
            del self.jobs[job.key]
        elif job.state is JobState.PENDING and not job.listed:
            # It left the manifest while it was under way: it is not submitted again.
            self.jobs.pop(job.key, None)
        elif job.state is JobState.PENDING and job.model in self.gates.closed_models:
            self.hold_back(job)
        else:
            self.jobs[job.key] = job

    def hear(self, event: Event) -> None:
        """A 429 is the account's, not the job's: nothing counted starts before its reset."""
        if event.signal is Signal.RATE_LIMITED:
            self.rate.blocked_until = max(self.rate.blocked_until, event.retry_at)

    def hold_back(self, job: Job) -> None:
        """Take a pending job of a closed model off the board; it stays pending in the state."""
        self.jobs.pop(job.key, None)
        self.held[job.model] += 1

    def _learn(self, change: Change) -> None:
        if change.event.kind is EventKind.RESULT and change.event.receipt is not None:
            receipt = change.event.receipt
            seen_s = receipt.inference_s if receipt.total_s is None else receipt.total_s
            if seen_s is not None:
                self.latencies.learn(change.after.model, seen_s)

    def _account(self, job: Job, *, paid_in_vain: bool = False) -> None:
        """Money: reserved while an attempt may be billed, settled once its cost is known.

        What was `paid_in_vain` stays spent when the job goes back to pending.
        """
        reserved = self.money.reserved.pop(job.key, None)
        if paid_in_vain:
            self.money.standing_usd += reserved or 0.0
        if job.state is JobState.PENDING or job.state is JobState.FAILED:
            return
        cost = job.cost_usd
        if not job.ended:
            # A price that changed on the way does not move what was reserved; a known cost does.
            keeps = reserved is not None and job.receipt.cost_usd is None
            self.money.reserved[job.key] = reserved if keeps and reserved is not None else cost
        elif job.state is JobState.UNKNOWN:
            self.money.standing_usd += cost
        else:
            self.money.settled_usd += cost

    @property
    def foreign(self) -> frozenset[str]:
        """request_ids of the history that are not ours: denied more than once by accident."""
        return frozenset(id_ for id_, count in self.denials.items() if count >= DENIALS)

    @property
    def ambiguous(self) -> list[Job]:
        """Jobs whose POST may or may not have been accepted."""
        return [job for job in self.jobs.values() if job.state is JobState.AMBIGUOUS]

    @property
    def posting(self) -> dict[tuple[str, str], float]:
        """POSTs without an answer yet: since when, by model and body."""
        since: dict[tuple[str, str], float] = {}
        for job in self.jobs.values():
            if job.state is JobState.SUBMITTING:
                key = (job.model, job.body)
                since[key] = min(job.sent_at, since.get(key, job.sent_at))
        return since

    @property
    def more_to_submit(self) -> bool:
        """Whether later submits may still come, to show how far the history has caught up."""
        if self.gates.holds_submits():
            return False
        waits = any(
            job.state in {JobState.PENDING, JobState.SUBMITTING} for job in self.jobs.values()
        )
        return waits or not self.stock_ended

    def is_in_flight(self, job: Job) -> bool:
        """Whether a job takes a place: (maybe) accepted, and not known to be finished."""
        return job.state in IN_FLIGHT and job.key not in self.unlisted

    @property
    def in_flight(self) -> int:
        """How many places of the concurrency are taken."""
        return sum(self.is_in_flight(job) for job in self.jobs.values())

    def __repr__(self) -> str:
        """A one-line dashboard."""
        counts = Counter(job.state.value for job in self.jobs.values())
        states = " ".join(f"{state}={count}" for state, count in sorted(counts.items()))
        gates = ",".join(self.gates.closed) or "open"
        return f"<Board {states or 'empty'} busy={len(self.busy)} gates={gates}>"
