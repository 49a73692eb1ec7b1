"""What `run.log` tells, by stable names; `docs/log.md` shows all of it, made from here.

An event of a job is called `job_` and its kind; `FIELDS` are its fields. All others are `LogEvent`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from batchgen.core.jobs.events import EventKind

JOB_PREFIX = "job_"

UNLOGGED = frozenset({EventKind.RUNNING, EventKind.FINISHED})
"""Polls are not logged: those that found nothing new are most of what happens, and the result of
the others follows at once."""

BETWEEN_RUNS = frozenset({EventKind.RETRIED, EventKind.REOPENED})
"""What users decide while nothing runs stands in the state only."""


class LogEvent(StrEnum):
    """What is told beside the events of jobs."""

    RUN_STARTED = "run_started"
    """A process began to work on the run."""
    RUN_ENDED = "run_ended"
    """It ended by itself or was stopped; one that died leaves no such line."""
    GATE_CLOSED = "gate_closed"
    """A reason outside the jobs holds them back from now on."""
    GATE_OPENED = "gate_opened"
    """That reason is gone."""
    MODEL_REFUSED = "model_refused"
    """A job of this model was refused; whose fault that is, one more job shows later."""
    MODEL_CLOSED = "model_closed"
    """Jobs of this model are refused and not submitted: they are on hold."""
    MODEL_OPENED = "model_opened"
    """A model that took no jobs takes them again."""
    JOBS_HELD = "jobs_held"
    """At the end: jobs of this model are on hold, why, and what to do."""
    LIMITED = "limited"
    """The service refuses further requests until an instant."""
    FOUND_OUT = "found_out"
    """How the service turned out to count and to answer, once for each thing."""
    CREDITS = "credits"
    """What the account holds, held against what the jobs that wait are reckoned at."""
    BUDGET_WARNING = "budget_warning"
    """80 % of `max_spend` are spent or reserved."""
    UPLOADED = "uploaded"
    """A local file stands at the service."""
    UNVERIFIED = "unverified"
    """A file is kept although its bytes do not say what it is, or that it is whole."""


FIELDS: Mapping[LogEvent, tuple[str, ...]] = {
    LogEvent.RUN_STARTED: ("jobs",),
    LogEvent.RUN_ENDED: ("text", "verdict"),
    LogEvent.GATE_CLOSED: ("text", "gate"),
    LogEvent.GATE_OPENED: ("gate",),
    LogEvent.MODEL_REFUSED: ("text", "model"),
    LogEvent.MODEL_CLOSED: ("text", "model"),
    LogEvent.MODEL_OPENED: ("text", "model"),
    LogEvent.JOBS_HELD: ("text", "model", "jobs"),
    LogEvent.LIMITED: ("text", "until", "requests_per_minute"),
    LogEvent.FOUND_OUT: ("text", "what", "value"),
    LogEvent.CREDITS: ("text", "credits_usd", "pending_usd"),
    LogEvent.BUDGET_WARNING: ("text", "committed_usd"),
    LogEvent.UPLOADED: ("path", "bytes", "sha256", "url"),
    LogEvent.UNVERIFIED: ("text", "file", "bytes", "sha256"),
}
"""The fields of each, besides `at` and `event`; `text` only where there is something to say."""

JOB_FIELDS: Mapping[str, str] = {
    "id": "the job",
    "model": "its model",
    "state": "where it stands after the event",
    "attempt": "the number of its POST, from 1; not before the first",
    "request_id": "the service's name for it, once there is one",
    "reason": "why, where there is a reason",
    "cost_usd": "what the service says it cost, once it does",
    "files": "names of the finished files below `outputs/`, with `job_saved`",
}
"""The fields of every event of a job, besides `at` and `event`."""


def logged_kinds() -> list[EventKind]:
    """The events of jobs that are told."""
    return [kind for kind in EventKind if kind not in UNLOGGED | BETWEEN_RUNS]


def log_name(kind: EventKind) -> str:
    """How an event of a job is called in the log."""
    return f"{JOB_PREFIX}{kind.value}".replace(" ", "_")
