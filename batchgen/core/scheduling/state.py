"""The scheduler's state: everything the planner looks at, and nothing else.

It holds the active jobs, the budget and the gates in memory. It never decides and never acts: the
runner tells it what starts and what came of it, the planner reads it. Its parts are written by
their own methods alone. What came of effects is read in `digest`, what changes teach in `learning`,
what the history says of doubts in `conclusions`.
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
from batchgen.core.jobs.outcomes import CallKind
from batchgen.core.jobs.placeholders import Content, Uploaded, placed, waiting_for
from batchgen.core.jobs.policies import Limits
from batchgen.core.jobs.spec import Mode, ModelKind
from batchgen.core.reconciliation.history import HistoryRead, OwnRequest
from batchgen.core.scheduling.digest import ACKED, digested, learn
from batchgen.core.scheduling.doubts.clock_skew import DoubtClocks, redated
from batchgen.core.scheduling.doubts.conclusions import concluded, doubts_without_history
from batchgen.core.scheduling.doubts.lookups import Lookups
from batchgen.core.scheduling.effects import CALLS, Effect, EffectKind, Outcome, refused_until
from batchgen.core.scheduling.gates.file_hosts import FileHosts, hosts_of
from batchgen.core.scheduling.gates.gates import GateKind, Gates
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.learned import (
    ACCOUNT_NOTE,
    LATENCIES_NOTE,
    LIMITED_NOTE,
    MEDIA_NOTE,
    PRICES_NOTE,
    account_of,
    media_models_of,
)
from batchgen.core.scheduling.policy import in_time
from batchgen.core.scheduling.poll_schedule import PollScheduler
from batchgen.core.scheduling.prefetch import MODEL_STOCK, Prefetch
from batchgen.core.scheduling.queues import JobQueues, QueueKind, line_of
from batchgen.core.scheduling.rates.rates import Rates
from batchgen.core.scheduling.rates.window import RATE_WINDOW_S, RateWindow
from batchgen.core.scheduling.resolution import resolved
from batchgen.core.scheduling.result_polls import ResultPolls
from batchgen.core.scheduling.spending import Money
from batchgen.core.scheduling.uploads import UploadQueue

_PASSED = frozenset({EventKind.ACKED, EventKind.ANSWERED})


@dataclass(slots=True)
class SchedulerState:
    """The planner's whole view. `jobs` holds active jobs and a small stock of pending ones."""

    limits: Limits
    rates: Rates
    capabilities: Capabilities
    money: Money = field(default_factory=Money)
    gates: Gates = field(default_factory=Gates)
    latencies: Latencies = field(default_factory=Latencies)
    polls: PollScheduler = field(init=False, compare=False)
    """Follows from the latencies and the budget; schedules are made when they are asked for."""
    queues: JobQueues = field(default_factory=JobQueues)
    uploads: UploadQueue = field(default_factory=UploadQueue)
    prefetch: Prefetch = field(default_factory=Prefetch)
    lookups: Lookups = field(default_factory=Lookups)
    clocks: DoubtClocks = field(default_factory=DoubtClocks)
    hosts: FileHosts = field(default_factory=FileHosts)
    result_polls: ResultPolls = field(init=False)
    kinds: Mapping[str, ModelKind] = field(default_factory=dict)
    """What models make, as the catalogue says."""
    media_models: set[str] = field(default_factory=set)
    """Models whose results have shown that they make media."""
    calls_out: dict[int, CallKind] = field(default_factory=dict)
    """The calls under way that are about a job, by its key."""
    probing: bool = False
    """Whether a free GET, or a look at the disk, is under way."""
    wants_credits: bool = False
    """Whether the account is to be compared with what the pending jobs, which wait, will cost."""
    asked_at: dict[int, float] = field(default_factory=dict)
    """When a submitted job was last known not to be done, by key."""
    submitted_at: deque[float] = field(default_factory=deque)
    """When submits of the last minute were decided on."""
    let_go: int = 0
    """Pending jobs that were let go because files cannot be uploaded now."""
    held: Counter[str] = field(default_factory=Counter)
    """Pending jobs that were let go because their model is closed, by model."""

    def __post_init__(self) -> None:
        """Polls are placed by what is learned, within the budget."""
        self.polls = PollScheduler(self.latencies, retention_s=self.capabilities.retention_s)
        self.result_polls = ResultPolls(self.limits.poll_with)
        self.prefetch.separate({*self.limits.models, *self.rates.models})

    @property
    def rate(self) -> RateWindow:
        """The window over what counts."""
        return self.rates.whole

    @property
    def jobs(self) -> Mapping[int, Job]:
        """The jobs by key."""
        return self.queues.jobs

    @property
    def busy(self) -> AbstractSet[int]:
        """Keys of jobs something is being done about."""
        return self.queues.busy

    @property
    def is_waiting(self) -> bool:
        """Whether an effect is under way, whose outcome is still to come."""
        return bool(self.busy or self.uploads.under_way or self.probing or self.lookups.fetching)

    def start(self, effect: Effect, now: float) -> Effect:
        """An effect starts; returns it with all that it is about."""
        if effect.counts:
            self.rates.start(effect.model, now, submit=effect.is_submit)
        if effect.job is not None:
            self._begin(effect, effect.job)
        if effect.kind is EffectKind.READ_HISTORY:
            wanted = (
                self.jobs[key].sent_at for key in self.lookups.wants_control & self.jobs.keys()
            )
            doubtful = map(self.lookups.witnessed_from, self.doubts)
            oldest_at = min((*wanted, *doubtful), default=now)
            return replace(effect, read=self.lookups.begin_page(oldest_at, now))
        if effect.content is not None:
            self.uploads.begin(effect.content)
        elif effect.job is None:
            self.probing = True
        else:
            key = effect.job.key
            self.queues.begin(key)
            if effect.kind is EffectKind.SUBMIT:
                return replace(effect, job=self.jobs[key])  # with its intent
            if effect.kind is EffectKind.CONFIRM:
                return replace(effect, request_id=self.lookups.candidates.get(key, ""))
        return effect

    def _begin(self, effect: Effect, job: Job) -> None:
        if effect.kind in CALLS:
            self.calls_out[job.key] = CALLS[effect.kind]
        if effect.kind is EffectKind.SAVE:
            self.hosts.begin(job)
        elif effect.kind is EffectKind.SUBMIT:
            # The job itself is in flight already, with its intent.
            self.gates.submitted(idle=self.in_flight <= 1)

    def digest(self, outcomes: Iterable[Outcome], now: float) -> tuple[list[Event], list[Uploaded]]:
        """Effects ended. Takes in what needs no record; returns what is to be recorded first."""
        return digested(self, outcomes, now)

    def sync_files(self, now: float) -> None:
        """The gate that people see stands for all hosts that bring nothing."""
        first = self.hosts.first()
        if first is None:
            self.gates.open(GateKind.FILES)
        else:
            host, gate = first
            reason = f"files of {host} cannot be fetched: {gate.reason}"
            self.gates.close(GateKind.FILES, reason, now)

    def without_history(self, now: float) -> list[Event]:
        """The end of the doubts about a service that lists no requests: nothing can settle them."""
        return doubts_without_history(self, now)

    def conclude(self, read: HistoryRead, own: Mapping[str, OwnRequest], now: float) -> list[Event]:
        """The conclusions of an ended read; `own` are the rows' request_ids that the record has."""
        return concluded(self, read, own, now)

    def lessons(self) -> dict[str, str]:
        """What was learned of times, prices and limits: for the next run, and to be looked at."""
        notes = {LATENCIES_NOTE: self.latencies.dump(), PRICES_NOTE: self.money.dump()}
        notes[MEDIA_NOTE] = json.dumps(sorted(self.media_models))
        notes[ACCOUNT_NOTE] = json.dumps(
            {"rates": self.rates.lessons(), "results": self.result_polls.dump()}
        )
        if self.rate.blocked_until:
            known = {"until": self.rate.blocked_until, "requests_per_minute": self.rate.allowed}
            notes[LIMITED_NOTE] = json.dumps(known)
        return notes

    @property
    def findings(self) -> tuple[object, ...]:
        """What was found out of the account; another value is worth writing down at once."""
        whole = self.rates.whole
        refused = None if whole.learned is None else whole.learned.refused
        return self.rates.gets, self.result_polls.dump(), refused, whole.burst

    def load(self, notes: Mapping[str, str]) -> None:
        """Begin with what earlier runs learned of times, prices, models that make media, and
        results as polls."""
        self.latencies.load(notes.get(LATENCIES_NOTE))
        self.money.load(notes.get(PRICES_NOTE))
        self.media_models.update(media_models_of(notes))
        self.result_polls.recall(account_of(notes).get("results"))

    def makes(self, model: str) -> ModelKind:
        """What a model makes: as the catalogue says, else as its results have shown."""
        seen = ModelKind.MEDIA if model in self.media_models else ModelKind.UNKNOWN
        return self.kinds.get(model, seen)

    def put(self, jobs: Iterable[Job]) -> None:
        """Jobs come into memory: active ones at the start, pending ones as they are drawn."""
        for job in jobs:
            self.queues.put(job)
            self.money.account(job)
            if job.receipt.cost_usd is not None:
                self.money.learn(job.model, job.receipt.cost_usd)
            if job.api is Mode.QUEUED:
                self.polls.add(job.model)

    def recall_hosts(self, now: float) -> None:
        """Hosts that brought nothing for an earlier process are tried first, before more is paid
        for."""
        for job in self._standing(JobState.FETCHING):
            for host in hosts_of(job) if job.trouble else ():
                self.hosts.failed(host, job.key, job.reason, now)
        self.sync_files(now)

    def advance(self, now: float) -> None:
        """Bring everything that moves with time to an instant; `tick` alone calls this."""
        self.queues.advance(now)
        self.rates.advance(now)
        self.recall_stuck()
        if self.hosts.closed:
            waiting = (*self._standing(JobState.FETCHING), *self._standing(JobState.RECOVERING))
            self.hosts.keep({host for job in waiting for host in hosts_of(job)})
            self.sync_files(now)
        while self.submitted_at and self.submitted_at[0] <= now - RATE_WINDOW_S:
            self.submitted_at.popleft()

    def resolve(self, job: Job, event: Event) -> Event:
        """The event of a job as the policies want it, with the next poll. Changes nothing.

        `job` is the job as it stands before the event, which may be newer than the one here.
        """
        event = resolved(self, job, event)
        if event.kind not in ACKED or event.retry_at or job.state is JobState.UNFETCHED:
            return event
        is_running = event.kind is EventKind.RUNNING
        asked = job
        if is_running or not job.sent_at:
            asked = replace(job, polls=job.polls + is_running, sent_at=job.sent_at or event.at)
        not_done_at = event.at if is_running else asked.sent_at
        poll_at = self.polls.next_poll_at(asked, not_done_at)
        return replace(event, retry_at=max(event.at, poll_at))

    def apply(self, changes: Sequence[Change]) -> None:
        """Changes that are on disk become part of the view, and something is learned from them.

        Ages at which requests still ran are learned first: measured over ten nights of long videos,
        results are then found a tenth sooner than in the order of arrival.
        """
        for change in changes:
            if change.event.kind is EventKind.RUNNING:
                job = change.after
                self.latencies.observe_running(job.model, job.key, change.event.at - job.sent_at)
        self.clocks.apply(changes)
        for change in changes:
            self._apply(change)

    def _apply(self, change: Change) -> None:
        job, response = change.after, change.event.response
        if response is not None:
            self.gates.observe(response, job.model, job.key)
        if change.event.kind in _PASSED:
            self._accepted(job, change.event.at)
        if change.files:
            self.hosts.brought(hosts_of(change.before))
            self.sync_files(change.event.at)
        elif job.outputs is not change.before.outputs:
            self.hosts.named(job)
        learn(self, change)
        self.result_polls.learn(change)
        self.money.account(job, paid_in_vain=change.event.kind is EventKind.AGAIN)
        if change.event.kind is EventKind.INTENDED:
            self.submitted_at.append(change.event.at)
        if job.state is JobState.AMBIGUOUS:
            self.lookups.doubt()
        else:
            self.lookups.settle(job.key)
        if job.state is not JobState.SUBMITTED:
            self.asked_at.pop(job.key, None)
        self._place(job, change.event)

    def _place(self, job: Job, event: Event) -> None:
        """Put a job where it belongs after an event."""
        if job.ended:
            self.queues.drop(job.key)
        elif job.state is JobState.PENDING and not job.listed:
            # It left the manifest while it was under way: it is not submitted again.
            self.queues.drop(job.key)
        elif job.state is JobState.PENDING and job.model in self.gates.closed_models:
            self.hold_back(job)
        elif event.kind is EventKind.TROUBLE and not event.retry_at:
            self.queues.put(in_time(job, event.at, self.capabilities.retention_s))
        else:
            self.queues.put(job)

    def _accepted(self, job: Job, at: float) -> None:
        """A submit passed: a model that took no jobs takes them again."""
        was_closed = job.model in self.gates.closed_models
        self.gates.accepted(job.key, job.model, at)
        if was_closed:
            self.prefetch.rewind(self.held.pop(job.model, 0))

    def answered(self, effect: Effect, outcome: Outcome | None, now: float) -> None:
        """A counted call ended. A 429 is the account's, not the job's: nothing counted starts
        before its reset."""
        until = refused_until(outcome)
        self.rates.answered(effect.model, now, submit=effect.is_submit, refused_until=until)

    def uploads_done(self, done: Sequence[Uploaded]) -> None:
        """Uploads are recorded: replace their placeholders in waiting jobs."""
        if not done:
            return
        self.uploads.succeeded(done)
        urls = {upload.content: upload.url for upload in done}
        for upload in done:
            for key in self.waiting_for(upload.content):
                job = self.jobs[key]
                self.queues.put(replace(job, body=placed(job.body, urls.get)))

    def waiting_for(self, content: Content) -> list[int]:
        """The keys of the jobs in memory that wait for a content."""
        waiting = self.queues.idle(QueueKind.UPLOAD)
        return list(waiting_for(content, ((key, self.jobs[key].body) for key in waiting)))

    def drew(self, model: str | None, jobs: Sequence[Job], asked: int, now: float) -> None:
        """So many pending jobs were asked for, of one model or of all others, and these came."""
        new = [job for job in jobs if job.key not in self.jobs]
        self.prefetch.drew(model, jobs, asked, known=len(jobs) - len(new))
        for job in new:
            if job.model in self.gates.closed_models:
                self.hold_back(job)
            elif self.stuck_count >= MODEL_STOCK and line_of(job) is QueueKind.UPLOAD:
                self.let_go += 1
                self.prefetch.let_go()
            else:
                known = redated(job, now, self.capabilities.retention_s)
                # What an earlier run put on hold is tried at once.
                is_held = job.model in self.gates.refusals.holds
                self.put([replace(known, due_at=0.0) if is_held else known])

    @property
    def stuck_count(self) -> int:
        """Jobs in memory that wait for uploads while there are none: jobs behind them that need no
        file are drawn all the same."""
        return len(self.queues[QueueKind.UPLOAD]) if self.gates.holds_uploads else 0

    def recall_stuck(self) -> None:
        """Draw what was let go once uploads go on, or no other job waits for one any more."""
        if self.let_go and not self.stuck_count:
            self.let_go = 0
            self.prefetch.rewind(0)

    def hold_back(self, job: Job) -> None:
        """Let go of a pending job of a closed model; it stays pending in the record.

        One stays here, to be tried later on.
        """
        self.queues.drop(job.key)
        if self.queues.pending[job.model]:
            self.held[job.model] += 1
        else:
            self.queues.put(job)

    @property
    def held_count(self) -> int:
        """Pending jobs that are on hold, as far as they were drawn."""
        here = (self.queues.pending[model] for model in self.gates.closed_models)
        return self.held.total() + sum(here)

    @property
    def ambiguous(self) -> list[Job]:
        """Jobs whose POST may or may not have been accepted."""
        return self._standing(JobState.AMBIGUOUS)

    @property
    def doubts(self) -> list[Job]:
        """The same, each dated by the clock of this process."""
        return [self.clocks.dated(job) for job in self.ambiguous]

    @property
    def posting(self) -> dict[tuple[str, str], float]:
        """POSTs without an answer yet: since when, by model and body."""
        since: dict[tuple[str, str], float] = {}
        for job in self._standing(JobState.SUBMITTING):
            key = (job.model, job.body)
            since[key] = min(job.sent_at, since.get(key, job.sent_at))
        return since

    def _standing(self, state: JobState) -> list[Job]:
        if not self.queues.counts[state]:
            return []
        return [job for job in self.jobs.values() if job.state is state]

    @property
    def more_to_submit(self) -> bool:
        """Whether later submits may still come, to show how far the history has caught up."""
        if self.gates.lets_no_submits:
            return False
        counts = self.queues.counts
        return bool(counts[JobState.PENDING] or counts[JobState.SUBMITTING] or not self.all_drawn)

    @property
    def all_drawn(self) -> bool:
        """Whether the record holds no pending jobs beyond those that are here."""
        return self.prefetch.has_ended(self.gates.closed_models.keys())

    def submits_of_last_minute(self, now: float) -> int:
        """How many submits were decided on in the last window."""
        left = takewhile(lambda at: at <= now - RATE_WINDOW_S, self.submitted_at)
        return len(self.submitted_at) - sum(1 for _ in left)

    @property
    def in_flight(self) -> int:
        """How many places of the concurrency are taken."""
        counts = self.queues.counts
        return sum(counts[state] for state in IN_FLIGHT) - len(self.lookups.unlisted)

    def in_flight_of(self, model: str) -> int:
        """How many places of a model with a concurrency of its own are taken."""
        unlisted = sum(self.jobs[key].model == model for key in self.lookups.unlisted)
        return self.queues.in_flight[model] - unlisted

    def __repr__(self) -> str:
        """A one-line dashboard."""
        counts = sorted((state.value, n) for state, n in self.queues.counts.items() if n)
        states = " ".join(f"{state}={count}" for state, count in counts)
        gates = ",".join(self.gates.closed) or "open"
        return f"<SchedulerState {states or 'empty'} busy={len(self.busy)} gates={gates}>"
