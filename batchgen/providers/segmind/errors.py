"""What the service says when something is wrong, and which signal that is."""

from __future__ import annotations

import re
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
    400: Signal.BAD_REQUEST,
    401: Signal.KEY_REFUSED,
    402: Signal.NO_CREDITS,
    403: Signal.FORBIDDEN,
    404: Signal.NOT_FOUND,
    405: Signal.WRONG_METHOD,
    410: Signal.RETIRED,
    413: Signal.BAD_REQUEST,
    415: Signal.BAD_REQUEST,
    421: Signal.NOT_NOW,
    422: Signal.UNPROCESSABLE,
    423: Signal.NOT_NOW,
    425: Signal.NOT_NOW,
    429: Signal.RATE_LIMITED,
    504: Signal.GATEWAY_TIMEOUT,
}
_ANYBODYS = frozenset({401, 402, 429})
"""Codes that mean the same from whoever answers: nothing was accepted, and nothing is wrong with
the job. Any other 4xx counts only with the service's own error in its body."""

OWN_KEYS = frozenset({
    "error", "error_description", "message", "detail", "status", "request_id", "metrics",
    "status_url", "response_url", "poll_url", "model_status", "credits", "data",
    "choices", "content", "candidates",
})  # fmt: skip
"""The keys of the service's answers, whatever they are about (`docs/service.md`); the last three
are those of text models, whose makers' own JSON is what v1 answers."""
_OWN_HEADERS = frozenset({"x-cost", "x-remaining-credits"})


_EDGE_WORDS = ("host header", "no route matched", "default backend")
"""What the edge says before the service (first: the one seen), or another gateway (the others), of
a path that it routes nowhere. It says so before it passes anything on."""
_EDGE_BYTES = 2048
"""So much of an answer is searched for them: they may stand in no JSON."""


_TIMEOUT_WORDS = ("polling error", "timeout", "timed out", "time-out")
"""Of a 5xx that says that it only did not wait any longer. A v1 call breaks off so after about
100 s ("Internal Polling Error", seen by other clients): the job goes on, and is billed."""


_INPUT_MISSING = re.compile(r"\b(input|image|video|audio|media)\b.*\bnot found\b")
"""Of a 404 about an input of the job, where it is not about its model."""


_CONTENT_TYPE_WORDS = ("content-type", "content type")


_CREDIT_WORDS = ("credit", "balance", "spend", "quota", "billing", "payment")


_LIMIT_WORDS = ("rate limit", "too many requests", "rate_limit")


_PARAMETER_WORDS = (
    "parameter",
    "value",
    "invalid",
    "not allowed",
    "must be",
    "should be",
    "out of range",
    "mandatory",
    "validation error",
    "media rejected",
    "content_policy",
    "content policy",
    "moderation",
)
"""Words that are of the job beyond doubt. One that may be of the account as well ("required", as in
"a subscription is required") is not here: what is vague holds submits, and others tell."""


_FOR_GOOD = (
    # what moderation says, here and at the makers of the models
    "moderat", "policy", "policies", "safety", "unsafe", "nsfw", "flagged", "blocked", "prohibit",
    "content filter", "content_filter", "sensitive", "inappropriate", "violat", "refused to",
    "reject", "copyright", "likeness", "harm", "explicit", "rai)",
    # what a check of the parameters says
    "validat", "invalid", "mandatory", "required", "missing", "must ", "must be", "should be",
    "not allowed", "not supported", "unsupported", "out of range", "too long", "too large",
    "too many", "too small", "exceeds", "could not be read", "cannot be read", "not found",
    "malformed", " expected", "parameter", "at least", "at most",
)  # fmt: skip
"""Words of reasons that hold for the next try as well: of texts seen (`docs/service.md`) and of
those that such services use. What is not among them may be the load of a moment."""
_BUSY = ("rate limit", "too many requests", "try again", "temporar", "timeout", "timed out")
"""Words that win over those above: "too many requests" will be fewer."""


def may_pass(reason: str) -> bool:
    """Whether a job that FAILED for this reason may succeed as it stands, if it is tried again."""
    lowered = reason.lower()
    if any(word in lowered for word in _BUSY):
        return True
    return not any(word in lowered for word in _FOR_GOOD)


def signal_of(outcome: Answer | TransportError) -> Signal:
    """Which signal an answer or a transport fault is; a 2xx is OK until its body says otherwise."""
    if isinstance(outcome, TransportError):
        return _signal_of_fault(outcome)
    return _signal_of_status(outcome.status, outcome)


def _signal_of_fault(error: TransportError) -> Signal:
    """An error code that arrived counts even when its body did not; whose it is, nobody knows."""
    if error.status >= 300:
        return _signal_of_status(error.status, None)
    return _BY_FAULT[error.fault]


def _signal_of_status(status: int, answer: Answer | None) -> Signal:
    if 200 <= status < 300:
        return Signal.OK
    if 300 <= status < 400:
        return Signal.REDIRECT
    said = error_text(answer).lower() if answer else ""
    if status >= 500:
        is_impatient = any(word in said for word in _TIMEOUT_WORDS)
        known = _BY_STATUS.get(status, Signal.SERVER_ERROR)
        return Signal.GATEWAY_TIMEOUT if is_impatient else known
    if status in {400, 404} and answer is not None and _is_unrouted(answer):
        return Signal.UNROUTED
    # 1xx never reaches us as a final answer; what is left is 4xx.
    is_own = answer is not None and not OWN_KEYS.isdisjoint(answer.object())
    if not is_own and status not in _ANYBODYS:
        return Signal.MIDDLEMAN
    if status == 406:
        return signal_of_words(said)
    if status == 404 and _INPUT_MISSING.search(said) and "model" not in said:
        return Signal.BAD_REQUEST
    return _BY_STATUS.get(status, Signal.MIDDLEMAN)


def _is_unrouted(answer: Answer) -> bool:
    begun = answer.body[:_EDGE_BYTES].lower()
    return any(word.encode() in begun for word in _EDGE_WORDS)


def signal_of_words(text: str) -> Signal:
    """What a refusal is about, as far as its words say: those of a 406, or of an error under 200.

    Credit words win over parameter words: "spend limit must be raised" is about money.
    """
    lowered = text.lower()
    if any(word in lowered for word in _CONTENT_TYPE_WORDS):
        return Signal.WRONG_CONTENT_TYPE
    if any(word in lowered for word in _LIMIT_WORDS):
        return Signal.RATE_LIMITED
    if any(word in lowered for word in _CREDIT_WORDS):
        return Signal.NO_CREDITS
    if any(word in lowered for word in _PARAMETER_WORDS):
        return Signal.PARAMETER_REFUSED
    return Signal.REFUSED_UNTOLD


def lacks_balance(answer: Answer) -> bool:
    """Whether it says of the credits that the account has no record of any: the key is good."""
    return answer.status == 404 and "credit" in error_text(answer).lower()


def is_page(answer: Answer) -> bool:
    """Whether a 2xx brought something that is not the service's: a page, or JSON of somebody else.

    What only broke off is not a page.
    """
    try:
        value = answer.json()
    except ValueError:
        return answer.body.lstrip()[:1] == b"<" or "html" in answer.headers.get("content-type", "")
    is_own = isinstance(value, dict) and not OWN_KEYS.isdisjoint(value)
    return not is_own and _OWN_HEADERS.isdisjoint(answer.headers)


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
