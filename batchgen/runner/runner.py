"""The runner: asks the planner, starts effects, records events, and again until nothing is left.

One loop owns the scheduler's state and the record. Effects run as tasks; each ends in one outcome.
The loop takes the outcomes that are there, records everything in one transaction, and only then
lets the planner see it. A submit starts after its intent is on disk, a counted call after its slot
is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import anyio

from batchgen.core.jobs.events import Change, Event
from batchgen.core.jobs.job import Job
from batchgen.core.jobs.lifecycle import apply, found_at_start
from batchgen.core.jobs.placeholders import Uploaded
from batchgen.core.scheduling.completion import Verdict
from batchgen.core.scheduling.doubts.clock_skew import redated, undatable
from batchgen.core.scheduling.doubts.lookups import ACKED_FOR_S
from batchgen.core.scheduling.effects import (
    Effect,
    EffectKind,
    Outcome,
    ProbeOutcome,
    cut_off,
)
from batchgen.core.scheduling.gates.gates import DISK_CHECK_S, Gate, GateKind
from batchgen.core.scheduling.gates.holds import HELD_NOTE, dump
from batchgen.core.scheduling.learned import CLOCKS_NOTE
from batchgen.core.scheduling.planner import PlannedEffects, plan
from batchgen.core.scheduling.policy import in_time
from batchgen.core.scheduling.state import SchedulerState
from batchgen.core.scheduling.tick import tick
from batchgen.errors import BatchgenError, InternalError
from batchgen.ports import DuplicateRequestIdError, JobStore, Ports
from batchgen.runner.announcer import Announcer
from batchgen.runner.effects import Effects, doubted, intents_of
from batchgen.runner.worker_pool import WorkerPool

LONGEST_SLEEP_S = 30.0
"""The loop looks again at least so often: a suspended machine wakes with every instant past."""
LESSONS_EVERY_S = 30.0
"""What was learned is written down so often, along with something else; a limit or a price at
once: a process that dies must not leave the next one without them."""


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended: COMPLETE, or STOP with the gate it is due to."""

    verdict: Verdict
    gate: Gate | None = None


class Runner:
    """Runs to the end what one scheduler's state holds. Use once."""

    def __init__(self, scheduler: SchedulerState, ports: Ports) -> None:
        self.scheduler = scheduler
        self._ports = ports
        self._effects = Effects(ports)
        self._outcomes: list[Outcome] = []
        self._news = anyio.Event()
        self._pool = WorkerPool(self._carry_out)
        self._posts: dict[anyio.CancelScope, None] = {}
        """POSTs under way, in the order in which they left: they are cut off in that order too."""
        self._posts_end_at = math.inf
        self._fault: BatchgenError | None = None
        self._announcer = Announcer(ports.progress)
        self._disk_seen_at = 0.0
        self._lessons_at = ports.clock.now()
        self._noted_block = scheduler.rate.blocked_until
        self._noted_prices = dict(scheduler.money.learned)
        self._noted_findings = scheduler.findings
        self._noted_clocks = scheduler.clocks.dump()
        self._noted_holds = dict(scheduler.gates.refusals.holds)

    def stop(self, reason: str, posts_within_s: float = math.inf) -> None:
        """Start nothing more, let POSTs that left bring their ids home, then end.

        A POST that takes longer than `posts_within_s` is cut off; what became of it is unclear.
        """
        now = self._ports.clock.now()
        self.scheduler.gates.close(GateKind.STOP, reason, now)
        self._posts_end_at = now + posts_within_s
        self._pool.cut_off()
        self._news.set()

    def abandon(self) -> None:
        """Leave at once: POSTs under way are cut off; what became of them is unclear."""
        self._pool.cut_off()
        self._cut_off_posts()

    def _cut_off_posts(self) -> None:
        self._posts_end_at = math.inf
        for scope in self._posts:
            scope.cancel()

    async def run(self) -> RunEnd:
        """Run until nothing is left to do, or a gate ends it. Raises `DiskError`, and whatever
        else of ours an effect ends in.

        Cancelling it keeps every id: POSTs under way are awaited and recorded first.
        """
        await self._load()
        outcome: RunEnd | BatchgenError | None = None
        try:
            async with self._pool as worker_pool:
                try:
                    outcome = await self._loop()
                except BatchgenError as error:  # unwrapped: a group would hide it from callers
                    outcome = error
                    worker_pool.cut_off()
        finally:
            with anyio.CancelScope(shield=True):
                await self._land(failed=isinstance(outcome, BatchgenError))
        if isinstance(outcome, RunEnd):
            return outcome
        raise outcome or InternalError("the run ended without an outcome")

    async def _load(self) -> None:
        """Take over what an earlier process left."""
        now = self._ports.clock.now()
        jobs = await self._ports.state.active()
        retention_s = self.scheduler.capabilities.retention_s
        self.scheduler.put(
            in_time(redated(job, now, retention_s), now, retention_s) for job in jobs
        )
        await self._record([event for job in jobs if (event := found_at_start(job, now))])
        self.scheduler.recall_hosts(now)
        if any(job.request_id and now - job.sent_at < retention_s for job in jobs):
            self.scheduler.gates.recall_contact()
        # By a clock that was noted a doubt is dated once the service tells its time.
        carried = self.scheduler.clocks.carried
        unclear = [job for job in self.scheduler.ambiguous if job.key not in carried]
        await self._record([event for job in unclear if (event := undatable(job, now))])

    async def _loop(self) -> RunEnd:
        while True:
            self._news = anyio.Event()
            await self._take_outcomes()
            if self._fault is not None:
                raise self._fault
            await self._conclude()
            await self._note_holds()
            now = self._ports.clock.now()
            if now >= self._posts_end_at:
                self._cut_off_posts()
            if self.scheduler.gates.has_waited(now):
                self._pool.cut_off()
            tick(self.scheduler, now)
            decided = plan(self.scheduler, now)
            self._announcer.tell(self.scheduler, now)
            if decided.verdict is not Verdict.GO_ON:
                return RunEnd(decided.verdict, decided.gate)
            if decided.draw or decided.draw_of:
                await draw(self.scheduler, self._ports.state, decided, now)
                continue
            await self._start(decided.effects, now)
            await self._wait(decided, now)

    async def _take_outcomes(self) -> None:
        """Record what the effects brought that have ended."""
        outcomes, self._outcomes = self._outcomes, []
        self.scheduler.lookups.observe_skew(self._effects.skew_s)
        if self._effects.is_dated:
            self.scheduler.clocks.observe(self._effects.skew_s)
        events, uploaded = self.scheduler.digest(outcomes, self._ports.clock.now())
        await self._record(events, uploaded=uploaded)
        for outcome in outcomes:
            if isinstance(outcome, ProbeOutcome) and outcome.credits_usd is not None:
                # What the account holds, against what the pending jobs will cost.
                outlook = await self._ports.state.outlook()
                self._announcer.tell_credits(outcome.credits_usd, outlook)

    async def _conclude(self) -> None:
        """Draw the conclusions of a read of the history that has ended, or of there being none."""
        await self._record(self.scheduler.without_history(self._ports.clock.now()))
        read = self.scheduler.lookups.take_ended()
        if read is not None:
            own = await self._ports.state.requests(list(read.rows))
            await self._record(self.scheduler.conclude(read, own, self._ports.clock.now()))

    async def _note_holds(self) -> None:
        """Write down whose jobs are on hold, once that has changed."""
        holds = self.scheduler.gates.refusals.holds
        if holds != self._noted_holds:
            await self._record((), {HELD_NOTE: dump(holds)})
            self._noted_holds = dict(holds)

    async def _start(self, effects: Sequence[Effect], now: float) -> None:
        """Put intents and slots on disk, then let the effects go."""
        if not effects or await self._is_disk_short(effects, now):
            return
        scheduler = self.scheduler
        if any(effect.kind is EffectKind.UPLOAD for effect in effects):
            effects = [await self._with_files(effect) for effect in effects]
        if any(effect.kind is EffectKind.READ_HISTORY for effect in effects):
            await self._recall_acks(now)
        intents = intents_of(effects, scheduler.money, now)
        counted = [effect for effect in effects if effect.counts]
        rate = scheduler.rates.note(
            [effect.model for effect in counted if effect.is_submit],
            now,
            [effect.model for effect in counted if not effect.is_submit],
        )
        notes = {} if rate is None else {"rate": rate}
        if intents or notes:
            await self._record(intents, notes)
        for effect in effects:
            self._pool.give(scheduler.start(effect, self._ports.clock.now()))

    async def _recall_acks(self, now: float) -> None:
        """A read of the history is judged by the submits of earlier processes as well."""
        lookups = self.scheduler.lookups
        if lookups.earlier is None:
            lookups.recall_acks(await self._ports.state.last_accepted(now, ACKED_FOR_S))

    async def _with_files(self, effect: Effect) -> Effect:
        """An upload with the files that hold its content; any other effect as it is."""
        if effect.content is None:
            return effect
        return replace(effect, files=tuple(await self._ports.state.input_files(effect.content)))

    async def _is_disk_short(self, effects: Sequence[Effect], now: float) -> bool:
        """Look at the free space before submits, now and then; too little closes the gate."""
        submits = any(effect.kind is EffectKind.SUBMIT for effect in effects)
        if not submits or now - self._disk_seen_at < DISK_CHECK_S:
            return False
        self._disk_seen_at = now
        if await self._effects.has_space():
            return False
        self.scheduler.gates.close(GateKind.DISK, "no room for outputs (space, quota, inodes)", now)
        # Plan anew: the gate changes what may start.
        self._news.set()
        return True

    async def _carry_out(self, effect: Effect) -> None:
        """One effect. A POST is shielded: whoever cancels the run, its answer is kept."""
        if effect.kind is not EffectKind.SUBMIT:
            await self._landed(effect)
            return
        with anyio.CancelScope(shield=True) as scope:
            self._posts[scope] = None
            try:
                await self._landed(effect)
            finally:
                del self._posts[scope]

    async def _landed(self, effect: Effect) -> None:
        """Carry it out, and keep the outcome, also when it is cut off."""
        outcome = None
        try:
            outcome = await self._effects.carry_out(effect)
        except BatchgenError as error:
            # Told by the loop: out of a task it would come in a group, and hide in it.
            self._fault = self._fault or error
        finally:
            if effect.counts:
                self.scheduler.answered(effect, outcome, self._ports.clock.now())
            self._outcomes.append(outcome or cut_off(effect, self._ports.clock.now()))
            self._news.set()

    async def _wait(self, decided: PlannedEffects, now: float) -> None:
        if self._outcomes or self._news.is_set():
            return
        if decided.wake_at is None and not self.scheduler.is_waiting:
            raise InternalError(f"nothing to wait for: {self.scheduler!r}")
        pause_s = min(LONGEST_SLEEP_S, self._posts_end_at - now)
        if decided.wake_at is not None:
            pause_s = min(pause_s, decided.wake_at - now)
        with anyio.move_on_after(max(0.0, pause_s)):
            await self._news.wait()

    async def _record(
        self,
        events: Sequence[Event],
        notes: dict[str, str] | None = None,
        uploaded: Sequence[Uploaded] = (),
    ) -> None:
        """Events become changes, changes become durable, and then the planner sees them."""
        if not (events or notes or uploaded):
            return
        notes = {**(notes or {}), **self._lessons_due()}
        while True:
            changes = self._changes(events)
            if not (notes or uploaded or any(map(self._is_kept, changes))):
                break
            clocks = self.scheduler.clocks.after(changes).dump()
            told = {} if clocks == self._noted_clocks else {CLOCKS_NOTE: clocks}
            try:
                # Shielded: nobody else has these events, a cancellation must not lose them.
                with anyio.CancelScope(shield=True):
                    await self._ports.state.record(changes, notes | told, uploaded)
                self._noted_clocks = clocks
                break
            except DuplicateRequestIdError as error:
                self.scheduler.lookups.withdraw(error.job_key)
                events = [doubted(event, error) for event in events]
        self.scheduler.apply(changes)
        self.scheduler.uploads_done(uploaded)
        self._announcer.tell_uploads(uploaded)
        self._announcer.tell_unverified(changes)
        if changes:
            self._ports.progress.changed(changes)

    def _is_kept(self, change: Change) -> bool:
        """Whether a change is written down: all but looks that brought nothing."""
        return change.is_news or self.scheduler.clocks.has_moved(change.after.key)

    def _lessons_due(self) -> dict[str, str]:
        now, block = self._ports.clock.now(), self.scheduler.rate.blocked_until
        prices = self.scheduler.money.learned
        findings = self.scheduler.findings
        is_new = block != self._noted_block or prices != self._noted_prices
        is_new = is_new or findings != self._noted_findings
        if now - self._lessons_at < LESSONS_EVERY_S and not is_new:
            return {}
        self._lessons_at, self._noted_block, self._noted_prices = now, block, dict(prices)
        self._noted_findings = findings
        return self.scheduler.lessons()

    def _changes(self, events: Sequence[Event]) -> list[Change]:
        changes: list[Change] = []
        latest: dict[int, Job] = {}
        for event in events:
            job = latest.get(event.job_key)
            job = job or self.scheduler.clocks.dated(self.scheduler.jobs[event.job_key])
            change = apply(job, self.scheduler.resolve(job, event))
            changes.append(change)
            latest[event.job_key] = change.after
        return changes

    async def _land(self, *, failed: bool) -> None:
        """Last words: what POSTs brought home during a cancellation, and the exact rate log.

        After a failure they are tried as well, but must not hide it.
        """
        try:
            await self._take_outcomes()
            await self._note_holds()
            now = self._ports.clock.now()
            notes = {"rate": self.scheduler.rates.snapshot(now), **self.scheduler.lessons()}
            await self._ports.state.record((), notes)
        except BatchgenError:
            if not failed:
                raise


async def draw(
    scheduler: SchedulerState, state: JobStore, decided: PlannedEffects, now: float
) -> None:
    """Bring pending jobs from the record; of models with limits of their own, apart."""
    prefetch = scheduler.prefetch
    wanted = [(None, decided.draw)] if decided.draw else []
    for model, count in [*wanted, *decided.draw_of]:
        asked, after_key = prefetch.allowed(count), prefetch.of(model).last_key
        but_models = () if model else tuple(prefetch.models)
        jobs = await state.draw(after_key, asked, model=model, but_models=but_models)
        scheduler.drew(model, jobs, asked, now)
