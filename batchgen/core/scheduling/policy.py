"""What the user's policies make of an event: about results that are gone and submits that are
proved absent; and of waiting for too long."""

from __future__ import annotations

from dataclasses import replace

from batchgen.core.jobs.events import Event, EventKind
from batchgen.core.jobs.job import Job, JobState
from batchgen.core.jobs.outcomes import Signal
from batchgen.core.jobs.policies import Limits, OnExpired, WhenAbsent

PATIENCE = 5
"""Fruitless tries in a row before a strange answer is believed. With the backoff about 30 s."""
STRAGGLER_S = 600.0
"""How long after its window a request may still be called running. A guess."""
HOPELESS_WINDOWS = 2
"""After so many windows a request that even the history calls unfinished is left to the user. A
guess."""
_LOOKED_UP = frozenset({JobState.RECOVERING, JobState.AMBIGUOUS})
_ANSWERED = frozenset({Signal.OK, Signal.UNPROCESSABLE})
"""A history that does not answer says nothing about a request, however old."""


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


def overdue(job: Job, event: Event, retention_s: float) -> Event:
    """An event as it stands, unless the job has been unfinished for too long to wait on.

    A request still called running after its window is asked of the history; one that is unfinished
    there as well is left to the user, with its id.
    """
    age_s = event.at - job.sent_at
    if event.kind is EventKind.RUNNING and age_s > retention_s + STRAGGLER_S:
        return replace(event, kind=EventKind.GONE, reason="still running after its hour")
    answered = event.response is not None and event.response.signal in _ANSWERED
    if (
        event.kind is EventKind.TROUBLE
        and answered
        and job.state in _LOOKED_UP
        and age_s > HOPELESS_WINDOWS * retention_s
    ):
        return replace(event, kind=EventKind.SET_ASIDE)
    return event
