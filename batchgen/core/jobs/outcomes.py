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
    MIDDLEMAN = "a page or code that is not the service's own"
    UNROUTED = "400, 404 of an edge that routes the path nowhere"
    NOT_NOW = "421, 423, 425"
    BAD_REQUEST = "400, 413, 415; 404 about an input"
    KEY_REFUSED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    WRONG_METHOD = "405"
    NO_CREDITS = "402; 406 credits, limit"
    REFUSED_UNTOLD = "406 unknown text"
    WRONG_CONTENT_TYPE = "406 content type"
    PARAMETER_REFUSED = "406 parameter refused"
    RETIRED = "410"
    UNPROCESSABLE = "422"
    RATE_LIMITED = "429"
    SERVER_ERROR = "500, 502, 503 and other 5xx"
    GATEWAY_TIMEOUT = "504; other 5xx that tell of a timeout"
    QUOTA_REACHED = "of an upload: 402, 507, words of a full storage"


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
    """Try again, ever more rarely, or at the instant the service named; no attempt is spent. Age
    alone ends it: after its hour a request is looked for in the history."""
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
    SUSPECT = "job, model or account"
    """Refused for the job, the model or the account: what passes beside it tells which."""
    GATE_UPLOADS = "gate: uploads"
    """Hold uploads, and so the jobs that need some: the account's storage is full."""
    GATE_HISTORY = "gate: history"
    """Hold lookups in the history; whoever needs one waits, everything else goes on."""
    GATE_CREDITS = "gate: credits"
    """Hold submits: the account is empty or at its limit."""
    HALT = "halt"
    """Our bug or a wrong configuration, such as a wrong base URL: stop, resumable."""
    BODY = "the body decides"
    """A body that says FAILED ends the job; any other is retried."""
    BY_AGE = "by age"
    """Within its hour: retry, and ask the history beside it. After it: the history decides."""
    NO_PROOF = "absent, which proves nothing"
    """Not in the history (yet): retry; after the hour, and beside a later request of ours that the
    history does show, the policy decides."""


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


_GETS_RETRY = (_T.RETRY,) * 4

TABLE: Mapping[Signal, Mapping[CallKind, Treatment]] = {
    Signal.OK: _row(*[_T.PROCEED] * 6),
    Signal.NOT_SENT: _row(*[_T.RETRY] * 6),
    Signal.LOST: _row(_T.AMBIGUOUS, *_GETS_RETRY, _T.RETRY),
    Signal.UNREADABLE: _row(_T.AMBIGUOUS, *_GETS_RETRY, _T.RETRY_THEN_FINAL),
    Signal.REDIRECT: _row(_T.AMBIGUOUS, *_GETS_RETRY, _T.RETRY),
    Signal.MIDDLEMAN: _row(_T.AMBIGUOUS, *_GETS_RETRY, _T.RETRY),
    Signal.UNROUTED: _row(_T.HALT, *_GETS_RETRY, _T.RETRY),
    Signal.NOT_NOW: _row(*[_T.RETRY] * 6),
    Signal.BAD_REQUEST: _row(_T.FINAL, *_GETS_RETRY, _T.FINAL),
    Signal.KEY_REFUSED: _row(*[_T.GATE_KEY] * 3, _T.GATE_HISTORY, _T.RETRY, _T.GATE_KEY),
    Signal.FORBIDDEN: _row(_T.SUSPECT, *[_T.GATE_KEY] * 2, _T.GATE_HISTORY, _T.RETRY, _T.GATE_KEY),
    Signal.NOT_FOUND: _row(_T.SUSPECT, _T.BY_AGE, _T.BY_AGE, _T.NO_PROOF, _T.RETRY, _T.RETRY),
    Signal.WRONG_METHOD: _row(*[_T.RETRY] * 6),
    Signal.NO_CREDITS: _row(*[_T.GATE_CREDITS] * 6),
    Signal.REFUSED_UNTOLD: _row(_T.SUSPECT, *_GETS_RETRY, _T.RETRY),
    Signal.WRONG_CONTENT_TYPE: _row(_T.HALT, *_GETS_RETRY, _T.HALT),
    Signal.PARAMETER_REFUSED: _row(_T.FINAL, *_GETS_RETRY, _T.RETRY),
    Signal.RETIRED: _row(_T.SUSPECT, _T.BY_AGE, _T.BY_AGE, _T.NO_PROOF, _T.RETRY, _T.RETRY),
    Signal.UNPROCESSABLE: _row(_T.FINAL, _T.BODY, _T.BODY, _T.RETRY, _T.RETRY, _T.FINAL),
    Signal.RATE_LIMITED: _row(*[_T.RETRY] * 6),
    Signal.SERVER_ERROR: _row(_T.AMBIGUOUS_OR_RETRY, *_GETS_RETRY, _T.RETRY),
    Signal.GATEWAY_TIMEOUT: _row(_T.AMBIGUOUS, *_GETS_RETRY, _T.RETRY),
    Signal.QUOTA_REACHED: _row(_T.AMBIGUOUS, *_GETS_RETRY, _T.GATE_UPLOADS),
}
"""signal × call → treatment."""
