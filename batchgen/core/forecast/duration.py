"""How long a forecast takes under the budget, and which of its limits decides that.

A bound is what one limit alone allows at best: its requests with one poll a job, its places with
every job found done at once. Polls are placed as the run would place them; where that leaves more
requests or later results, the time is above all bounds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from batchgen.core.forecast.forecast import Forecast
from batchgen.core.jobs.policies import RateScope
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.poll_schedule import OTHER_CALLS, PollBudget, PollScheduler, Schedule
from batchgen.core.scheduling.rates.window import RATE_WINDOW_S

_ROUNDS = 40


class Limit(StrEnum):
    """What a time may be bound by."""

    REQUESTS = "requests a minute"
    """`requests_per_minute`, of the run or of a model."""
    CONCURRENCY = "concurrency"
    """`concurrency`, of the run or of a model."""
    LATENCY = "latency"
    """The slowest model's time for one job; no limit would make it faster."""


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """The limits of one model; None is that of the run."""

    concurrency: int | None = None
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class RunLimits:
    """The budget as far as it bounds the time; `requests_per_minute` None is no limit."""

    concurrency: int
    requests_per_minute: int | None
    scope: RateScope = RateScope.ALL
    models: Mapping[str, ModelLimits] = field(default_factory=dict)
    other_calls: int = OTHER_CALLS
    """Calls of a job beside its polls."""
    is_assumed: bool = False
    """Whether nobody knows yet that submits alone count."""


@dataclass(frozen=True, slots=True)
class TimeBound:
    """The seconds that one limit needs at least. `model` where it is one model's own limit.

    `load` and `allowed` are what it was made from: requests over requests a minute, seconds of work
    over places; for the latency, the same seconds over 1.
    """

    limit: Limit
    seconds: float
    load: float
    allowed: int
    model: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """The time a forecast takes, in seconds, with all bounds, the deciding one first.

    `requests` is how many will count against the budget, polls included.
    """

    time_s: float
    requests: float
    bounds: tuple[TimeBound, ...]

    @property
    def bound_by(self) -> TimeBound | None:
        """What decides; None where there is nothing to do."""
        return self.bounds[0] if self.bounds else None


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to do of one model: jobs to submit by each API, and jobs to bring home.

    `polls` and `delay_s` are means a job where polls are placed, `latency_s` of any job.
    """

    queued: float
    blocking: float
    under_way: float
    latency_s: float
    polls: float = 1.0
    delay_s: float = 0.0

    def scaled(self, share: float) -> Work:
        """The same of a share of the jobs to submit; what is under way stays."""
        return Work(
            self.queued * share,
            self.blocking * share,
            self.under_way,
            self.latency_s,
            self.polls,
            self.delay_s,
        )

    @property
    def jobs(self) -> float:
        """All of them."""
        return self.queued + self.blocking + self.under_way

    def requests(self, pace: RunLimits, polls: float) -> float:
        """Requests that count, with so many polls a job."""
        if pace.scope is RateScope.SUBMIT:
            return self.queued + self.blocking
        of_queued = self.queued * (pace.other_calls + polls)
        return of_queued + self.blocking + self.under_way * (pace.other_calls - 1 + polls)


def works(forecast: Forecast, latencies: Latencies, pace: RunLimits) -> dict[str, Work]:
    """What a forecast comes to, model by model, with the polls a run would place."""
    mix = {
        name: model.submits - model.blocking + model.under_way
        for name, model in forecast.models.items()
    }
    schedules = _schedules({name: count for name, count in mix.items() if count}, latencies, pace)
    found = {}
    for name, model in forecast.models.items():
        if not model.submits + model.under_way:
            continue
        latency_s = _typical_s(latencies, name)
        queued = model.submits - model.blocking
        made = schedules.get(name)
        polls, delay_s = (made.polls, made.delay_s) if made else (0.0, 0.0)
        found[name] = Work(queued, model.blocking, model.under_way, latency_s, polls, delay_s)
    return found


def _typical_s(latencies: Latencies, model: str) -> float:
    """The mean of what was seen; before anything was, the guess itself."""
    if not latencies.has_result(model):
        return latencies.guesses.get(model, latencies.default_s)
    sample = latencies.quantiles(model)
    return sum(sample) / len(sample)


def _schedules(
    mix: Mapping[str, int], latencies: Latencies, pace: RunLimits
) -> Mapping[str, Schedule]:
    """As the run would place them once the first results are there: until then a few scouts ask
    for all, which a long run does not feel."""
    if not mix:
        return {}
    believed = Latencies()
    believed.load(json.dumps({model: latencies.quantiles(model) for model in mix}))
    counted = pace.requests_per_minute if pace.scope is RateScope.ALL else None
    requests_per_s = None if counted is None else counted / RATE_WINDOW_S
    places = max(1, min(pace.concurrency, sum(mix.values())))
    return PollScheduler(believed, PollBudget(requests_per_s, places, pace.other_calls)).foreseen(
        mix
    )


def span(works: Mapping[str, Work], pace: RunLimits, uploads: float = 0.0) -> Span:
    """The time of all work under the budget; `uploads` are requests beside those of jobs."""
    if not works:
        return Span(0.0, 0.0, ())
    extra = 0.0 if pace.scope is RateScope.SUBMIT else uploads
    everything = list(works.values())
    whole = ModelLimits(pace.concurrency, pace.requests_per_minute)
    # Where several are equal the first decides: no limit is to blame for a single job.
    bounds = [_latency(everything), *_bounds(everything, whole, pace, extra)]
    for model, own in pace.models.items():
        if model in works:
            bounds += _bounds([works[model]], own, pace, 0.0, model)
    requests = extra + sum(work.requests(pace, work.polls) for work in everything)
    ordered = tuple(sorted(bounds, key=lambda bound: -bound.seconds))
    placed_s = _placed_s(everything, pace, requests)
    return Span(max(ordered[0].seconds, placed_s), requests, ordered)


def _placed_s(everything: list[Work], pace: RunLimits, requests: float) -> float:
    """What the placed polls, and the delays they leave, make of the limits of the run."""
    last_s = max(work.latency_s + work.delay_s for work in everything)
    stay_s = sum(work.jobs * (work.latency_s + work.delay_s) for work in everything)
    limit = pace.requests_per_minute
    by_requests_s = 0.0 if limit is None else _window_s(requests, limit)
    return max(stay_s / pace.concurrency, by_requests_s + last_s)


def _bounds(
    some: list[Work], own: ModelLimits, pace: RunLimits, extra: float, model: str = ""
) -> list[TimeBound]:
    found = []
    if own.concurrency is not None:
        work_s = sum(work.jobs * work.latency_s for work in some)
        found.append(
            TimeBound(Limit.CONCURRENCY, work_s / own.concurrency, work_s, own.concurrency, model)
        )
    if own.requests_per_minute is not None:
        requests = extra + sum(work.requests(pace, polls=1.0) for work in some)
        seconds = _window_s(requests, own.requests_per_minute) + _latency(some).seconds
        found.append(TimeBound(Limit.REQUESTS, seconds, requests, own.requests_per_minute, model))
    return found


def _latency(some: list[Work]) -> TimeBound:
    slowest_s = max(work.latency_s for work in some)
    return TimeBound(Limit.LATENCY, slowest_s, slowest_s, 1)


def _window_s(requests: float, limit: int) -> float:
    """The first window may be spent at once; only what is beyond it waits."""
    return RATE_WINDOW_S * max(0.0, requests - limit) / limit


def fitting(works: Mapping[str, Work], pace: RunLimits, seconds: float) -> int:
    """How many of the jobs to submit are home within so many seconds, in an even mix of models."""
    total = sum(work.queued + work.blocking for work in works.values())

    def fits(share: float) -> bool:
        some = {model: work.scaled(share) for model, work in works.items()}
        return span(some, pace).time_s <= seconds

    if not works or fits(1.0):
        return round(total)
    fitting_share, missing_share = 0.0, 1.0
    for _ in range(_ROUNDS):
        middle = (fitting_share + missing_share) / 2
        if fits(middle):
            fitting_share = middle
        else:
            missing_share = middle
    return int(total * fitting_share + 1e-6)
