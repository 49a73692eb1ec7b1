"""The CDN: media at public addresses, for seven days, to anyone and without a key."""

from __future__ import annotations

from batchgen.simulator import faults
from batchgen.simulator.answers import error_reply, html_reply
from batchgen.simulator.desk import Premises
from batchgen.simulator.fault_rules import Place
from batchgen.simulator.messages import MediaRef, Reply, Request
from batchgen.simulator.shelf import read_media_path


class Cdn:
    """Answers downloads. A key that arrives here has leaked: it is refused and counted."""

    def __init__(self, premises: Premises, rules: faults.FaultBook) -> None:
        self._config = premises.config
        self._ledger = premises.ledger
        self._uploads = premises.uploads
        self._shelf = premises.shelf
        self._rules = rules

    def answer(self, request: Request, now: float) -> Reply:
        """The answer to a GET or HEAD; ranges of it are up to whoever sends it."""
        if "x-api-key" in request.headers or "authorization" in request.headers:
            self._ledger.leaked_key_count += 1
            return error_reply(400, "The API key must not be sent here")
        if request.method not in ("GET", "HEAD"):
            return html_reply(405)
        rule = self._rules.meet(Place.CDN, self._model_at(request.path), now)
        refused = faults.refusal(rule, request, self._shelf.cdn, now) if rule else None
        if refused:
            return refused
        ref = self.media(request.path, now)
        if ref is None:
            return html_reply(404)
        headers = {"content-type": ref.media_type, "etag": f'"{ref.request_id}-{ref.index}"'}
        reply = Reply(200, headers, ref)
        return faults.spoil(rule, reply) if rule else reply

    def media(self, path: str, now: float) -> MediaRef | None:
        """What stands at a path; None: nothing yet, nothing any more, or nothing ever."""
        named = read_media_path(path)
        if named is None:
            return self._uploads.find(path)
        bill, index = self._ledger.bill(named[0]), named[1]
        if bill is None or index >= bill.output_count or bill.state_at(now) != "COMPLETED":
            return None
        if now >= bill.finished_at + self._config.output_retention_s:
            return None
        ref = self._shelf.ref(bill, index)
        return ref if path.endswith(f".{ref.format}") else None

    def _model_at(self, path: str) -> str:
        named = read_media_path(path)
        bill = self._ledger.bill(named[0]) if named else None
        return bill.model if bill else ""
