"""The limits of a run: requests in a sliding minute, and money.

Both are exact. Requests are a sliding log, not a token bucket: a bucket of 60 a minute lets 119
through in one minute. Money is reserved before a submit and settled on what it cost.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from batchgen.core.job import Job, JobState, Totals

RATE_WINDOW_S = 60.0
MARGIN_S = 0.02
"""Added to the window: the service's own edge may include the sixtieth second."""
_BUCKETS_PER_S = 4
"""Resolution of the stored log; instants are rounded up, so a restart errs to the safe side."""


@dataclass(slots=True)
class RateWindow:
    """At most `limit` requests in any 60 s as the service counts them; None is no limit.

    The service counts a request at some instant between its sending and its answer, so a slot is
    taken when the request starts and comes free a window after its answer.

    What was used must be known after a crash, too. So requests are only started within a durable
    *allowance*: a snapshot of the log that already counts them. A snapshot allows a few more than
    needed now (a twentieth of the limit), so that high rates do not write for every request.
    """

    limit: int | None
    blocked_until: float = 0.0
    """Set by a 429: nothing is started before it."""
    _answered_at: deque[float] = field(default_factory=deque)
    _under_way: int = 0
    _allowance: int = 0

    def free(self, now: float) -> int:
        """How many requests may start now; a large number when there is no limit."""
        if now < self.blocked_until:
            return 0
        if self.limit is None:
            return 1_000_000
        self._expire(now)
        return max(0, self.limit - self._under_way - len(self._answered_at))

    def next_free_at(self, now: float, taken: int = 0) -> float | None:
        """When a slot comes free beside `taken` ones; None while that depends on answers."""
        if now < self.blocked_until:
            return self.blocked_until
        if self.free(now) > taken:
            return now
        return _free_again_at(self._answered_at[0]) if self._answered_at else None

    def start(self, count: int = 1) -> None:
        """Requests begin. They must have been `allow`ed."""
        self._under_way += count
        self._allowance -= count

    def answered(self, now: float) -> None:
        """One request ended, by an answer or by a fault."""
        self._under_way -= 1
        if self.limit is not None:
            self._answered_at.append(now)

    def covers(self, count: int) -> bool:
        """Whether the durable allowance covers starting `count` requests more."""
        return self.limit is None or count <= self._allowance

    def allow(self, count: int, now: float) -> str:
        """A snapshot to be made durable before `count` requests more are started."""
        spare = 0 if self.limit is None else self.limit // 20
        self._allowance = max(count, spare)
        return self.snapshot(now, self._allowance)

    def snapshot(self, now: float, allowance: int = 0) -> str:
        """The log as text: buckets of answered requests, and how many may be under way."""
        self._expire(now)
        buckets: dict[int, int] = {}
        for at in self._answered_at:
            bucket = int(-(-at * _BUCKETS_PER_S // 1))
            buckets[bucket] = buckets.get(bucket, 0) + 1
        log = [[bucket / _BUCKETS_PER_S, count] for bucket, count in buckets.items()]
        return json.dumps({"answered": log, "under_way": self._under_way + allowance})

    @classmethod
    def restore(cls, limit: int | None, text: str | None, now: float) -> RateWindow:
        """The log after a restart. What was under way, or dated in the future, counts as now."""
        window = cls(limit)
        if text is None:
            return window
        stored = json.loads(text)
        instants = [min(at, now) for at, count in stored["answered"] for _ in range(count)]
        instants += [now] * int(stored["under_way"])
        window._answered_at.extend(sorted(instants))
        return window

    def _expire(self, now: float) -> None:
        # The same sum as in `next_free_at`: rounded otherwise, a timer could fire just too early.
        while self._answered_at and _free_again_at(self._answered_at[0]) <= now:
            self._answered_at.popleft()


def _free_again_at(answered_at: float) -> float:
    return answered_at + RATE_WINDOW_S + MARGIN_S


@dataclass(slots=True)
class Money:
    """What was spent and what may still come, in USD.

    `settled_usd` is known cost; `reserved` holds the expected price of every attempt that may be
    billed and is not settled, by job key.
    """

    cap_usd: float | None = None
    settled_usd: float = 0.0
    standing_usd: float = 0.0
    """Reserved for attempts of jobs that ended without a known cost (unknown, abandoned)."""
    reserved: dict[int, float] = field(default_factory=dict)

    @classmethod
    def of(cls, cap_usd: float | None, totals: Totals, active: Iterable[Job]) -> Money:
        """What earlier processes spent and reserved, without the active jobs: those are accounted
        for when they come onto the board."""
        under_way = [job for job in active if job.state is not JobState.PENDING]
        known = sum(job.cost_usd for job in under_way if job.receipt.cost_usd is not None)
        hoped = sum(job.cost_usd for job in under_way if job.receipt.cost_usd is None)
        settled_usd = max(0.0, totals.settled_usd - known)
        return cls(cap_usd, settled_usd, max(0.0, totals.reserved_usd - hoped))

    @property
    def committed_usd(self) -> float:
        """Spent, or perhaps spent: what the cap is held against."""
        return self.settled_usd + self.standing_usd + sum(self.reserved.values())

    def affords(self, price_usd: float | None, beside_usd: float = 0.0) -> bool:
        """Whether a submit of this price, beside others just decided on, keeps the cap."""
        if self.cap_usd is None:
            return True
        if price_usd is None:
            return False
        # A millionth of a dollar of tolerance: sums of floats must not cost the last job.
        return self.committed_usd + beside_usd + price_usd <= self.cap_usd + 1e-6
