"""The board: everything the planner looks at, and nothing else.

It holds the active jobs, the budget and the gates in memory. It never decides and never acts: the
runner puts facts on it, the planner reads it.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import takewhile

from batchgen.core.jobs.capabilities import Capabilities
from batchgen.core.jobs.events import Change, Event, EventKind
from batchgen.core.jobs.job import IN_FLIGHT, Job, JobState
from batchgen.core.jobs.outcomes import Signal
from batchgen.core.jobs.placeholders import Content, Uploaded, UploadQueue, placed, waiting_for
from batchgen.core.jobs.policies import Limits
from batchgen.core.jobs.spec import ApiVersion
from batchgen.core.reconciliation.history import HistoryRead
from batchgen.core.scheduling.gates import Gates
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.learned import LATENCIES_NOTE, LIMITED_NOTE, PRICES_NOTE
from batchgen.core.scheduling.policy import by_policy, overdue
from batchgen.core.scheduling.poll_schedule import PollScheduler
from batchgen.core.scheduling.queues import JobQueues, QueueKind
from batchgen.core.scheduling.rate_limit import RATE_WINDOW_S, Rates, RateWindow
from batchgen.core.scheduling.spending import Money

DENIALS = 3
"""A listed row is a team-mate's after so many denials, some seconds apart."""
_TELLING = frozenset({EventKind.RESULT, EventKind.ANSWERED})
_ACKED = frozenset({EventKind.ACKED, EventKind.ADOPTED, EventKind.RUNNING, EventKind.REOPENED})


@dataclass(slots=True)
class Prefetch:
    """How far the pending jobs of one model were drawn, and whether there are more."""

    drawn_key: int = 0
    ended: bool = False


@dataclass(slots=True)
class SchedulerState:
    """The planner's whole view. `jobs` holds active jobs and a small stock of pending ones."""

    limits: Limits
    rates: Rates
    capabilities: Capabilities
    money: Money = field(default_factory=Money)
    gates: Gates = field(default_factory=Gates)
    latencies: Latencies = field(default_factory=Latencies)
    placement: PollScheduler = field(init=False, compare=False)
    """Follows from the latencies and the budget; schedules are made when they are asked for."""
    roster: JobQueues = field(default_factory=JobQueues)
    uploads: UploadQueue = field(default_factory=UploadQueue)
    probing: bool = False
    wants_credits: bool = False
    """Whether the account is to be compared with what the pending jobs, which wait, will cost."""
    stock_ended: bool = False
    """Whether the state holds no pending jobs beyond those on the board, models with limits of
    their own aside."""
    drawn_key: int = 0
    stocks: dict[str, Prefetch] = field(default_factory=dict)
    """The same for each model with limits of its own: else its jobs would stand in the way of
    all others."""
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
    asked_at: dict[int, float] = field(default_factory=dict)
    """When a submitted job was last known not to be done, by key."""
    submitted_at: deque[float] = field(default_factory=deque)
    """When submits of the last minute were decided on."""
    held: Counter[str] = field(default_factory=Counter)
    """Pending jobs taken off the board because their model is closed, by model."""

    def __post_init__(self) -> None:
        """Polls are placed by what is learned, within the budget."""
        self.placement = PollScheduler(self.latencies, retention_s=self.capabilities.retention_s)
        limited = {*self.limits.models, *self.rates.models}
        self.stocks = {model: Prefetch(ended=self.stock_ended) for model in sorted(limited)}

    @property
    def rate(self) -> RateWindow:
        """The window over all requests."""
        return self.rates.whole

    @property
    def jobs(self) -> Mapping[int, Job]:
        """The jobs by key."""
        return self.roster.jobs

    @property
    def busy(self) -> AbstractSet[int]:
        """Keys of jobs something is being done about."""
        return self.roster.busy

    def begin(self, job_key: int) -> None:
        """An effect about a job starts."""
        self.roster.begin(job_key)

    def release(self, job_key: int) -> None:
        """It ended."""
        self.roster.release(job_key)

    def lessons(self) -> dict[str, str]:
        """What was learned of times, prices and limits: for the next run, and to be looked at."""
        notes = {LATENCIES_NOTE: self.latencies.dump(), PRICES_NOTE: self.money.dump()}
        if self.rate.blocked_until:
            known = {"until": self.rate.blocked_until, "requests_per_minute": self.rate.allowed}
            notes[LIMITED_NOTE] = json.dumps(known)
        return notes

    def recall(self, latencies: str | None, prices: str | None) -> None:
        """Begin with what earlier runs learned."""
        self.latencies.recall(latencies)
        self.money.recall(prices)

    def put(self, jobs: Iterable[Job]) -> None:
        """Jobs come onto the board: active ones at the start, pending ones as they are drawn."""
        for job in jobs:
            self.roster.put(job)
            self.money.account(job)
            if job.api is ApiVersion.V2:
                self.placement.add(job.model)

    def advance(self, now: float) -> None:
        """Bring everything that moves with time to an instant; `tick` alone calls this."""
        self.roster.advance(now)
        self.rates.advance(now)
        while self.submitted_at and self.submitted_at[0] <= now - RATE_WINDOW_S:
            self.submitted_at.popleft()

    def resolve(self, job: Job, event: Event) -> Event:
        """The event of a job as the policies want it, with the next poll. Changes nothing.

        `job` is the job as it stands before the event, which may be newer than the one here.
        """
        event = by_policy(job, overdue(job, event, self.capabilities.retention_s), self.limits)
        if event.kind not in _ACKED or event.retry_at:
            return event
        is_running = event.kind is EventKind.RUNNING
        asked = replace(job, polls=job.polls + is_running, sent_at=job.sent_at or event.at)
        not_done_at = event.at if is_running else asked.sent_at
        poll_at = self.placement.next_poll_at(asked, not_done_at)
        return replace(event, retry_at=max(event.at, poll_at))

    def apply(self, changes: Sequence[Change]) -> None:
        """Changes that are on disk become part of the view, and something is learned from them.

        Ages at which requests still ran are learned first: measured over ten nights of long videos,
        results are then found a tenth sooner than in the order of arrival.
        """
        for change in changes:
            if change.event.kind is EventKind.RUNNING:
                job = change.after
                self.latencies.outlast(job.model, job.key, change.event.at - job.sent_at)
        for change in changes:
            self._apply(change)

    def _apply(self, change: Change) -> None:
        job = change.after
        self.gates.observe(change.event, job.model)
        self.on_response(change.event)
        self._learn(change)
        self.money.account(job, paid_in_vain=change.event.kind is EventKind.AGAIN)
        if change.event.kind is EventKind.INTENDED:
            self.submitted_at.append(change.event.at)
        if job.state is not JobState.AMBIGUOUS:
            self.candidates.pop(job.key, None)
            self.unlisted.discard(job.key)
        if job.state is not JobState.SUBMITTED:
            self.asked_at.pop(job.key, None)
        if job.ended:
            self.roster.drop(job.key)
        elif job.state is JobState.PENDING and not job.listed:
            # It left the manifest while it was under way: it is not submitted again.
            self.roster.drop(job.key)
        elif job.state is JobState.PENDING and job.model in self.gates.closed_models:
            self.hold_back(job)
        else:
            self.roster.put(job)

    def on_response(self, event: Event) -> None:
        """A 429 is the account's, not the job's: nothing counted starts before its reset."""
        if event.signal is Signal.RATE_LIMITED:
            self.rate.refuse_until(event.retry_at, event.at)

    def uploads_done(self, done: Sequence[Uploaded]) -> None:
        """Uploads are recorded: replace their placeholders in waiting jobs."""
        if not done:
            return
        self.uploads.succeeded(done)
        urls = {upload.content: upload.url for upload in done}
        for upload in done:
            for key in self.waiting_for(upload.content):
                job = self.jobs[key]
                self.roster.put(replace(job, body=placed(job.body, urls.get)))

    def waiting_for(self, content: Content) -> list[int]:
        """The keys of the jobs on the board that wait for a content."""
        waiting = self.roster.idle(QueueKind.UPLOAD)
        return list(waiting_for(content, ((key, self.jobs[key].body) for key in waiting)))

    def hold_back(self, job: Job) -> None:
        """Take a pending job of a closed model off the board; it stays pending in the state."""
        self.roster.drop(job.key)
        self.held[job.model] += 1

    def _learn(self, change: Change) -> None:
        event, job = change.event, change.after
        if event.kind is EventKind.RUNNING:
            self.asked_at[job.key] = event.at
        elif event.kind in _ACKED:
            self.asked_at[job.key] = job.sent_at
            if event.kind is EventKind.ACKED:
                self.placement.accepted(job, event.at)
        if change.event.kind in _TELLING and change.event.receipt is not None:
            receipt = change.event.receipt
            if receipt.cost_usd is not None:
                self.money.learn(change.after.model, receipt.cost_usd)
            seen_s = receipt.inference_s if receipt.total_s is None else receipt.total_s
            if seen_s is not None:
                # Longer than it was away it cannot have taken: a latency in other units.
                away_s = change.event.at - change.after.sent_at
                self.latencies.learn(change.after.model, min(seen_s, away_s))

    @property
    def foreign(self) -> frozenset[str]:
        """request_ids of the history that are not ours: denied more than once by accident."""
        return frozenset(id_ for id_, count in self.denials.items() if count >= DENIALS)

    @property
    def ambiguous(self) -> list[Job]:
        """Jobs whose POST may or may not have been accepted."""
        return self._standing(JobState.AMBIGUOUS)

    @property
    def posting(self) -> dict[tuple[str, str], float]:
        """POSTs without an answer yet: since when, by model and body."""
        since: dict[tuple[str, str], float] = {}
        for job in self._standing(JobState.SUBMITTING):
            key = (job.model, job.body)
            since[key] = min(job.sent_at, since.get(key, job.sent_at))
        return since

    def _standing(self, state: JobState) -> list[Job]:
        if not self.roster.counts[state]:
            return []
        return [job for job in self.jobs.values() if job.state is state]

    @property
    def more_to_submit(self) -> bool:
        """Whether later submits may still come, to show how far the history has caught up."""
        if self.gates.holds_submits():
            return False
        counts = self.roster.counts
        return bool(counts[JobState.PENDING] or counts[JobState.SUBMITTING] or not self.all_drawn)

    @property
    def all_drawn(self) -> bool:
        """Whether the state holds no pending jobs beyond those on the board."""
        still_open = self.stocks.keys() - self.gates.closed_models.keys()
        return self.stock_ended and all(self.stocks[model].ended for model in still_open)

    def submits_of_last_minute(self, now: float) -> int:
        """How many submits were decided on in the last window."""
        left = takewhile(lambda at: at <= now - RATE_WINDOW_S, self.submitted_at)
        return len(self.submitted_at) - sum(1 for _ in left)

    @property
    def in_flight(self) -> int:
        """How many places of the concurrency are taken."""
        counts = self.roster.counts
        return sum(counts[state] for state in IN_FLIGHT) - len(self.unlisted)

    def __repr__(self) -> str:
        """A one-line dashboard."""
        counts = sorted((state.value, n) for state, n in self.roster.counts.items() if n)
        states = " ".join(f"{state}={count}" for state, count in counts)
        gates = ",".join(self.gates.closed) or "open"
        return f"<Board {states or 'empty'} busy={len(self.busy)} gates={gates}>"
