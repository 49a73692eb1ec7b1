"""The life of a job as one table, and the function that applies it.

Two rules stand over the table:

1. A job leaves PENDING for the service only by INTENDED, and SUBMITTING only by the outcome of that
   one POST: so no job is posted again before it is known what became of the last time.
2. Whatever is not in the table is a bug, told by job, state and event; nothing is ignored.

Gates (refused keys, empty accounts, outages, full disks) are no states: they hold effects back and
move nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from operator import attrgetter

from batchgen.core.jobs.backoff import FIRST_READS_S, backoff_at
from batchgen.core.jobs.events import AnswerEvent, Change, DoubtEvent, Event, EventKind, IntentEvent
from batchgen.core.jobs.job import AttemptState, Doubt, Job, JobState, Receipt
from batchgen.core.jobs.spec import Mode
from batchgen.errors import IllegalTransitionError

_S = JobState
_E = EventKind

TABLE: Mapping[JobState, Mapping[EventKind, JobState]] = {
    _S.PENDING: {_E.INTENDED: _S.SUBMITTING, _E.NO_INPUT: _S.FAILED},
    _S.SUBMITTING: {
        _E.ACKED: _S.SUBMITTED,
        _E.ANSWERED: _S.FETCHING,
        _E.NOT_ACCEPTED: _S.PENDING,
        _E.REFUSED: _S.FAILED,
        _E.UNCLEAR: _S.AMBIGUOUS,
        _E.FAILED: _S.FAILED,
        _E.TRIED_AGAIN: _S.PENDING,
        _E.REJECTED: _S.REJECTED,
    },
    _S.AMBIGUOUS: {
        _E.ADOPTED: _S.SUBMITTED,
        _E.REFUSED: _S.FAILED,
        _E.RECOVERED: _S.FETCHING,
        _E.ABSENT: _S.PENDING,
        _E.FAILED: _S.FAILED,
        _E.TROUBLE: _S.AMBIGUOUS,
        _E.HELD: _S.AMBIGUOUS,
        _E.SET_ASIDE: _S.UNKNOWN,
    },
    _S.SUBMITTED: {
        _E.RUNNING: _S.SUBMITTED,
        _E.FINISHED: _S.FETCHING,
        _E.RESULT: _S.FETCHING,
        _E.FAILED: _S.FAILED,
        _E.TRIED_AGAIN: _S.PENDING,
        _E.TROUBLE: _S.SUBMITTED,
        _E.HELD: _S.SUBMITTED,
        _E.GONE: _S.RECOVERING,
        _E.GIVEN_UP: _S.LOST,
        _E.SET_ASIDE: _S.UNKNOWN,
        _E.REJECTED: _S.REJECTED,
    },
    _S.FETCHING: {
        _E.RESULT: _S.FETCHING,
        _E.SAVED: _S.DONE,
        _E.RUNNING: _S.SUBMITTED,
        _E.FAILED: _S.FAILED,
        _E.TRIED_AGAIN: _S.PENDING,
        _E.TROUBLE: _S.FETCHING,
        _E.HELD: _S.FETCHING,
        _E.GONE: _S.RECOVERING,
        _E.GIVEN_UP: _S.LOST,
        _E.SET_ASIDE: _S.UNKNOWN,
        _E.PUT_OFF: _S.UNFETCHED,
        _E.REJECTED: _S.REJECTED,
    },
    _S.RECOVERING: {
        _E.RECOVERED: _S.FETCHING,
        _E.RESULT: _S.FETCHING,
        _E.RUNNING: _S.SUBMITTED,
        _E.FAILED: _S.FAILED,
        _E.TRIED_AGAIN: _S.PENDING,
        _E.TROUBLE: _S.RECOVERING,
        _E.HELD: _S.RECOVERING,
        _E.AGAIN: _S.PENDING,
        _E.GIVEN_UP: _S.LOST,
        _E.SET_ASIDE: _S.UNKNOWN,
        _E.REJECTED: _S.REJECTED,
    },
    _S.DONE: {_E.RETRIED: _S.PENDING},
    _S.FAILED: {_E.RETRIED: _S.PENDING},
    _S.LOST: {_E.RETRIED: _S.PENDING},
    _S.UNKNOWN: {_E.RETRIED: _S.PENDING, _E.REOPENED: _S.SUBMITTED},
    _S.UNFETCHED: {_E.REOPENED: _S.FETCHING},
    _S.REJECTED: {_E.RETRIED: _S.PENDING},
}
"""state × event → state. A missing pair is illegal."""

_ATTEMPT: Mapping[EventKind, AttemptState] = {
    _E.INTENDED: AttemptState.INTENT,
    _E.ACKED: AttemptState.ACKED,
    _E.ANSWERED: AttemptState.ACKED,
    _E.ADOPTED: AttemptState.ACKED,
    _E.NOT_ACCEPTED: AttemptState.REJECTED,
    _E.REFUSED: AttemptState.REJECTED,
    _E.UNCLEAR: AttemptState.AMBIGUOUS,
    _E.REJECTED: AttemptState.ACKED,
    _E.ABSENT: AttemptState.ABSENT,
}
"""What an event makes of the current attempt, where that does not depend on the state."""

_MAY_BE_BILLED = frozenset({_E.ACKED, _E.ANSWERED, _E.UNCLEAR})
"""Events by which an attempt counts against `retry.max_attempts`."""

_RAN_AND_FAILED = frozenset({_E.FAILED, _E.TRIED_AGAIN})
_QUIET = frozenset({_E.TROUBLE, _E.HELD, _E.RUNNING, _E.REOPENED})
"""Events that leave the last reason standing unless they bring one."""


INTERRUPTED = "the run ended while"
"""How the reason begins of a POST whose answer nobody waited for."""
_NOTHING_SAID = Receipt()
_JOB_FIELDS = tuple(item.name for item in fields(Job))
_values_of = attrgetter(*_JOB_FIELDS)
_ENDS_ATTEMPT = frozenset({_S.PENDING, _S.DONE, _S.FAILED})
_IN_DOUBT = frozenset({_S.AMBIGUOUS, _S.UNKNOWN})
_TELLING_DOUBTS = frozenset({Doubt.SERVER_ERROR, Doubt.MIDDLEMAN})


def apply(job: Job, event: Event) -> Change:
    """The change that follows from an event, by the table.

    Raises `IllegalTransitionError` when the table has no such move.
    """
    target = TABLE[job.state].get(event.kind)
    if target is None:
        raise IllegalTransitionError(f"job {job.id!r} is {job.state}: no move for {event.kind!r}")
    return Change(
        before=job,
        after=_moved(job, {"state": target} | _progress(job, event) | _facts(job, target, event)),
        event=event,
        attempt_state=_attempt_state(job, event),
        attempt_ended=_attempt_ends(target, event),
    )


def _moved(job: Job, changes: dict[str, object]) -> Job:
    """The job with other values: `dataclasses.replace`, in half the time of the hottest line."""
    values = dict(zip(_JOB_FIELDS, _values_of(job), strict=True))
    return Job(**(values | changes))


def _attempt_state(job: Job, event: Event) -> AttemptState | None:
    if job.state is JobState.SUBMITTING and event.kind in _RAN_AND_FAILED:
        return AttemptState.ACKED  # by the first API, which answers only when it is done
    if job.state is JobState.AMBIGUOUS:
        if event.kind in {EventKind.RECOVERED, EventKind.FAILED}:
            return AttemptState.ACKED
        if event.kind is EventKind.REFUSED:
            return AttemptState.ABSENT
    if event.kind is EventKind.RETRIED and job.state is JobState.UNKNOWN and not job.request_id:
        return AttemptState.ABANDONED
    return _ATTEMPT.get(event.kind)


def _attempt_ends(target: JobState, event: Event) -> bool:
    """An attempt stays live while something may still come of it: also in an ended job that was
    or may have been paid for, until the user retries; so the ledger itself forbids a second POST
    beside it."""
    if event.kind is EventKind.RETRIED:
        return True
    return target in _ENDS_ATTEMPT


def _progress(before: Job, event: Event) -> dict[str, object]:
    """Counters and instants: what the move means for when to act next."""
    kind = event.kind
    if kind is EventKind.TROUBLE or kind is EventKind.NOT_ACCEPTED:
        trouble = before.trouble + (0 if event.retry_at else 1)  # a named instant is not its fault
        due_at = event.retry_at or backoff_at(event.at, trouble, before.key)
        return {"trouble": trouble, "due_at": due_at}
    if kind is EventKind.HELD:
        return {"due_at": event.retry_at or event.at}
    if kind is EventKind.RUNNING:
        due_at = event.retry_at or event.at
        return {"trouble": 0, "polls": before.polls + 1, "due_at": due_at}
    if kind is EventKind.INTENDED:
        return {
            "attempt": before.attempt + 1, "sent_at": event.at, "request_id": "", "polls": 0,
            "recoveries": 0, "outputs": (), "receipt": _NOTHING_SAID, "due_at": event.at,
        }  # fmt: skip
    if kind is EventKind.UNCLEAR:
        doubt = event.doubt if isinstance(event, DoubtEvent) else Doubt.OPEN
        # What comes back for the same job says something about the job.
        trouble = before.trouble + (doubt in _TELLING_DOUBTS)
        return {
            "trouble": trouble, "unclear_at": event.at, "doubt": doubt,
            "due_at": event.at + FIRST_READS_S[0],
        }  # fmt: skip
    if kind is EventKind.ABSENT:
        return {"due_at": event.at}
    if kind is EventKind.GONE:
        return {"recoveries": before.recoveries + 1, "trouble": 0, "due_at": event.at}
    if kind is EventKind.RETRIED or kind is EventKind.REOPENED:
        # The addresses of files that could not be fetched are all there is.
        outputs = before.outputs if before.state is JobState.UNFETCHED else ()
        return {"trouble": 0, "recoveries": 0, "due_at": 0.0, "outputs": outputs}
    return {"trouble": 0, "due_at": event.retry_at or event.at}


def _facts(before: Job, target: JobState, event: Event) -> dict[str, object]:
    """Facts the event brings: ids, outputs, receipt, reason, billable attempts."""
    changes: dict[str, object] = {}
    if target not in _IN_DOUBT:
        changes["doubt"] = Doubt.NONE
    if isinstance(event, AnswerEvent):
        if event.request_id:
            changes["request_id"] = event.request_id
        if event.outputs:
            changes["outputs"] = event.outputs
        if event.receipt is not None:
            changes["receipt"] = before.receipt.updated(event.receipt)
    elif isinstance(event, IntentEvent) and event.price_usd is not None:
        changes["price_usd"] = event.price_usd
    if event.reason or event.kind not in _QUIET:
        changes["reason"] = event.reason
    is_counted = event.kind is EventKind.TRIED_AGAIN and before.state is JobState.SUBMITTING
    if event.kind in _MAY_BE_BILLED or is_counted:
        changes["billable"] = before.billable + 1
    elif event.kind is EventKind.ABSENT or (
        event.kind is EventKind.REFUSED and before.doubt is not Doubt.NONE
    ):
        changes["billable"] = max(0, before.billable - 1)
    elif event.kind is EventKind.RETRIED:
        changes["billable"] = 0
    return changes


def found_at_start(job: Job, now: float) -> Event | None:
    """What a job left by an earlier process needs before the planner may see it.

    An intent without an outcome is unclear: its POST may have left before the process died. Files
    that could not be fetched are tried again.
    """
    if job.state is JobState.UNFETCHED:
        return Event(EventKind.REOPENED, job.key, now)
    if job.state is not JobState.SUBMITTING:
        return None
    door = "v1 call" if job.api is Mode.BLOCKING else "submit"
    return Event(EventKind.UNCLEAR, job.key, now, reason=f"{INTERRUPTED} the {door} was under way")


def diagram() -> str:
    """The table as a Mermaid state diagram; `docs/architecture.md` shows it."""
    lines = ["stateDiagram-v2", "    [*] --> pending"]
    for state, moves in TABLE.items():
        by_target: dict[JobState, list[str]] = {}
        for kind, target in moves.items():
            by_target.setdefault(target, []).append(kind.value)
        lines += [
            f"    {state.value} --> {target.value} : {', '.join(kinds)}"
            for target, kinds in by_target.items()
        ]
    lines.append("    done --> [*]")
    return "\n".join(lines)
