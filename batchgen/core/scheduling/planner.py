"""The planner: which effects to start now, and when to look again.

A plain function of the scheduler and the instant. It never awaits, never reads a clock and changes
nothing. The order in which it spends a tight request budget:

1. results: a finished request is paid for; its window is running out
2. submits, up to the share of the minute that they have in the long run: were all that is due
   brought home first, nothing would be running at the service meanwhile, and the budget would idle
   until it has caught up (at 50 requests a minute and 300 s a request, a fifth of the night);
   from the same share, uploads of what the next jobs need
3. polls that are due, nearest end of their window first
4. lookups in the history: paid results whose record is gone, submits whose answer was lost
5. further submits, and uploads

Downloads need no budget; the CDN is not the API. Every pass costs what is due, not what is there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from batchgen.core.jobs.job import Job, JobState
from batchgen.core.jobs.outcomes import CallKind
from batchgen.core.jobs.placeholders import Content, missing
from batchgen.core.jobs.spec import Mode, ModelKind
from batchgen.core.reconciliation.reconcile import needs_lookup
from batchgen.core.scheduling.capacity import Slots, Submits
from batchgen.core.scheduling.completion import Verdict, ending
from batchgen.core.scheduling.doubts.controls import allowance
from batchgen.core.scheduling.effects import CALLS, Effect, EffectKind
from batchgen.core.scheduling.gates.file_hosts import hosts_of
from batchgen.core.scheduling.gates.gates import Gate, GateKind
from batchgen.core.scheduling.poll_schedule import MAX_INTERVAL_S, next_step_s
from batchgen.core.scheduling.prefetch import MAX_STOCK
from batchgen.core.scheduling.queues import QueueKind
from batchgen.core.scheduling.rates.rates import GetPrice
from batchgen.core.scheduling.state import SchedulerState
from batchgen.core.scheduling.tick import submit_share
from batchgen.core.scheduling.uploads import UPLOADS_AT_ONCE

RESULT_AFTER = 2
"""After so many fruitless polls in a row the result is asked for instead, every other time."""
SCOUTS = 3
"""Of a model without a single result, so many requests are asked for at once: what they tell
is true of the others as well."""
FREE_POLLS = 20
"""Where polls are not counted, each request is asked for so often before it waits for scouts."""
SCOUT_STEP = 1.15
"""The next scout is so much older than the last one that still ran."""
BACKLOG_FACTOR = 4
"""Submits wait while so many times the downloads that may run at once are waiting."""


@dataclass(frozen=True, slots=True)
class PlannedEffects:
    """What to do now. `wake_at` is None when only an event can change anything.

    `draw` asks for so many pending jobs from the state, `draw_of` for so many of single models with
    limits of their own. `gate` names what a STOP is due to.
    """

    effects: tuple[Effect, ...] = ()
    wake_at: float | None = None
    draw: int = 0
    draw_of: tuple[tuple[str, int], ...] = ()
    verdict: Verdict = Verdict.GO_ON
    gate: Gate | None = None


def plan(scheduler: SchedulerState, now: float) -> PlannedEffects:
    """Decide. See the module for the order; see `PlannedEffects` for the answer."""
    return _Pass(scheduler, now).decide()


class _Pass:
    """One deciding pass: the scheduler is read once, the slots and places left are counted down."""

    def __init__(self, scheduler: SchedulerState, now: float) -> None:
        self.scheduler = scheduler
        self.now = now
        self.slots = Slots(scheduler, now)
        self.effects: list[Effect] = []
        self.wakes: list[float] = []
        self.submits = Submits(scheduler.limits.concurrency - scheduler.in_flight)
        gates = scheduler.gates
        self.is_open = gates.are_open
        self.holds_saves = gates.holds_saves()
        self.out = Counter[CallKind]() if self.is_open else Counter(scheduler.calls_out.values())
        """Calls about jobs that are under way, and those just decided on; read at closed gates."""
        self.probed: set[str] = set()
        """Closed hosts of files that a download just decided on will try."""
        self.uploads: set[Content] = set()

    def decide(self) -> PlannedEffects:
        gates = self.scheduler.gates
        if GateKind.STOP not in gates.closed and not gates.has_waited(self.now):
            self._effects()
        verdict, gate = ending(self.scheduler, self.effects, self.now)
        if verdict is not Verdict.GO_ON:
            return PlannedEffects(verdict=verdict, gate=gate)
        return PlannedEffects(tuple(self.effects), self._wake_at(), *self._draws())

    def _draws(self) -> tuple[int, tuple[tuple[str, int], ...]]:
        scheduler = self.scheduler
        if not self._submits_allowed():
            return 0, ()
        closed, limits, prefetch = (
            scheduler.gates.closed_models.keys(),
            scheduler.limits,
            scheduler.prefetch,
        )
        return (
            prefetch.to_draw(scheduler.queues, closed, limits.concurrency, scheduler.stuck_count),
            prefetch.to_draw_of(scheduler.queues, closed, limits.models),
        )

    def _effects(self) -> None:
        self._saves()
        if not self.scheduler.gates.holds_calls():
            if self.scheduler.wants_credits and not self.scheduler.probing:
                self._start(EffectKind.CREDITS, None)
            self._fetches()
            share = submit_share(self.scheduler, self.now)
            self._submits(share)
            self._uploads(share - len(self.submits.keys), 0)
            self._polls()
            self._lookups()
            self._submits(MAX_STOCK)
            self._uploads(MAX_STOCK, UPLOADS_AT_ONCE)
        self._probe()
        self._check_disk()

    def _lets(self, call: CallKind) -> bool:
        """Whether a call may be made now; at a closed gate one at a time."""
        gates = self.scheduler.gates
        if self.is_open:
            return True
        if not gates.lets_through(call, self.now):
            return False
        if GateKind.KEY in gates.closed:
            return not self.out.total()
        return not (gates.is_probe(call) and self.out[call])

    def _submits_allowed(self) -> float:
        """How many submits may leave beside those under way, as far as gates are concerned."""
        if self.is_open:
            return math.inf
        scheduler = self.scheduler
        fetches = len(scheduler.queues[QueueKind.FETCH]) + self.out[CallKind.RESULT]
        idle = not (scheduler.in_flight or fetches)
        allowed = scheduler.gates.submits_allowed(self.now, idle=idle)
        if allowed == math.inf:
            return allowed
        return max(0.0, allowed - self.out[CallKind.SUBMIT]) if self._lets(CallKind.SUBMIT) else 0

    def _due(self, line: QueueKind) -> Iterator[Job]:
        """Jobs whose instant has come; the next one is remembered for the next look."""
        queues = self.scheduler.queues
        queue = queues[line]
        next_at = queue.next_at(self.now)
        if next_at is not None:
            self.wakes.append(next_at)
        return map(queues.jobs.__getitem__, queue.due(self.now))

    def _start(self, kind: EffectKind, job: Job | None) -> bool:
        """Start an effect that takes a slot, if there is one and its call is let through."""
        call = CALLS[kind]
        if not self._lets(call):
            return False
        submit = kind is EffectKind.SUBMIT
        counts = self.scheduler.rates.watches(submit=submit)
        if counts and not self.slots.take(job, submit=submit):
            return False
        unlimited = not (counts and self.slots.are_limited(job))
        at_once = kind is EffectKind.POLL and unlimited and not self.holds_saves
        makes = ModelKind.UNKNOWN if job is None else self.scheduler.makes(job.model)
        self.effects.append(Effect(kind, job, counts, at_once=at_once, makes=makes))
        if job is not None:
            self.out[call] += 1
        return True

    def _start_all(self, kind: EffectKind, line: QueueKind) -> None:
        for job in self._due(line):
            if not self._start(kind, job) and self.slots.are_gone(submit=False):
                return

    def _saves(self) -> None:
        if self.holds_saves:
            return
        places = self.scheduler.limits.save_concurrency - self.scheduler.queues.saving
        for job in self._due(QueueKind.SAVE):
            if places <= 0:
                return
            if self.scheduler.hosts.closed and not self._may_download(job):
                continue
            places -= 1
            self.effects.append(Effect(EffectKind.SAVE, job, counts=False))

    def _may_download(self, job: Job) -> bool:
        """Whether the hosts of its files are open, or this download may probe a closed one."""
        hosts = self.scheduler.hosts
        closed = hosts_of(job) & hosts.closed.keys()
        at = hosts.next_try_at(job, self.now)
        if at is None or not closed.isdisjoint(self.probed):
            return False
        if at > self.now:
            self.wakes.append(at)
            return False
        self.probed |= closed
        return True

    def _fetches(self) -> None:
        if not self.holds_saves:
            self._start_all(EffectKind.FETCH, QueueKind.FETCH)

    def _polls(self) -> None:
        scheduler = self.scheduler
        free = FREE_POLLS if scheduler.rates.get_price is GetPrice.FREE else 0
        unknown: list[Job] = []
        for job in self._due(QueueKind.POLL):
            is_late = self.now - job.sent_at >= scheduler.polls.last_chance_s
            is_free = is_late or job.polls < free
            if not (is_free or scheduler.latencies.has_result(job.model)):
                unknown.append(job)
            elif not self._ask(job) and self.slots.are_gone(submit=False):
                return
        self._scout(unknown)

    def _ask(self, job: Job) -> bool:
        """Ask for the state of a request, or for its result where that tells as much, or where the
        state is not to be had."""
        kinds = [EffectKind.POLL, EffectKind.FETCH]
        if self.scheduler.result_polls.are_for(job):
            kinds.reverse()
        if job.trouble >= RESULT_AFTER and job.trouble % 2:
            kinds.reverse()
        if self.holds_saves:
            kinds.remove(EffectKind.FETCH)  # what an answer brings could not be kept
        kind = next((kind for kind in kinds if self._lets(CALLS[kind])), None)
        return kind is not None and self._start(kind, job)

    def _scout(self, unknown: list[Job]) -> None:
        """A few requests of each unknown model; those never asked for first, so that one that
        never ends keeps nobody waiting."""
        if not unknown:
            return
        jobs, latencies = self.scheduler.jobs, self.scheduler.latencies
        is_open = self.scheduler.rates.get_price is GetPrice.ASSUMED_FREE
        most = 1 if is_open else SCOUTS
        out = Counter(jobs[key].model for key in self.scheduler.busy if key in jobs)
        for job in sorted(unknown, key=lambda job: (job.polls, job.sent_at)):
            seen_s = latencies.scouted_s(job.model, most)
            news_s = next_step_s(seen_s) if is_open else SCOUT_STEP * seen_s
            news_at = job.sent_at + min(news_s, seen_s + MAX_INTERVAL_S)
            if news_at > self.now:
                self.wakes.append(news_at)  # another one was seen to run at this age
            elif out[job.model] < most and self._ask(job):
                out[job.model] += 1

    def _lookups(self) -> None:
        """Candidates are confirmed; a due job starts a read, which then serves all of them."""
        scheduler = self.scheduler
        by_list = bool(scheduler.lookups.wants_control)
        self._recoveries()
        for job in self._due(QueueKind.LOOKUP):
            if job.key in scheduler.lookups.candidates:
                self._start(EffectKind.CONFIRM, job)
            elif needs_lookup(job):
                self._start(EffectKind.RECOVER, job)
            else:
                by_list = True
        if not scheduler.lookups.fetching and (scheduler.lookups.read is not None or by_list):
            self._start(EffectKind.READ_HISTORY, None)

    def _recoveries(self) -> None:
        """Results that are gone: the history is asked, and within the hour the result in turn. That
        one comes first where an address is wanted: it names every file, the history one."""
        capabilities = self.scheduler.capabilities
        for job in self._due(QueueKind.RECOVER):
            is_young = self.now - job.sent_at < capabilities.retention_s
            is_young = is_young and job.api is Mode.QUEUED and self._lets(CallKind.RESULT)
            by_result = is_young and (job.trouble % 2 == 0) is bool(job.outputs)
            if self.holds_saves:
                by_result = False  # what an answer brings could not be kept
            kinds = EffectKind.RECOVER, EffectKind.FETCH
            kind = kinds[by_result or not capabilities.has_history]
            if not self._start(kind, job) and self.slots.are_gone(submit=False):
                return

    def _submits_wait(self) -> bool:
        """Whether nothing may be submitted just now, whatever it is."""
        scheduler = self.scheduler
        waiting_files = len(scheduler.queues[QueueKind.SAVE]) + scheduler.queues.saving
        lags = waiting_files >= BACKLOG_FACTOR * scheduler.limits.save_concurrency
        return lags or scheduler.wants_credits or not self._submits_allowed()

    def _submits(self, at_most: float) -> None:
        scheduler, sums = self.scheduler, self.submits
        if at_most <= 0 or self._submits_wait():
            return
        allowed = allowance(scheduler, self.now, len(sums.keys))
        if allowed.wake_at is not None:
            self.wakes.append(allowed.wake_at)
        at_most = min(at_most, allowed.count, self._submits_allowed()) + len(sums.keys)
        due = self._due(QueueKind.SUBMIT)
        if sums.places <= 0:
            return
        waiting = {model for model, count in scheduler.queues.pending.items() if count}
        for job in due:
            if sums.held >= waiting:
                return  # whatever model it is of, it would have to wait
            if job.key in sums.keys or job.model in sums.held or self._another_tells_more(job):
                continue
            price_usd = scheduler.money.expected_usd(job)
            if sums.places <= 0 or len(sums.keys) >= at_most:
                return
            if self._is_held_back(job, price_usd):
                sums.held.add(job.model)
                continue
            if not scheduler.money.affords(price_usd, sums.usd):
                return
            if self._start(EffectKind.SUBMIT, job):
                sums.take(job, price_usd)
            elif self.slots.are_gone(submit=True):
                return

    def _uploads(self, at_most: int, beyond: int) -> None:
        """What the next jobs to be submitted name and the service does not have yet: of those for
        which there are places, and so many `beyond`."""
        scheduler, desk = self.scheduler, self.scheduler.uploads
        if at_most <= 0 or not scheduler.queues[QueueKind.UPLOAD] or self._submits_wait():
            return
        due = self._due(QueueKind.UPLOAD)
        if scheduler.gates.holds_uploads:  # another content tells more than one that was refused
            due = iter(sorted(due, key=lambda job: max(map(desk.tries, missing(job.body)))))
        ready = len(scheduler.queues[QueueKind.SUBMIT]) - len(self.submits.keys)
        ahead = min(at_most, self.submits.places + beyond - ready)
        for job in due:
            if ahead <= 0 or not desk.has_room:
                return
            if job.model in scheduler.gates.closed_models:
                continue
            if not scheduler.money.affords(scheduler.money.expected_usd(job), self.submits.usd):
                return
            contents = missing(job.body)
            later = [at for content in contents if (at := desk.due_at(content)) > self.now]
            self.wakes += later
            ahead -= not later
            for content in contents:
                if desk.due_at(content) <= self.now and not self._upload(content):
                    return

    def _upload(self, content: Content) -> bool:
        """Start an upload, unless it is under way; False where there is no slot or no room."""
        if content in self.scheduler.uploads.under_way or content in self.uploads:
            return True
        desk = self.scheduler.uploads
        most = self.scheduler.gates.uploads_allowed(self.now)
        if len(desk.under_way) + len(self.uploads) >= most or not desk.takes(content, self.uploads):
            return False
        counts = self.scheduler.rates.watches(submit=False)
        if counts and not self.slots.take(None):
            return False
        self.uploads.add(content)
        self.effects.append(Effect(EffectKind.UPLOAD, counts=counts, content=content))
        return True

    def _is_held_back(self, job: Job, price_usd: float | None) -> bool:
        """Whether this job has to wait while others need not."""
        scheduler, model, begun = self.scheduler, job.model, self.submits.models
        if scheduler.hosts.holds(model) or not self._takes_jobs(model):
            return True
        most = scheduler.limits.models.get(model)
        if most is not None and scheduler.in_flight_of(model) + begun[model] >= most:
            return True
        if (
            price_usd is None
            and scheduler.money.cap_usd is not None
            and _is_being_priced(scheduler, model, begun)
        ):
            return True  # the first one tells what the others will cost
        polled = scheduler.queues.polled + self.submits.polled
        return job.api is Mode.QUEUED and polled >= scheduler.polls.drainable(model)

    def _another_tells_more(self, job: Job) -> bool:
        """Whether a job of the same model is due that was not refused, as this one was."""
        refusals, jobs = self.scheduler.gates.refusals, self.scheduler.jobs
        if job.model not in refusals.models or not refusals.was_refused(job.key):
            return False
        waiting = map(jobs.__getitem__, self.scheduler.queues.idle(QueueKind.SUBMIT))
        return any(
            one.model == job.model and one.due_at <= self.now and not refusals.was_refused(one.key)
            for one in waiting
        )

    def _takes_jobs(self, model: str) -> bool:
        """Whether a model is not closed; one that refused a job is tried with one at a time."""
        at = self.scheduler.gates.refusals.probe_at(model)
        if not at:
            return True
        if at > self.now:
            self.wakes.append(at)
            return False
        is_tried = any(of == model for of, _ in self.scheduler.posting)
        return not (is_tried or self.submits.models[model])

    def _probe(self) -> None:
        gates = self.scheduler.gates
        if not self.is_open:
            self.wakes += gates.probes_at()
        doubts = self.scheduler.queues.counts[JobState.AMBIGUOUS]
        check_at = gates.check_at() if doubts else None
        if check_at is not None:
            self.wakes.append(check_at)
        is_due = gates.wants_probe or (check_at is not None and check_at <= self.now)
        if is_due and not self.scheduler.probing:
            self._start(EffectKind.PROBE, None)

    def _check_disk(self) -> None:
        gates = self.scheduler.gates
        gate = gates.closed.get(GateKind.DISK)
        if gate is None or self.scheduler.probing or gate in gates.out_of_patience(self.now):
            return
        if gate.probe_at > self.now:
            self.wakes.append(gate.probe_at)
        elif not any(effect.kind is EffectKind.PROBE for effect in self.effects):
            self.effects.append(Effect(EffectKind.CHECK_DISK, counts=False))

    def _wake_at(self) -> float | None:
        wakes = (*self.wakes, *self.slots.next_at())
        return min((at for at in wakes if at > self.now), default=None)


def _is_being_priced(scheduler: SchedulerState, model: str, begun: Counter[str]) -> bool:
    """Whether a job of the model is under way, or just begun, that will tell its cost."""
    queues = scheduler.queues
    return bool(queues.in_flight[model] + queues.fetching[model] + begun[model])
