"""HTTP meaning: which event the outcome of a call is.

`read_…` functions take a job, the outcome of its call (an `Answer` or a
`TransportError`) and the instant it was known, and return one event; a final body that carries the
media itself also brings the bytes, which the shell stages before the event is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, TypeGuard

from batchgen.core.common.json import canonical_json
from batchgen.core.common.text import printable
from batchgen.core.jobs.events import (
    AnswerEvent,
    DoubtEvent,
    Event,
    EventKind,
    FailedEvent,
    Reading,
)
from batchgen.core.jobs.job import Job, JobState, Output, Receipt
from batchgen.core.jobs.outcomes import CallKind, Response, Signal
from batchgen.core.jobs.spec import Mode, ModelKind
from batchgen.core.media.formats import sniff
from batchgen.core.net.http import Answer, CallOutcome
from batchgen.errors import TransportError
from batchgen.providers.segmind.errors import (
    error_text,
    is_page,
    may_pass,
    signal_of,
    signal_of_words,
)
from batchgen.providers.segmind.outputs import (
    MEDIA_KEYS,
    FoundOutput,
    TooManyOutputsError,
    is_url,
    outputs_of,
)
from batchgen.providers.segmind.receipts import amount, read_receipt
from batchgen.providers.segmind.treatments import failed_call, is_over


class StateWord(StrEnum):
    """What a state means, whatever word is used for it."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    UNKNOWN = "unknown"


_WORDS: Mapping[str, StateWord] = {
    **dict.fromkeys(
        ("queued", "pending", "processing", "running", "in_progress", "in_queue", "starting"),
        StateWord.RUNNING,
    ),
    **dict.fromkeys(
        ("completed", "complete", "succeeded", "success", "successful", "done", "finished"),
        StateWord.COMPLETED,
    ),
    **dict.fromkeys(
        ("failed", "failure", "error", "errored", "cancelled", "canceled", "expired", "timeout",
         "timed_out"),
        StateWord.FAILED,
    ),
}  # fmt: skip
"""QUEUED, PROCESSING, COMPLETED and FAILED are documented; the others are what other services of
the kind say."""
_BODY_DECIDES = frozenset({Signal.OK, Signal.UNPROCESSABLE})
"""Where a body's FAILED is the job's. A refused key or a full window is never, whatever it says."""
MAX_REQUEST_ID_CHARACTERS = 200


def word_of(body: Mapping[str, Any]) -> StateWord | None:
    """What the state of a body means; None where it tells none."""
    state = body.get("status")
    if not (isinstance(state, str) and state.strip()):
        return None
    return _WORDS.get(state.strip().casefold(), StateWord.UNKNOWN)


def signal_of_answer(outcome: CallOutcome) -> Signal:
    """The signal of an answer that should be the service's JSON; its 200 may be somebody else's, or
    hold an error that its words tell apart."""
    signal = signal_of(outcome)
    if signal is not Signal.OK or isinstance(outcome, TransportError):
        return signal
    if is_page(outcome):
        return Signal.MIDDLEMAN
    body = outcome.object()
    if body.get("error") and "request_id" not in body and word_of(body) is None:
        told = signal_of_words(error_text(outcome))
        return told if told in _TOLD_UNDER_200 else Signal.UNREADABLE
    return signal


_TOLD_UNDER_200 = frozenset({Signal.RATE_LIMITED, Signal.NO_CREDITS})


def read_submit(
    job: Job, outcome: CallOutcome, now: float, *, kind: ModelKind = ModelKind.UNKNOWN
) -> Reading:
    """What became of a POST, v2 or v1. Of a model that makes media a v1 answer must bring some."""
    is_v1 = job.api is Mode.BLOCKING
    body = outcome.object() if is_v1 and isinstance(outcome, Answer) else {}
    if word_of(body) is StateWord.FAILED and signal_of(outcome) in _BODY_DECIDES:
        failed = _failed(job, body, now, CallKind.SUBMIT)
        # One without an id is not tried again: its row of the history could be taken for the next.
        known_id = _header_id(outcome.headers)
        may = failed.may_pass and bool(known_id)
        return Reading(replace(failed, request_id=known_id, may_pass=may), {})
    signal = _signal_of_media(outcome) if is_v1 else signal_of_answer(outcome)
    if signal is not Signal.OK or isinstance(outcome, TransportError):
        event = failed_call(CallKind.SUBMIT, job, outcome, signal, now)
        return Reading(_keep_id(job, event, outcome), {})
    if is_v1:
        return _final(job, outcome, now, CallKind.SUBMIT, kind)
    request_id = outcome.object().get("request_id")
    if not _is_request_id(request_id):
        reason = "the service accepted the submit but named no request_id"
        return _no_result(job, outcome, now, CallKind.SUBMIT, reason)
    acked = _answer(EventKind.ACKED, job, now, CallKind.SUBMIT, request_id=request_id)
    return Reading(acked, {})


def read_status(job: Job, outcome: CallOutcome, now: float) -> Event:
    """What a poll says."""
    body = outcome.object() if isinstance(outcome, Answer) else {}
    word = word_of(body)
    if word is StateWord.FAILED and signal_of(outcome) in _BODY_DECIDES:
        return _failed(job, body, now, CallKind.STATUS)
    signal = signal_of_answer(outcome)
    if signal is not Signal.OK:
        return failed_call(CallKind.STATUS, job, outcome, signal, now)
    if word is StateWord.COMPLETED:
        receipt = read_receipt(body)
        return _answer(EventKind.FINISHED, job, now, CallKind.STATUS, receipt=receipt)
    if word is StateWord.RUNNING:
        return _event(EventKind.RUNNING, job, now, CallKind.STATUS)
    if word is StateWord.UNKNOWN:
        # Not terminal as far as anybody knows: the result is asked in turn, and the hour decides.
        reason = f"the service calls the request {printable(str(body['status']), 60)!r}"
        return _event(EventKind.TROUBLE, job, now, CallKind.STATUS, reason)
    return failed_call(CallKind.STATUS, job, outcome, Signal.UNREADABLE, now)


def read_result(
    job: Job, outcome: CallOutcome, now: float, *, kind: ModelKind = ModelKind.UNKNOWN
) -> Reading:
    """What the final body says: outputs and receipt, or that it is not final after all.

    Of a model that makes media it must name some.
    """
    body = outcome.object() if isinstance(outcome, Answer) else {}
    if word_of(body) is StateWord.FAILED and signal_of(outcome) in _BODY_DECIDES:
        return Reading(_failed(job, body, now, CallKind.RESULT), {})
    signal = _signal_of_media(outcome)
    if signal is not Signal.OK or isinstance(outcome, TransportError):
        return Reading(failed_call(CallKind.RESULT, job, outcome, signal, now), {})
    if _still_running(body):
        return Reading(_too_early(job, body, now), {})
    if job.state is JobState.SUBMITTED and not _is_surely_final(outcome, body):
        # Asked before anything said that it is done: what has no state may mean "not yet".
        return Reading(failed_call(CallKind.RESULT, job, outcome, Signal.UNREADABLE, now), {})
    return _final(job, outcome, now, CallKind.RESULT, kind)


def _is_surely_final(answer: Answer, body: Mapping[str, Any]) -> bool:
    """Whether an answer says that it is done, or is the file itself, or names one."""
    told = (body.get(key) for key in MEDIA_KEYS)
    is_named = any(isinstance(value, str) and is_url(value) for value in told)
    return word_of(body) is StateWord.COMPLETED or is_named or bool(_raw_media(answer))


def _signal_of_media(outcome: CallOutcome) -> Signal:
    """The signal of an answer that is the service's JSON, or the media itself.

    What ran was billed: outputs count whatever is said beside them, and no words of an error show
    that it did not run.
    """
    signal = signal_of(outcome)
    if signal is not Signal.OK or isinstance(outcome, TransportError):
        return signal
    if not outcome.object().keys().isdisjoint(MEDIA_KEYS) or _raw_media(outcome):
        return Signal.OK
    signal = signal_of_answer(outcome)
    return Signal.UNREADABLE if signal in _TOLD_UNDER_200 else signal


def _too_early(job: Job, body: dict[str, Any], now: float) -> Event:
    """Running, as far as the word is known; else the next call asks the other way."""
    is_running = word_of(body) is StateWord.RUNNING
    kind = EventKind.RUNNING if is_running else EventKind.TROUBLE
    is_poll = is_running and job.state is JobState.SUBMITTED
    reason = "" if is_poll else f"its result calls it {printable(str(body['status']), 60)!r}"
    return _event(kind, job, now, CallKind.RESULT, reason)


def _still_running(body: dict[str, Any]) -> bool:
    """Asked too early: a state that is not terminal, and no media yet under an unknown one."""
    word = word_of(body)
    if word is StateWord.RUNNING:
        return True
    return word is StateWord.UNKNOWN and not any(body.get(key) for key in MEDIA_KEYS)


def _final(job: Job, answer: Answer, now: float, call: CallKind, kind: ModelKind) -> Reading:
    """A 200 that should carry the result: media bytes, or JSON in any of its shapes."""
    body, found = answer.object(), _raw_media(answer)
    if body:
        try:
            read = outputs_of(body, kind, job.body)
        except TooManyOutputsError as error:
            return _rejected(job, answer, now, call, str(error))
        if read.refusal:
            return _rejected(job, answer, now, call, read.refusal)
        found = read.found
    if not found:
        return _no_result(job, answer, now, call, "the result cannot be read")
    event_kind = EventKind.ANSWERED if call is CallKind.SUBMIT else EventKind.RESULT
    outputs, inline = _numbered(found)
    return Reading(replace(_told(event_kind, job, answer, now, call), outputs=outputs), inline)


def _told(kind: EventKind, job: Job, answer: Answer, now: float, call: CallKind) -> AnswerEvent:
    """A final answer: the receipt, and of v1 the id."""
    return _answer(
        kind,
        job,
        now,
        call,
        request_id=_header_id(answer.headers) if call is CallKind.SUBMIT else "",
        receipt=read_receipt(answer.object(), answer.headers),
    )


def _rejected(job: Job, answer: Answer, now: float, call: CallKind, reason: str) -> Reading:
    """Finished and billed, and no file will ever come of it: all that it said is kept."""
    event = replace(_told(EventKind.REJECTED, job, answer, now, call), reason=reason)
    return Reading(event, {}, kept=answer.body)


def _no_result(job: Job, answer: Answer, now: float, call: CallKind, reason: str) -> Reading:
    """Accepted and perhaps billed, but without what it must bring: never posted again for that."""
    event = failed_call(call, job, answer, Signal.UNREADABLE, now, reason)
    return Reading(_keep_id(job, event, answer), {})


def _raw_media(answer: Answer) -> tuple[FoundOutput, ...]:
    if sniff(answer.body[:4096]) is None:
        return ()
    return (FoundOutput(data=answer.body, media_type=answer.headers.get("content-type", "")),)


def _numbered(found: tuple[FoundOutput, ...]) -> tuple[tuple[Output, ...], dict[int, bytes]]:
    outputs = tuple(
        Output(index, item.url, media_type=printable(item.media_type, 100), label=item.label)
        for index, item in enumerate(found)
    )
    return outputs, {index: item.data for index, item in enumerate(found) if not item.url}


def read_record(job: Job, outcome: CallOutcome, now: float) -> Event:
    """What the history says about one request: where its files are, or that it knows of none."""
    signal = _signal_of_lookup(outcome)
    if signal is not Signal.OK or isinstance(outcome, TransportError):
        return failed_call(CallKind.HISTORY, job, outcome, signal, now)
    row = history_row(outcome)
    if _is_of_another(row, job):
        row = {}
    status = row.get("model_status")
    word = word_of({"status": status})
    urls = [url for url in _row_urls(row) if is_url(url)]
    if word is StateWord.FAILED:
        return _failed(job, row, now, CallKind.HISTORY)
    if urls:
        return replace(
            _answer(EventKind.RECOVERED, job, now, CallKind.HISTORY),
            outputs=_recovered(job, urls),
            receipt=Receipt(cost_usd=amount(row.get("credits_deduction"))),
        )
    if row:
        reason = f"the history says {printable(str(status), 40)!r} and names no file"
        if word is not StateWord.COMPLETED:
            return _event(EventKind.TROUBLE, job, now, CallKind.HISTORY, reason)
        is_sought = job.state is JobState.RECOVERING
        end = EventKind.GIVEN_UP if is_sought else EventKind.SET_ASIDE
        kind = end if is_over(job, now) else EventKind.TROUBLE
        return _event(kind, job, now, CallKind.HISTORY, reason)
    return failed_call(CallKind.HISTORY, job, outcome, Signal.NOT_FOUND, now)


def _signal_of_lookup(outcome: CallOutcome) -> Signal:
    """An error or a page under a 200 must not count as the history knowing nothing."""
    signal = signal_of(outcome)
    if signal is not Signal.OK or isinstance(outcome, TransportError) or history_row(outcome):
        return signal
    try:
        outcome.json()
    except ValueError:
        return Signal.UNREADABLE
    return Signal.UNREADABLE if error_text(outcome) else signal


def _is_of_another(row: dict[str, Any], job: Job) -> bool:
    """Asked without an id (a v1 answer may name none), the history lists anybody's rows."""
    if not job.request_id:
        return job.state is JobState.RECOVERING
    return bool(row.get("request_id", job.request_id) != job.request_id)


def read_confirmation(job: Job, request_id: str, outcome: CallOutcome, now: float) -> Event | None:
    """Whether a row of the history is ours, asked by its id; None when it is not.

    Lists also show the rows of team-mates; their ids are answered with 404. A v1 request cannot be
    polled, so it is taken from the history itself once it is there.
    """
    signal = _signal_of_lookup(outcome)
    if signal is Signal.NOT_FOUND:
        return None
    if signal is not Signal.OK or isinstance(outcome, TransportError):
        return failed_call(CallKind.HISTORY, job, outcome, signal, now)
    row = history_row(outcome)
    if row.get("request_id", request_id) != request_id or not row:
        return None
    if job.api is Mode.BLOCKING or word_of({"status": row.get("model_status")}) is StateWord.FAILED:
        event = read_record(job, outcome, now)
        return replace(event, request_id=request_id) if isinstance(event, AnswerEvent) else event
    reason = "found in the account's history"
    return _answer(EventKind.ADOPTED, job, now, CallKind.HISTORY, reason, request_id=request_id)


def _recovered(job: Job, urls: list[str]) -> tuple[Output, ...]:
    """What the history names (one output a row), then what the result had named beyond that:
    a job must not end as done with fewer outputs than it is known to have."""
    known = {output.index: output.label for output in job.outputs}
    named = tuple(
        Output(index, url=url, label=known.get(index, "")) for index, url in enumerate(urls)
    )
    return (*named, *job.outputs[len(named) :])


def history_row(answer: Answer) -> dict[str, Any]:
    """The row of a one-request answer, at the top level or in an envelope; empty when none."""
    body = answer.object()
    for key in ("data", "result", "request"):
        inner = body.get(key)
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            return inner[0]
        if isinstance(inner, dict) and ("request_id" in inner or "model_status" in inner):
            return inner
    return body if "request_id" in body or "model_status" in body else {}


def _row_urls(row: dict[str, Any]) -> list[str]:
    value = row.get("generation_url")
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str)]


def _failed(job: Job, body: dict[str, Any], now: float, call: CallKind) -> FailedEvent:
    """Tried again is only what the service itself says of this very request: a row of the history
    may be another's. What cost something all the same is left alone."""
    said, receipt = error_text_of(body), read_receipt(body)
    may = call is not CallKind.HISTORY and not receipt.cost_usd and may_pass(said)
    return FailedEvent(
        EventKind.FAILED,
        job.key,
        now,
        said or "the service reported FAILED without a reason",
        response=Response(call, Signal.OK, now, said),
        receipt=receipt,
        may_pass=may,
    )


def error_text_of(body: dict[str, Any]) -> str:
    """The error sentence of a body that is already read; workflows call it `error_message`, and
    may tell it as an object."""
    error = body.get("error") or body.get("error_message")
    if isinstance(error, dict):
        error = error.get("message") or canonical_json(error)
    return printable(str(error)) if error else ""


def _event(kind: EventKind, job: Job, now: float, call: CallKind, reason: str = "") -> Event:
    return Event(kind, job.key, now, reason, response=Response(call, Signal.OK, now, reason))


def _answer(  # noqa: PLR0913  what one answer tells
    kind: EventKind,
    job: Job,
    now: float,
    call: CallKind,
    reason: str = "",
    *,
    request_id: str = "",
    receipt: Receipt | None = None,
) -> AnswerEvent:
    return AnswerEvent(
        kind,
        job.key,
        now,
        reason,
        response=Response(call, Signal.OK, now, reason),
        request_id=request_id,
        receipt=receipt,
    )


def _keep_id(job: Job, event: Event, outcome: CallOutcome) -> Event:
    """A v1 answer that broke off after its headers has already told the request's id.

    A v2 answer names it in its body only: an id from elsewhere would stand in the ledger as ours,
    and hide the very row that shows the submit to be accepted.
    """
    if not isinstance(event, DoubtEvent) or job.api is not Mode.BLOCKING:
        return event
    return replace(event, request_id=_header_id(outcome.headers))


def _is_request_id(value: Any) -> TypeGuard[str]:
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_REQUEST_ID_CHARACTERS
        and value.isprintable()
        and not any(c in "/?#\\ " for c in value)
        and value not in {".", ".."}
    )


def _header_id(headers: Mapping[str, str]) -> str:
    value = headers.get("x-request-id", "")
    return value if _is_request_id(value) else ""
