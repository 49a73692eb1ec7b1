"""Pending jobs that are kept back while a submit is in doubt.

Only a later submit of ours that the history shows proves that an earlier one was not accepted. Were
the last pending jobs submitted at once, there would be none for the doubts about the last of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from batchgen.core.jobs.job import JobState
from batchgen.core.reconciliation.reconcile import needs_lookup
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.core.scheduling.queues import QueueKind
from batchgen.core.scheduling.state import SchedulerState

KEPT = 3
"""So many are kept: the first ones may fall into doubt themselves."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many submits may start now, and when to look again; None: when something happens."""

    count: float = math.inf
    wake_at: float | None = None


_ALL = Allowance()


def allowance(scheduler: SchedulerState, now: float, begun: int) -> Allowance:
    """How many more submits may start beside those `begun` in this pass.

    All but the last `KEPT`, unless submits are in doubt and no later one of ours has its id. Of the
    last, one at a time may start: when the latest doubt has settled and no other POST is under way.
    Runs that had no doubt are not held up.
    """
    doubts = scheduler.lookups.had_doubts or scheduler.queues.counts[JobState.AMBIGUOUS]
    if not doubts or GateKind.HISTORY in scheduler.gates.closed:
        return _ALL
    pending = scheduler.queues[QueueKind.SUBMIT]
    if not scheduler.all_drawn or len(pending) - begun > scheduler.limits.concurrency + KEPT:
        return _ALL
    models = (scheduler.jobs[key].model for key in scheduler.queues.idle(QueueKind.SUBMIT))
    left = sum(model not in scheduler.gates.closed_models for model in models) - begun
    beyond = max(0, left - KEPT)
    settled_at = _settled_at(scheduler)
    if settled_at > now:
        return Allowance(beyond, settled_at)
    is_posting = begun or scheduler.queues.counts[JobState.SUBMITTING]
    return Allowance(beyond if is_posting else max(1, beyond))


def _settled_at(scheduler: SchedulerState) -> float:
    """When the latest of the doubts settles that have no later submit of ours; 0: there is none."""
    acked = scheduler.lookups.acked
    last_at, settle_s = acked[-1][0] if acked else 0.0, scheduler.limits.settle_s
    unclear_at = [
        job.unclear_at
        for job in scheduler.doubts
        if job.may_be_absent and not needs_lookup(job) and job.unclear_at + settle_s > last_at
    ]
    return max(unclear_at) + settle_s if unclear_at else 0.0
