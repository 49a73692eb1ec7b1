"""Whether a run is over: complete, or stopped by a gate or a limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.jobs.job import Job, JobState
from batchgen.core.scheduling.effects import Effect, EffectKind
from batchgen.core.scheduling.gates import Gate, GateKind
from batchgen.core.scheduling.queues import QueueKind
from batchgen.core.scheduling.state import SchedulerState


class Verdict(StrEnum):
    """Whether there is anything left to wait for."""

    GO_ON = "go on"
    COMPLETE = "complete"
    """No job is left that this run could do anything about."""
    STOP = "stop"
    """A gate or a limit ends the run before its jobs; it can be resumed."""


_ENDING_GATES = (GateKind.CREDITS, GateKind.SPEND_CAP, GateKind.TIME)
"""Gates that let what is under way come home, and end the run when nothing is."""


def ending(
    board: SchedulerState, effects: Sequence[Effect], now: float
) -> tuple[Verdict, Gate | None]:
    """The verdict, beside the effects just decided on, and the gate a STOP is due to.

    Stops only when nothing is under way: what runs here is brought to its event first.
    """
    if board.is_waiting:
        return Verdict.GO_ON, None
    closed = board.gates.closed
    if GateKind.STOP in closed:
        return Verdict.STOP, closed[GateKind.STOP]
    gate = board.gates.lost_patience(now)
    saving = any(effect.kind is EffectKind.SAVE for effect in effects)
    if gate is not None and not saving:
        return Verdict.STOP, gate
    active = len(board.jobs) - board.roster.counts[JobState.PENDING]
    if _only_history_is_missing(board, active, now):
        return Verdict.STOP, closed[GateKind.HISTORY]
    if active or effects:
        return Verdict.GO_ON, None
    if board.all_drawn and not _open_pending(board):
        return Verdict.COMPLETE, None
    for kind in _ENDING_GATES:
        if kind in closed:
            return Verdict.STOP, closed[kind]
    no_uploads = board.gates.without_uploads(now)
    if no_uploads is not None and _next_pending(board, now) is None:
        return Verdict.STOP, no_uploads
    return _out_of_money(board, now)


def _open_pending(board: SchedulerState) -> int:
    """Pending jobs whose model is not closed."""
    pending = board.roster.pending
    return pending.total() - sum(pending[model] for model in board.gates.closed_models)


def _only_history_is_missing(board: SchedulerState, active: int, now: float) -> bool:
    """Whether all that is left needs a history that has not answered for long."""
    gate = board.gates.closed.get(GateKind.HISTORY)
    if gate is None or now - gate.since_at < board.gates.patience.history_s:
        return False
    left = len(board.roster.queues[QueueKind.RECOVER]) + len(board.roster.queues[QueueKind.LOOKUP])
    return left == active and not _may_submit(board, now)


def _may_submit(board: SchedulerState, now: float) -> bool:
    """Whether the next pending job could go out without anything else happening first."""
    job = _next_pending(board, now)
    held = board.gates.holds_submits() or board.in_flight >= board.limits.concurrency
    return job is not None and not held and board.money.affords(board.money.expected_usd(job))


def _next_pending(board: SchedulerState, now: float) -> Job | None:
    """The first one, of those that wait for uploads only while these are worth waiting for."""
    closed = board.gates.closed_models
    keys = board.roster.idle(QueueKind.SUBMIT)
    if board.gates.without_uploads(now) is None:
        keys += board.roster.idle(QueueKind.UPLOAD)
    keys.sort()
    return next((board.jobs[key] for key in keys if board.jobs[key].model not in closed), None)


def _out_of_money(board: SchedulerState, now: float) -> tuple[Verdict, Gate | None]:
    """Nothing runs and the next job is not affordable: no event will ever change that."""
    money, job = board.money, _next_pending(board, now)
    if money.cap_usd is None or job is None or money.affords(money.expected_usd(job)):
        return Verdict.GO_ON, None
    reason = (
        f"max_spend {money.cap_usd:.2f} USD is reached: "
        f"{money.committed_usd:.2f} USD spent or reserved"
    )
    return Verdict.STOP, Gate(GateKind.SPEND_CAP, reason, now, now)


def exit_code(verdict: Verdict, gate: Gate | None, counts: Mapping[JobState, int]) -> ExitCode:
    """The exit code of a run that ended so, with jobs in these states.

    Signals are told apart by the shell, which knows which one came.
    """
    if verdict is Verdict.STOP:
        stopped_by_user = gate is not None and gate.kind is GateKind.STOP
        return ExitCode.INTERRUPTED if stopped_by_user else ExitCode.STOPPED
    unfinished = sum(count for state, count in counts.items() if state is not JobState.DONE)
    return ExitCode.UNFINISHED if unfinished else ExitCode.COMPLETED
