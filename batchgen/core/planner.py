"""The planner: which effects to start now, and when to look again.

A plain function of the board and the instant. It never awaits, never reads a clock and changes
nothing. The order in which it spends a tight request budget:

1. results: a finished request is paid for; its window is running out
2. polls that are due, nearest end of their window first
3. lookups in the history: paid results whose record is gone, submits whose answer was lost
4. submits; they come before lookups while the history does not answer

Downloads need no budget; the CDN is not the API.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter

from batchgen.core.board import Board, RateScope
from batchgen.core.gates import Gate, GateKind
from batchgen.core.history import HistoryRead
from batchgen.core.job import Job, JobState
from batchgen.core.reconcile import needs_lookup


class EffectKind(StrEnum):
    """What the shell can be asked to do. Every effect ends in exactly one event."""

    SUBMIT = "submit"
    POLL = "poll"
    FETCH = "fetch"
    SAVE = "save"
    RECOVER = "recover"
    READ_HISTORY = "read history"
    """The next page of the account's history, for every ambiguous job at once."""
    CONFIRM = "confirm"
    """Ask whether a row of the history is ours."""
    PROBE = "probe"
    """A free GET while the key or the service is in doubt."""
    CHECK_DISK = "check disk"
    """A look at the free space while it is short."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One action. `counts` says that it takes a slot of the rate window.

    `job` is None for probes and reads of the history. The shell fills in what the effect is about
    when it starts: `read` for a page of the history, `request_id` for a confirmation.
    """

    kind: EffectKind
    job: Job | None = None
    counts: bool = True
    read: HistoryRead | None = None
    request_id: str = ""


class Verdict(StrEnum):
    """Whether there is anything left to wait for."""

    GO_ON = "go on"
    COMPLETE = "complete"
    """No job is left that this run could do anything about."""
    STOP = "stop"
    """A gate or a limit ends the run before its jobs; it can be resumed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now. `wake_at` is None when only an event can change anything.

    `draw` asks for so many pending jobs from the state. `gate` names what a STOP is due to.
    """

    effects: tuple[Effect, ...] = ()
    wake_at: float | None = None
    draw: int = 0
    verdict: Verdict = Verdict.GO_ON
    gate: Gate | None = None


def plan(board: Board, now: float) -> Plan:
    """Decide. See the module for the order; see `Plan` for the answer."""
    return _Pass(board, now).decide()


class _Pass:
    """One deciding pass: the board is read once, the slots and places left are counted down."""

    def __init__(self, board: Board, now: float) -> None:
        self.board = board
        self.now = now
        self.slots = board.rate.free(now)
        self.effects: list[Effect] = []
        self.wakes: list[float] = []
        self.wants_slot = False
        by_state: dict[JobState, list[Job]] = {state: [] for state in JobState}
        self.in_flight = 0
        self.active = 0
        for job in board.jobs.values():
            if job.state is JobState.PENDING and job.model in board.gates.closed_models:
                continue  # drawn before its model was closed
            self.in_flight += board.is_in_flight(job)
            self.active += job.state is not JobState.PENDING
            if job.key not in board.busy:
                by_state[job.state].append(job)
        self.by_state = by_state

    def decide(self) -> Plan:
        if GateKind.STOP not in self.board.gates.closed:
            self._effects()
        verdict, gate = self._verdict()
        if verdict is not Verdict.GO_ON:
            return Plan(verdict=verdict, gate=gate)
        return Plan(tuple(self.effects), self._wake_at(), self._draw())

    def _effects(self) -> None:
        self._saves()
        if not self.board.gates.holds_calls():
            self._fetches()
            self._polls()
            if GateKind.HISTORY not in self.board.gates.closed:
                self._lookups()
            self._submits()
            if GateKind.HISTORY in self.board.gates.closed:
                self._lookups()  # they bring nothing, and would take every slot
        self._probe()
        self._check_disk()

    def _due(self, jobs: list[Job]) -> Iterator[Job]:
        """Jobs whose instant has come; the others are remembered for the next look."""
        for job in jobs:
            if job.due_at <= self.now:
                yield job
            else:
                self.wakes.append(job.due_at)

    def _start(self, kind: EffectKind, job: Job | None) -> bool:
        """Start an effect that takes a slot, if there is one."""
        counts = kind is EffectKind.SUBMIT or self.board.limits.rate_scope is RateScope.ALL
        if counts:
            if self.slots <= 0:
                self.wants_slot = True
                return False
            self.slots -= 1
        self.effects.append(Effect(kind, job, counts))
        return True

    def _saves(self) -> None:
        if self.board.gates.holds_saves():
            return
        under_way = sum(
            1
            for key in self.board.busy
            if self.board.jobs[key].state is JobState.FETCHING and self.board.jobs[key].outputs
        )
        places = self.board.limits.save_concurrency - under_way
        ready = (job for job in self.by_state[JobState.FETCHING] if job.outputs)
        for job in self._due(list(ready)):
            if places <= 0:
                return
            places -= 1
            self.effects.append(Effect(EffectKind.SAVE, job, counts=False))

    def _fetches(self) -> None:
        if self.board.gates.holds_saves():
            return
        waiting = [job for job in self.by_state[JobState.FETCHING] if not job.outputs]
        for job in sorted(self._due(waiting), key=_deadline):
            self._start(EffectKind.FETCH, job)

    def _polls(self) -> None:
        for job in sorted(self._due(self.by_state[JobState.SUBMITTED]), key=_deadline):
            self._start(EffectKind.POLL, job)

    def _lookups(self) -> None:
        """Candidates are confirmed; a due job starts a read, which then serves all of them."""
        board, by_list = self.board, []
        for job in self._due(self.by_state[JobState.RECOVERING]):
            self._start(EffectKind.RECOVER, job)
        for job in self.by_state[JobState.AMBIGUOUS]:
            if job.key in board.candidates:
                for due in self._due([job]):
                    self._start(EffectKind.CONFIRM, due)
            elif needs_lookup(job):
                for due in self._due([job]):
                    self._start(EffectKind.RECOVER, due)
            else:
                by_list.append(job)
        if board.reading:
            return
        if board.history is not None or any([*self._due(by_list)]):
            self._start(EffectKind.READ_HISTORY, None)

    def _submits(self) -> None:
        if self.board.gates.holds_submits():
            return
        places = self.board.limits.concurrency - self.in_flight
        beside_usd = 0.0
        for job in sorted(self._due(self.by_state[JobState.PENDING]), key=lambda job: job.key):
            if places <= 0 or not self.board.money.affords(job.price_usd, beside_usd):
                return
            if not self._start(EffectKind.SUBMIT, job):
                return
            places -= 1
            beside_usd += job.price_usd or 0.0

    def _probe(self) -> None:
        at = self.board.gates.probe_at()
        if at is None or self.board.probing or self.board.gates.lost_patience(self.now):
            return
        if at > self.now:
            self.wakes.append(at)
        else:
            self._start(EffectKind.PROBE, None)

    def _check_disk(self) -> None:
        gate = self.board.gates.closed.get(GateKind.DISK)
        if gate is None or self.board.probing or self.board.gates.lost_patience(self.now):
            return
        if gate.probe_at > self.now:
            self.wakes.append(gate.probe_at)
        elif not any(effect.kind is EffectKind.PROBE for effect in self.effects):
            self.effects.append(Effect(EffectKind.CHECK_DISK, counts=False))

    def _draw(self) -> int:
        """Keep a stock of pending jobs of twice the concurrency, drawn when half is gone."""
        board = self.board
        if board.stock_ended or board.gates.holds_submits():
            return 0
        stock = len(self.by_state[JobState.PENDING])
        wanted = 2 * board.limits.concurrency
        return wanted - stock if stock <= wanted // 2 else 0

    def _wake_at(self) -> float | None:
        if self.wants_slot:
            taken = self.board.rate.free(self.now) - self.slots
            free_at = self.board.rate.next_free_at(self.now, taken)
            if free_at is not None:
                self.wakes.append(free_at)
        return min((at for at in self.wakes if at > self.now), default=None)

    def _verdict(self) -> tuple[Verdict, Gate | None]:
        """Stop only when nothing is under way: what runs here is brought to its event first."""
        board = self.board
        if board.busy or board.probing or board.reading:
            return Verdict.GO_ON, None
        if GateKind.STOP in board.gates.closed:
            return Verdict.STOP, board.gates.closed[GateKind.STOP]
        gate = board.gates.lost_patience(self.now)
        saving = any(effect.kind is EffectKind.SAVE for effect in self.effects)
        if gate is not None and not saving:
            return Verdict.STOP, gate
        if self._only_history_is_missing():
            return Verdict.STOP, board.gates.closed[GateKind.HISTORY]
        if self.active or self.effects:
            return Verdict.GO_ON, None
        pending = bool(self.by_state[JobState.PENDING]) or not board.stock_ended
        if not pending:
            return Verdict.COMPLETE, None
        if GateKind.CREDITS in board.gates.closed:
            return Verdict.STOP, board.gates.closed[GateKind.CREDITS]
        return self._out_of_money()

    def _only_history_is_missing(self) -> bool:
        """Whether all that is left needs a history that has not answered for long."""
        gate = self.board.gates.closed.get(GateKind.HISTORY)
        if gate is None or self.now - gate.since_at < self.board.gates.patience.history_s:
            return False
        waiting = (JobState.RECOVERING, JobState.AMBIGUOUS)
        left = sum(len(self.by_state[state]) for state in waiting)
        return left == self.active and not self._may_submit()

    def _may_submit(self) -> bool:
        """Whether the next pending job could go out without anything else happening first."""
        job, limits = self._next_pending(), self.board.limits
        held = self.board.gates.holds_submits() or self.in_flight >= limits.concurrency
        return job is not None and not held and self.board.money.affords(job.price_usd)

    def _next_pending(self) -> Job | None:
        return min(self.by_state[JobState.PENDING], key=lambda job: job.key, default=None)

    def _out_of_money(self) -> tuple[Verdict, Gate | None]:
        """Nothing runs and the next job is not affordable: no event will ever change that."""
        money, job = self.board.money, self._next_pending()
        if money.cap_usd is None or job is None or money.affords(job.price_usd):
            return Verdict.GO_ON, None
        reason = (
            f"max_spend {money.cap_usd:.2f} USD is reached: "
            f"{money.committed_usd:.2f} USD spent or reserved"
        )
        return Verdict.STOP, Gate(GateKind.CREDITS, reason, self.now, self.now)


_deadline = attrgetter("sent_at")
"""Windows are of one length: the earliest submitted request expires first."""
