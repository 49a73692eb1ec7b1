"""What a manifest will come to, before anything is spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from batchgen.core.limits import RateScope
from batchgen.core.polling import DEFAULT_LATENCY_S
from batchgen.core.spec import ApiVersion, JobSpec

CALLS_OF_V2 = 3
"""Submit, one poll, result: the least a v2 job needs."""
CALLS_OF_V1 = 1


@dataclass(slots=True)
class ModelForecast:
    """Jobs of one model. `unpriced` counts those without a known price; `cost_usd` the others'."""

    model: str
    count: int = 0
    unpriced: int = 0
    cost_usd: float = 0.0
    latency_s: float = DEFAULT_LATENCY_S


@dataclass(slots=True)
class Forecast:
    """A whole manifest. Times in seconds; `bound_by` names the limit that decides `time_s`."""

    models: dict[str, ModelForecast] = field(default_factory=dict)
    count: int = 0
    calls: int = 0
    work_s: float = 0.0
    time_s: float = 0.0
    bound_by: str = ""

    @property
    def cost_usd(self) -> float:
        """The known part of the cost."""
        return sum(model.cost_usd for model in self.models.values())

    @property
    def unpriced(self) -> int:
        """Jobs whose price nobody knows."""
        return sum(model.unpriced for model in self.models.values())


@dataclass(frozen=True, slots=True)
class Pace:
    """The budget as far as it bounds the time."""

    concurrency: int
    requests_per_minute: int | None
    scope: RateScope


def forecast(jobs: Iterable[JobSpec], latencies: Mapping[str, float], pace: Pace) -> Forecast:
    """Count jobs, money and time; streams `jobs` once.

    The time is the largest of three lower bounds: calls over the request budget, work over the
    concurrency, and the slowest single job.
    """
    result = Forecast()
    slowest_s = 0.0
    for job in jobs:
        entry = result.models.get(job.model)
        if entry is None:
            latency_s = latencies.get(job.model, DEFAULT_LATENCY_S)
            entry = result.models[job.model] = ModelForecast(job.model, latency_s=latency_s)
        entry.count += 1
        entry.unpriced += job.price_usd is None
        entry.cost_usd += job.price_usd or 0.0
        result.count += 1
        result.calls += _counted_calls(job, pace.scope)
        result.work_s += entry.latency_s
        slowest_s = max(slowest_s, entry.latency_s)
    bounds = {
        "concurrency": result.work_s / pace.concurrency,
        "the slowest job": slowest_s,
    }
    if pace.requests_per_minute:
        # The first window may be spent at once; only what is beyond it waits.
        beyond = max(0, result.calls - pace.requests_per_minute)
        bounds["requests a minute"] = 60.0 * beyond / pace.requests_per_minute + slowest_s
    result.bound_by = max(bounds, key=lambda name: bounds[name])
    result.time_s = bounds[result.bound_by]
    return result


def _counted_calls(job: JobSpec, scope: RateScope) -> int:
    if scope is RateScope.SUBMIT or job.api is ApiVersion.V1:
        return CALLS_OF_V1
    return CALLS_OF_V2
