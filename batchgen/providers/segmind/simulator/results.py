"""The bodies about a request: the answers to submit, poll, result and to a v1 POST."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from batchgen.core.jobs.spec import WORKFLOWS, Mode
from batchgen.core.media.formats import TEXT
from batchgen.providers.segmind.simulator.answers import json_reply
from batchgen.providers.segmind.simulator.config import OutputShape
from batchgen.providers.segmind.simulator.fault_rules import FaultKind, FaultRule
from batchgen.providers.segmind.simulator.ledger import Bill, Outcome
from batchgen.providers.segmind.simulator.media.outputs import Render, chat_answer, output_fields
from batchgen.providers.segmind.simulator.media.shelf import MediaIndex
from batchgen.providers.segmind.simulator.messages import Reply


@dataclass(frozen=True, slots=True)
class View:
    """How a bill is looked at: when, with what left in the account, under which fault rule."""

    now: float
    left_usd: float
    rule: FaultRule | None = None

    def is_under(self, kind: FaultKind) -> bool:
        """Whether the fault rule is of that kind."""
        return self.rule is not None and self.rule.kind is kind


@dataclass(frozen=True, slots=True)
class ResultWriter:
    """Writes answers about bills. `api` is the API's origin, for the addresses in them."""

    shelf: MediaIndex
    api: str
    render: Render

    def submitted(self, bill: Bill, view: View, previous_id: str) -> Reply:
        """The answer to an accepted v2 submit."""
        request_id = bill.request_id
        if view.is_under(FaultKind.DUPLICATE_ID) and previous_id:
            request_id = previous_id
        body: dict[str, Any] = {} if view.is_under(FaultKind.NO_ID) else {"request_id": request_id}
        body["status"] = "QUEUED"
        # A leftover of the service's first API; nobody should use it.
        body["poll_url"] = f"{self.api}/v1/requests/{request_id}"
        return json_reply(200, {**body, **self._links(request_id)})

    def status(self, bill: Bill, view: View) -> Reply:
        """The answer to a poll; when the job FAILED, 422 with a body (or as configured)."""
        state = bill.state_at(view.now)
        is_known = view.now >= bill.finished_at + self.shelf.config.status_lag_s
        if state in ("COMPLETED", "FAILED") and not is_known:
            state = "PROCESSING"
        if view.is_under(FaultKind.UNKNOWN_STATE):
            state = str(view.rule.body if view.rule and view.rule.body else "THROTTLED")
        if view.is_under(FaultKind.BACKWARDS):
            state = "QUEUED"
        if state == "FAILED":
            return self._failed(bill)
        word = self._word(state)
        body = {"status": word, "request_id": bill.request_id, **self._links(bill.request_id)}
        return json_reply(200, {**body, "metrics": _metrics(bill, view)})

    def result(self, bill: Bill, view: View) -> Reply:
        """The answer to a GET of the result: 200 and not final while the job is under way."""
        if bill.state_at(view.now) != "COMPLETED":
            return self.status(bill, view)
        filtered = bill.outcome is Outcome.FILTERED
        if self.shelf.shape(bill.model) is OutputShape.MEDIA and not filtered:
            return self._raw(bill, view)
        return json_reply(200, self._final(bill, view))

    def sync(self, bill: Bill, view: View) -> Reply:
        """The answer to a v1 POST: media with accounting headers, or JSON where models do so."""
        if bill.outcome is Outcome.FAILED:
            return self._failed(bill)
        model = self.shelf.catalog.get(bill.model)
        answers_json = model is not None and model.output is TEXT
        shape = self.shelf.shape(bill.model)
        if shape is OutputShape.CHAT and bill.outcome is not Outcome.FILTERED:
            return json_reply(200, chat_answer(self.shelf, bill), _accounting(bill, view))
        plain = shape in (OutputShape.URL, OutputShape.MEDIA)
        if plain and not answers_json and bill.outcome is not Outcome.FILTERED:
            return self._raw(bill, view)
        return json_reply(200, self._final(bill, view), _accounting(bill, view))

    def _word(self, state: str) -> str:
        return self.shelf.config.state_words.get(state, state)

    def _links(self, request_id: str) -> dict[str, str]:
        origin = self.shelf.config.status_origin or self.api
        url = f"{origin}/v2/requests/{request_id}"
        return {"status_url": f"{url}/status", "response_url": url}

    def _failed(self, bill: Bill) -> Reply:
        status = 422 if bill.api is Mode.BLOCKING else self.shelf.config.failed_status
        told: dict[str, Any] = {"error": bill.error}
        if bill.model.startswith(WORKFLOWS):
            told = {"error_message": {"node": "image", "message": bill.error}}
        is_told = bill.api is Mode.BLOCKING and self.shelf.config.sync_failures_told
        headers = {"x-request-id": bill.request_id} if is_told else {}
        body = {"status": self._word("FAILED"), **told, "metrics": _times(bill)}
        return json_reply(status, body, headers)

    def _final(self, bill: Bill, view: View) -> dict[str, Any]:
        return {
            "status": self._word("COMPLETED"),
            "request_id": bill.request_id,
            **output_fields(self.shelf, bill, self.render, view.rule),
            "seed": bill.seed,
            "metrics": _metrics(bill, view),
        }

    def _raw(self, bill: Bill, view: View) -> Reply:
        ref = self.shelf.ref(bill, 0)
        return Reply(200, {"content-type": ref.media_type, **_accounting(bill, view)}, ref)


def _metrics(bill: Bill, view: View) -> dict[str, float]:
    """Times in seconds. Billing fields stand there for a COMPLETED job only."""
    if bill.state_at(view.now) != "COMPLETED":
        return {"queue_time": round(min(view.now, bill.started_at) - bill.accepted_at, 3)}
    return {**_times(bill), "cost": bill.cost_usd, "remaining_credits": view.left_usd}


def _times(bill: Bill) -> dict[str, float]:
    return {
        "inference_time": round(bill.finished_at - bill.started_at, 3),
        "queue_time": round(bill.started_at - bill.accepted_at, 3),
        "total_time": round(bill.finished_at - bill.accepted_at, 3),
    }


def _accounting(bill: Bill, view: View) -> dict[str, str]:
    return {
        "x-request-id": bill.request_id,
        "x-cost": f"{bill.cost_usd:g}",
        "x-remaining-credits": f"{view.left_usd:.6f}",
        "x-generation-time": f"{bill.finished_at - bill.started_at:.3f}",
        "x-seed-value": str(bill.seed),
    }
