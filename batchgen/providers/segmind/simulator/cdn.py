"""The CDN: media at public addresses, for seven days, to anyone and without a key."""

from __future__ import annotations

from dataclasses import replace

from batchgen.providers.segmind.simulator import faults
from batchgen.providers.segmind.simulator.answers import error_reply, html_reply
from batchgen.providers.segmind.simulator.desk import Context
from batchgen.providers.segmind.simulator.fault_rules import CdnHost, Endpoint
from batchgen.providers.segmind.simulator.ledger import Outcome
from batchgen.providers.segmind.simulator.media.shelf import ONE_TIME, read_media_path
from batchgen.providers.segmind.simulator.messages import MediaRef, ReceivedRequest, Reply


class Cdn:
    """Answers downloads. A key that arrives here has leaked: it is refused and counted."""

    def __init__(self, premises: Context, rules: faults.FaultBook) -> None:
        self._config = premises.config
        self._ledger = premises.ledger
        self._uploads = premises.uploads
        self._shelf = premises.shelf
        self._rules = rules
        self._used: set[tuple[str, str]] = set()

    def answer(self, request: ReceivedRequest, now: float) -> Reply:
        """The answer to a GET or HEAD; ranges of it are up to whoever sends it."""
        if "x-api-key" in request.headers or "authorization" in request.headers:
            self._ledger.leaked_key_count += 1
            return error_reply(400, "The API key must not be sent here")
        if request.method not in ("GET", "HEAD"):
            return html_reply(405)
        rule = None if self._rules.is_empty else self._rules.meet(self._subject(request, now), now)
        origins = self._shelf.origins
        origin = origins.cdn2 if request.host is CdnHost.CDN2 else origins.cdn
        refused = faults.refusal(rule, request, origin, now) if rule else None
        if refused:
            return refused
        ref = self.media(request.path, now)
        if ref is None or self._shelf.host(ref) is not request.host:
            return html_reply(404)
        if ref.data is None and self._config.one_time_urls and not self._admits(request):
            return html_reply(403)
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
        age_s = now - bill.finished_at
        is_there = self._config.cdn_lag_s <= age_s < self._config.output_retention_s
        if bill.outcome is Outcome.FILTERED or not is_there:
            return None
        ref = self._shelf.ref(bill, index)
        return ref if path.endswith(f".{ref.extension}") else None

    def _admits(self, request: ReceivedRequest) -> bool:
        """Whether an address that is good for one download was not used yet."""
        used = (request.path, request.query.get(ONE_TIME, ""))
        if not used[1] or used in self._used:
            return False
        if request.method == "GET":
            self._used.add(used)
        return True

    def _subject(self, request: ReceivedRequest, now: float) -> faults.Subject:
        named = read_media_path(request.path)
        bill = self._ledger.bill(named[0]) if named else None
        about = faults.Subject(Endpoint.CDN, key=request.path, host=request.host)
        if bill is None:
            return about
        age_s = max(0.0, now - bill.finished_at)
        return replace(about, model=bill.model, text=bill.body, age_s=age_s)
