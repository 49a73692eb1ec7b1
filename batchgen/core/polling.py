"""When to ask for the state of a request."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import quantiles

from batchgen.core.job import Job
from batchgen.core.treatment import WINDOW_S

DEFAULT_LATENCY_S = 20.0
"""Assumed where neither the catalogue nor experience says anything; the median of the seeds."""
SAMPLE_COUNT = 200
FIRST_INTERVAL_SHARE = 0.1
GROWTH = 1.4
"""Polls after the first one grow apart geometrically: late ones are rare and say little."""
MAX_GROWTHS = 50
"""Far past the longest interval; without it the power overflows after a day of polls."""
MIN_INTERVAL_S, MAX_INTERVAL_S = 1.0, 60.0
MAX_FIRST_S = WINDOW_S / 2
"""A latency in wrong units must not put the first poll behind the end of the window."""


@dataclass(slots=True)
class Latencies:
    """Seconds from submit to completion, per model: what was seen, and the catalogue's guess."""

    guesses: Mapping[str, float] = field(default_factory=dict)
    default_s: float = DEFAULT_LATENCY_S
    _seen: dict[str, deque[float]] = field(default_factory=dict)

    def learn(self, model: str, latency_s: float) -> None:
        """One request of this model took so long."""
        self._seen.setdefault(model, deque(maxlen=SAMPLE_COUNT)).append(latency_s)

    def typical_s(self, model: str) -> float:
        """The time by which most requests of this model are done."""
        seen = self._seen.get(model)
        if seen is None or len(seen) < 5:
            return self.guesses.get(model, self.default_s)
        return quantiles(seen, n=10, method="inclusive")[6]


def next_poll_at(job: Job, latencies: Latencies, now: float) -> float:
    """The instant of the next poll of a submitted job.

    The first one when most such requests are done, further ones a growing tenth of that apart.
    """
    typical_s = latencies.typical_s(job.model)
    if job.polls == 0:
        return max(now, job.sent_at + min(typical_s, MAX_FIRST_S))
    interval = FIRST_INTERVAL_SHARE * typical_s * GROWTH ** min(job.polls - 1, MAX_GROWTHS)
    return now + min(MAX_INTERVAL_S, max(MIN_INTERVAL_S, interval))
