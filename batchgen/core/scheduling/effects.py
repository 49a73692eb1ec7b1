"""Effects: what the planner can ask the shell to do, and how each of them can end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from batchgen.core.jobs.events import Event
from batchgen.core.jobs.job import Job
from batchgen.core.jobs.lifecycle import found_at_start
from batchgen.core.jobs.outcomes import CallKind, Response, Signal
from batchgen.core.jobs.placeholders import Content
from batchgen.core.jobs.spec import InputFile, ModelKind
from batchgen.core.reconciliation.history import HistoryRead, HistoryRow
from batchgen.core.scheduling.gates.gates import GateKind


class EffectKind(StrEnum):
    """What the shell can be asked to do. Every effect ends in exactly one outcome."""

    SUBMIT = "submit"
    UPLOAD = "upload"
    """A file that pending jobs name, so that their bodies can name its address."""
    POLL = "poll"
    FETCH = "fetch"
    SAVE = "save"
    RECOVER = "recover"
    READ_HISTORY = "read history"
    """The next page of the account's history, for every ambiguous job at once."""
    CONFIRM = "confirm"
    """Ask whether a row of the history is ours."""
    CREDITS = "credits"
    """Ask what the account holds, once, to compare it with what the jobs will cost."""
    PROBE = "probe"
    """A free GET while a refusal may be the key's fault."""
    CHECK_DISK = "check disk"
    """A look at the free space while it is short."""


CALLS: Mapping[EffectKind, CallKind] = {
    EffectKind.SUBMIT: CallKind.SUBMIT,
    EffectKind.UPLOAD: CallKind.UPLOAD,
    EffectKind.POLL: CallKind.STATUS,
    EffectKind.FETCH: CallKind.RESULT,
    EffectKind.RECOVER: CallKind.HISTORY,
    EffectKind.READ_HISTORY: CallKind.HISTORY,
    EffectKind.CONFIRM: CallKind.HISTORY,
    EffectKind.CREDITS: CallKind.CREDITS,
    EffectKind.PROBE: CallKind.CREDITS,
}
"""The call that an effect makes; what is not here asks the service nothing."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One action. `counts` says that it takes a slot of the rate window.

    `job` is None for probes, uploads and reads of the history. The shell fills in what the effect
    is about when it starts: `read` for a page of the history, `request_id` for a confirmation,
    `files` that hold the `content` of an upload.
    """

    kind: EffectKind
    job: Job | None = None
    counts: bool = True
    read: HistoryRead | None = None
    request_id: str = ""
    at_once: bool = False
    """Of a poll: where requests are not limited, a result that is there is fetched with it."""
    content: Content | None = None
    files: tuple[InputFile, ...] = ()
    makes: ModelKind = ModelKind.UNKNOWN
    """Of a submit or a result: what its model makes."""

    @property
    def is_submit(self) -> bool:
        """Whether it is the call that costs."""
        return self.kind is EffectKind.SUBMIT

    @property
    def model(self) -> str:
        """The model it is about; empty for what is about none."""
        return "" if self.job is None else self.job.model


@dataclass(frozen=True, slots=True)
class StorageTrouble:
    """The place of the outputs is full, broken or away: the gate it closes, if any, and why.

    `too_many_files` says that fewer files may be open at once.
    """

    gate: GateKind | None
    detail: str
    too_many_files: bool = False


@dataclass(frozen=True, slots=True)
class FileTrouble:
    """A host did not bring a file of a job, and why."""

    host: str
    reason: str


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How an effect about a job ended. `event` is None where it was cut off; `denied` says that a
    row of the history is not this job's."""

    job_key: int
    event: Event | None = None
    storage: StorageTrouble | None = None
    denied: bool = False
    file: FileTrouble | None = None


@dataclass(frozen=True, slots=True)
class UploadOutcome:
    """How an upload ended: at an address, in a response that is not good, or before the call.

    `path` is the file it was sent from; `lost` says why no file holds the content any more. All are
    empty where it was cut off.
    """

    content: Content
    url: str = ""
    path: str = ""
    response: Response | None = None
    lost: str = ""


@dataclass(frozen=True, slots=True)
class PageOutcome:
    """How the fetch of a page of the history ended: with its rows, or why without.

    `response` is None where it was cut off.
    """

    response: Response | None = None
    rows: Sequence[HistoryRow] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """How a free GET ended; `response` is None where it was cut off. `credits_usd` is what the
    account holds, where the answer says so."""

    kind: EffectKind
    response: Response | None = None
    credits_usd: float | None = None


@dataclass(frozen=True, slots=True)
class DiskOutcome:
    """Whether there is space for outputs and record; None where the look was cut off."""

    has_space: bool | None = None


Outcome: TypeAlias = JobOutcome | UploadOutcome | PageOutcome | ProbeOutcome | DiskOutcome


def refused_until(outcome: Outcome | None) -> float | None:
    """When the service wants the next call, where it refused that of an effect for its rate."""
    response = _response_of(outcome)
    refused = response is not None and response.signal is Signal.RATE_LIMITED
    return response.retry_at if response is not None and refused else None


def _response_of(outcome: Outcome | None) -> Response | None:
    """What came of the call of an effect; None where it made none, or was cut off."""
    match outcome:
        case JobOutcome():
            return None if outcome.event is None else outcome.event.response
        case UploadOutcome() | PageOutcome() | ProbeOutcome():
            return outcome.response
        case _:
            return None


def cut_off(effect: Effect, now: float) -> Outcome:
    """The outcome of an effect that was cancelled.

    What became of a POST is unclear then, as it would be to the next process.
    """
    if effect.job is not None:
        return JobOutcome(effect.job.key, found_at_start(effect.job, now))
    if effect.content is not None:
        return UploadOutcome(effect.content)
    if effect.kind is EffectKind.READ_HISTORY:
        return PageOutcome()
    return DiskOutcome() if effect.kind is EffectKind.CHECK_DISK else ProbeOutcome(effect.kind)
