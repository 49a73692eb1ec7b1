"""Requests in a sliding minute: for the whole run, and for models with limits of their own.

The window is an exact sliding log, not a token bucket: a bucket of 60 a minute lets 119 through in
one minute.
"""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

RATE_WINDOW_S = 60.0
MARGIN_S = 0.02
"""Added to the window: the service's own edge may include the sixtieth second."""
_BUCKETS_PER_S = 4
"""Resolution of the stored log; instants are rounded up, so a restart errs to the safe side."""
NO_LIMIT = 1_000_000
SLOWEST = 5
"""A limit nobody told us of is not guessed below the smallest plan's."""
SAME_CONGESTION_S = 10.0
RECOVERY_S = 300.0
LONGEST_BLOCK_S = 600.0
CUT = 0.8
"""Of what went through in the last minute, so much is asked for after a refusal."""


@dataclass(slots=True)
class RateWindow:
    """At most `limit` requests in any 60 s as the service counts them; None is no limit.

    The service counts a request at some instant between its sending and its answer, so a slot is
    taken when the request starts and comes free a window after its answer.

    What was used must be known after a crash, too. So requests are only started within a durable
    *allowance*: a snapshot of the log that already counts them. A snapshot allows a few more than
    needed now (a twentieth of the limit), so that high rates do not write for every request.

    `ceiling` is what refusals taught: a lower limit than the configured one, which rises again.
    """

    limit: int | None
    blocked_until: float = 0.0
    """Set by a 429: nothing is started before it."""
    ceiling: int | None = None
    _moved_at: float = -math.inf
    """When the ceiling was lowered or raised last."""
    _cut_at: float = -math.inf
    _answered_at: deque[float] = field(default_factory=deque)
    _under_way: int = 0
    _allowance: int = 0

    @property
    def allowed(self) -> int | None:
        """The limit that holds now: the configured one, or the ceiling."""
        if self.limit is None or self.ceiling is None:
            return self.limit if self.ceiling is None else self.ceiling
        return min(self.limit, self.ceiling)

    def advance(self, now: float) -> None:
        """Bring the window to an instant: forget what has left it, and raise the ceiling again."""
        self._expire(now)
        if self.ceiling is not None and now >= self.blocked_until:
            self._recover(now)

    def used(self, now: float) -> int:
        """How many slots are taken. Changes nothing, and costs least right after `advance`."""
        left_count = sum(1 for _ in self._leaving(now))
        return self._under_way + len(self._answered_at) - left_count

    def free(self, now: float) -> int:
        """How many requests may start now; a large number when there is no limit."""
        if now < self.blocked_until:
            return 0
        allowed = self.allowed
        return NO_LIMIT if allowed is None else max(0, allowed - self.used(now))

    def next_free_at(self, now: float, taken: int = 0) -> float | None:
        """When a slot comes free beside `taken` ones; None while that depends on answers."""
        if self.free(now) > taken:
            return now
        blocked_at = self.blocked_until if now < self.blocked_until else None
        allowed = self.allowed
        over = -1 if allowed is None else self.used(now) - allowed
        if over + taken < 0:
            return blocked_at
        # A lowered ceiling may leave more requests in the window than it allows.
        left_count = sum(1 for _ in self._leaving(now))
        last = len(self._answered_at) - 1
        index = left_count + max(0, over)
        if left_count > last:
            return blocked_at
        return max(_free_again_at(self._answered_at[min(index, last)]), blocked_at or 0.0)

    def start(self, count: int = 1) -> None:
        """Requests begin. They must have been `allow`ed."""
        self._under_way += count
        self._allowance -= count

    def answered(self, now: float) -> None:
        """One request ended, by an answer or by a fault."""
        self._under_way -= 1
        self._answered_at.append(now)
        if self.limit is None:
            self._expire(now)

    def refuse_until(self, at: float, now: float) -> None:
        """The service refused a request by its rate: it names when to come back.

        Within the configured limit that means there is a lower one (another client on the same
        key, a smaller plan): the ceiling goes down to a share of what went out in the last minute,
        never below half. Once per congestion: what is refused while nothing new may start was on
        its way before.
        """
        same = now < max(self.blocked_until, self._cut_at + SAME_CONGESTION_S)
        self.blocked_until = max(self.blocked_until, at)
        if same and self.ceiling is not None:
            return
        floor = min(SLOWEST, self.limit or SLOWEST)
        half = (self.allowed or 0) // 2
        self.ceiling = max(floor, half, int(min(self.used(now), self.allowed or NO_LIMIT) * CUT))
        self._cut_at = self._moved_at = now

    def _recover(self, now: float) -> None:
        """A tenth more after every while without a refusal: to ask for too much costs a minute."""
        while self.ceiling is not None and now - self._moved_at >= RECOVERY_S:
            self.ceiling += max(1, self.ceiling // 10)
            self._moved_at += RECOVERY_S
            if self.limit is not None and self.ceiling >= self.limit:
                self.ceiling = None

    def covers(self, count: int) -> bool:
        """Whether the durable allowance covers starting `count` requests more."""
        return self.limit is None or count <= self._allowance

    def allow(self, count: int, now: float) -> dict[str, Any]:
        """A snapshot to be made durable before `count` requests more are started."""
        spare = 0 if self.limit is None else self.limit // 20
        self._allowance = max(count, spare)
        return self.snapshot(now, self._allowance)

    def snapshot(self, now: float, allowance: int = 0) -> dict[str, Any]:
        """The log as JSON: buckets of answered requests, and how many may be under way."""
        self._expire(now)
        buckets: dict[int, int] = {}
        for at in self._answered_at if self.limit is not None else ():
            bucket = int(-(-at * _BUCKETS_PER_S // 1))
            buckets[bucket] = buckets.get(bucket, 0) + 1
        log = [[bucket / _BUCKETS_PER_S, count] for bucket, count in buckets.items()]
        known: dict[str, Any] = {"answered": log, "under_way": self._under_way + allowance}
        if self.blocked_until > now:
            known["blocked_until"] = self.blocked_until
        if self.ceiling is not None:
            known |= {"ceiling": self.ceiling, "moved_at": self._moved_at}
        return known

    @classmethod
    def restore(cls, limit: int | None, stored: Mapping[str, Any] | None, now: float) -> RateWindow:
        """The log after a restart. What was under way, or dated in the future, counts as now."""
        window = cls(limit)
        if stored is None:
            return window
        instants = [min(at, now) for at, count in stored["answered"] for _ in range(count)]
        instants += [now] * int(stored["under_way"])
        window._answered_at.extend(sorted(instants))
        window.ceiling = stored.get("ceiling")
        # A clock that was put back must not make it wait for longer than a reset takes.
        window.blocked_until = min(now + LONGEST_BLOCK_S, stored.get("blocked_until", 0.0))
        window._moved_at = min(now, stored.get("moved_at", now))
        return window

    def _leaving(self, now: float) -> Iterator[float]:
        """Answers that have left the window by now, and are not forgotten yet."""
        # The same sum as in `next_free_at`: rounded otherwise, a timer could fire just too early.
        return takewhile(lambda at: _free_again_at(at) <= now, self._answered_at)

    def _expire(self, now: float) -> None:
        while self._answered_at and _free_again_at(self._answered_at[0]) <= now:
            self._answered_at.popleft()


def _free_again_at(answered_at: float) -> float:
    return answered_at + RATE_WINDOW_S + MARGIN_S


@dataclass(slots=True)
class Rates:
    """The windows of a run: one over everything, and one for each model with a limit of its own.

    Requests are named by their model; what is about no model has the empty name.
    """

    whole: RateWindow
    models: dict[str, RateWindow] = field(default_factory=dict)

    def advance(self, now: float) -> None:
        """Bring all windows to an instant."""
        for window in (self.whole, *self.models.values()):
            window.advance(now)

    def start(self, model: str) -> None:
        """A request begins."""
        for window in self._of(model):
            window.start()

    def answered(self, model: str, now: float) -> None:
        """A request ended."""
        for window in self._of(model):
            window.answered(now)

    def note(self, models: Iterable[str], now: float) -> str | None:
        """What must be durable before requests about these models start; None when it is."""
        counts = Counter(models)
        windows = [(self.whole, counts.total())]
        windows += [(window, counts[model]) for model, window in self.models.items()]
        if all(window.covers(count) for window, count in windows):
            return None
        return _text([window.allow(count, now) for window, count in windows], self.models)

    def snapshot(self, now: float) -> str:
        """All logs as text."""
        windows = [self.whole, *self.models.values()]
        return _text([window.snapshot(now) for window in windows], self.models)

    @classmethod
    def restore(
        cls, limit: int | None, models: Mapping[str, int], text: str | None, now: float
    ) -> Rates:
        """The windows after a restart, under the limits as they are configured now."""
        stored = json.loads(text) if text else {}
        kept = stored.get("models", {})
        return cls(
            RateWindow.restore(limit, stored or None, now),
            {model: RateWindow.restore(own, kept.get(model), now) for model, own in models.items()},
        )

    def _of(self, model: str) -> list[RateWindow]:
        own = self.models.get(model)
        return [self.whole] if own is None else [self.whole, own]


def _text(snapshots: list[dict[str, Any]], models: Iterable[str]) -> str:
    whole, *others = snapshots
    return json.dumps(whole | {"models": dict(zip(models, others, strict=True))})
