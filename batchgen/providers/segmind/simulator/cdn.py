"""The CDN: media at public addresses, for seven days, to anyone and without a key."""

from __future__ import annotations

from dataclasses import replace

from batchgen.providers.segmind.simulator import faults
from batchgen.providers.segmind.simulator.answers import error_reply, html_reply
from batchgen.providers.segmind.simulator.desk import Context
from batchgen.providers.segmind.simulator.fault_rules import Endpoint
from batchgen.providers.segmind.simulator.media.shelf import read_media_path
from batchgen.providers.segmind.simulator.messages import MediaRef, ReceivedRequest, Reply


class Cdn:
    """Answers downloads. A key that arrives here has leaked: it is refused and counted."""

    def __init__(self, premises: Context, rules: faults.FaultBook) -> None:
        self._config = premises.config
        self._ledger = premises.ledger
        self._uploads = premises.uploads
        self._shelf = premises.shelf
        self._rules = rules

    def answer(self, request: ReceivedRequest, now: float) -> Reply:
        """The answer to a GET or HEAD; ranges of it are up to whoever sends it."""
        if "x-api-key" in request.headers or "authorization" in request.headers:
            self._ledger.leaked_key_count += 1
            return error_reply(400, "The API key must not be sent here")
        if request.method not in ("GET", "HEAD"):
            return html_reply(405)
        rule = None if self._rules.is_empty else self._rules.meet(self._subject(request, now), now)
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

    def _subject(self, request: ReceivedRequest, now: float) -> faults.Subject:
        named = read_media_path(request.path)
        bill = self._ledger.bill(named[0]) if named else None
        about = faults.Subject(Endpoint.CDN, key=request.path, host=request.host)
        if bill is None:
            return about
        age_s = max(0.0, now - bill.finished_at)
        return replace(about, model=bill.model, text=bill.body, age_s=age_s)
