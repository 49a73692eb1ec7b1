"""The rate limit: so many requests in any sliding window, counted one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from batchgen.providers.segmind.simulator.answers import rate_limited_reply
from batchgen.providers.segmind.simulator.config import SimulatorConfig
from batchgen.providers.segmind.simulator.fault_rules import Endpoint
from batchgen.providers.segmind.simulator.messages import ApiRefusal

_SUBMITS = frozenset({Endpoint.SUBMIT, Endpoint.SYNC})


class RequestWindow:
    """Admits requests. One leaves the window exactly `window_s` after it was admitted.

    Refused requests do not count: a client that waits for the reset gets through.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self._limit = config.rate_limit
        self._window_s = config.window_s
        self._submits_only = config.rate_limit_scope == "submit"
        self._admitted: deque[float] = deque()

    def admit(self, place: Endpoint, now: float) -> None:
        """Count a request, or refuse it (429) because the window is full."""
        if self._limit is None or (self._submits_only and place not in _SUBMITS):
            return
        while self._admitted and self._admitted[0] <= now - self._window_s:
            self._admitted.popleft()
        if len(self._admitted) >= self._limit:
            raise ApiRefusal(rate_limited_reply(self._admitted[0] + self._window_s))
        self._admitted.append(now)

    def headers(self) -> dict[str, str]:
        """How many more requests fit in just now, as the service tells it."""
        if self._limit is None:
            return {}
        return {"x-rate-limit-remaining": str(self._limit - len(self._admitted))}

    def export(self) -> list[float]:
        """The instants in the window."""
        return list(self._admitted)

    def restore(self, instants: Iterable[float]) -> None:
        """Take up the instants of an earlier life."""
        self._admitted = deque(sorted(instants))
