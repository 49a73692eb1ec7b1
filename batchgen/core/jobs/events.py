"""Events: what can happen to a job, and the change that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter

from batchgen.core.jobs.job import AttemptState, Doubt, Job, Output, Receipt, SavedFile
from batchgen.core.jobs.outcomes import Response


class EventKind(StrEnum):
    """What happened to a job. The state it leads to is the table in `core.jobs.lifecycle`."""

    INTENDED = "intended"
    """Its next POST is decided on; the record precedes the POST."""
    NO_INPUT = "no input"
    """A file it names is gone, changed or refused: it cannot be posted as it stands."""
    ACKED = "acked"
    """The POST was accepted and brought a request_id."""
    ANSWERED = "answered"
    """A v1 POST was accepted and brought its result at once."""
    NOT_ACCEPTED = "not accepted"
    """The POST was surely not accepted, for a reason that is not the job's."""
    REFUSED = "refused"
    """The POST was surely not accepted, and never will be as it stands."""
    UNCLEAR = "unclear"
    """The POST may or may not have been accepted."""
    ADOPTED = "adopted"
    """History shows that the POST was accepted, and as which request_id."""
    ABSENT = "absent"
    """History proves that the POST was not accepted."""
    SET_ASIDE = "set aside"
    """Nothing can tell any more; the user decides."""
    RUNNING = "running"
    """The service says it is queued or running."""
    FINISHED = "finished"
    """The service says it is completed."""
    RESULT = "result"
    """The final body is here: outputs and receipt are known."""
    SAVED = "saved"
    """Every output stands whole under its final name."""
    FAILED = "failed"
    """The service says it ran and failed."""
    TRIED_AGAIN = "tried again"
    """It ran and failed, free of charge, for a reason that may pass: it is submitted once more."""
    TROUBLE = "trouble"
    """An effect was fruitless; the same one is tried again later."""
    HELD = "held"
    """A gate stopped the effect; the job is untouched."""
    GONE = "gone"
    """The record or the file cannot be had where it should be."""
    RECOVERED = "recovered"
    """History still names the files."""
    AGAIN = "again"
    """The result cannot be recovered and the policy is to pay for it again."""
    GIVEN_UP = "given up"
    """The result cannot be recovered and will not be paid for again."""
    RETRIED = "retried"
    """The user put the job back to pending."""
    REOPENED = "reopened"
    """What is paid for is looked for, or fetched, once more."""
    PUT_OFF = "put off"
    """Its files cannot be fetched now; the next run tries again."""
    REJECTED = "rejected"
    """It is finished and billed, and what came is not what its model makes."""

    __hash__ = str.__hash__  # a member equals its text; Enum's own hash is Python, and slow


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a job. `at` is when it was known.

    `retry_at` is the earliest next try, 0 for the default; it also says that the delay is not the
    job's own fault: it counts no trouble. `response` is what came of the call that the event
    follows from, None where it follows from none. Events that bring more have classes of their own.
    """

    kind: EventKind
    job_key: int
    at: float
    reason: str = ""
    retry_at: float = 0.0
    response: Response | None = None


@dataclass(frozen=True, slots=True)
class IntentEvent(Event):
    """INTENDED, with what the submit is expected to cost; None where nobody knows."""

    price_usd: float | None = None


@dataclass(frozen=True, slots=True)
class AnswerEvent(Event):
    """What an answer told of a request: its id, its outputs, its receipt, as far as it did."""

    request_id: str = ""
    outputs: tuple[Output, ...] = ()
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class DoubtEvent(AnswerEvent):
    """UNCLEAR, with what speaks for the POST having been accepted."""

    doubt: Doubt = Doubt.OPEN


@dataclass(frozen=True, slots=True)
class FailedEvent(AnswerEvent):
    """FAILED. `may_pass`: nothing in its reason says that the next try would fail as well."""

    may_pass: bool = False


@dataclass(frozen=True, slots=True)
class SavedEvent(Event):
    """SAVED, with the finished files."""

    files: tuple[SavedFile, ...] = ()


_beside_polls = attrgetter(
    *(item.name for item in fields(Job) if item.name not in {"polls", "due_at"})
)


@dataclass(frozen=True, slots=True)
class Change:
    """A job before and after an event, with what the event means for its current attempt.

    `attempt_state` is None where the attempt stays as it is. `attempt_ended` says that nothing more
    can come of the attempt, so that a next one may begin.
    """

    before: Job
    after: Job
    event: Event
    attempt_state: AttemptState | None = None
    attempt_ended: bool = False

    @property
    def answer(self) -> AnswerEvent | None:
        """The event, where it tells of a request."""
        return self.event if isinstance(self.event, AnswerEvent) else None

    @property
    def files(self) -> tuple[SavedFile, ...]:
        """The finished files that the event brings."""
        return self.event.files if isinstance(self.event, SavedEvent) else ()

    @property
    def is_news(self) -> bool:
        """Whether a crash may not lose this change.

        A poll that finds a request still running moves nothing but a counter and the instant of
        the next poll: both come to the record with the job's next change.
        """
        if self.event.kind is not EventKind.RUNNING or self.attempt_state is not None:
            return True
        return _beside_polls(self.before) != _beside_polls(self.after)


@dataclass(frozen=True, slots=True)
class Reading:
    """An event and the media bytes that came with it, in the order of their output index.

    Where `inline` has bytes at an index, the event's output at that index still lacks its staged
    name. `kept` is the whole body of an answer that is no use as it is.
    """

    event: Event
    inline: Mapping[int, bytes]
    kept: bytes = b""
