"""The rate limits: so many requests in any sliding window, counted one by one."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

from batchgen.providers.segmind.simulator.answers import (
    RESET,
    http_date,
    iso_instant,
    rate_limited_reply,
)
from batchgen.providers.segmind.simulator.config import SimulatorConfig
from batchgen.providers.segmind.simulator.fault_rules import Endpoint
from batchgen.providers.segmind.simulator.messages import ApiRefusal

_SUBMITS = frozenset({Endpoint.SUBMIT, Endpoint.SYNC})


class RequestWindow:
    """Admits requests. One leaves a window exactly its length after it was admitted.

    Refused requests do not count: a client that waits for the reset gets through.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self._windows = config.windows
        self._longest_s = max((window_s for _, window_s in self._windows), default=0.0)
        self._submits_only = config.rate_limit_scope == "submit"
        self._form = config.reset_form
        self._admitted: deque[float] = deque()

    def admit(self, place: Endpoint, now: float) -> None:
        """Count a request, or refuse it (429) because a window is full."""
        if not self._windows or (self._submits_only and place not in _SUBMITS):
            return
        while self._admitted and self._admitted[0] <= now - self._longest_s:
            self._admitted.popleft()
        full = [
            self._admitted[-most] + window_s
            for most, window_s in self._windows
            if len(self._admitted) >= most and self._admitted[-most] > now - window_s
        ]
        if full:
            raise ApiRefusal(rate_limited_reply(self._reset(max(full), now)))
        self._admitted.append(now)

    def _reset(self, at: float, now: float) -> dict[str, str]:
        match self._form:
            case "utc":
                return {RESET: iso_instant(at)}
            case "epoch_s":
                return {RESET: str(math.ceil(at))}
            case "epoch_ms":
                return {RESET: str(math.ceil(at * 1000))}
            case "retry_after":
                return {"retry-after": str(math.ceil(at - now))}
            case "retry_date":
                return {"retry-after": http_date(math.ceil(at))}
        return {}

    def headers(self) -> dict[str, str]:
        """How many more requests fit in just now, as the service tells it."""
        if not self._windows:
            return {}
        counts = (most - self._count(window_s) for most, window_s in self._windows)
        return {"x-rate-limit-remaining": str(max(0, min(counts)))}

    def _count(self, window_s: float) -> int:
        if window_s == self._longest_s:
            return len(self._admitted)
        since = self._admitted[-1] - window_s if self._admitted else 0.0
        return sum(at > since for at in self._admitted)

    def export(self) -> list[float]:
        """The instants in the windows."""
        return list(self._admitted)

    def restore(self, instants: Iterable[float]) -> None:
        """Take up the instants of an earlier life."""
        self._admitted = deque(sorted(instants))
