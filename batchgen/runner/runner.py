"""The runner: asks the planner, starts effects, records events, and again until nothing is left.

One loop owns the board and the state. Effects run as tasks; each puts one outcome into the
mailbox. The loop empties the mailbox, records everything in one transaction, and only then lets
the planner see it. A submit starts after its intent is on disk, a counted call after its slot is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import anyio

from batchgen.core.jobs.events import Change, Event
from batchgen.core.jobs.job import Job
from batchgen.core.jobs.lifecycle import apply, found_at_start
from batchgen.core.jobs.placeholders import Uploaded
from batchgen.core.scheduling.clock_skew import redated, undatable
from batchgen.core.scheduling.completion import Verdict
from batchgen.core.scheduling.effects import Effect, EffectKind
from batchgen.core.scheduling.gates import Gate, GateKind
from batchgen.core.scheduling.planner import PlannedEffects, plan
from batchgen.core.scheduling.state import SchedulerState
from batchgen.core.scheduling.tick import tick
from batchgen.errors import BatchgenError, InternalError
from batchgen.ports import DuplicateRequestIdError, Ports
from batchgen.runner.crew import WorkerPool
from batchgen.runner.drawing import draw
from batchgen.runner.effects import Effects, intents_of
from batchgen.runner.history import begin_page, conclude, doubted
from batchgen.runner.mailbox import Mail, sort_mail
from batchgen.runner.outcome import Landed
from batchgen.runner.probes import DISK_CHECK_S
from batchgen.runner.teller import Announcer
from batchgen.runner.uploads import with_files

LONGEST_SLEEP_S = 30.0
"""The loop looks again at least so often: a suspended machine wakes with every instant past."""
LESSONS_EVERY_S = 30.0
"""What was learned is written down so often, along with something else."""


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended: COMPLETE, or STOP with the gate it is due to."""

    verdict: Verdict
    gate: Gate | None = None


class Runner:
    """Runs one board to its end. Use once."""

    def __init__(self, board: SchedulerState, ports: Ports) -> None:
        self.board = board
        self._ports = ports
        self._effects = Effects(ports)
        self._mailbox: list[Landed] = []
        self._mail = anyio.Event()
        self._crew = WorkerPool(self._carry_out)
        self._posts: set[anyio.CancelScope] = set()
        self._teller = Announcer(ports.progress)
        self._disk_seen_at = 0.0
        self._credits_usd: float | None = None
        self._lessons_at = ports.clock.now()
        self._noted_block = board.rate.blocked_until

    def stop(self, reason: str) -> None:
        """Start nothing more, let POSTs that left bring their ids home, then end."""
        self.board.gates.close(GateKind.STOP, reason, self._ports.clock.now())
        self._crew.cut_off()
        self._mail.set()

    def abandon(self) -> None:
        """Leave at once: POSTs under way are cut off and will be found unclear."""
        self._crew.cut_off()
        for scope in self._posts:
            scope.cancel()

    async def run(self) -> RunEnd:
        """Run until nothing is left to do, or a gate ends it. Raises `DiskError`.

        Cancelling it keeps every id: POSTs under way are awaited and recorded first.
        """
        await self._load()
        outcome: RunEnd | BatchgenError | None = None
        try:
            async with self._crew as crew:
                try:
                    outcome = await self._loop()
                except BatchgenError as error:  # unwrapped: a group would hide it from callers
                    outcome = error
                    crew.cut_off()
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
        retention_s = self.board.capabilities.retention_s
        self.board.put(redated(job, now, retention_s) for job in jobs)
        await self._record([event for job in jobs if (event := found_at_start(job, now))])
        unclear = self.board.ambiguous
        await self._record([event for job in unclear if (event := undatable(job, now))])

    async def _loop(self) -> RunEnd:
        while True:
            self._mail = anyio.Event()
            mail = self._empty_mailbox()
            await self._record(mail.events, uploaded=mail.uploaded)
            await self._record(await conclude(self.board, self._ports))
            await self._compare_credits()
            now = self._ports.clock.now()
            tick(self.board, now)
            decided = plan(self.board, now)
            self._teller.tell(self.board, now)
            if decided.verdict is not Verdict.GO_ON:
                return RunEnd(decided.verdict, decided.gate)
            if decided.draw or decided.draw_of:
                await draw(self.board, self._ports.state, decided, now)
                continue
            await self._start(decided.effects, now)
            await self._wait(decided, now)

    async def _compare_credits(self) -> None:
        """Say whether the account suffices for what is pending, once it has told what it holds."""
        credits_usd, self._credits_usd = self._credits_usd, None
        if credits_usd is not None:
            self._teller.tell_credits(credits_usd, await self._ports.state.outlook())

    async def _start(self, effects: Sequence[Effect], now: float) -> None:
        """Put intents and slots on disk, then let the effects go."""
        if not effects or await self._is_disk_short(effects, now):
            return
        board = self.board
        effects = await with_files(effects, self._ports.state)
        intents = intents_of(effects, board.money, now)
        rate = board.rates.note([effect.model for effect in effects if effect.counts], now)
        notes = {} if rate is None else {"rate": rate}
        if intents or notes:
            await self._record(intents, notes)
        for effect in effects:
            self._launch(effect)

    async def _is_disk_short(self, effects: Sequence[Effect], now: float) -> bool:
        """Look at the free space before submits, now and then; too little closes the gate."""
        submits = any(effect.kind is EffectKind.SUBMIT for effect in effects)
        if not submits or now - self._disk_seen_at < DISK_CHECK_S:
            return False
        self._disk_seen_at = now
        if await self._effects.has_space():
            return False
        self.board.gates.close(GateKind.DISK, "too little free space for outputs", now)
        # Plan anew: the gate changes what may start.
        self._mail.set()
        return True

    def _launch(self, effect: Effect) -> None:
        board = self.board
        if effect.kind is EffectKind.READ_HISTORY:
            effect = replace(effect, read=begin_page(board, self._ports.clock.now()))
        elif effect.content is not None:
            board.uploads.begin(effect.content)
        elif effect.job is None:
            board.probing = True
        else:
            key = effect.job.key
            board.begin(key)
            if effect.kind is EffectKind.SUBMIT:
                effect = replace(effect, job=board.jobs[key])  # with its intent
            elif effect.kind is EffectKind.CONFIRM:
                effect = replace(effect, request_id=board.candidates.get(key, ""))
        if effect.counts:
            board.rates.start(effect.model)
        self._crew.give(effect)

    async def _carry_out(self, effect: Effect) -> None:
        """One effect. A POST is shielded: whoever cancels the run, its answer is kept."""
        if effect.kind is not EffectKind.SUBMIT:
            await self._landed(effect)
            return
        with anyio.CancelScope(shield=True) as scope:
            self._posts.add(scope)
            try:
                await self._landed(effect)
            finally:
                self._posts.discard(scope)

    async def _landed(self, effect: Effect) -> None:
        """Carry it out; what came of it lands in the mailbox, also when it is cut off."""
        landed = Landed(effect)
        try:
            landed = await self._effects.carry_out(effect)
        finally:
            if effect.counts:
                self.board.rates.answered(effect.model, self._ports.clock.now())
            self._mailbox.append(landed)
            self._mail.set()

    async def _wait(self, decided: PlannedEffects, now: float) -> None:
        if self._mailbox or self._mail.is_set():
            return
        board = self.board
        under_way = bool(board.busy or board.uploads.under_way)
        at_work = under_way or board.probing or board.reading
        if decided.wake_at is None and not at_work:
            raise InternalError(f"nothing to wait for: {self.board!r}")
        pause_s = LONGEST_SLEEP_S
        if decided.wake_at is not None:
            pause_s = min(pause_s, max(0.0, decided.wake_at - now))
        with anyio.move_on_after(pause_s):
            await self._mail.wait()

    def _empty_mailbox(self) -> Mail:
        landed, self._mailbox = self._mailbox, []
        self.board.skew_s = self._effects.skew_s
        mail = sort_mail(self.board, landed, self._ports.clock.now())
        if mail.credits_usd is not None:
            self._credits_usd = mail.credits_usd
        return mail

    async def _record(
        self,
        events: Sequence[Event],
        notes: dict[str, str] | None = None,
        uploaded: Sequence[Uploaded] = (),
    ) -> None:
        """Events become changes, changes become durable, and then the board sees them."""
        if not (events or notes or uploaded):
            return
        notes = {**(notes or {}), **self._lessons_due()}
        while True:
            changes = self._changes(events)
            if not (notes or uploaded or any(change.is_news for change in changes)):
                break
            try:
                # Shielded: these events have left the mailbox, a cancellation must not lose them.
                with anyio.CancelScope(shield=True):
                    await self._ports.state.record(changes, notes, uploaded)
                break
            except DuplicateRequestIdError as error:
                self.board.candidates.pop(error.job_key, None)
                events = [doubted(event, error) for event in events]
        self.board.apply(changes)
        self.board.uploads_done(uploaded)
        self._teller.tell_uploads(uploaded)
        if changes:
            self._ports.progress.changed(changes)

    def _lessons_due(self) -> dict[str, str]:
        now, block = self._ports.clock.now(), self.board.rate.blocked_until
        if now - self._lessons_at < LESSONS_EVERY_S and block == self._noted_block:
            return {}
        self._lessons_at, self._noted_block = now, block
        return self.board.lessons()

    def _changes(self, events: Sequence[Event]) -> list[Change]:
        changes: list[Change] = []
        latest: dict[int, Job] = {}
        for event in events:
            job = latest.get(event.job_key) or self.board.jobs[event.job_key]
            change = apply(job, self.board.resolve(job, event))
            changes.append(change)
            latest[event.job_key] = change.after
        return changes

    async def _land(self, *, failed: bool) -> None:
        """Last words: what POSTs brought home during a cancellation, and the exact rate log.

        After a failure they are tried as well, but must not hide it.
        """
        try:
            mail = self._empty_mailbox()
            await self._record(mail.events, uploaded=mail.uploaded)
            now = self._ports.clock.now()
            notes = {"rate": self.board.rates.snapshot(now), **self.board.lessons()}
            await self._ports.state.record((), notes)
        except BatchgenError:
            if not failed:
                raise
