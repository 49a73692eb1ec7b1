"""What the scheduler takes from ended effects, and then from the changes that were recorded of
them, beside the jobs' own states: gates, limits, times, prices, how far the history is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from batchgen.core.jobs.events import Change, Event, EventKind
from batchgen.core.jobs.job import JobState
from batchgen.core.jobs.outcomes import CallKind, Signal
from batchgen.core.jobs.placeholders import Uploaded
from batchgen.core.jobs.spec import door_of
from batchgen.core.scheduling.effects import (
    DiskOutcome,
    EffectKind,
    JobOutcome,
    Outcome,
    PageOutcome,
    ProbeOutcome,
    StorageTrouble,
    UploadOutcome,
)
from batchgen.core.scheduling.gates.gates import DISK_CHECK_S, GateKind
from batchgen.core.scheduling.policy import are_media

if TYPE_CHECKING:
    from batchgen.core.scheduling.state import SchedulerState

ACKED = frozenset({EventKind.ACKED, EventKind.ADOPTED, EventKind.RUNNING, EventKind.REOPENED})
"""Events after which a request is known to be accepted and not known to be done."""
_WITH_ID = frozenset({EventKind.ACKED, EventKind.ANSWERED, EventKind.ADOPTED})
_TELLING = frozenset({EventKind.RESULT, EventKind.ANSWERED})
_SHOWN = frozenset(
    {EventKind.RECOVERED, EventKind.ADOPTED, EventKind.FAILED, EventKind.TRIED_AGAIN}
)
_UNKNOWN_THERE = frozenset({Signal.NOT_FOUND, Signal.RETIRED})


def digested(
    scheduler: SchedulerState, outcomes: Iterable[Outcome], now: float
) -> tuple[list[Event], list[Uploaded]]:
    """Effects ended. Takes in what needs no record; returns what is to be recorded first."""
    events: list[Event] = []
    uploaded: list[Uploaded] = []
    for outcome in outcomes:
        match outcome:
            case JobOutcome():
                _job_ended(scheduler, outcome, now)
                events += [outcome.event] if outcome.event is not None else []
            case UploadOutcome():
                # A job may wait for several contents that cannot be had: it ends once.
                ended = {event.job_key for event in events}
                failed = _upload_ended(scheduler, outcome, now)
                events += [event for event in failed if event.job_key not in ended]
                if outcome.url:
                    done = Uploaded(outcome.content, outcome.url, now, outcome.path)
                    uploaded.append(done)
            case PageOutcome():
                _page_ended(scheduler, outcome)
            case ProbeOutcome():
                _probe_ended(scheduler, outcome, now)
            case DiskOutcome():
                _disk_seen(scheduler, outcome, now)
    return events, uploaded


def _job_ended(scheduler: SchedulerState, outcome: JobOutcome, now: float) -> None:
    scheduler.queues.release(outcome.job_key)
    scheduler.calls_out.pop(outcome.job_key, None)
    scheduler.hosts.end(outcome.job_key)
    if outcome.file is not None:
        scheduler.hosts.failed(outcome.file.host, outcome.job_key, outcome.file.reason, now)
        scheduler.sync_files(now)
    if outcome.denied:
        doubted_s = now - scheduler.jobs[outcome.job_key].unclear_at
        scheduler.lookups.deny(outcome.job_key, doubted_s)
    if outcome.storage is not None:
        _storage_failed(scheduler, outcome.storage, now)


def _storage_failed(scheduler: SchedulerState, trouble: StorageTrouble, now: float) -> None:
    if trouble.too_many_files:
        fewer = max(1, scheduler.limits.save_concurrency // 2)
        scheduler.limits = replace(scheduler.limits, save_concurrency=fewer)
    if trouble.gate is not None:
        scheduler.gates.close(trouble.gate, trouble.detail, now)


def _upload_ended(scheduler: SchedulerState, outcome: UploadOutcome, now: float) -> list[Event]:
    """The ends of the jobs that need a content which cannot be had, or is refused."""
    content, reason = outcome.content, outcome.lost
    scheduler.uploads.release(content)
    if outcome.response is not None:
        scheduler.gates.observe(outcome.response)
        if not outcome.url:
            failed = scheduler.uploads.failed(content, outcome.response)
            reason = f"{outcome.path} is not uploaded: {failed}" if failed else ""
    if not reason:
        return []
    scheduler.uploads.forget(content)
    keys = scheduler.waiting_for(content)
    return [Event(EventKind.NO_INPUT, key, now, reason=reason) for key in keys]


def _page_ended(scheduler: SchedulerState, outcome: PageOutcome) -> None:
    response = outcome.response
    if response is None:
        scheduler.lookups.page_cut_off()
        return
    scheduler.gates.observe(response)
    if outcome.rows is not None:
        scheduler.lookups.page_read(outcome.rows)
    else:
        gone = response.signal is Signal.NOT_FOUND
        scheduler.lookups.page_failed(outcome.reason, not_found=gone)


def _probe_ended(scheduler: SchedulerState, outcome: ProbeOutcome, now: float) -> None:
    scheduler.probing = False
    scheduler.gates.probed_at = now
    if outcome.kind is EffectKind.CREDITS:
        scheduler.wants_credits = outcome.response is None
    scheduler.gates.wants_probe = False
    if outcome.response is not None:
        scheduler.gates.observe(outcome.response)


def _disk_seen(scheduler: SchedulerState, outcome: DiskOutcome, now: float) -> None:
    scheduler.probing = False
    if outcome.has_space:
        scheduler.gates.open(GateKind.DISK)
    elif outcome.has_space is not None:
        scheduler.gates.put_off(GateKind.DISK, now + DISK_CHECK_S)


def learn(scheduler: SchedulerState, change: Change) -> None:
    """Learn what a recorded change tells of the other jobs: of times, prices and the history."""
    _learn_history(scheduler, change)
    _learn_answer(scheduler, change)


def _learn_answer(scheduler: SchedulerState, change: Change) -> None:
    event, job = change.event, change.after
    if event.kind in _WITH_ID and job.request_id:
        scheduler.lookups.observe_ack(job.sent_at, job.request_id, door_of(job.model))
    if event.kind is EventKind.RUNNING:
        scheduler.asked_at[job.key] = event.at
    elif event.kind in ACKED:
        scheduler.asked_at[job.key] = job.sent_at
        if event.kind is EventKind.ACKED:
            scheduler.polls.accepted(job, event.at)
    answer = change.answer
    if event.kind in _TELLING and answer is not None and are_media(answer.outputs):
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
