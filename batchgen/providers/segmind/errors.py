"""What the service says when something is wrong, and which signal that is."""

from __future__ import annotations

from collections.abc import Mapping

from batchgen.core.common.text import printable
from batchgen.core.jobs.outcomes import Signal
from batchgen.core.net.http import Answer
from batchgen.errors import NetFault, TransportError

_BY_FAULT: Mapping[NetFault, Signal] = {
    NetFault.NOT_SENT: Signal.NOT_SENT,
    NetFault.LOST: Signal.LOST,
    NetFault.CUT: Signal.LOST,
    NetFault.TOO_LARGE: Signal.UNREADABLE,
}


_BY_STATUS: Mapping[int, Signal] = {
    401: Signal.KEY_REFUSED,
    403: Signal.FORBIDDEN,
    404: Signal.NOT_FOUND,
    405: Signal.WRONG_METHOD,
    410: Signal.RETIRED,
    422: Signal.UNPROCESSABLE,
    429: Signal.RATE_LIMITED,
    504: Signal.GATEWAY_TIMEOUT,
}


_CONTENT_TYPE_WORDS = ("content-type", "content type")


_CREDIT_WORDS = ("credit", "balance", "spend", "quota", "billing", "payment")


_PARAMETER_WORDS = (
    "parameter",
    "value",
    "invalid",
    "not allowed",
    "must be",
    "should be",
    "out of range",
)


def signal_of(outcome: Answer | TransportError) -> Signal:
    """Which signal an answer or a transport fault is; a 2xx is OK until its body says otherwise."""
    if isinstance(outcome, TransportError):
        return _signal_of_fault(outcome)
    return _signal_of_status(outcome.status, outcome)


def _signal_of_fault(error: TransportError) -> Signal:
    """An error code that arrived counts even when its body did not: it was not accepted."""
    if error.status >= 300:
        return _signal_of_status(error.status, None)
    return _BY_FAULT[error.fault]


def _signal_of_status(status: int, answer: Answer | None) -> Signal:
    if 200 <= status < 300:
        return Signal.OK
    if status == 406:
        return _signal_of_406(error_text(answer) if answer else "")
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return Signal.REDIRECT
    if status >= 500:
        return Signal.SERVER_ERROR
    # 1xx never reaches us as a final answer; what is left is 4xx.
    return Signal.BAD_REQUEST


def _signal_of_406(text: str) -> Signal:
    """406 has several meanings, told apart by the message only; a text nobody knows holds submits.

    Credit words win over parameter words: "spend limit must be raised" is about money.
    """
    lowered = text.lower()
    if any(word in lowered for word in _CONTENT_TYPE_WORDS):
        return Signal.WRONG_CONTENT_TYPE
    if any(word in lowered for word in _CREDIT_WORDS):
        return Signal.NO_CREDITS
    if any(word in lowered for word in _PARAMETER_WORDS):
        return Signal.PARAMETER_REFUSED
    return Signal.NO_CREDITS


def error_text(answer: Answer) -> str:
    """What the service says went wrong, fit to be shown: one line, printable, bounded.

    Reads `error`, `error_description`, `message` or `detail` of a JSON object; HTML is not shown.
    """
    body = answer.object()
    for key in ("error_description", "error", "message", "detail"):
        value = body.get(key)
        if isinstance(value, str) and value.strip():
            return printable(value)
        if isinstance(value, dict | list) and value:
            return printable(str(value))
    return ""
