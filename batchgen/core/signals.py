"""What each call does with each signal: one table, shared by the code, the tests and the docs.

A signal is what the service or the network said to a call (`signal_of`); the treatment is what
follows from it. Source: the service's documented error codes and the facts of its history
(`docs/reliability.md` prints the table).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from batchgen.core.http import Answer
from batchgen.errors import NetFault, TransportError


class CallKind(StrEnum):
    """The calls of a run, as far as their signals differ."""

    SUBMIT = "submit"
    """POST of a job: the only call that costs."""
    STATUS = "status"
    """GET of the state of a request."""
    RESULT = "result"
    """GET of its final body."""
    HISTORY = "history"
    """GET of the account's requests, a page or one by its id."""
    CREDITS = "credits"
    """GET of the account's credits: the free probe."""
    UPLOAD = "upload"
    """POST of an input file: free, and safe to repeat."""


class Signal(StrEnum):
    """What came back."""

    OK = "2xx"
    NOT_SENT = "DNS, refused, TLS, connect timeout"
    LOST = "reset or timeout after the first byte left"
    UNREADABLE = "2xx, unreadable or without what it must carry"
    REDIRECT = "3xx"
    BAD_REQUEST = "400 and other 4xx"
    KEY_REFUSED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    WRONG_METHOD = "405"
    NO_CREDITS = "406 credits, limit, unknown text"
    WRONG_CONTENT_TYPE = "406 content type"
    PARAMETER_REFUSED = "406 parameter refused"
    RETIRED = "410"
    UNPROCESSABLE = "422"
    RATE_LIMITED = "429"
    SERVER_ERROR = "500, 502, 503 and other 5xx"
    GATEWAY_TIMEOUT = "504"


class Treatment(StrEnum):
    """What is done about it."""

    PROCEED = "proceed"
    """Read the body."""
    RETRY = "retry"
    """Try again, with backoff or at the instant the service named; no attempt is spent."""
    RETRY_THEN_SET_ASIDE = "retry, then set aside"
    """Try again a bounded number of times, then leave the decision to the user."""
    RETRY_THEN_FINAL = "retry, then final"
    """Try again a bounded number of times; then every job that needs it ends."""
    AMBIGUOUS = "ambiguous"
    """It may have been accepted: reconcile, never POST blindly."""
    AMBIGUOUS_OR_RETRY = "ambiguous; retry where history does not answer"
    """Documented as not accepted, but history is asked first."""
    FINAL = "final"
    """The job ends: it can never succeed as it stands."""
    GATE_KEY = "gate: key"
    """Hold everything until the key is accepted again."""
    GATE_KEY_OR_MODEL = "gate: key; closes the model if a free GET shows the key is good"
    """Refused for the account or for this model: a free call tells which."""
    GATE_HISTORY = "gate: history"
    """Hold lookups in the history; whoever needs one waits, everything else goes on."""
    GATE_CREDITS = "gate: credits"
    """Hold submits: the account is empty or at its limit."""
    CLOSE_MODEL = "close the model"
    """Submit nothing more of this model in this run."""
    HALT = "halt"
    """Our bug or a wrong configuration: stop, resumable."""
    BODY = "the body decides"
    """A body that says FAILED ends the job; any other is retried, then set aside."""
    BY_AGE = "by age"
    """Young: retry. Old, or gone for good: ask the history."""
    NO_PROOF = "absent, which proves nothing"
    """Not in the history (yet): retry, then the policy decides."""


_T = Treatment
_COLUMNS = (
    CallKind.SUBMIT,
    CallKind.STATUS,
    CallKind.RESULT,
    CallKind.HISTORY,
    CallKind.CREDITS,
    CallKind.UPLOAD,
)


def _row(*treatments: Treatment) -> Mapping[CallKind, Treatment]:
    return dict(zip(_COLUMNS, treatments, strict=True))


_ASIDE = _T.RETRY_THEN_SET_ASIDE

TABLE: Mapping[Signal, Mapping[CallKind, Treatment]] = {
    Signal.OK: _row(*[_T.PROCEED] * 6),
    Signal.NOT_SENT: _row(*[_T.RETRY] * 6),
    Signal.LOST: _row(_T.AMBIGUOUS, *[_T.RETRY] * 5),
    Signal.UNREADABLE: _row(
        _T.AMBIGUOUS, _ASIDE, _T.BY_AGE, _T.RETRY, _T.RETRY, _T.RETRY_THEN_FINAL
    ),
    Signal.REDIRECT: _row(*[_T.HALT] * 6),
    Signal.BAD_REQUEST: _row(_T.FINAL, _ASIDE, _ASIDE, _ASIDE, _T.RETRY, _T.FINAL),
    Signal.KEY_REFUSED: _row(*[_T.GATE_KEY] * 3, _T.GATE_HISTORY, *[_T.GATE_KEY] * 2),
    Signal.FORBIDDEN: _row(
        _T.GATE_KEY_OR_MODEL, *[_T.GATE_KEY] * 2, _T.GATE_HISTORY, *[_T.GATE_KEY] * 2
    ),
    Signal.NOT_FOUND: _row(_T.CLOSE_MODEL, _T.BY_AGE, _T.BY_AGE, _T.NO_PROOF, _T.RETRY, _T.HALT),
    Signal.WRONG_METHOD: _row(*[_T.HALT] * 6),
    Signal.NO_CREDITS: _row(*[_T.GATE_CREDITS] * 6),
    Signal.WRONG_CONTENT_TYPE: _row(_T.HALT, _ASIDE, _ASIDE, _ASIDE, _T.RETRY, _T.HALT),
    Signal.PARAMETER_REFUSED: _row(_T.FINAL, _ASIDE, _ASIDE, _ASIDE, _T.RETRY, _T.HALT),
    Signal.RETIRED: _row(_T.CLOSE_MODEL, _T.BY_AGE, _T.BY_AGE, _T.NO_PROOF, _T.RETRY, _T.HALT),
    Signal.UNPROCESSABLE: _row(_T.FINAL, _T.BODY, _T.BODY, _T.RETRY, _T.RETRY, _T.FINAL),
    Signal.RATE_LIMITED: _row(*[_T.RETRY] * 6),
    Signal.SERVER_ERROR: _row(_T.AMBIGUOUS_OR_RETRY, *[_T.RETRY] * 5),
    Signal.GATEWAY_TIMEOUT: _row(_T.AMBIGUOUS, *[_T.RETRY] * 5),
}
"""signal × call → treatment."""

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


MAX_ERROR_CHARACTERS = 500


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


def printable(text: str, limit: int = MAX_ERROR_CHARACTERS) -> str:
    """Text from elsewhere made fit for a terminal and a log: no control characters, one line.

    Escape sequences in error texts could otherwise rewrite what the reader sees.
    """
    kept = "".join(c if c.isprintable() else " " for c in text[: limit * 4])
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
