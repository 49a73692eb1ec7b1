"""Counting a run: what displays show while it works and what it comes to in the end."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from batchgen.core.jobs.events import Change, EventKind
from batchgen.core.jobs.job import AWAITING_RESULT, COMING_HOME, ENDED, IN_FLIGHT, JobState

_RECENT_S = 300.0
"""Rates and the ETA look back so far."""
_FALTERING_S = 30.0
"""Files that do not come for so long are told of: a try or two that fail are nothing to know."""
_CALLS: Mapping[EventKind, str] = {
    EventKind.INTENDED: "submits",
    EventKind.RUNNING: "polls",
    EventKind.FINISHED: "polls",
}


@dataclass(slots=True)
class Tally:
    """Counts by state, money and recent rates, kept up to date change by change."""

    counts: Counter[JobState] = field(default_factory=Counter)
    spent_usd: float = 0.0
    retention_s: float = math.inf
    """How long the service remembers a request."""
    uploaded_count: int = 0
    """Input files that this run uploaded."""
    uploaded_bytes: int = 0
    _ended_at: deque[float] = field(default_factory=deque)
    _saved: deque[tuple[float, int]] = field(default_factory=deque)
    """When files were finished, and their bytes."""
    _calls_at: dict[str, deque[float]] = field(default_factory=dict)
    _windows: dict[int, float] = field(default_factory=dict)
    _faltering: dict[int, tuple[float, str]] = field(default_factory=dict)
    """Finished jobs whose files do not come: since when, and why the last time."""

    @classmethod
    def of(
        cls, counts: Mapping[str, int], spent_usd: float, retention_s: float = math.inf
    ) -> Tally:
        """A tally that begins with what the state already holds."""
        return cls(
            Counter({JobState(state): n for state, n in counts.items()}), spent_usd, retention_s
        )

    def apply(self, change: Change) -> None:
        """Count one change."""
        before, after, at = change.before, change.after, change.event.at
        self.counts[before.state] -= 1
        self.counts[after.state] += 1
        name = _CALLS.get(change.event.kind)
        if name is not None:
            self._calls_at.setdefault(name, deque()).append(at)
        if after.ended and not before.ended:
            self._ended_at.append(at)
        if change.files:
            self._saved.append((at, sum(file.size for file in change.files)))
        if after.state is JobState.DONE:
            cost = after.receipt.cost_usd
            self.spent_usd += (after.price_usd or 0.0) if cost is None else cost
        if after.state in AWAITING_RESULT or (
            after.state is JobState.FETCHING and not after.outputs
        ):
            self._windows[after.key] = after.sent_at + self.retention_s
        else:
            self._windows.pop(after.key, None)
        if after.state not in COMING_HOME:
            self._faltering.pop(after.key, None)
        elif change.event.reason:
            since_at, _ = self._faltering.get(after.key, (at, ""))
            self._faltering[after.key] = since_at, change.event.reason

    @property
    def total(self) -> int:
        """All jobs."""
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        """Jobs the run does nothing more about."""
        return sum(self.counts[state] for state in ENDED)

    @property
    def in_flight(self) -> int:
        """Jobs that (may) have been accepted and are not known to be finished."""
        return sum(self.counts[state] for state in IN_FLIGHT)

    def per_minute(self, name: str, now: float) -> int:
        """Calls (`submits`, `polls`) of the last 60 s."""
        return _count_since(self._calls_at.get(name, deque()), now, 60.0)

    def bytes_per_s(self, now: float) -> float:
        """Finished files of the last 60 s, as bytes a second."""
        while self._saved and self._saved[0][0] <= now - 60.0:
            self._saved.popleft()
        if not self._saved:
            return 0.0
        # While the first minute is not over, since its first file; a lone one counts as a second.
        span_s = min(60.0, max(1.0, now - self._saved[0][0]))
        return sum(size for _, size in self._saved) / span_s

    def faltering(self, now: float) -> list[str]:
        """Why files do not come of jobs that wait for them long, one reason a job."""
        return [
            reason
            for since_at, reason in self._faltering.values()
            if now - since_at >= _FALTERING_S
        ]

    def pace_per_s(self, now: float) -> float | None:
        """Jobs that ended a second, over the last minutes; None while it is unknown."""
        count = _count_since(self._ended_at, now, _RECENT_S)
        return count / max(1.0, now - self._ended_at[0]) if count >= 2 else None

    def eta_s(self, now: float) -> float | None:
        """Seconds until the last job ends at the pace of the last minutes; None while unknown."""
        pace = self.pace_per_s(now)
        return None if pace is None else (self.total - self.ended) / pace

    def next_deadline_at(self) -> float | None:
        """The nearest end of a window of a result that is not here yet."""
        return min(filter(math.isfinite, self._windows.values()), default=None)


def _count_since(instants: deque[float], now: float, span_s: float) -> int:
    while instants and instants[0] <= now - max(span_s, 60.0):
        instants.popleft()
    return sum(1 for at in instants if at > now - span_s)


def duration(seconds: float) -> str:
    """A duration for people: `42 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
