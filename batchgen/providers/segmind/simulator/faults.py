"""Faults by configuration: which rule meets a call, and what it makes of the answer."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from batchgen.providers.segmind.simulator import answers
from batchgen.providers.segmind.simulator.answers import (
    error_reply,
    html_reply,
    iso_instant,
    json_reply,
    rate_limited_reply,
)
from batchgen.providers.segmind.simulator.fault_rules import (
    CdnHost,
    Endpoint,
    FaultKind,
    FaultRule,
    ResetHeader,
)
from batchgen.providers.segmind.simulator.messages import DeliveryFault, ReceivedRequest, Reply

REDIRECTED = "redirected"
"""Query field of an address a redirect has led to, so that it is not redirected again."""

_OK = 200
_YEARS_S = 10 * 365 * 86400.0

_FATES: Mapping[FaultKind, DeliveryFault] = {
    FaultKind.DROP_AFTER: DeliveryFault.DROP_AFTER,
    FaultKind.STALL: DeliveryFault.STALL,
    FaultKind.CUT: DeliveryFault.CUT,
    FaultKind.CUT_SILENTLY: DeliveryFault.CUT_SILENTLY,
    FaultKind.DRIP: DeliveryFault.DRIP,
    FaultKind.WRONG_LENGTH: DeliveryFault.WRONG_LENGTH,
    FaultKind.BROTLI: DeliveryFault.BROTLI,
}

_GATEWAY: Mapping[FaultKind, Callable[[], Reply]] = {
    FaultKind.HTTP_500: lambda: error_reply(500, answers.SERVER_ERROR),
    FaultKind.HTTP_502: lambda: html_reply(502),
    FaultKind.HTTP_503: lambda: error_reply(503, answers.UNAVAILABLE),
    FaultKind.HTTP_504: lambda: html_reply(504),
}

_REFUSALS: Mapping[FaultKind, Callable[[], Reply]] = {
    FaultKind.HTTP_400: lambda: error_reply(400, "Malformed request"),
    FaultKind.HTTP_401: lambda: error_reply(401, answers.BAD_KEY),
    FaultKind.HTTP_402: lambda: error_reply(402, answers.no_credits(0.0)),
    FaultKind.HTTP_403: lambda: error_reply(403, answers.FORBIDDEN),
    FaultKind.HTTP_404: lambda: error_reply(404, answers.UNKNOWN_REQUEST),
    FaultKind.HTTP_405: lambda: html_reply(405),
    FaultKind.CREDITS_406: lambda: error_reply(406, answers.no_credits(0.0)),
    FaultKind.LIMIT_406: lambda: error_reply(406, answers.SPEND_LIMIT),
    FaultKind.PARAMETER_406: lambda: error_reply(406, "Parameter value refused: out of range"),
    FaultKind.CONTENT_TYPE_406: lambda: error_reply(406, answers.WRONG_TYPE),
    FaultKind.HTTP_410: lambda: error_reply(410, answers.RETIRED),
}

_PAGE = b"<!doctype html><html><body><h1>Something went wrong</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Subject:
    """A call as rules look at it.

    `text` is the body of its job, `age_s` the age of its request (at the CDN: since its end), None
    where it is about none that is known. `key` names what `per_request` counts by.
    """

    place: Endpoint
    model: str = ""
    text: str = ""
    age_s: float | None = None
    key: str = ""
    host: CdnHost = CdnHost.CDN


@dataclass(slots=True)
class _Counter:
    """How often a rule was asked, and how often it fired."""

    seen: int = 0
    fired: int = 0


class FaultBook:
    """The rules in force, and which of them meets a call."""

    def __init__(self, rules: Iterable[FaultRule], seed: int, started_at: float) -> None:
        self._random = random.Random(f"{seed}/faults")
        self._started_at = started_at
        self._rules: list[tuple[FaultRule, defaultdict[str, _Counter]]] = []
        self.replace(rules)

    def replace(self, rules: Iterable[FaultRule]) -> None:
        """Put other rules in force; their counts begin at nothing."""
        self._rules = [(rule, defaultdict(_Counter)) for rule in rules]

    @property
    def is_empty(self) -> bool:
        """Whether there are no rules at all."""
        return not self._rules

    def meet(self, subject: Subject, now: float) -> FaultRule | None:
        """The first rule that fires for a call."""
        for rule, counters in self._rules:
            if self._concerns(rule, subject, now):
                counter = counters[subject.key if rule.per_request else ""]
                if self._fires(rule, counter):
                    return rule
        return None

    def _concerns(self, rule: FaultRule, subject: Subject, now: float) -> bool:
        if not _is_at(rule.where, subject) or (rule.models and subject.model not in rule.models):
            return False
        if rule.text not in subject.text or rule.host not in (None, subject.host):
            return False
        since_start_s = now - self._started_at
        return _lies(since_start_s, rule.since_s, rule.until_s) and (
            (rule.age_min_s is None and rule.age_max_s is None)
            or (subject.age_s is not None and _lies(subject.age_s, rule.age_min_s, rule.age_max_s))
        )

    def _fires(self, rule: FaultRule, counter: _Counter) -> bool:
        counter.seen += 1
        if counter.seen <= rule.after or (rule.count is not None and counter.fired >= rule.count):
            return False
        if (counter.seen - rule.after) % rule.every:
            return False
        if rule.probability < 1 and self._random.random() >= rule.probability:
            return False
        counter.fired += 1
        return True


def _is_at(where: Endpoint, subject: Subject) -> bool:
    match where:
        case Endpoint.ANY:
            return subject.place is not Endpoint.CDN
        case Endpoint.HISTORY_LIST:
            return subject.place is Endpoint.HISTORY and not subject.key
        case Endpoint.HISTORY_RECORD:
            return subject.place is Endpoint.HISTORY and bool(subject.key)
    return where is subject.place


def _lies(at_s: float, since_s: float | None, until_s: float | None) -> bool:
    return (since_s is None or since_s <= at_s) and (until_s is None or at_s < until_s)


def refusal(rule: FaultRule, request: ReceivedRequest, origin: str, now: float) -> Reply | None:
    """The answer of a rule that keeps the request from being processed, None if it lets it pass.

    `origin` is that of the server that was asked.
    """
    kind = rule.kind
    if kind in (FaultKind.REFUSE, FaultKind.DROP_BEFORE):
        return Reply(0, {}, b"", fate=DeliveryFault.DROP_BEFORE)
    if kind is FaultKind.HTTP_429:
        return rate_limited_reply(_reset(rule.reset, now))
    if kind is FaultKind.ANSWER and not rule.accepted:
        return _told(rule)
    if kind in _GATEWAY and not rule.accepted:
        return _GATEWAY[kind]()
    if kind in _REFUSALS:
        return _REFUSALS[kind]()
    if kind is FaultKind.REDIRECT:
        return _redirect(rule, request, origin)
    return None


def _redirect(rule: FaultRule, request: ReceivedRequest, origin: str) -> Reply | None:
    if rule.location:
        return Reply(302, {"location": rule.location}, b"")
    if REDIRECTED in request.query:
        return None
    return Reply(302, {"location": f"{origin}{request.path}?{REDIRECTED}=1"}, b"")


def spoil(rule: FaultRule, reply: Reply) -> Reply:
    """What a rule makes of the answer to a request that was processed."""
    kind = rule.kind
    if kind in _FATES:
        return replace(reply, fate=_FATES[kind])
    if kind is FaultKind.SLOW:
        return replace(reply, delay_s=reply.delay_s + rule.delay_s)
    if kind is FaultKind.GARBLED:
        return replace(
            reply, status=200, body=b'{"request_id": "\xff\x00', fate=DeliveryFault.GARBLED
        )
    if kind is FaultKind.HTML_AS_MEDIA:
        return replace(reply, status=200, body=_PAGE)
    if kind is FaultKind.HEADERS:
        return replace(reply, headers={**reply.headers, **_more_headers(rule)})
    if kind is FaultKind.PARTIAL and reply.status == _OK:
        return replace(reply, status=206)
    if kind is FaultKind.ANSWER:
        return replace(_told(rule), delay_s=reply.delay_s)
    if kind in _GATEWAY:
        return replace(_GATEWAY[kind](), delay_s=reply.delay_s)
    return reply


def _told(rule: FaultRule) -> Reply:
    """The answer that a rule spells out."""
    if isinstance(rule.body, str):
        usual = answers.HTML if rule.body.lstrip().startswith("<") else answers.PLAIN
        reply = Reply(rule.status, {"content-type": usual}, rule.body.encode("utf-8", "replace"))
    else:
        reply = json_reply(rule.status, rule.body)
    given = {"content-type": rule.content_type} if rule.content_type else {}
    return replace(reply, headers={**reply.headers, **given, **_more_headers(rule)})


def _more_headers(rule: FaultRule) -> dict[str, str]:
    padding = {"x-padding": "x" * rule.header_bytes} if rule.header_bytes else {}
    return {name.lower(): value for name, value in rule.headers.items()} | padding


def _reset(reset: ResetHeader, now: float) -> dict[str, str]:
    if reset is ResetHeader.MISSING:
        return {}
    shift_s = {ResetHeader.PAST: -3600.0, ResetHeader.ABSURD: _YEARS_S}.get(reset, 60.0)
    return {answers.RESET: iso_instant(now + shift_s)}
