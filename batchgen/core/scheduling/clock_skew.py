"""Jobs that an earlier process dated by a clock that was put back since.

Their instants lie ahead. Waited for as they stand, a clock that was a day fast would cost a day.
"""

from __future__ import annotations

from dataclasses import replace

from batchgen.core.jobs.events import Event, EventKind
from batchgen.core.jobs.job import Job, JobState
from batchgen.core.reconciliation.history import SKEW_S
from batchgen.core.reconciliation.reconcile import needs_lookup

_DATED_IN_HISTORY = frozenset({JobState.SUBMITTING, JobState.AMBIGUOUS})


def redated(job: Job, now: float, retention_s: float) -> Job:
    """The job with nothing ahead of now but what it may wait for: at most the window of a
    request, `retention_s`.

    What was sent ahead of now is asked for at once, and counts as sent now; a doubt of then as one
    of now, so that it settles from here. The sending of an unclear POST stays as it was: it tells
    rows of the history apart.
    """
    latest_at = max(job.sent_at, job.unclear_at)
    if latest_at <= now and job.due_at <= now + retention_s:
        return job
    job = replace(job, due_at=min(job.due_at, now), unclear_at=min(job.unclear_at, now))
    if job.state in _DATED_IN_HISTORY:
        return job
    return replace(job, sent_at=min(job.sent_at, now))


def undatable(job: Job, now: float) -> Event | None:
    """Set an ambiguous job aside whose POST is dated ahead: no row of the history can be told to be
    it, and no absence be proved."""
    if job.sent_at <= now + SKEW_S or needs_lookup(job):
        return None
    reason = f"{job.reason}; the clock was put back since, so the history cannot tell"
    return Event(EventKind.SET_ASIDE, job.key, now, reason=reason)
