"""Whether a run is over: complete, or stopped by a gate or a limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.jobs.job import Job, JobState
from batchgen.core.jobs.outcomes import CallKind
from batchgen.core.scheduling.effects import Effect, EffectKind
from batchgen.core.scheduling.gates.gates import Gate, GateKind
from batchgen.core.scheduling.queues import QueueKind
from batchgen.core.scheduling.state import SchedulerState


class Verdict(StrEnum):
    """Whether there is anything left to wait for."""

    GO_ON = "go on"
    COMPLETE = "complete"
    """No job is left that this run could do anything about."""
    STOP = "stop"
    """A gate or a limit ends the run before its jobs; it can be resumed."""


_ENDING_GATES = (GateKind.CREDITS, GateKind.SPEND_CAP, GateKind.TIME, GateKind.HALT)
"""Gates that let what is under way come home, and end the run when nothing is."""


def ending(
    scheduler: SchedulerState, effects: Sequence[Effect], now: float
) -> tuple[Verdict, Gate | None]:
    """The verdict, beside the effects just decided on, and the gate a STOP is due to.

    Stops only when nothing is under way: what runs here is brought to its event first.
    """
    if scheduler.is_waiting:
        return Verdict.GO_ON, None
    closed = scheduler.gates.closed
    if GateKind.STOP in closed:
        return Verdict.STOP, closed[GateKind.STOP]
    if scheduler.gates.has_waited(now):
        return Verdict.STOP, closed[GateKind.OLDER]
    at_rest = not (_active(scheduler) or effects)
    if at_rest and scheduler.all_drawn and not _open_pending(scheduler):
        return Verdict.COMPLETE, None
    stopped_by = _impatient(scheduler, effects, now)
    if stopped_by is not None:
        return Verdict.STOP, stopped_by
    return _at_rest(scheduler, now) if at_rest else (Verdict.GO_ON, None)


def _impatient(scheduler: SchedulerState, effects: Sequence[Effect], now: float) -> Gate | None:
    """The gate that was closed for so long that what waits behind it waits for the next run."""
    gates = scheduler.gates
    saving = any(effect.kind is EffectKind.SAVE for effect in effects)
    for gate in gates.out_of_patience(now):
        if not saving and not _collects(scheduler, gate):
            return gate
    active = _active(scheduler)
    if _only_history_is_missing(scheduler, active, now):
        return gates.closed[GateKind.HISTORY]
    only_files = active == len(scheduler.queues[QueueKind.SAVE])
    return gates.without_files(now) if only_files else None


def _at_rest(scheduler: SchedulerState, now: float) -> tuple[Verdict, Gate | None]:
    """Nothing is under way, and jobs are left."""
    closed = scheduler.gates.closed
    for kind in _ENDING_GATES:
        if kind in closed and not _is_worth_a_try(scheduler, closed[kind], now):
            return Verdict.STOP, closed[kind]
    no_uploads = scheduler.gates.without_uploads(now)
    if no_uploads is not None and _next_pending(scheduler, now) is None:
        return Verdict.STOP, no_uploads
    return _out_of_money(scheduler, now)


def _active(scheduler: SchedulerState) -> int:
    """Jobs in memory that are not pending."""
    return len(scheduler.jobs) - scheduler.queues.counts[JobState.PENDING]


def _collects(scheduler: SchedulerState, gate: Gate) -> bool:
    """Whether what was paid for still comes home, although nothing can be submitted."""
    counts = scheduler.queues.counts
    waits = counts[JobState.SUBMITTED] + counts[JobState.FETCHING]
    comes = CallKind.RESULT not in scheduler.gates.outages.down
    return gate.kind is GateKind.OUTAGE and comes and bool(waits)


def _is_worth_a_try(scheduler: SchedulerState, gate: Gate, now: float) -> bool:
    """Credits may have been reserved for what ran: now that nothing does, one submit tells."""
    if gate.kind is not GateKind.CREDITS or gate.probed_idle:
        return False
    job, money = _next_pending(scheduler, now), scheduler.money
    return job is not None and money.affords(money.expected_usd(job))


def _open_pending(scheduler: SchedulerState) -> int:
    """Pending jobs whose model is not closed."""
    pending = scheduler.queues.pending
    return pending.total() - sum(pending[model] for model in scheduler.gates.closed_models)


def _only_history_is_missing(scheduler: SchedulerState, active: int, now: float) -> bool:
    """Whether all that is left needs a history that has not answered for long."""
    gate = scheduler.gates.closed.get(GateKind.HISTORY)
    if gate is None or now - gate.since_at < scheduler.gates.patience.history_s:
        return False
    left = len(scheduler.queues[QueueKind.RECOVER]) + len(scheduler.queues[QueueKind.LOOKUP])
    return left == active and not _may_submit(scheduler, now)


def _may_submit(scheduler: SchedulerState, now: float) -> bool:
    """Whether the next pending job could go out without anything else happening first."""
    job = _next_pending(scheduler, now)
    held = scheduler.gates.holds_submits() or scheduler.in_flight >= scheduler.limits.concurrency
    return (
        job is not None and not held and scheduler.money.affords(scheduler.money.expected_usd(job))
    )


def _next_pending(scheduler: SchedulerState, now: float) -> Job | None:
    """The first one, of those that wait for uploads only while these are worth waiting for."""
    closed = scheduler.gates.closed_models
    keys = scheduler.queues.idle(QueueKind.SUBMIT)
    if scheduler.gates.without_uploads(now) is None:
        keys += scheduler.queues.idle(QueueKind.UPLOAD)
    keys.sort()
    return next(
        (scheduler.jobs[key] for key in keys if scheduler.jobs[key].model not in closed), None
    )


def _out_of_money(scheduler: SchedulerState, now: float) -> tuple[Verdict, Gate | None]:
    """Nothing runs and the next job is not affordable: no event will ever change that."""
    money, job = scheduler.money, _next_pending(scheduler, now)
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
