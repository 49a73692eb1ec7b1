"""The rate limits: which requests count against which, and what is said of a refused one."""

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
from batchgen.providers.segmind.simulator.rate_limits.admission import (
    Admission,
    FixedWindow,
    RateLimiter,
    SlidingWindow,
    TokenBucket,
)

_SUBMITS = frozenset({Endpoint.SUBMIT, Endpoint.SYNC})


class RequestWindow:
    """Admits requests.

    Refused requests do not count: a client that waits for the reset gets through.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self._scope, self._form = config.rate_limit_scope, config.reset_form
        self._longest_s = max((window_s for _, window_s in config.windows), default=0.0)
        self._limit = RateLimiter(_rules(config, config.windows))
        apart = config.get_windows if self._scope == "apart" else ()
        self._of_gets = RateLimiter(_rules(config, apart))
        self._admitted: deque[tuple[float, bool]] = deque()

    def _of(self, *, submit: bool) -> RateLimiter | None:
        """The limit that a request counts against; None: it does not count."""
        if submit or self._scope == "all":
            return self._limit
        return self._of_gets if self._scope == "apart" else None

    def admit(self, place: Endpoint, now: float) -> None:
        """Count a request, or refuse it (429) because a limit is reached."""
        submit = place in _SUBMITS
        limit = self._of(submit=submit)
        if limit is None:
            return
        free_at = limit.free_at(now)
        if free_at > now:
            raise ApiRefusal(rate_limited_reply(self._reset(free_at, now)))
        self._take(now, submit=submit)

    def _take(self, now: float, *, submit: bool) -> None:
        limit = self._of(submit=submit)
        if limit is None:
            return
        limit.take(now)
        self._admitted.append((now, submit))
        while self._admitted and self._admitted[0][0] <= now - self._longest_s:
            self._admitted.popleft()

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

    def headers(self, place: Endpoint, now: float) -> dict[str, str]:
        """How many more requests fit in just now, as the service tells it."""
        limit = self._of(submit=place in _SUBMITS)
        remaining = None if limit is None else limit.remaining(now)
        return {} if remaining is None else {"x-rate-limit-remaining": str(max(0, remaining))}

    def export(self) -> list[tuple[float, bool]]:
        """The instants of the admitted requests that still count, and whether they were submits."""
        return list(self._admitted)

    def restore(self, instants: Iterable[float | tuple[float, bool]]) -> None:
        """Take up the instants of an earlier life; a bare one is a submit's."""
        known = [(at, True) if isinstance(at, int | float) else (at[0], at[1]) for at in instants]
        for at, submit in sorted(known):
            self._take(at, submit=submit)


def _rules(config: SimulatorConfig, windows: Iterable[tuple[int, float]]) -> list[Admission]:
    if config.rate_limit_form == "fixed":
        return [FixedWindow(most, window_s) for most, window_s in windows]
    if config.rate_limit_form == "bucket":
        return [
            TokenBucket(min(most, config.burst_limit or most), most / window_s)
            for most, window_s in windows
        ]
    return [SlidingWindow(most, window_s) for most, window_s in windows]
