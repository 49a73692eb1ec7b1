"""The scenarios of the makespan bench: a budget, and the latency of every request.

The first nine are those of the design's table, the other five are our own: a quick model and a slow
one side by side, a free plan, a service near its limit of an hour, videos, and a thin budget over
a service whose queue grows.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from batchgen.core.jobs.policies import Limits, PollWith, RateScope
from batchgen.core.scheduling.rates.rates import FIRST_LIMIT, RateLimits
from bench.worlds import WORLDS, Gets, World

Draw = Callable[[random.Random, int, int], float]
"""Seconds one request takes: from chance, its number, and the count of all."""
UNLIMITED = 10_000


@dataclass(frozen=True)
class Night:
    """One scenario. `guess_s` is what the catalogue says of each model."""

    name: str
    latency: Draw
    requests_per_minute: int | None
    concurrency: int = UNLIMITED
    scope: RateScope = RateScope.ALL
    guess_s: float = 22.0
    jobs: int = 1_500
    models: int = 1
    unknown_world: World | None = None
    """Where the run has to find out what counts; else it is told, and results are asked for only
    once they are done."""

    @property
    def world(self) -> World:
        """The service of this night."""
        if self.unknown_world is not None:
            return self.unknown_world
        gets = Gets.FREE if self.scope is RateScope.SUBMIT else Gets.COUNTED
        return World(self.name, self.requests_per_minute, gets)

    @property
    def limits(self) -> Limits:
        """What the run is told."""
        if self.unknown_world is None:
            return Limits(concurrency=self.concurrency, rate_scope=self.scope)
        return Limits(
            concurrency=self.concurrency, rate_scope=RateScope.AUTO, poll_with=PollWith.AUTO
        )

    @property
    def rates(self) -> RateLimits:
        """The requests a minute that the run is told, if any."""
        if self.unknown_world is None:
            return RateLimits(self.requests_per_minute, scope=self.scope)
        told = self.unknown_world.told
        return RateLimits(told or FIRST_LIMIT, learns=told is None, scope=RateScope.AUTO)

    @property
    def requests_bind(self) -> bool:
        """Whether requests, not places, decide how long it takes, by a wide margin."""
        if self.requests_per_minute is None or self.scope is RateScope.SUBMIT:
            return False
        mean_s = sum(self.latencies(0)) / self.jobs
        return 2 * self.requests_per_minute / 3 < self.concurrency * 60 / mean_s

    def latencies(self, seed: int) -> list[float]:
        chance = random.Random(f"{self.name}/{seed}")
        return [self.latency(chance, number, self.jobs) for number in range(self.jobs)]


def around(typical_s: float, share: float = 0.2) -> Draw:
    return lambda chance, _number, _count: typical_s * chance.uniform(1 - share, 1 + share)


def log_normal(median_s: float, sigma: float) -> Draw:
    return lambda chance, _number, _count: median_s * math.exp(chance.gauss(0, sigma))


def with_cold_starts(draw: Draw, probability: float, more_s: float) -> Draw:
    def latency(chance: random.Random, number: int, count: int) -> float:
        cold = chance.random() < probability
        return draw(chance, number, count) + (more_s if cold else 0.0)

    return latency


def shifting(*typical_s: float) -> Draw:
    def latency(chance: random.Random, number: int, count: int) -> float:
        at = typical_s[min(len(typical_s) - 1, number * len(typical_s) // count)]
        return at * chance.uniform(0.8, 1.2)

    return latency


def alternating(*draws: Draw) -> Draw:
    return lambda chance, number, count: draws[number % len(draws)](chance, number, count)


def growing(first_s: float, last_s: float) -> Draw:
    def latency(chance: random.Random, number: int, count: int) -> float:
        return (first_s + (last_s - first_s) * number / count) * chance.uniform(0.9, 1.1)

    return latency


OF_THE_DESIGN = (
    Night("R=50 all, 22 s ± 20 %, C=∞", around(22), 50),
    Night("R=50 all, 22 s, C=10", around(22), 50, 10),
    Night("R=50 all, 12 s, C=4", around(12), 50, 4),
    Night("R=50 all, log-normal(15, 0.8), C=10", log_normal(15, 0.8), 50, 10),
    Night("R=50 all, 22 s, 5 % cold +180 s, C=10", with_cold_starts(around(22), 0.05, 180), 50, 10),
    Night("R=600 all, 22 s, C=50", around(22), 600, 50),
    Night("R=600 all, 22 s, C=10", around(22), 600, 10),
    Night("R=50 submits only, 22 s, C=∞", around(22), 50, scope=RateScope.SUBMIT),
    Night("R=50 all, 22→45→12 s, C=10", shifting(22, 45, 12), 50, 10),
)
OUR_OWN = (
    Night(
        "R=50 all, two models 5 s and 60 s, C=16",
        alternating(around(5), around(60)),
        50,
        16,
        models=2,
    ),
    Night("R=5 all, 22 s, C=16, 300 jobs", around(22), 5, 16, jobs=300),
    Night("R=600 all, videos of 1,500 s, C=1,000", around(1_500), 600, 1_000, guess_s=20.0),
    Night("R=50 all, 300 s ± 50 %, C=200", around(300, 0.5), 50, 200, guess_s=20.0),
    Night("R=200 all, 10→200 s, C=100", growing(10, 200), 200, 100, jobs=3_000),
)
NIGHTS = OF_THE_DESIGN + OUR_OWN
IN_WORLDS = tuple(
    Night(world.name, around(22), world.told, unknown_world=world) for world in WORLDS
)
"""The same night in every world that the service may turn out to be."""
