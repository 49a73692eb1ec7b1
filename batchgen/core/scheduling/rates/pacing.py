"""One request at a time beyond what has passed before.

How many requests a service takes in a minute, and how many at once, is not known before it has
taken them. So what goes beyond the most that has passed goes out one by one: where it is refused,
one request is refused, not all that were due.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from batchgen.core.scheduling.rates.lessons import Lessons

BURST_S = 6.0
"""What counts as at once: a tenth of the minute."""
BURST_PART = 10
"""More at once than has passed may be under way by this part of what has; in a minute by none."""
STEP_S = 0.2
"""The next one beyond leaves after so long at the latest: an answer may take a minute."""
GROWTH_S = 50.0
"""Or after this over the requests of the last minute: a fifth more than now, at any rate."""


@dataclass(slots=True)
class Pacing:
    """The most requests that passed in any 60 s (`minute`) and in any `BURST_S` (`burst`)."""

    minute: int = 0
    burst: int = 0
    _recent: deque[float] = field(default_factory=deque)
    """When those of the last `BURST_S` were answered, refused ones left out."""
    _started_at: float = 0.0

    def advance(self, now: float) -> None:
        """Bring it to an instant."""
        while self._recent and self._recent[0] <= now - BURST_S:
            self._recent.popleft()

    def started(self, now: float) -> None:
        """A request leaves."""
        self._started_at = now

    def passed(self, now: float, in_minute: int) -> None:
        """A request passed; so many did in the last minute, this one included."""
        self.advance(now)
        self._recent.append(now)
        self.minute = max(self.minute, in_minute)
        self.burst = max(self.burst, len(self._recent))

    def refused(self, now: float, in_minute: int) -> None:
        """A request was refused after so many had passed in the last minute."""
        self.advance(now)
        self.minute = min(self.minute, in_minute)
        self.burst = min(self.burst, len(self._recent))

    def free(self, now: float, used: int, under_way: int) -> int:
        """How many may leave now, beside those under way; `used` are those of the last minute."""
        recent = sum(at > now - BURST_S for at in self._recent) + under_way
        in_minute, at_once = self.minute - used, self.burst - recent
        if in_minute > 0:
            at_once = max(at_once, 1 + self.burst // BURST_PART - under_way)
        if min(in_minute, at_once) > 0:
            return min(in_minute, at_once)
        return int(under_way == 0 or self.next_at(used) <= now)

    def next_at(self, used: int) -> float:
        """When the next one beyond what has passed may leave, whatever is answered until then."""
        return self._started_at + min(STEP_S, GROWTH_S / max(1, used))

    def dump(self) -> dict[str, Any]:
        """What is worth remembering."""
        return {"minute": self.minute, "burst": self.burst}

    @classmethod
    def restore(cls, known: Lessons) -> Pacing:
        """What passed for an earlier process."""
        return cls(known.count("minute") or 0, known.count("burst") or 0)
