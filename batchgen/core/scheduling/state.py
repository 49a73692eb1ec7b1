"""The scheduler's state: everything the planner looks at, and nothing else.

It holds the active jobs, the budget and the gates in memory. It never decides and never acts: the
runner tells it what starts and what came of it, the planner reads it. Its parts are written by
their own methods alone.
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
from batchgen.core.jobs.job import IN_FLIGHT, Doubt, Job, JobState
from batchgen.core.jobs.outcomes import CallKind, Response, Signal
from batchgen.core.jobs.placeholders import Content, Uploaded, placed, waiting_for
from batchgen.core.jobs.policies import Limits
from batchgen.core.jobs.spec import Mode
from batchgen.core.reconciliation.evidence import Policy
from batchgen.core.reconciliation.history import HistoryRead, OwnRequest
from batchgen.core.reconciliation.reconcile import Decision, HistoryFinding, decide, needs_lookup
from batchgen.core.scheduling.clock_skew import DoubtClocks, redated
from batchgen.core.scheduling.effects import (
    CALLS,
    DiskOutcome,
    Effect,
    EffectKind,
    JobOutcome,
    Outcome,
    PageOutcome,
    ProbeOutcome,
    StorageTrouble,
    UploadOutcome,
)
from batchgen.core.scheduling.gates.file_hosts import FileHosts, hosts_of
from batchgen.core.scheduling.gates.gates import CHECK_S, DISK_CHECK_S, GateKind, Gates
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.learned import LATENCIES_NOTE, LIMITED_NOTE, PRICES_NOTE
from batchgen.core.scheduling.lookups import Lookups
from batchgen.core.scheduling.policy import has_media, in_time
from batchgen.core.scheduling.poll_schedule import PollScheduler
from batchgen.core.scheduling.prefetch import Prefetch
from batchgen.core.scheduling.queues import JobQueues, QueueKind
from batchgen.core.scheduling.rate_limit import RATE_WINDOW_S, Rates, RateWindow
from batchgen.core.scheduling.resolution import resolved
from batchgen.core.scheduling.spending import Money
from batchgen.core.scheduling.uploads import UploadQueue

_PASSED = frozenset({EventKind.ACKED, EventKind.ANSWERED})
_SHOWN = frozenset({EventKind.RECOVERED, EventKind.ADOPTED, EventKind.FAILED})
_UNKNOWN_THERE = frozenset({Signal.NOT_FOUND, Signal.RETIRED})
_TELLING = frozenset({EventKind.RESULT, EventKind.ANSWERED})
_ACKED = frozenset({EventKind.ACKED, EventKind.ADOPTED, EventKind.RUNNING, EventKind.REOPENED})

_WITH_ID = frozenset({EventKind.ACKED, EventKind.ANSWERED, EventKind.ADOPTED})


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
    media_models: set[str] = field(default_factory=set)
    """Models that make media, as the catalogue says or their results have shown."""
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
    held: Counter[str] = field(default_factory=Counter)
    """Pending jobs that were let go because their model is closed, by model."""

    def __post_init__(self) -> None:
        """Polls are placed by what is learned, within the budget."""
        self.polls = PollScheduler(self.latencies, retention_s=self.capabilities.retention_s)
        self.prefetch.separate({*self.limits.models, *self.rates.models})

    @property
    def rate(self) -> RateWindow:
        """The window over all requests."""
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
            self.rates.start(effect.model)
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
        events: list[Event] = []
        uploaded: list[Uploaded] = []
        for outcome in outcomes:
            match outcome:
                case JobOutcome():
                    self._job_ended(outcome, now)
                    events += [outcome.event] if outcome.event is not None else []
                case UploadOutcome():
                    # A job may wait for several contents that cannot be had: it ends once.
                    ended = {event.job_key for event in events}
                    failed = self._upload_ended(outcome, now)
                    events += [event for event in failed if event.job_key not in ended]
                    if outcome.url:
                        done = Uploaded(outcome.content, outcome.url, now, outcome.path)
                        uploaded.append(done)
                case PageOutcome():
                    self._page_ended(outcome)
                case ProbeOutcome():
                    self._probe_ended(outcome, now)
                case DiskOutcome():
                    self._disk_seen(outcome, now)
        return events, uploaded

    def _job_ended(self, outcome: JobOutcome, now: float) -> None:
        self.queues.release(outcome.job_key)
        self.calls_out.pop(outcome.job_key, None)
        self.hosts.end(outcome.job_key)
        if outcome.file is not None:
            self.hosts.failed(outcome.file.host, outcome.job_key, outcome.file.reason, now)
            self._sync_files(now)
        if outcome.denied:
            self.lookups.deny(outcome.job_key, now - self.jobs[outcome.job_key].unclear_at)
        if outcome.storage is not None:
            self._storage_failed(outcome.storage, now)

    def _sync_files(self, now: float) -> None:
        """The gate that people see stands for all hosts that bring nothing."""
        first = self.hosts.first()
        if first is None:
            self.gates.open(GateKind.FILES)
        else:
            host, gate = first
            reason = f"files of {host} cannot be fetched: {gate.reason}"
            self.gates.close(GateKind.FILES, reason, now)

    def _storage_failed(self, trouble: StorageTrouble, now: float) -> None:
        if trouble.too_many_files:
            fewer = max(1, self.limits.save_concurrency // 2)
            self.limits = replace(self.limits, save_concurrency=fewer)
        if trouble.gate is not None:
            self.gates.close(trouble.gate, trouble.detail, now)

    def _upload_ended(self, outcome: UploadOutcome, now: float) -> list[Event]:
        """The ends of the jobs that need a content which cannot be had, or is refused."""
        content, reason = outcome.content, outcome.lost
        self.uploads.release(content)
        if outcome.response is not None:
            self.gates.observe(outcome.response)
            self._observe_limit(outcome.response)
            if not outcome.url:
                failed = self.uploads.failed(content, outcome.response)
                reason = f"{outcome.path} is not uploaded: {failed}" if failed else ""
        if not reason:
            return []
        self.uploads.forget(content)
        keys = self.waiting_for(content)
        return [Event(EventKind.NO_INPUT, key, now, reason=reason) for key in keys]

    def _page_ended(self, outcome: PageOutcome) -> None:
        response = outcome.response
        if response is None:
            self.lookups.page_cut_off()
            return
        self.gates.observe(response)
        if outcome.rows is not None:
            self.lookups.page_read(outcome.rows)
        else:
            gone = response.signal is Signal.NOT_FOUND
            self.lookups.page_failed(outcome.reason, not_found=gone)

    def _probe_ended(self, outcome: ProbeOutcome, now: float) -> None:
        self.probing = False
        self.gates.probed_at = now
        if outcome.kind is EffectKind.CREDITS:
            self.wants_credits = outcome.response is None
        self.gates.wants_probe = False
        if outcome.response is not None:
            self.gates.observe(outcome.response)

    def _disk_seen(self, outcome: DiskOutcome, now: float) -> None:
        self.probing = False
        if outcome.has_space:
            self.gates.open(GateKind.DISK)
        elif outcome.has_space is not None:
            self.gates.put_off(GateKind.DISK, now + DISK_CHECK_S)

    def without_history(self, now: float) -> list[Event]:
        """The end of the doubts about a service that lists no requests: nothing can settle them."""
        if self.capabilities.has_history:
            return []
        what = "the service lists no requests: whether this one was accepted cannot be told"
        return [
            Event(EventKind.SET_ASIDE, job.key, now, f"{job.reason}; {what}")
            for job in self.ambiguous
            if job.key not in self.busy
        ]

    def conclude(self, read: HistoryRead, own: Mapping[str, OwnRequest], now: float) -> list[Event]:
        """The conclusions of an ended read; `own` are the rows' request_ids that the record has."""
        jobs = [
            job if self.clocks.tell(job.key) else replace(job, doubt=Doubt.ACCEPTED)
            for job in self.doubts
            # A doubt that arose after the read began was not looked for by it.
            if job.key not in self.lookups.candidates
            and job.key not in self.busy
            and not needs_lookup(job)
            and job.unclear_at <= read.started_at
        ]
        self._learn_control(read, own)
        if read.failed and self.gates.is_quiet(read.started_at, now):
            # Where nothing answers at all, a history that does not says nothing.
            look_at = now + CHECK_S
            return [Event(EventKind.HELD, job.key, now, retry_at=look_at) for job in jobs]
        policy = Policy(
            now,
            self.limits.settle_s,
            self.more_to_submit or self._more_to_settle(now),
            self.lookups.observe_own(read, self._dated_by_this_clock(own)),
            frozenset(self.lookups.candidates.values()),
            self.posting,
            self.gates.only_history_is_silent,
            self.lookups.reads,
            self.lookups.acked,
        )
        findings = decide(jobs, read, own, self.lookups.foreign, policy)
        return [event for finding in findings if (event := self._concluded(finding, now))]

    def _dated_by_this_clock(self, own: Mapping[str, OwnRequest]) -> Mapping[str, OwnRequest]:
        """Those of our requests that tell the clock of the history: where our own was moved, none
        but those that this process sent."""
        if not self.clocks.are_mixed:
            return own
        # What was adopted is in the ledger by the clock that dated it when it left.
        sent_at = {request_id: at for at, request_id in self.lookups.acked}
        return {id_: sent for id_, sent in own.items() if sent_at.get(id_) == sent.sent_at}

    def _learn_control(self, read: HistoryRead, own: Mapping[str, OwnRequest]) -> None:
        """Requests of ours that the history shows: it has caught up with them."""
        shown = [request.sent_at for id_, request in own.items() if id_ in read.rows]
        self.lookups.show(max(shown, default=0.0))
        self.lookups.wants_control.clear()

    def _concluded(self, finding: HistoryFinding, now: float) -> Event | None:
        key = finding.job.key
        self.lookups.reads[key] = finding.reads
        match finding.decision:
            case Decision.CANDIDATE:
                self.lookups.propose(key, finding.request_id)
                return None
            case Decision.WAIT:
                if finding.unlisted:
                    self.lookups.miss(key)
                return Event(EventKind.HELD, key, now, retry_at=finding.look_at)
            case Decision.ABSENT:
                return Event(EventKind.ABSENT, key, now, reason=finding.reason)
            case Decision.SET_ASIDE:
                return Event(EventKind.SET_ASIDE, key, now, reason=finding.reason)

    def lessons(self) -> dict[str, str]:
        """What was learned of times, prices and limits: for the next run, and to be looked at."""
        notes = {LATENCIES_NOTE: self.latencies.dump(), PRICES_NOTE: self.money.dump()}
        if self.rate.blocked_until:
            known = {"until": self.rate.blocked_until, "requests_per_minute": self.rate.allowed}
            notes[LIMITED_NOTE] = json.dumps(known)
        return notes

    def load(self, latencies: str | None, prices: str | None) -> None:
        """Begin with what earlier runs learned."""
        self.latencies.load(latencies)
        self.money.load(prices)

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
        self._sync_files(now)

    def advance(self, now: float) -> None:
        """Bring everything that moves with time to an instant; `tick` alone calls this."""
        self.queues.advance(now)
        self.rates.advance(now)
        if self.hosts.closed:
            waiting = (*self._standing(JobState.FETCHING), *self._standing(JobState.RECOVERING))
            self.hosts.keep({host for job in waiting for host in hosts_of(job)})
            self._sync_files(now)
        while self.submitted_at and self.submitted_at[0] <= now - RATE_WINDOW_S:
            self.submitted_at.popleft()

    def resolve(self, job: Job, event: Event) -> Event:
        """The event of a job as the policies want it, with the next poll. Changes nothing.

        `job` is the job as it stands before the event, which may be newer than the one here.
        """
        event = resolved(self, job, event)
        if event.kind not in _ACKED or event.retry_at or job.state is JobState.UNFETCHED:
            return event
        is_running = event.kind is EventKind.RUNNING
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
            self._observe_limit(response)
        if change.event.kind in _PASSED:
            self._accepted(job, change.event.at)
        if change.files:
            self.hosts.brought(hosts_of(change.before))
            self._sync_files(change.event.at)
        elif job.outputs is not change.before.outputs:
            self.hosts.named(job)
        self._learn_history(change)
        self._learn(change)
        self.money.account(job, paid_in_vain=change.event.kind is EventKind.AGAIN)
        if change.event.kind is EventKind.INTENDED:
            self.submitted_at.append(change.event.at)
        if job.state is JobState.AMBIGUOUS:
            self.lookups.doubt()
        else:
            self.lookups.settle(job.key)
        if job.state is not JobState.SUBMITTED:
            self.asked_at.pop(job.key, None)
        if job.ended:
            self.queues.drop(job.key)
        elif job.state is JobState.PENDING and not job.listed:
            # It left the manifest while it was under way: it is not submitted again.
            self.queues.drop(job.key)
        elif job.state is JobState.PENDING and job.model in self.gates.closed_models:
            self.hold_back(job)
        elif change.event.kind is EventKind.TROUBLE and not change.event.retry_at:
            self.queues.put(in_time(job, change.event.at, self.capabilities.retention_s))
        else:
            self.queues.put(job)

    def _accepted(self, job: Job, at: float) -> None:
        """A submit passed: a model that took no jobs takes them again."""
        was_closed = job.model in self.gates.closed_models
        self.gates.accepted(job.key, job.model, at)
        if was_closed:
            self.prefetch.rewind(self.held.pop(job.model, 0))

    def _learn_history(self, change: Change) -> None:
        """A request of ours that the history shows by its id: it has caught up with that one. For
        one that it does not know after its hour, a later one is wanted that it shows."""
        event, job = change.event, change.before
        response = event.response
        if response is None or response.call is not CallKind.HISTORY:
            return
        if response.signal is Signal.OK and event.kind in _SHOWN:
            self.lookups.show(job.sent_at)
        is_over = event.at - job.sent_at >= self.capabilities.retention_s
        is_missing = event.kind is EventKind.TROUBLE and response.signal in _UNKNOWN_THERE
        if is_over and is_missing and job.state is JobState.RECOVERING:
            self.lookups.wants_control.add(job.key)

    def _observe_limit(self, response: Response) -> None:
        """A 429 is the account's, not the job's: nothing counted starts before its reset."""
        if response.signal is Signal.RATE_LIMITED:
            self.rate.refuse_until(response.retry_at, response.at)

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
            else:
                self.put([redated(job, now, self.capabilities.retention_s)])

    def hold_back(self, job: Job) -> None:
        """Let go of a pending job of a closed model; it stays pending in the record.

        One stays here, to be tried later on.
        """
        self.queues.drop(job.key)
        if self.queues.pending[job.model]:
            self.held[job.model] += 1
        else:
            self.queues.put(job)

    def _learn(self, change: Change) -> None:
        event, job = change.event, change.after
        if event.kind in _WITH_ID and job.request_id:
            self.lookups.observe_ack(job.sent_at, job.request_id)
        if event.kind is EventKind.RUNNING:
            self.asked_at[job.key] = event.at
        elif event.kind in _ACKED:
            self.asked_at[job.key] = job.sent_at
            if event.kind is EventKind.ACKED:
                self.polls.accepted(job, event.at)
        answer = change.answer
        if event.kind in _TELLING and answer is not None and has_media(answer.outputs):
            self.media_models.add(job.model)
        if event.kind in _TELLING and answer is not None and answer.receipt is not None:
            receipt = answer.receipt
            if receipt.cost_usd is not None:
                self.money.learn(change.after.model, receipt.cost_usd)
            seen_s = receipt.inference_s if receipt.total_s is None else receipt.total_s
            if seen_s is not None:
                # Longer than it was away it cannot have taken: a latency in other units.
                away_s = change.event.at - change.after.sent_at
                self.latencies.learn(change.after.model, min(seen_s, away_s))

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

    def _more_to_settle(self, now: float) -> bool:
        """Whether another doubtful submit may turn out to be ours, or go out again."""
        return any(
            job.documented_absent
            or job.key in self.lookups.candidates
            or now < job.unclear_at + self.limits.settle_s
            for job in self.doubts
        )

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
