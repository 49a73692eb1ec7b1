"""The desk of the API: every call that passed the fault rules is checked and answered here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from batchgen.core.jobs.spec import Mode
from batchgen.providers.segmind.catalog import Catalog
from batchgen.providers.segmind.simulator import answers, checks
from batchgen.providers.segmind.simulator.answers import (
    error_reply,
    html_reply,
    json_reply,
    not_found_reply,
    unrouted_reply,
)
from batchgen.providers.segmind.simulator.config import SimulatorConfig
from batchgen.providers.segmind.simulator.engine import Order, Workers
from batchgen.providers.segmind.simulator.fault_rules import Endpoint, FaultRule
from batchgen.providers.segmind.simulator.history import History
from batchgen.providers.segmind.simulator.http.routes import Route
from batchgen.providers.segmind.simulator.ledger import Bill, BillingLedger, Outcome
from batchgen.providers.segmind.simulator.media.outputs import Render
from batchgen.providers.segmind.simulator.media.shelf import MediaIndex
from batchgen.providers.segmind.simulator.messages import ApiRefusal, ReceivedRequest, Reply
from batchgen.providers.segmind.simulator.published import llms_text, model_list
from batchgen.providers.segmind.simulator.rate_limits.requests import RequestWindow
from batchgen.providers.segmind.simulator.results import ResultWriter, View
from batchgen.providers.segmind.simulator.uploads import Uploads

_PUBLIC = frozenset({Endpoint.CATALOG, Endpoint.LLMS})
"""Calls that need no key, and that no limit counts."""


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """A request on its way through: what it is, when it came, which fault rule it met."""

    route: Route
    request: ReceivedRequest
    now: float
    rule: FaultRule | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What the desk works with; the CDN looks at the same shelf and uploads."""

    config: SimulatorConfig
    catalog: Catalog
    ledger: BillingLedger
    engine: Workers
    window: RequestWindow
    uploads: Uploads
    shelf: MediaIndex


class Router:
    """Answers calls. `api` is the API's own origin."""

    def __init__(self, premises: Context, api: str, render: Render) -> None:
        self._config = premises.config
        self._catalog = premises.catalog
        self._ledger = premises.ledger
        self._engine = premises.engine
        self._window = premises.window
        self._uploads = premises.uploads
        self._cdn = premises.shelf.origins.cdn
        self._writer = ResultWriter(premises.shelf, api, render)
        self._history = History(premises.shelf, self._ledger.bills, self._engine.team_bills)
        self._handlers: Mapping[Endpoint, Callable[[ReceivedCall], Reply]] = {
            Endpoint.SUBMIT: self._submit,
            Endpoint.SYNC: self._sync,
            Endpoint.POLL: self._poll,
            Endpoint.RESULT: self._result,
            Endpoint.HISTORY: self._list,
            Endpoint.CREDITS: self._credits,
            Endpoint.UPLOAD: self._upload,
            Endpoint.CATALOG: self._models,
            Endpoint.LLMS: self._llms,
        }

    def answer(self, call: ReceivedCall) -> Reply:
        """Check route, method, key and rate, in this order, and answer."""
        try:
            paths = self._config.unrouted_paths
            if call.route.place is Endpoint.OTHER or call.request.path.startswith(paths):
                return unrouted_reply()
            if call.request.method != call.route.method:
                return html_reply(405)
            if call.route.place not in _PUBLIC:
                checks.check_key(self._config, call.request)
                self._window.admit(call.route.place, call.now)
            reply = self._handlers[call.route.place](call)
        except ApiRefusal as refusal:
            reply = refusal.reply
        if 200 <= reply.status < 300:
            reply = replace(
                reply, headers={**reply.headers, **self._window.headers(call.route.place, call.now)}
            )
        return reply

    def _submit(self, call: ReceivedCall) -> Reply:
        earlier = self._ledger.bills[-1].request_id if self._ledger.bills else ""
        bill = self._accept(call, Mode.QUEUED)
        return self._writer.submitted(bill, self._view(call), earlier)

    def _sync(self, call: ReceivedCall) -> Reply:
        bill = self._accept(call, Mode.BLOCKING)
        wait_s = bill.finished_at - call.now
        breaks_after_s = self._config.sync_breaks_after_s
        if breaks_after_s is not None and wait_s > breaks_after_s:
            return replace(error_reply(500, answers.POLLING_ERROR), delay_s=breaks_after_s)
        if bill.outcome is Outcome.ENDLESS or wait_s > self._config.sync_timeout_s:
            return replace(html_reply(504), delay_s=self._config.sync_timeout_s)
        view = replace(self._view(call), now=bill.finished_at)
        return replace(self._writer.sync(bill, view), delay_s=wait_s)

    def _accept(self, call: ReceivedCall, api: Mode) -> Bill:
        slug, config = call.route.name, self._config
        model = self._catalog.get(slug)
        checks.check_model(config, slug, known=model is not None)
        body = checks.read_object(call.request)
        refused = ""
        try:
            checks.check_params(model, body.params)
        except checks.ParameterRefusal as refusal:
            if not config.late_validation:
                raise
            refused = refusal.message
        checks.check_money(config, self._account(call.now), self._engine.price_usd(slug), api)
        return self._engine.accept(Order(slug, body, api, refused), call.now)

    def _account(self, now: float) -> checks.Account:
        engine = self._engine
        return checks.Account(
            engine.credits_usd(now), engine.reserved_usd(now), engine.charged_usd(now)
        )

    def _poll(self, call: ReceivedCall) -> Reply:
        return self._writer.status(self._remembered(call), self._view(call))

    def _result(self, call: ReceivedCall) -> Reply:
        bill = self._remembered(call)
        lag_s = math.inf if bill.outcome is Outcome.VANISHING else self._config.result_lag_s
        if bill.finished_at <= call.now < bill.finished_at + lag_s:
            return not_found_reply(bill.request_id)
        reply = self._writer.result(bill, self._view(call))
        return self._early(bill, reply) if call.now < bill.finished_at else reply

    def _early(self, bill: Bill, reply: Reply) -> Reply:
        """What a result is answered that is asked for while the request runs."""
        status = self._config.early_result
        if status == 404:
            return not_found_reply(bill.request_id)
        if status in (409, 425):
            return error_reply(status, "The result is not ready yet")
        return replace(reply, status=status)

    def _remembered(self, call: ReceivedCall) -> Bill:
        """The record of a request: known, not too fresh (if so configured), not expired."""
        bill = self._ledger.bill(call.route.name)
        if bill is None or bill.api is not Mode.QUEUED:
            raise ApiRefusal(not_found_reply(call.route.name))
        age_s = call.now - bill.accepted_at
        if not self._config.fresh_404_s <= age_s < self._config.record_s:
            raise ApiRefusal(not_found_reply(call.route.name))
        return bill

    def _list(self, call: ReceivedCall) -> Reply:
        if call.route.name:
            return self._history.one(self._ledger.bill(call.route.name), call.now)
        return self._history.page(call.request.query, call.now)

    def _credits(self, call: ReceivedCall) -> Reply:
        if not self._config.credits_record:
            return error_reply(404, answers.NO_RECORD)
        left_usd = max(0.0, self._engine.credits_usd(call.now))
        free_usd = min(left_usd, self._config.free_credits_usd)
        return json_reply(200, {"credits": round(left_usd - free_usd, 6), "free-credits": free_usd})

    def _upload(self, call: ReceivedCall) -> Reply:
        paths = self._uploads.add(checks.read_object(call.request).params, self._config)
        for path in paths:
            self._ledger.uploads[path].append(call.now)
        urls = [self._cdn + path for path in paths]
        key = self._config.upload_key
        told = urls[0] if key == "url" else urls
        return json_reply(200, {key: told, "message": "Files uploaded"})

    def _models(self, _call: ReceivedCall) -> Reply:
        return model_list(self._config, self._catalog)

    def _llms(self, _call: ReceivedCall) -> Reply:
        return llms_text(self._config, self._catalog)

    def _view(self, call: ReceivedCall) -> View:
        return View(call.now, self._engine.credits_usd(call.now), call.rule)
