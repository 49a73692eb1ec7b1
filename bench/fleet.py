"""A service in memory that knows only time: every request takes as long as it is told to.

Beside it stands the clairvoyant: the makespan of a policy that knows every latency beforehand.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import anyio

from batchgen.core.jobs.job import SavedFile
from batchgen.core.net.http import Answer, Call
from batchgen.ports import Clock, SaveOrder

TRIP_S = 0.05
"""From a call to its answer."""
WINDOW_S = 60.0


@dataclass
class FleetApi:
    """`batchgen.ports.Api`; counts calls, and what exceeded the budget it knows to be true."""

    latencies: Sequence[float]
    clock: Clock
    limit: int | None
    submits_only: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    finished_at: dict[str, float] = field(default_factory=dict)
    delays_s: list[float] = field(default_factory=list)
    forgotten: int = 0
    _accepted_at: dict[str, float] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _log: deque[float] = field(default_factory=deque)

    async def call(self, call: Call) -> Answer:
        await anyio.sleep(TRIP_S / 2)
        answer = self._answer(call, self.clock.now())
        await anyio.sleep(TRIP_S / 2)
        return answer

    def _answer(self, call: Call, now: float) -> Answer:
        if (call.method == "POST" or not self.submits_only) and not self._admit(now):
            self.refused += 1
            return Answer(429, {}, b'{"error": "rate limited"}')
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
        if call.path.endswith("/status"):
            self.calls["poll"] += 1
            return self._status(request_id, now)
        self.calls["result"] += 1
        took_s = self.finished_at[request_id] - self._accepted_at[request_id]
        metrics = {"inference_time": took_s, "total_time": took_s, "cost": 0.01}
        url = f"https://cdn.test/{request_id}.png"
        return _ok({"status": "COMPLETED", "output": url, "metrics": metrics})

    def _status(self, request_id: str, now: float) -> Answer:
        if now < self.finished_at[request_id]:
            return _ok({"status": "PROCESSING", "request_id": request_id})
        if request_id not in self._seen:
            self._seen.add(request_id)
            self.delays_s.append(now - self.finished_at[request_id])
        return _ok({"status": "COMPLETED", "request_id": request_id})

    def _admit(self, now: float) -> bool:
        if self.limit is None:
            return True
        while self._log and self._log[0] <= now - WINDOW_S:
            self._log.popleft()
        if len(self._log) >= self.limit:
            return False
        self._log.append(now)
        return True


def _ok(body: dict[str, object]) -> Answer:
    return Answer(200, {"content-type": "application/json"}, json.dumps(body).encode())


class NoOutputs:
    """`batchgen.ports.Outputs` that takes everything: files are not what is measured here."""

    async def stage(self, owner: str, index: int, data: bytes) -> str:
        del data
        return f"{owner}-{index}"

    async def save(self, order: SaveOrder) -> SavedFile:
        return SavedFile(order.output.index, f"{order.stem}.png", 1, "0" * 64, "image/png")

    async def takes_files(self) -> bool:
        return True


class Clairvoyant:
    """Whoever knows every latency: one poll a job, at the instant it is done.

    Results before polls before submits; a slot of the window is free again a minute after its
    answer.
    """

    def __init__(self, latencies: Sequence[float], limit: int | None, places: int) -> None:
        self.latencies = latencies
        self.limit = limit
        self.places = places
        self.submits_only = False
        self._now = 0.0
        self._submitted = 0
        self._fetched = 0
        self._running: list[float] = []
        self._done: deque[float] = deque()
        self._log: deque[float] = deque()

    def makespan_s(self) -> float:
        """Seconds until the last result is here."""
        while self._fetched < len(self.latencies):
            while self._step():
                pass
            if self._fetched < len(self.latencies):
                self._now = min(at for at in self._upcoming() if at > self._now)
        return self._now + TRIP_S

    def _upcoming(self) -> Iterator[float]:
        for queue in (self._log, self._done, self._running):
            if queue:
                yield queue[0]

    def _step(self) -> bool:
        """Make one call, if one can be made now."""
        polls_free = self.submits_only or self._free()
        if self._done and self._done[0] <= self._now and polls_free:
            self._done.popleft()
            self._fetched += 1
            self._spend(self.submits_only)
        elif self._running and self._running[0] <= self._now and polls_free:
            heapq.heappop(self._running)
            self._done.append(self._now + TRIP_S)
            self._spend(self.submits_only)
        elif self._may_submit():
            latency_s = self.latencies[self._submitted]
            heapq.heappush(self._running, self._now + TRIP_S / 2 + latency_s)
            self._submitted += 1
            self._spend(False)
        else:
            return False
        return True

    def _may_submit(self) -> bool:
        left = self._submitted < len(self.latencies)
        return left and len(self._running) < self.places and self._free()

    def _free(self) -> bool:
        while self._log and self._log[0] <= self._now:
            self._log.popleft()
        return self.limit is None or len(self._log) < self.limit

    def _spend(self, is_free: bool) -> None:
        if not is_free:
            self._log.append(self._now + TRIP_S + WINDOW_S)
