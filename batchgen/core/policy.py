"""What the user's policies make of an event: about results that are gone and submits that are
proved absent."""

from __future__ import annotations

from dataclasses import replace

from batchgen.core.event import Event, EventKind
from batchgen.core.job import Job, JobState
from batchgen.core.limits import Limits, OnExpired, WhenAbsent
from batchgen.core.treatment import PATIENCE


def by_policy(job: Job, event: Event, limits: Limits) -> Event:
    """The event as the policies of the run want it."""
    if event.kind is EventKind.GONE and limits.on_expired is OnExpired.FAIL:
        return replace(event, kind=EventKind.GIVEN_UP, reason=f"{event.reason}; on_expired: fail")
    if event.kind is EventKind.GIVEN_UP and job.state is JobState.RECOVERING:
        return _expired(job, event, limits)
    if event.kind is EventKind.ABSENT:
        return _absent(job, event, limits)
    return event


def _expired(job: Job, event: Event, limits: Limits) -> Event:
    """A result that cannot be recovered is paid for again only if the policy allows."""
    pays_again = limits.on_expired is OnExpired.RECOVER
    if pays_again and job.billable < limits.max_attempts:
        return replace(event, kind=EventKind.AGAIN)
    return event


def _absent(job: Job, event: Event, limits: Limits) -> Event:
    """A submit proved absent goes out again, unless the policy or its own record forbids."""
    if job.trouble >= PATIENCE:
        reason = f"{job.reason}; refused {job.trouble} times in a row"
        return replace(event, kind=EventKind.REFUSED, reason=reason)
    if limits.when_absent is WhenAbsent.HOLD:
        reason = f"{event.reason}; when_absent: hold leaves it to you"
        return replace(event, kind=EventKind.SET_ASIDE, reason=reason)
    return event
