"""What a recorded change teaches about the service: times, prices, and how far its history is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchgen.core.jobs.events import Change, EventKind
from batchgen.core.jobs.job import JobState
from batchgen.core.jobs.outcomes import CallKind, Signal
from batchgen.core.scheduling.policy import has_media

if TYPE_CHECKING:
    from batchgen.core.scheduling.state import SchedulerState

ACKED = frozenset({EventKind.ACKED, EventKind.ADOPTED, EventKind.RUNNING, EventKind.REOPENED})
"""Events after which a request is known to be accepted and not known to be done."""
_WITH_ID = frozenset({EventKind.ACKED, EventKind.ANSWERED, EventKind.ADOPTED})
_TELLING = frozenset({EventKind.RESULT, EventKind.ANSWERED})
_SHOWN = frozenset({EventKind.RECOVERED, EventKind.ADOPTED, EventKind.FAILED})
_UNKNOWN_THERE = frozenset({Signal.NOT_FOUND, Signal.RETIRED})


def learn(scheduler: SchedulerState, change: Change) -> None:
    """Learn what a recorded change tells of the other jobs: of times, prices and the history."""
    _learn_history(scheduler, change)
    _learn_answer(scheduler, change)


def _learn_answer(scheduler: SchedulerState, change: Change) -> None:
    event, job = change.event, change.after
    if event.kind in _WITH_ID and job.request_id:
        scheduler.lookups.observe_ack(job.sent_at, job.request_id)
    if event.kind is EventKind.RUNNING:
        scheduler.asked_at[job.key] = event.at
    elif event.kind in ACKED:
        scheduler.asked_at[job.key] = job.sent_at
        if event.kind is EventKind.ACKED:
            scheduler.polls.accepted(job, event.at)
    answer = change.answer
    if event.kind in _TELLING and answer is not None and has_media(answer.outputs):
        scheduler.media_models.add(job.model)
    if event.kind in _TELLING and answer is not None and answer.receipt is not None:
        receipt = answer.receipt
        if receipt.cost_usd is not None:
            scheduler.money.learn(change.after.model, receipt.cost_usd)
        seen_s = receipt.inference_s if receipt.total_s is None else receipt.total_s
        if seen_s is not None:
            # Longer than it was away it cannot have taken: a latency in other units.
            away_s = change.event.at - change.after.sent_at
            scheduler.latencies.learn(change.after.model, min(seen_s, away_s))


def _learn_history(scheduler: SchedulerState, change: Change) -> None:
    """A request of ours that the history shows by its id: it has caught up with that one. For
    one that it does not know after its hour, a later one is wanted that it shows."""
    event, job = change.event, change.before
    response = event.response
    if response is None or response.call is not CallKind.HISTORY:
        return
    if response.signal is Signal.OK and event.kind in _SHOWN:
        scheduler.lookups.show(job.sent_at)
    is_over = event.at - job.sent_at >= scheduler.capabilities.retention_s
    is_missing = event.kind is EventKind.TROUBLE and response.signal in _UNKNOWN_THERE
    if is_over and is_missing and job.state is JobState.RECOVERING:
        scheduler.lookups.wants_control.add(job.key)
