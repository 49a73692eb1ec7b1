"""How a rate limit may be enforced: in sliding windows, in fixed ones, or as a bucket of tokens."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Protocol


class Admission(Protocol):
    """One rule. Instants never go back."""

    def free_at(self, now: float) -> float:
        """When the next request would be admitted: `now`, or later."""

    def take(self, now: float) -> None:
        """A request is admitted."""

    def remaining(self, now: float) -> int:
        """How many more would be admitted now."""


class SlidingWindow:
    """At most `most` in any `window_s`; one leaves exactly so long after it was admitted."""

    def __init__(self, most: int, window_s: float) -> None:
        self._most, self._window_s = most, window_s
        self._admitted: deque[float] = deque()

    def free_at(self, now: float) -> float:
        """See `Admission`."""
        return now if self.remaining(now) else self._admitted[0] + self._window_s

    def take(self, now: float) -> None:
        """See `Admission`."""
        self._admitted.append(now)

    def remaining(self, now: float) -> int:
        """See `Admission`."""
        while self._admitted and self._admitted[0] + self._window_s <= now:
            self._admitted.popleft()
        return self._most - len(self._admitted)


class FixedWindow:
    """At most `most` from one multiple of `window_s` to the next, as a clock shows them."""

    def __init__(self, most: int, window_s: float) -> None:
        self._most, self._window_s = most, window_s
        self._number, self._count = -math.inf, 0

    def free_at(self, now: float) -> float:
        """See `Admission`."""
        return now if self.remaining(now) else (now // self._window_s + 1) * self._window_s

    def take(self, now: float) -> None:
        """See `Admission`."""
        self.remaining(now)
        self._count += 1

    def remaining(self, now: float) -> int:
        """See `Admission`."""
        number = now // self._window_s
        if number > self._number:
            self._number, self._count = number, 0
        return self._most - self._count


class TokenBucket:
    """Holds `size` tokens, one a request, and is filled with `per_s` a second."""

    def __init__(self, size: int, per_s: float) -> None:
        self._size, self._per_s = size, per_s
        self._tokens, self._at = float(size), -math.inf

    def free_at(self, now: float) -> float:
        """See `Admission`."""
        return now if self.remaining(now) else now + (1.0 - self._tokens) / self._per_s

    def take(self, now: float) -> None:
        """See `Admission`."""
        self._fill(now)
        self._tokens -= 1.0

    def remaining(self, now: float) -> int:
        """See `Admission`."""
        self._fill(now)
        return int(self._tokens + 1e-9)

    def _fill(self, now: float) -> None:
        filled = self._tokens + self._per_s * max(0.0, now - self._at)
        self._tokens, self._at = min(float(self._size), filled), max(now, self._at)


class RateLimiter:
    """Several rules that must all admit a request; without any, every one is admitted."""

    def __init__(self, rules: Sequence[Admission]) -> None:
        self._rules = rules

    def free_at(self, now: float) -> float:
        """When the next request would be admitted: `now`, or later."""
        return max((rule.free_at(now) for rule in self._rules), default=now)

    def take(self, now: float) -> None:
        """A request is admitted."""
        for rule in self._rules:
            rule.take(now)

    def remaining(self, now: float) -> int | None:
        """How many more would be admitted now; None: as many as come."""
        return min((rule.remaining(now) for rule in self._rules), default=None)
