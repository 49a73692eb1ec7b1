"""The simulated service: requests in, answers out. No clock, no socket, no task.

Time is passed in and must not fall; randomness comes from the seed, so the same requests at the
same instants get the same answers. The HTTP server drives it in real time, tests in virtual time.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from batchgen.core.catalog.model import Catalog
from batchgen.core.jobs.spec import Mode
from batchgen.providers.segmind import catalog
from batchgen.providers.segmind.simulator import checks, faults
from batchgen.providers.segmind.simulator.answers import http_date
from batchgen.providers.segmind.simulator.cdn import Cdn
from batchgen.providers.segmind.simulator.config import SimulatorConfig
from batchgen.providers.segmind.simulator.control import control
from batchgen.providers.segmind.simulator.desk import Context, ReceivedCall, Router
from batchgen.providers.segmind.simulator.engine import Order, Workers
from batchgen.providers.segmind.simulator.fault_rules import Endpoint, FaultKind, FaultRule
from batchgen.providers.segmind.simulator.http.routes import CONTROL, Route, read_route
from batchgen.providers.segmind.simulator.ledger import Bill, BillingLedger, LogEntry
from batchgen.providers.segmind.simulator.media.outputs import Render
from batchgen.providers.segmind.simulator.media.shelf import MediaIndex
from batchgen.providers.segmind.simulator.media.tiny import tiny_media
from batchgen.providers.segmind.simulator.messages import (
    ApiRefusal,
    DeliveryFault,
    MediaRef,
    ReceivedRequest,
    Reply,
    Urls,
)
from batchgen.providers.segmind.simulator.rate_limits.requests import RequestWindow
from batchgen.providers.segmind.simulator.uploads import Uploads

EXPORT_VERSION = 1

_POSTS = frozenset({Endpoint.SUBMIT, Endpoint.SYNC})


class Service:
    """One account at the service. `ledger` is what it really did: the oracle of tests.

    `render` makes the media that a body itself carries (base64); other media leave as references.
    `models` are those it knows, by default the ones that ship.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        *,
        started_at: float,
        urls: Urls,
        render: Render = tiny_media,
        models: Catalog | None = None,
    ) -> None:
        self.config = config
        self.urls = urls
        self.ledger = BillingLedger(config.log_limit)
        models = catalog.load() if models is None else models
        self._engine = Workers(config, models, self.ledger)
        self._window = RequestWindow(config)
        self._faults = faults.FaultBook(config.faults, config.seed, started_at)
        premises = Context(
            config=config,
            catalog=models,
            ledger=self.ledger,
            engine=self._engine,
            window=self._window,
            uploads=Uploads(),
            shelf=MediaIndex(config, models, urls),
        )
        self._desk = Router(premises, urls.api, render)
        self._cdn = Cdn(premises, self._faults)
        self._ghosts: list[tuple[float, int, ReceivedRequest]] = []
        self._ghost_count = 0

    def handle(self, request: ReceivedRequest, now: float) -> Reply:
        """Answer one request to the API."""
        self.advance(now)
        if request.path.startswith(CONTROL):
            return self._dated(control(self, request, now), now)
        route = read_route(request.path)
        if route.place is Endpoint.SUBMIT and self.config.teammate_probability:
            self._imitate(route, request, now)
        rule = None
        if not self._faults.is_empty:
            rule = self._faults.meet(self._subject(route, request, now), now)
        return self._answer(ReceivedCall(route, request, now, rule))

    def cdn(self, request: ReceivedRequest, now: float) -> Reply:
        """Answer one request to the CDN. It needs no key, and a key that comes is recorded."""
        self.advance(now)
        reply = self._cdn.answer(request, now)
        self.ledger.downloads[request.path] += 1
        self.ledger.note(LogEntry(now, Endpoint.CDN, reply.status, reply.fate, ""))
        return self._dated(reply, now + reply.delay_s)

    def media(self, path: str, now: float) -> MediaRef | None:
        """Which media stand at a path of the CDN; None: none yet, none any more, or never.

        Fault rules do not touch it and the ledger does not count it; `cdn` is the whole thing.
        """
        return self._cdn.media(path, now)

    def advance(self, now: float) -> None:
        """Let what is still on its way arrive: ghost POSTs that are due by `now`."""
        while self._ghosts and self._ghosts[0][0] <= now:
            arrived_at, _, request = heapq.heappop(self._ghosts)
            self._answer(ReceivedCall(read_route(request.path), request, arrived_at))

    def replace_faults(self, rules: Iterable[FaultRule]) -> None:
        """Put other fault rules in force; their counts begin at nothing."""
        self._faults.replace(rules)

    def add_credits(self, amount_usd: float) -> None:
        """Top the account up."""
        self._engine.added_usd += amount_usd

    def credits_usd(self, now: float) -> float:
        """What is left in the account at an instant, free credits included."""
        return self._engine.credits_usd(now)

    def export(self) -> dict[str, Any]:
        """Everything that must outlive the process, as JSON values.

        Uploads, request counts and POSTs still on their way do not.
        """
        return {
            "version": EXPORT_VERSION,
            "bills": [bill.to_json() for bill in self.ledger.bills],
            "admitted_at": self._window.export(),
            "added_usd": self._engine.added_usd,
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from an `export`, in a service that has accepted nothing yet.

        Raises ValueError for anything else; the service is then not to be used.
        """
        if self.ledger.bills:
            raise ValueError("only a service that has accepted nothing can be restored")
        if saved.get("version") != EXPORT_VERSION:
            raise ValueError(f"version {EXPORT_VERSION} is known, not {saved.get('version')!r}")
        try:
            self._engine.restore([Bill.from_json(bill) for bill in saved["bills"]])
            self._window.restore(saved.get("admitted_at", ()))
            self._engine.added_usd = float(saved.get("added_usd", 0.0))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an export of a service: {error}") from error

    def _answer(self, call: ReceivedCall) -> Reply:
        reply = self._decide(call)
        request_id = "" if call.route.place in _POSTS else call.route.name
        entry = LogEntry(call.now, call.route.place, reply.status, reply.fate, request_id)
        self.ledger.note(entry)
        return self._dated(reply, call.now + reply.delay_s)

    def _decide(self, call: ReceivedCall) -> Reply:
        """Refused by its fault rule, else processed, and then perhaps spoiled by the rule."""
        rule = call.rule
        if rule is None:
            return self._desk.answer(call)
        if rule.kind is FaultKind.GHOST and call.route.place in _POSTS:
            return self._send_ghost(call, rule)
        refused = faults.refusal(rule, call.request, self.urls.api, call.now)
        return refused or faults.spoil(rule, self._desk.answer(call))

    def _send_ghost(self, call: ReceivedCall, rule: FaultRule) -> Reply:
        """The connection is gone, the request is still on its way: nothing is accepted yet."""
        self._ghost_count += 1
        heapq.heappush(self._ghosts, (call.now + rule.delay_s, self._ghost_count, call.request))
        return Reply(0, {}, b"", fate=DeliveryFault.DROP_AFTER)

    def _subject(self, route: Route, request: ReceivedRequest, now: float) -> faults.Subject:
        if route.place in _POSTS:
            body = request.body.decode("utf-8", "replace")
            return faults.Subject(route.place, route.name, body, key=body)
        bill = self.ledger.bill(route.name) if route.name else None
        if bill is None:
            return faults.Subject(route.place, key=route.name)
        age_s = now - bill.accepted_at
        return faults.Subject(route.place, bill.model, bill.body, age_s, bill.request_id)

    def _imitate(self, route: Route, request: ReceivedRequest, now: float) -> None:
        """A team-mate's twin of a submit, whatever becomes of the submit itself."""
        with contextlib.suppress(ApiRefusal):
            body = checks.read_object(request)
            self._engine.imitate(Order(route.name, body, Mode.QUEUED), now)

    def _dated(self, reply: Reply, at: float) -> Reply:
        date = http_date(int(at + self.config.date_error_s))
        return replace(reply, headers={**reply.headers, "date": date})
