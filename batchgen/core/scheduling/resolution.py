"""What an event means beside everything else that is known: other jobs, gates, and policies."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from batchgen.core.jobs.events import Event, EventKind
from batchgen.core.jobs.job import Job, JobState
from batchgen.core.jobs.outcomes import TABLE, Signal, Treatment
from batchgen.core.scheduling.gates.file_hosts import hosts_of
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.core.scheduling.policy import (
    BUSY_S,
    BUSY_TRIES,
    by_policy,
    overdue,
    put_off,
    with_known_address,
    without_control,
)

if TYPE_CHECKING:
    from batchgen.core.scheduling.state import SchedulerState

_FRUITLESS = frozenset({EventKind.TROUBLE, EventKind.GIVEN_UP, EventKind.PUT_OFF})


def resolved(scheduler: SchedulerState, job: Job, event: Event) -> Event:
    """The event of a job as its age, the other jobs, and the policies want it. Changes nothing."""
    retention_s = scheduler.capabilities.retention_s
    silent = GateKind.HISTORY in scheduler.gates.closed
    event = overdue(job, event, retention_s, silent=silent)
    understood = scheduler.result_polls.understood(job, event)
    if understood is not event:
        return overdue(job, understood, retention_s, silent=silent)
    event = _by_sources(scheduler, job, event)
    event = _by_refusals(scheduler, job, event)
    return by_policy(job, event, scheduler.limits, retention_s)


def _by_refusals(scheduler: SchedulerState, job: Job, event: Event) -> Event:
    """A refused submit that is the job's own fault ends it: others pass, and it does not."""
    response, refusals = event.response, scheduler.gates.refusals
    if event.kind is not EventKind.NOT_ACCEPTED or response is None:
        return event
    if response.signal is Signal.NOT_NOW and job.trouble >= BUSY_TRIES:
        passes = refusals.passed_since(event.at - BUSY_S)
        return replace(event, kind=EventKind.REFUSED, retry_at=0.0) if passes else event
    if TABLE[response.signal][response.call] is not Treatment.SUSPECT:
        return event
    model = "" if response.signal is Signal.REFUSED_UNTOLD else job.model
    if not refusals.is_the_jobs(job.key, model):
        return replace(event, retry_at=refusals.job_due_at(event.at))
    reason = f"{event.reason}; refused again while other jobs pass"
    return replace(event, kind=EventKind.REFUSED, reason=reason, retry_at=0.0)


def _by_sources(scheduler: SchedulerState, job: Job, event: Event) -> Event:
    """What is paid for is given up only when every source says so, and its days are over."""
    capabilities = scheduler.capabilities
    if job.state is JobState.FETCHING and job.outputs and event.kind in _FRUITLESS:
        is_old = event.at - job.sent_at >= capabilities.file_retention_s
        if is_old or hosts_of(job).isdisjoint(scheduler.hosts.closed):
            return put_off(job, event, capabilities)
        return replace(event, kind=EventKind.TROUBLE)  # it waits for its host, as others do
    if job.state is not JobState.RECOVERING:
        return event
    if job.outputs:
        return with_known_address(job, event)
    if event.kind is not EventKind.GIVEN_UP:
        return event
    return without_control(job, event, scheduler.lookups.shown_at, capabilities)
