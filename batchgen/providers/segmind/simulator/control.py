"""Steering and watching a running simulator over HTTP, without a key: `/_simulator/...`.

GET ledger answers the ledger; POST faults puts a list of fault rules in force instead of the old
ones; POST credits adds `{"add_usd": …}` to the account. The server answers them on loopback only.
"""

from __future__ import annotations

import json
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from batchgen.providers.segmind.simulator.answers import error_reply, html_reply, json_reply
from batchgen.providers.segmind.simulator.config import Usd
from batchgen.providers.segmind.simulator.fault_rules import FaultRule
from batchgen.providers.segmind.simulator.http.routes import CONTROL
from batchgen.providers.segmind.simulator.ledger import BillingLedger
from batchgen.providers.segmind.simulator.messages import ReceivedRequest, Reply

_RULES = TypeAdapter(list[FaultRule])
_AMOUNT = TypeAdapter(dict[str, Usd])


class Steered(Protocol):
    """What can be steered: a service."""

    ledger: BillingLedger

    def replace_faults(self, rules: list[FaultRule]) -> None:
        """Put other fault rules in force."""
        ...

    def add_credits(self, amount_usd: float) -> None:
        """Add to the account."""
        ...


def control(service: Steered, request: ReceivedRequest, now: float) -> Reply:
    """The answer to a request below `/_simulator/`."""
    match (request.method, request.path.removeprefix(CONTROL)):
        case ("GET", "ledger"):
            return json_reply(200, service.ledger.to_json(now))
        case ("POST", "faults" | "credits" as what):
            return _change(service, what, request.body)
        case (_, "ledger" | "faults" | "credits"):
            return html_reply(405)
    return error_reply(404, f"{CONTROL} has ledger, faults and credits")


def _change(service: Steered, what: str, body: bytes) -> Reply:
    try:
        if what == "credits":
            service.add_credits(_AMOUNT.validate_json(body)["add_usd"])
            return json_reply(200, {"message": "added"})
        rules = _RULES.validate_json(body)
    except ValidationError as error:
        return json_reply(400, {"error": json.loads(error.json(include_url=False))})
    except KeyError:
        return error_reply(400, 'credits are added as {"add_usd": 5}')
    service.replace_faults(rules)
    return json_reply(200, {"message": f"{len(rules)} fault rules in force"})
