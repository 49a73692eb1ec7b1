"""The runner: asks the planner, starts effects, records events, and again until nothing is left.

One loop owns the board and the state. Effects run as tasks; each puts one outcome into the
mailbox. The loop empties the mailbox, records everything in one transaction, and only then lets
the planner see it. A submit starts after its intent is on disk, a counted call after its slot is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import anyio
from anyio.abc import TaskGroup

from batchgen.core.board import Board
from batchgen.core.event import Change, Event, EventKind
from batchgen.core.gates import Gate, GateKind
from batchgen.core.job import Doubt, Job
from batchgen.core.lifecycle import apply, found_at_start
from batchgen.core.planner import Effect, EffectKind, Plan, Verdict, plan
from batchgen.core.signals import CallKind
from batchgen.errors import BatchgenError, InternalError
from batchgen.ports import DuplicateRequestIdError, Ports, SaveFault
from batchgen.runner.effects import Effects, Landed, gate_of
from batchgen.runner.history import begin_page, conclude, reject_candidate, take_in_page
from batchgen.runner.teller import Teller

LONGEST_SLEEP_S = 30.0
"""The loop looks again at least so often: a suspended machine wakes with every instant past."""
DISK_CHECK_S = 5.0


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended: COMPLETE, or STOP with the gate it is due to."""

    verdict: Verdict
    gate: Gate | None = None


class Runner:
    """Runs one board to its end. Use once."""

    def __init__(self, board: Board, ports: Ports) -> None:
        self.board = board
        self._ports = ports
        self._effects = Effects(ports)
        self._mailbox: list[Landed] = []
        self._mail = anyio.Event()
        self._gets: set[anyio.CancelScope] = set()
        self._post_scopes: set[anyio.CancelScope] = set()
        self._teller = Teller(ports.progress)
        self._disk_seen_at = 0.0

    def stop(self, reason: str) -> None:
        """Start nothing more, let POSTs that left bring their ids home, then end."""
        self.board.gates.close(GateKind.STOP, reason, self._ports.clock.now())
        for scope in self._gets:
            scope.cancel()
        self._mail.set()

    def abandon(self) -> None:
        """Leave at once: POSTs under way are cut off and will be found unclear."""
        for scope in self._gets | self._post_scopes:
            scope.cancel()

    async def run(self) -> RunEnd:
        """Run until nothing is left to do, or a gate ends it. Raises `DiskError`.

        Cancelling it keeps every id: POSTs under way are awaited and recorded first.
        """
        await self._load()
        outcome: RunEnd | BatchgenError | None = None
        try:
            async with anyio.create_task_group() as tasks:
                try:
                    outcome = await self._loop(tasks)
                except BatchgenError as error:  # unwrapped: a group would hide it from callers
                    outcome = error
                    tasks.cancel_scope.cancel()
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
        self.board.put(jobs)
        left = [event for job in jobs if (event := found_at_start(job, now)) is not None]
        await self._record(left)

    async def _loop(self, tasks: TaskGroup) -> RunEnd:
        while True:
            self._mail = anyio.Event()
            await self._record(self._empty_mailbox())
            await self._record(await conclude(self.board, self._ports))
            now = self._ports.clock.now()
            decided = plan(self.board, now)
            self._teller.tell(self.board.gates)
            if decided.verdict is not Verdict.GO_ON:
                return RunEnd(decided.verdict, decided.gate)
            if decided.draw:
                await self._draw(decided.draw)
                continue
            await self._start(decided.effects, now, tasks)
            await self._wait(decided, now)

    async def _draw(self, count: int) -> None:
        board = self.board
        if board.quota is not None:
            count = min(count, board.quota)
            board.quota -= count
        jobs = await self._ports.state.draw(board.drawn_key, count)
        board.stock_ended = len(jobs) < count or board.quota == 0
        if jobs:
            board.drawn_key = jobs[-1].key
        for job in jobs:
            if job.model in board.gates.closed_models:
                board.hold_back(job)
            else:
                board.put([job])

    async def _start(self, effects: Sequence[Effect], now: float, tasks: TaskGroup) -> None:
        """Put intents and slots on disk, then let the effects go."""
        if not effects or await self._is_disk_short(effects, now):
            return
        board = self.board
        intents = [
            Event(EventKind.INTENDED, effect.job.key, now)
            for effect in effects
            if effect.kind is EffectKind.SUBMIT and effect.job is not None
        ]
        counted = sum(effect.counts for effect in effects)
        notes = {} if board.rate.covers(counted) else {"rate": board.rate.allow(counted, now)}
        if intents or notes:
            await self._record(intents, notes)
        for effect in effects:
            self._launch(effect, tasks)

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

    def _launch(self, effect: Effect, tasks: TaskGroup) -> None:
        board = self.board
        if effect.kind is EffectKind.READ_HISTORY:
            effect = replace(effect, read=begin_page(board, self._ports.clock.now()))
        elif effect.job is None:
            board.probing = True
        else:
            key = effect.job.key
            board.busy.add(key)
            candidate = board.candidates.get(key, "")
            effect = replace(effect, job=board.jobs[key], request_id=candidate)
        if effect.counts:
            board.rate.start()
        tasks.start_soon(self._carry_out, effect, name=str(effect.kind))

    async def _carry_out(self, effect: Effect) -> None:
        """One effect as a task. A POST is shielded: whoever cancels the run, its answer is kept."""
        is_post = effect.kind is EffectKind.SUBMIT
        scopes = self._post_scopes if is_post else self._gets
        landed = Landed(effect)
        with anyio.CancelScope(shield=is_post) as scope:
            scopes.add(scope)
            try:
                landed = await self._effects.carry_out(effect)
            finally:
                scopes.discard(scope)
                if effect.counts:
                    self.board.rate.answered(self._ports.clock.now())
                self._mailbox.append(landed)
                self._mail.set()

    async def _wait(self, decided: Plan, now: float) -> None:
        if self._mailbox or self._mail.is_set():
            return
        board = self.board
        if decided.wake_at is None and not (board.busy or board.probing or board.reading):
            raise InternalError(f"nothing to wait for: {self.board!r}")
        pause_s = LONGEST_SLEEP_S
        if decided.wake_at is not None:
            pause_s = min(pause_s, max(0.0, decided.wake_at - now))
        with anyio.move_on_after(pause_s):
            await self._mail.wait()

    def _empty_mailbox(self) -> list[Event]:
        landed, self._mailbox = self._mailbox, []
        self.board.skew_s = self._effects.skew_s
        events: list[Event] = []
        for item in landed:
            self._observe_fault(item)
            if item.effect.kind is EffectKind.READ_HISTORY:
                take_in_page(self.board, item)
                continue
            if item.effect.job is None:
                self._take_in_probe(item)
                continue
            self.board.busy.discard(item.effect.job.key)
            if item.foreign:
                reject_candidate(self.board, item.effect.job.key)
            if item.event is not None:
                events.append(item.event)
        return events

    def _take_in_probe(self, landed: Landed) -> None:
        gates, now = self.board.gates, self._ports.clock.now()
        self.board.probing = False
        if landed.event is not None:
            gates.probed(landed.event)
        elif landed.effect.kind is EffectKind.CHECK_DISK:
            if landed.fault is None:
                gates.open(GateKind.DISK)
            else:
                gates.put_off(GateKind.DISK, now + DISK_CHECK_S)

    def _observe_fault(self, landed: Landed) -> None:
        if landed.fault is None or landed.effect.job is None:
            return
        if landed.fault is SaveFault.TOO_MANY_FILES:
            fewer = max(1, self.board.limits.save_concurrency // 2)
            self.board.limits = replace(self.board.limits, save_concurrency=fewer)
        gate = gate_of(landed.fault)
        if gate is not None:
            self.board.gates.close(gate, landed.detail, self._ports.clock.now())

    async def _record(self, events: Sequence[Event], notes: dict[str, str] | None = None) -> None:
        """Events become changes, changes become durable, and then the board sees them."""
        if not events and not notes:
            return
        while True:
            changes = self._changes(events)
            try:
                # Shielded: these events have left the mailbox, a cancellation must not lose them.
                with anyio.CancelScope(shield=True):
                    await self._ports.state.record(changes, notes)
                break
            except DuplicateRequestIdError as error:
                self.board.candidates.pop(error.job_key, None)
                events = [_doubted(event, error) for event in events]
        for change in changes:
            self.board.take_in(change)
        if changes:
            self._ports.progress.changed(changes)

    def _changes(self, events: Sequence[Event]) -> list[Change]:
        changes: list[Change] = []
        latest: dict[int, Job] = {}
        for event in events:
            job = latest.get(event.job_key) or self.board.jobs[event.job_key]
            change = apply(job, self.board.digest(event))
            changes.append(change)
            latest[event.job_key] = change.after
        return changes

    async def _land(self, *, failed: bool) -> None:
        """Last words: what POSTs brought home during a cancellation, and the exact rate log.

        After a failure they are tried as well, but must not hide it.
        """
        try:
            await self._record(self._empty_mailbox())
            now = self._ports.clock.now()
            await self._ports.state.record((), {"rate": self.board.rate.snapshot(now)})
        except BatchgenError:
            if not failed:
                raise


def _doubted(event: Event, error: DuplicateRequestIdError) -> Event:
    """An id that another attempt already has is none: what became of the POST stays unclear."""
    if event.job_key != error.job_key:
        return event
    bare = replace(event, request_id="", outputs=(), reason=str(error))
    if event.call is CallKind.HISTORY:
        return replace(bare, kind=EventKind.HELD, retry_at=event.at + 1.0)
    return replace(bare, kind=EventKind.UNCLEAR, doubt=Doubt.ACCEPTED)
