"""What the user's policies make of an event: about results that are gone and submits that are
proved absent; and of waiting for too long.

Age alone decides that something is gone, never the number of tries: within the hour of a request
nothing is given up, and of what is finished nothing as long as its files may stand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from batchgen.core.jobs.backoff import backoff_at
from batchgen.core.jobs.capabilities import Capabilities
from batchgen.core.jobs.events import AnswerEvent, Event, EventKind, FailedEvent
from batchgen.core.jobs.job import AWAITING_RESULT, Doubt, Job, JobState, Output
from batchgen.core.jobs.outcomes import Signal
from batchgen.core.jobs.policies import Limits, OnExpired, WhenAbsent

PATIENCE = 5
"""Fruitless tries in a row before another source is asked as well. With the backoff about 30 s."""
REFUSALS = 2
"""So often a middleman must refuse a job, and let others pass, before it is the job's trouble."""
BUSY_TRIES, BUSY_S = 20, 3600.0
"""So often a job may be told to come later (421, 423, 425) while others pass: with the backoff that
takes more than an hour."""
FAILED_TROUBLE = 3
"""What failed waits as if so many tries had been fruitless besides: some 8 s, then 16 s. A guess:
the service was busy."""
STRAGGLER_S = 600.0
"""How long after its window a request may still be called running. A guess."""
HOPELESS_WINDOWS = 2
"""After so many windows a request that even the history calls unfinished is left to the user. A
guess."""
FETCH_S = 2 * 3600.0
"""How long after its submit the files of a job are tried for in one run, while those of other jobs
come. The next run tries again."""
LAST_TRIES_S = 5.0
"""Between tries in the last seconds of an hour."""
_LOOKED_UP = frozenset({JobState.RECOVERING, JobState.AMBIGUOUS})
_ANSWERED = frozenset({Signal.OK, Signal.UNPROCESSABLE})
"""A history that does not answer says nothing about a request, however old."""
_TEXT_TYPES = frozenset({"text/plain", "application/json"})


def by_policy(job: Job, event: Event, limits: Limits, retention_s: float) -> Event:
    """The event as the policies of the run want it."""
    is_over = event.at - job.sent_at >= retention_s and not job.outputs
    if event.kind is EventKind.GONE and limits.on_expired is OnExpired.FAIL and is_over:
        return replace(event, kind=EventKind.GIVEN_UP, reason=f"{event.reason}; on_expired: fail")
    if event.kind is EventKind.GIVEN_UP and job.state is JobState.RECOVERING:
        return _expired(job, event, limits)
    if event.kind is EventKind.ABSENT:
        return _absent(job, event, limits)
    if isinstance(event, FailedEvent) and event.may_pass:
        return _failed(job, event, limits)
    return event


def _failed(job: Job, event: Event, limits: Limits) -> Event:
    """What failed for a reason that may pass is submitted again, free of charge, within the bounds
    of what may be billed: whether it fails again nobody knows."""
    submits = job.billable + (job.state is JobState.SUBMITTING)
    if not job.listed or submits >= limits.max_attempts:
        reason = f"{event.reason}; failed {submits} times" if submits > 1 else event.reason
        return replace(event, reason=reason)
    retry_at = backoff_at(event.at, FAILED_TROUBLE + submits, job.key)
    return replace(event, kind=EventKind.TRIED_AGAIN, retry_at=retry_at)


def _expired(job: Job, event: Event, limits: Limits) -> Event:
    """A result that cannot be recovered is paid for again only if the policy allows."""
    pays_again = limits.on_expired is OnExpired.RECOVER
    if pays_again and job.billable < limits.max_attempts:
        return replace(event, kind=EventKind.AGAIN)
    return event


def _absent(job: Job, event: Event, limits: Limits) -> Event:
    """A submit proved absent goes out again, unless the policy or its own record forbids."""
    most = REFUSALS if job.doubt is Doubt.MIDDLEMAN else PATIENCE
    if job.trouble >= most:
        reason = f"{job.reason}; refused {job.trouble} times in a row"
        return replace(event, kind=EventKind.REFUSED, reason=reason)
    if limits.when_absent is WhenAbsent.HOLD:
        reason = f"{event.reason}; when_absent: hold leaves it to you"
        return replace(event, kind=EventKind.SET_ASIDE, reason=reason)
    return event


def overdue(job: Job, event: Event, retention_s: float, *, silent: bool = False) -> Event:
    """An event as it stands, unless the job has been unfinished for too long to wait on.

    A request that nothing final is told of after its window is asked of the history; one that is
    unfinished there as well is left to the user, with its id. `silent` says that the history
    answers nobody, which says nothing about a request.
    """
    age_s = event.at - job.sent_at
    is_late = age_s > retention_s + STRAGGLER_S
    if event.kind is EventKind.RUNNING and is_late:
        return replace(event, kind=EventKind.GONE, reason="still running after its hour")
    if event.kind not in {EventKind.TROUBLE, EventKind.HELD}:
        return event
    is_open = job.state is JobState.FETCHING and not job.outputs
    if is_late and (job.state is JobState.SUBMITTED or is_open):
        return replace(event, kind=EventKind.GONE, retry_at=0.0)
    answered = event.response is not None and event.response.signal in _ANSWERED
    if (
        job.state in _LOOKED_UP
        and event.kind is EventKind.TROUBLE
        and (answered or not silent)
        and age_s > HOPELESS_WINDOWS * retention_s
    ):
        return replace(event, kind=EventKind.SET_ASIDE)
    return event


def in_time(job: Job, now: float, retention_s: float) -> Job:
    """The job, waiting for its next try no longer than half of what is left of its hour: the
    backoff of an outage must not outlast a result that is there again before its end."""
    is_asked = job.trouble and (job.state in AWAITING_RESULT or job.state is JobState.FETCHING)
    left_s = job.sent_at + retention_s - now
    if not is_asked or job.outputs or left_s <= 0:
        return job
    return replace(job, due_at=min(job.due_at, now + max(LAST_TRIES_S, left_s / 2)))


def put_off(job: Job, event: Event, capabilities: Capabilities) -> Event:
    """A download that was fruitless (TROUBLE), whose address brings nothing any more (GIVEN_UP), or
    may not be used here (PUT_OFF): it goes on, is left to the next run, or is lost once the days of
    the file are over."""
    if event.kind is EventKind.PUT_OFF:
        return event
    age_s = event.at - job.sent_at
    if event.kind is EventKind.GIVEN_UP and age_s >= capabilities.file_retention_s:
        return event
    is_tired = job.trouble >= PATIENCE and job.recoveries > 0
    kind = EventKind.PUT_OFF if is_tired and age_s >= FETCH_S else EventKind.TROUBLE
    return replace(event, kind=kind)


def with_known_address(job: Job, event: Event) -> Event:
    """No source names another address of files whose old one is known: that one is tried again."""
    asked_all = job.trouble > 0 and event.kind is EventKind.TROUBLE
    if not asked_all and event.kind not in {EventKind.GIVEN_UP, EventKind.SET_ASIDE}:
        return event
    return AnswerEvent(
        EventKind.RECOVERED,
        job.key,
        event.at,
        event.reason,
        backoff_at(event.at, PATIENCE, job.key),
        event.response,
    )


def without_control(job: Job, event: Event, shown_at: float, capabilities: Capabilities) -> Event:
    """A record that is gone (GIVEN_UP): that the history does not know it counts only beside a
    later request of ours that it does show; `shown_at` is when the latest such left."""
    age_s = event.at - job.sent_at
    listed = event.response is not None and event.response.signal is Signal.OK
    if listed or shown_at > job.sent_at or not capabilities.has_history:
        return event
    if age_s >= capabilities.file_retention_s:
        return event
    if age_s <= HOPELESS_WINDOWS * capabilities.retention_s:
        return replace(event, kind=EventKind.TROUBLE)
    reason = f"{event.reason}; the history shows no later request of ours, so it proves nothing"
    return replace(event, kind=EventKind.SET_ASIDE, reason=reason)


def are_media(outputs: Iterable[Output]) -> bool:
    """Whether some outputs are files, and none of them a text that came inside an answer: what
    brings both may bring a text alone another time."""
    are_files = [bool(o.url) or o.media_type not in _TEXT_TYPES for o in outputs]
    return bool(are_files) and all(are_files)
