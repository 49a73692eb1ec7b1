"""`Api` straight into a simulated service: no sockets, virtual time, a network that outlives us."""

from __future__ import annotations

import heapq
import json
from urllib.parse import parse_qsl, unquote, urlsplit

import anyio

from batchgen.core.jobs.placeholders import MARK
from batchgen.core.net.decompression import Inflater
from batchgen.core.net.http import Answer, Call
from batchgen.errors import NetFault, TransportError
from batchgen.ports import Clock, SaveError, SaveFault
from batchgen.providers.segmind.simulator.brotli import stored
from batchgen.providers.segmind.simulator.fault_rules import CdnHost
from batchgen.providers.segmind.simulator.media.tiny import body_bytes
from batchgen.providers.segmind.simulator.messages import DeliveryFault, ReceivedRequest, Reply
from batchgen.providers.segmind.simulator.service import Service
from batchgen.testing.world import Killed, World

KEY = "SG_0123456789abcdef"
HISTORY = "request-history"
FASTEST_S, SLOWEST_S = 0.01, 0.15
"""One way through the network."""
STALLED_S = 30.0
"""How long a download waits for a byte: `DownloadSettings.pace_window_s`."""
_HALVED = (DeliveryFault.CUT_SILENTLY, DeliveryFault.WRONG_LENGTH)
_FRUITLESS = (
    DeliveryFault.CUT_SILENTLY,
    DeliveryFault.DROP_BEFORE,
    DeliveryFault.DROP_AFTER,
    DeliveryFault.STALL,
    DeliveryFault.CUT,
    DeliveryFault.DRIP,
)


class ServiceApi:
    """Carries calls to a `Service` and its replies back, with the fates they meet.

    A POST that is on its way when the process dies may still arrive later: `ghosts` counts those.
    `clock` is the service's own. Rows of the history come without `untold` fields.
    """

    def __init__(
        self,
        service: Service,
        world: World,
        clock: Clock,
        untold: frozenset[str] = frozenset(),
    ) -> None:
        self.service = service
        self.ghosts = 0
        self.placeholder_count = 0
        """Bodies of jobs that were sent with a placeholder in them."""
        self._untold = untold
        self._world = world
        self._clock = clock
        self._late: list[tuple[float, int, ReceivedRequest]] = []

    async def call(self, call: Call) -> Answer:
        """See `Api.call`."""
        self._world.step(f"send {call.method} {call.path}")
        started_at = self._clock.now()
        request = _request(call)
        self.placeholder_count += MARK in (call.body or "")
        await anyio.sleep(self._trip_s())
        if self._world.dead:
            self._lose(request)
            raise Killed(call.path)
        reply = self._deliver(request)
        self._world.step(f"served {call.method} {call.path}")
        delay_s = reply.delay_s + self._trip_s()
        left_s = call.timeout_s - (self._clock.now() - started_at)
        await anyio.sleep(min(delay_s, left_s))
        if delay_s >= left_s:
            raise TransportError(NetFault.LOST, "timeout")
        self._world.step(f"answer {call.method} {call.path}")
        return await self._arrive(call, reply)

    def _trip_s(self) -> float:
        return self._world.random.uniform(FASTEST_S, SLOWEST_S)

    def _lose(self, request: ReceivedRequest) -> None:
        """The sender died: the bytes are lost, or still on their way."""
        if request.method == "POST" and self._world.random.random() < 0.5:
            self.ghosts += 1
            arrives_at = self._clock.now() + self._world.random.uniform(0.0, 60.0)
            heapq.heappush(self._late, (arrives_at, self.ghosts, request))

    def arrive_late(self) -> None:
        """Let what dead processes sent arrive, as far as it is due."""
        while self._late and self._late[0][0] <= self._clock.now():
            self.service.handle(heapq.heappop(self._late)[2], self._clock.now())

    def _deliver(self, request: ReceivedRequest) -> Reply:
        self.arrive_late()
        return self.service.handle(request, self._clock.now())

    async def _arrive(self, call: Call, reply: Reply) -> Answer:
        match reply.fate:
            case DeliveryFault.DROP_BEFORE | DeliveryFault.DROP_AFTER:
                raise TransportError(NetFault.LOST, "connection reset")
            case DeliveryFault.STALL | DeliveryFault.DRIP:
                await anyio.sleep(call.timeout_s)
                raise TransportError(NetFault.CUT, "timeout", reply.status, reply.headers)
            case DeliveryFault.CUT:
                raise TransportError(NetFault.CUT, "cut off", reply.status, reply.headers)
        body = body_bytes(reply)
        if reply.fate in _HALVED:
            body = body[: len(body) // 2]
        elif reply.fate is DeliveryFault.BROTLI:
            body = _handed_over(stored(body))
        elif self._untold and HISTORY in call.path and reply.status == 200:
            body = _without(body, self._untold)
        if len(body) > call.max_bytes:
            raise TransportError(NetFault.TOO_LARGE, "too large", reply.status, reply.headers)
        return Answer(reply.status, reply.headers, body)

    async def download(self, url: str) -> bytes:
        """What stands at a URL of the CDN, whole. Raises `SaveError`."""
        self._world.step("download")
        await anyio.sleep(self._trip_s())
        reply = self.service.cdn(self._download_request(url), self._clock.now())
        self._world.step("downloaded")
        await anyio.sleep(reply.delay_s)
        if reply.fate in (DeliveryFault.STALL, DeliveryFault.DRIP):
            await anyio.sleep(STALLED_S)
        try:
            return _downloaded(reply)
        except SaveError as error:
            raise SaveError(error.fault, error.detail, urlsplit(url).hostname or "") from error

    def _download_request(self, url: str) -> ReceivedRequest:
        urls, parts = self.service.urls, urlsplit(url)
        host = CdnHost.CDN2 if urls.cdn2 and url.startswith(urls.cdn2) else CdnHost.CDN
        if not url.startswith((urls.cdn, urls.cdn2)):
            host_name = parts.hostname or ""
            raise SaveError(SaveFault.FORBIDDEN_URL, f"{url[:200]}: not of the CDN", host_name)
        return ReceivedRequest("GET", unquote(parts.path), dict(parse_qsl(parts.query)), host=host)


def _downloaded(reply: Reply) -> bytes:
    """The file in an answer of the CDN. Raises `SaveError`."""
    if reply.fate in _FRUITLESS:
        raise SaveError(SaveFault.TRANSIENT, f"HTTP {reply.status}, {reply.fate}")
    if reply.status in (403, 404, 410):
        raise SaveError(SaveFault.GONE, f"the server answered HTTP {reply.status}")
    if reply.status not in (200, 206):
        raise SaveError(SaveFault.TRANSIENT, f"the server answered HTTP {reply.status}")
    body = body_bytes(reply)
    if reply.fate is DeliveryFault.BROTLI:
        try:
            return _unpacked(stored(body))
        except ValueError as error:
            raise SaveError(SaveFault.BAD_CONTENT, "compressed without being asked to") from error
    return body[: len(body) // 2] if reply.fate is DeliveryFault.WRONG_LENGTH else body


def _unpacked(packed: bytes) -> bytes:
    """What Brotli holds, if the clients of this package decode it; else ValueError."""
    return b"".join(Inflater("br").feed(packed))


def _handed_over(packed: bytes) -> bytes:
    """What the client makes of an answer in Brotli: what it cannot decode, it leaves as it is."""
    try:
        return _unpacked(packed)
    except ValueError:
        return packed


def _without(body: bytes, fields: frozenset[str]) -> bytes:
    """A history answer whose rows lack some fields."""
    try:
        answer = json.loads(body)
    except ValueError:
        return body
    rows = answer if isinstance(answer, list) else answer.get("data", [answer])
    for row in rows:
        for name in fields:
            row.pop(name, None)
    return json.dumps(answer).encode()


def _request(call: Call) -> ReceivedRequest:
    headers = {"x-api-key": KEY}
    if call.body is not None:
        headers["content-type"] = "application/json"
    body = (call.body or "").encode()
    return ReceivedRequest(call.method, unquote(call.path), dict(call.query), headers, body)
