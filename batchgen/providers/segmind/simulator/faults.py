"""Faults by configuration: which rule meets a call, and what it makes of the answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from batchgen.providers.segmind.simulator import answers
from batchgen.providers.segmind.simulator.answers import error_reply, html_reply, rate_limited_reply
from batchgen.providers.segmind.simulator.fault_rules import (
    Endpoint,
    FaultKind,
    FaultRule,
    ResetHeader,
)
from batchgen.providers.segmind.simulator.messages import DeliveryFault, ReceivedRequest, Reply

REDIRECTED = "redirected"
"""Query field of an address a redirect has led to, so that it is not redirected again."""

_YEARS_S = 10 * 365 * 86400.0

_FATES: Mapping[FaultKind, DeliveryFault] = {
    FaultKind.DROP_AFTER: DeliveryFault.DROP_AFTER,
    FaultKind.STALL: DeliveryFault.STALL,
    FaultKind.CUT: DeliveryFault.CUT,
    FaultKind.CUT_SILENTLY: DeliveryFault.CUT_SILENTLY,
    FaultKind.DRIP: DeliveryFault.DRIP,
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
    FaultKind.HTTP_403: lambda: error_reply(403, answers.FORBIDDEN),
    FaultKind.HTTP_404: lambda: error_reply(404, answers.UNKNOWN_REQUEST),
    FaultKind.HTTP_405: lambda: html_reply(405),
    FaultKind.CREDITS_406: lambda: error_reply(406, answers.NO_CREDITS),
    FaultKind.LIMIT_406: lambda: error_reply(406, answers.SPEND_LIMIT),
    FaultKind.PARAMETER_406: lambda: error_reply(406, "Parameter value refused: out of range"),
    FaultKind.CONTENT_TYPE_406: lambda: error_reply(406, answers.WRONG_TYPE),
    FaultKind.HTTP_410: lambda: error_reply(410, answers.RETIRED),
}

_PAGE = b"<!doctype html><html><body><h1>Something went wrong</h1></body></html>"


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
        self._rules: list[tuple[FaultRule, _Counter]] = []
        self.replace(rules)

    def replace(self, rules: Iterable[FaultRule]) -> None:
        """Put other rules in force; their counts begin at nothing."""
        self._rules = [(rule, _Counter()) for rule in rules]

    def meet(self, place: Endpoint, model: str, now: float) -> FaultRule | None:
        """The first rule that fires for a call at `place` about `model` (empty: about none)."""
        for rule, counter in self._rules:
            if self._concerns(rule, place, model, now) and self._fires(rule, counter):
                return rule
        return None

    def _concerns(self, rule: FaultRule, place: Endpoint, model: str, now: float) -> bool:
        anywhere = rule.where is Endpoint.ANY and place is not Endpoint.CDN
        if not (anywhere or rule.where is place) or (rule.models and model not in rule.models):
            return False
        age_s = now - self._started_at
        return rule.since_s <= age_s and (rule.until_s is None or age_s < rule.until_s)

    def _fires(self, rule: FaultRule, counter: _Counter) -> bool:
        counter.seen += 1
        if counter.seen <= rule.after or (rule.count is not None and counter.fired >= rule.count):
            return False
        if rule.probability < 1 and self._random.random() >= rule.probability:
            return False
        counter.fired += 1
        return True


def refusal(rule: FaultRule, request: ReceivedRequest, origin: str, now: float) -> Reply | None:
    """The answer of a rule that keeps the request from being processed, None if it lets it pass.

    `origin` is that of the server that was asked.
    """
    kind = rule.kind
    if kind in (FaultKind.REFUSE, FaultKind.DROP_BEFORE):
        return Reply(0, {}, b"", fate=DeliveryFault.DROP_BEFORE)
    if kind is FaultKind.HTTP_429:
        return rate_limited_reply(_reset_at(rule.reset, now))
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
    if kind in _GATEWAY:
        return replace(_GATEWAY[kind](), delay_s=reply.delay_s)
    return reply


def _reset_at(reset: ResetHeader, now: float) -> float | None:
    if reset is ResetHeader.MISSING:
        return None
    shift_s = {ResetHeader.PAST: -3600.0, ResetHeader.ABSURD: _YEARS_S}.get(reset, 60.0)
    return now + shift_s
