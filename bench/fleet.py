"""A service in memory that knows only time: every request takes as long as it is told to.

Beside it stands the clairvoyant: the makespan of a policy that knows every latency beforehand.
"""

from __future__ import annotations

import heapq
import json
import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio

from batchgen.core.jobs.job import SavedFile
from batchgen.core.net.http import Answer, Call
from batchgen.ports import Clock, SaveOrder
from batchgen.providers.segmind.simulator.rate_limits.admission import (
    RateLimiter,
    SlidingWindow,
)
from batchgen.testing.virtual_time import START_AT
from bench.worlds import MINUTE_S, Gets, World

TRIP_S = 0.05
"""From a call to its answer."""


@dataclass
class FleetApi:
    """`batchgen.ports.Api`; counts calls, and those that the world refuses."""

    latencies: Sequence[float]
    clock: Clock
    world: World
    calls: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    refused_at: list[float] = field(default_factory=list)
    finished_at: dict[str, float] = field(default_factory=dict)
    delays_s: list[float] = field(default_factory=list)
    forgotten: int = 0
    _accepted_at: dict[str, float] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _limits: tuple[RateLimiter, RateLimiter] = field(init=False)

    def __post_init__(self) -> None:
        self._limits = self.world.limits()

    async def call(self, call: Call) -> Answer:
        await anyio.sleep(TRIP_S / 2)
        answer = self._answer(call, self.clock.now())
        await anyio.sleep(TRIP_S / 2)
        return answer

    def _answer(self, call: Call, now: float) -> Answer:
        limit = self._limits[call.method != "POST"]
        if limit.free_at(now) > now:
            self.refused += 1
            self.refused_at.append(now)
            return Answer(429, {}, b'{"error": "rate limited"}')
        limit.take(now)
        if call.method == "POST":
            self.calls["submit"] += 1
            request_id = f"request-{len(self.finished_at)}"
            number = json.loads(call.body or "{}")["number"]
            self._accepted_at[request_id] = now
            self.finished_at[request_id] = now + self.latencies[number]
            return _ok({"request_id": request_id, "status": "QUEUED"})
        request_id = call.path.split("/")[3]
        if now > self._accepted_at[request_id] + 3600:
            self.forgotten += 1
            return Answer(404, {}, b'{"error": "unknown request"}')
        running = now < self.finished_at[request_id]
        by_state = call.path.endswith("/status")
        self.calls["poll" if by_state or running else "result"] += 1
        if running and not (by_state or 200 <= self.world.early_result < 300):
            return Answer(self.world.early_result, {}, b'{"error": "not ready"}')
        if running:
            body = json.dumps({"status": "PROCESSING", "request_id": request_id}).encode()
            return Answer(200 if by_state else self.world.early_result, _JSON, body)
        if request_id not in self._seen:
            self._seen.add(request_id)
            self.delays_s.append(now - self.finished_at[request_id])
        if by_state:
            return _ok({"status": "COMPLETED", "request_id": request_id})
        took_s = self.finished_at[request_id] - self._accepted_at[request_id]
        metrics = {"inference_time": took_s, "total_time": took_s, "cost": 0.01}
        url = f"https://cdn.test/{request_id}.png"
        return _ok({"status": "COMPLETED", "output": url, "metrics": metrics})


_JSON = {"content-type": "application/json"}


def _ok(body: dict[str, object]) -> Answer:
    return Answer(200, _JSON, json.dumps(body).encode())


class NoOutputs:
    """`batchgen.ports.Outputs` that takes everything: files are not what is measured here."""

    async def stage(self, owner: str, index: int, data: bytes) -> str:
        del data
        return f"{owner}-{index}"

    async def save(self, order: SaveOrder) -> SavedFile:
        return SavedFile(order.output.index, f"{order.stem}.png", 1, "0" * 64, "image/png")

    async def takes_files(self) -> bool:
        return True


def best_makespan_s(
    latencies: Sequence[float], world: World, places: int, *, by_state: bool
) -> float:
    """Seconds until the last result is here, for whoever knows every latency and the world: a
    result is asked for at the instant it is done, `by_state` after its state, and nothing is
    refused.

    Results come before states, states before submits; of these a share of each minute or all that
    is free, whichever is done first.
    """
    calls = 3 if by_state else 2
    limit = world.limit or 0
    shares = {0, math.ceil(limit / calls)} if world.gets is Gets.COUNTED else {0}
    return min(Clairvoyant(latencies, world, places, by_state, s).makespan_s() for s in shares)


class Clairvoyant:
    """See `best_makespan_s`. `share`: so many submits a minute; 0: as many as there is room for."""

    def __init__(
        self, latencies: Sequence[float], world: World, places: int, by_state: bool, share: int
    ) -> None:
        self.latencies = latencies
        self.places = places
        self._by_state = by_state
        self._limits = world.limits()
        self._share = RateLimiter([SlidingWindow(share, MINUTE_S)] if share else [])
        self._now = START_AT
        self._submitted = 0
        self._fetched = 0
        self._running: list[float] = []
        self._done: deque[float] = deque()
        self._waiting: list[float] = []

    def makespan_s(self) -> float:
        """Seconds until the last result is here."""
        while self._fetched < len(self.latencies):
            self._waiting = []
            while self._step():
                pass
            if self._fetched < len(self.latencies):
                upcoming = [*self._waiting, *list(self._done)[:1], *self._running[:1]]
                self._now = min(at for at in upcoming if at > self._now)
        return self._now + TRIP_S - START_AT

    def _step(self) -> bool:
        """Make one call, if one can be made now."""
        if self._done and self._done[0] <= self._now and self._takes(submit=False):
            self._done.popleft()
            self._fetched += 1
        elif self._running and self._running[0] <= self._now and self._takes(submit=False):
            heapq.heappop(self._running)
            if self._by_state:
                self._done.append(self._now + TRIP_S)
            else:
                self._fetched += 1
        elif self._has_room() and self._takes(submit=True):
            latency_s = self.latencies[self._submitted]
            heapq.heappush(self._running, self._now + TRIP_S / 2 + latency_s)
            self._submitted += 1
        else:
            return False
        return True

    def _has_room(self) -> bool:
        return self._submitted < len(self.latencies) and len(self._running) < self.places

    def _takes(self, *, submit: bool) -> bool:
        limits = [self._limits[not submit], *([self._share] if submit else [])]
        free_at = max(limit.free_at(self._now) for limit in limits)
        if free_at > self._now:
            self._waiting.append(free_at)
            return False
        for limit in limits:
            limit.take(self._now)
        return True
