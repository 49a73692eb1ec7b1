"""HTTP meaning: which event the outcome of a call is.

`read_…` functions take a job, the outcome of its call (an `Answer` or a
`TransportError`) and the instant it was known, and return one event; a final body that carries the
media itself also brings the bytes, which the shell stages before the event is recorded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from batchgen.core.event import Event, EventKind
from batchgen.core.http import Answer
from batchgen.core.job import Job, Output, Receipt
from batchgen.core.media import sniff
from batchgen.core.outputs import Found, TooManyOutputsError, find_outputs, is_url
from batchgen.core.signals import CallKind, Signal, printable, signal_of
from batchgen.core.spec import ApiVersion
from batchgen.core.treatment import Outcome, failed_call
from batchgen.errors import TransportError

RUNNING_STATES = frozenset({"QUEUED", "PROCESSING"})
MAX_REQUEST_ID_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """An event and the media bytes that came with it, in the order of their output index.

    Where `inline` has bytes at an index, the event's output at that index still lacks its staged
    name.
    """

    event: Event
    inline: Mapping[int, bytes]


def read_submit(job: Job, outcome: Outcome, now: float) -> Reading:
    """What became of a POST, v2 or v1."""
    signal = signal_of(outcome)
    if signal is not Signal.OK or isinstance(outcome, TransportError):
        event = failed_call(CallKind.SUBMIT, job, outcome, signal, now)
        return Reading(_keep_id(event, outcome), {})
    if job.api is ApiVersion.V1:
        return _read_final(job, outcome, now, CallKind.SUBMIT)
    request_id = outcome.object().get("request_id")
    if not _is_request_id(request_id):
        reason = "the service accepted the submit but named no request_id"
        return Reading(_event(EventKind.UNCLEAR, job, now, CallKind.SUBMIT, reason), {})
    return Reading(
        Event(
            EventKind.ACKED,
            job.key,
            now,
            request_id=request_id,
            call=CallKind.SUBMIT,
            signal=Signal.OK,
        ),
        {},
    )


def read_status(job: Job, outcome: Outcome, now: float) -> Event:
    """What a poll says."""
    body = outcome.object() if isinstance(outcome, Answer) else {}
    state = body.get("status")
    if state == "FAILED":
        return _failed(job, body, now, CallKind.STATUS)
    signal = signal_of(outcome)
    if signal is not Signal.OK:
        return failed_call(CallKind.STATUS, job, outcome, signal, now)
    if state == "COMPLETED":
        return _event(EventKind.FINISHED, job, now, CallKind.STATUS, receipt=read_receipt(body))
    if state in RUNNING_STATES:
        return _event(EventKind.RUNNING, job, now, CallKind.STATUS)
    if isinstance(state, str) and state:
        # A state nobody documented is not terminal: the hour decides in the end.
        reason = f"the service calls the request {printable(state, 60)!r}"
        return _event(EventKind.RUNNING, job, now, CallKind.STATUS, reason)
    return failed_call(CallKind.STATUS, job, outcome, Signal.UNREADABLE, now)


def read_result(job: Job, outcome: Outcome, now: float) -> Reading:
    """What the final body says: outputs and receipt, or that it is not final after all."""
    body = outcome.object() if isinstance(outcome, Answer) else {}
    if body.get("status") == "FAILED":
        return Reading(_failed(job, body, now, CallKind.RESULT), {})
    signal = signal_of(outcome)
    if signal is not Signal.OK or isinstance(outcome, TransportError):
        return Reading(failed_call(CallKind.RESULT, job, outcome, signal, now), {})
    if body.get("status") in RUNNING_STATES:
        reason = "completed by its status, still running by its result"
        return Reading(_event(EventKind.RUNNING, job, now, CallKind.RESULT, reason), {})
    return _read_final(job, outcome, now, CallKind.RESULT)


def _read_final(job: Job, answer: Answer, now: float, call: CallKind) -> Reading:
    """A 200 that should carry the result: media bytes, or JSON in any of its shapes."""
    kind = EventKind.ANSWERED if call is CallKind.SUBMIT else EventKind.RESULT
    body = answer.object()
    try:
        found = find_outputs(body) if body else _raw_media(answer)
    except TooManyOutputsError as error:
        return _no_result(job, answer, now, call, str(error))
    if not found:
        return _no_result(job, answer, now, call, "the result names no output")
    outputs, inline = _numbered(found)
    event = Event(
        kind,
        job.key,
        now,
        request_id=_header_id(answer.headers) if call is CallKind.SUBMIT else "",
        call=call,
        signal=Signal.OK,
        outputs=outputs,
        receipt=read_receipt(body, answer.headers),
    )
    return Reading(event, inline)


def _no_result(job: Job, answer: Answer, now: float, call: CallKind, reason: str) -> Reading:
    """Accepted and perhaps billed, but without anything to save: never posted again for that."""
    event = failed_call(call, job, answer, Signal.UNREADABLE, now, reason)
    return Reading(_keep_id(event, answer), {})


def _raw_media(answer: Answer) -> tuple[Found, ...]:
    if sniff(answer.body[:4096]) is None:
        return ()
    return (Found(data=answer.body, media_type=answer.headers.get("content-type", "")),)


def _numbered(found: tuple[Found, ...]) -> tuple[tuple[Output, ...], dict[int, bytes]]:
    outputs = tuple(
        Output(index, url=item.url, media_type=printable(item.media_type, 100))
        for index, item in enumerate(found)
    )
    return outputs, {index: item.data for index, item in enumerate(found) if not item.url}


def read_record(job: Job, outcome: Outcome, now: float) -> Event:
    """What the history says about one request: where its files are, or that it knows of none."""
    signal = signal_of(outcome)
    if signal is not Signal.OK or isinstance(outcome, TransportError):
        return failed_call(CallKind.HISTORY, job, outcome, signal, now)
    row = history_row(outcome)
    status = row.get("model_status")
    urls = [url for url in _row_urls(row) if is_url(url)]
    if status == "FAILED":
        return _failed(job, row, now, CallKind.HISTORY)
    if urls:
        return Event(
            EventKind.RECOVERED,
            job.key,
            now,
            call=CallKind.HISTORY,
            signal=Signal.OK,
            outputs=tuple(Output(index, url=url) for index, url in enumerate(urls)),
            receipt=Receipt(cost_usd=_number(row.get("credits_deduction"))),
        )
    if row:
        reason = f"the history says {printable(str(status), 40)!r} and names no file"
        return _event(EventKind.TROUBLE, job, now, CallKind.HISTORY, reason)
    return failed_call(CallKind.HISTORY, job, outcome, Signal.NOT_FOUND, now)


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


def read_receipt(body: dict[str, Any], headers: Mapping[str, str] | None = None) -> Receipt:
    """What was paid and how long it took: `metrics` of a body, or the headers of a v1 answer."""
    metrics = body.get("metrics")
    metrics = metrics if isinstance(metrics, dict) else {}
    headers = headers or {}
    seed = body.get("seed", headers.get("x-seed-value"))
    return Receipt(
        cost_usd=_number(metrics.get("cost", headers.get("x-cost"))),
        remaining_credits=_number(
            metrics.get("remaining_credits", headers.get("x-remaining-credits"))
        ),
        inference_s=_number(metrics.get("inference_time", headers.get("x-generation-time"))),
        queue_s=_number(metrics.get("queue_time")),
        total_s=_number(metrics.get("total_time")),
        seed=_seed(seed),
    )


def _seed(value: Any) -> int | str | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    text = printable(str(value), 40)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text or None


def _number(value: Any) -> float | None:
    """A finite, non-negative number, also from text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _failed(job: Job, body: dict[str, Any], now: float, call: CallKind) -> Event:
    text = error_text_of(body) or "the service reported FAILED without a reason"
    return _event(EventKind.FAILED, job, now, call, text, receipt=read_receipt(body))


def error_text_of(body: dict[str, Any]) -> str:
    """The error sentence of a body that is already read."""
    error = body.get("error")
    if isinstance(error, dict):
        error = error.get("message") or str(error)
    return printable(str(error)) if error else ""


def _event(  # noqa: PLR0913  the fields of one event
    kind: EventKind,
    job: Job,
    now: float,
    call: CallKind,
    reason: str = "",
    receipt: Receipt | None = None,
) -> Event:
    return Event(kind, job.key, now, reason=reason, call=call, signal=Signal.OK, receipt=receipt)


def _keep_id(event: Event, outcome: Outcome) -> Event:
    """A v1 answer that broke off after its headers has already told the request's id."""
    if event.kind is not EventKind.UNCLEAR or event.call is not CallKind.SUBMIT:
        return event
    return replace(event, request_id=_header_id(outcome.headers))


def _is_request_id(value: Any) -> TypeGuard[str]:
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_REQUEST_ID_CHARACTERS
        and value.isprintable()
        and not any(c in "/?#\\ " for c in value)
    )


def _header_id(headers: Mapping[str, str]) -> str:
    value = headers.get("x-request-id", "")
    return value if _is_request_id(value) else ""
