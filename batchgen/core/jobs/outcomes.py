"""What each call does with each signal: one table, shared by the code, the tests and the docs.

A signal is what the service or the network said to a call (`signal_of`); the treatment is what
follows from it. Source: the service's documented error codes and the facts of its history
(`docs/reliability.md` prints the table).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


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


@dataclass(frozen=True, slots=True)
class Response:
    """What came of one call: its signal, when it was known, and why it is not good.

    `retry_at` is the earliest next try that the service named, 0 where it named none.
    """

    call: CallKind
    signal: Signal
    at: float
    reason: str = ""
    retry_at: float = 0.0


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
