"""Budgets that bite: models with limits of their own, limits and prices nobody told us of, an end
of the time, clocks that step, services that take most of the hour."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from batchgen.core.jobs.policies import RateScope
from batchgen.core.jobs.spec import JobSpec
from batchgen.providers.segmind.simulator import ModelSettings, SimulatorConfig
from batchgen.testing.rehearsal import Scenario
from batchgen.testing.virtual_time import START_AT
from tests.simulation.widening import DAY_S, REBOOT_S

HOUR_S = 3600.0
TIGHT = frozenset({3, 8, 13, 17, 18})
SLOW = frozenset({7})
"""Seeds modulo 20 whose nights are tightened, or slow."""


def tighten(scenario: Scenario, seed: int) -> Scenario:
    """The night under one to three budgets more, or at a slow service; most seeds: as it was."""
    chance = random.Random(f"{seed}/tight")
    if seed % 20 in SLOW:
        return _slow_service(scenario, chance)
    if seed % 20 in TIGHT:
        for budget in chance.sample(BUDGETS, chance.choice([1, 2, 3])):
            scenario = budget(scenario, chance)
    return scenario


def _models(scenario: Scenario) -> list[str]:
    return sorted({spec.model for spec in scenario.specs})


def _places_of_models(scenario: Scenario, chance: random.Random) -> Scenario:
    limited = {model: chance.choice([1, 2, 3]) for model in _models(scenario)}
    if chance.random() < 0.5:
        limited.popitem()
    return replace(scenario, limits=replace(scenario.limits, models=limited))


def _rates_of_models(scenario: Scenario, chance: random.Random) -> Scenario:
    limited = {model: chance.choice([3, 5, 10]) for model in _models(scenario)}
    if chance.random() < 0.5:
        limited.popitem()
    return replace(scenario, model_rates=limited)


def _secret_limit(scenario: Scenario, chance: random.Random) -> Scenario:
    """The service takes fewer requests than it was said to."""
    return _with_service(scenario, rate_limit=chance.choice([5, 12, 30]))


def _end_of_time(scenario: Scenario, chance: random.Random) -> Scenario:
    ends_at = START_AT + chance.choice([300.0, 900.0, 2700.0])
    return replace(scenario, limits=replace(scenario.limits, ends_at=ends_at))


def _cap(scenario: Scenario, chance: random.Random) -> float:
    return scenario.max_spend_usd or chance.choice([0.3, 0.5, 1.0])


def _no_price(scenario: Scenario, chance: random.Random) -> Scenario:
    """Under a cap, nobody knows what the jobs of one model or of all will cost."""
    unpriced = chance.sample(_models(scenario), chance.randint(1, len(_models(scenario))))
    specs = [_priced(spec, None) if spec.model in unpriced else spec for spec in scenario.specs]
    cap_usd = _cap(scenario, chance)
    return replace(scenario, specs=specs, max_spend_usd=cap_usd, allow_unknown_price=True)


def _other_prices(scenario: Scenario, chance: random.Random) -> Scenario:
    """The service charges more than the jobs were told to cost, or less."""
    factors = {model: chance.choice([0.4, 0.8, 1.0, 2.0]) for model in _models(scenario)}
    specs = [
        spec if spec.price_usd is None else _priced(spec, spec.price_usd * factors[spec.model])
        for spec in scenario.specs
    ]
    return replace(scenario, specs=specs, max_spend_usd=_cap(scenario, chance))


def _priced(spec: JobSpec, price_usd: float | None) -> JobSpec:
    return spec._replace(price_usd=price_usd)


def _stepping_clock(scenario: Scenario, chance: random.Random) -> Scenario:
    """Each process finds another time of day, or another day."""
    steps_s = [-DAY_S, -HOUR_S, 0.0, HOUR_S, DAY_S]
    errors_s = [chance.choice(steps_s) for _ in range(6)]
    return replace(scenario, clock_errors_s=errors_s, downtime_s=max(REBOOT_S, scenario.downtime_s))


SLOW_JOBS = 60
MAX_LATENCY_S = 3000.0


def _slow_service(scenario: Scenario, chance: random.Random) -> Scenario:
    """Up to fifty minutes a job, more places than requests could bring home, and no fault."""
    models = _models(scenario)
    slow = {
        model: ModelSettings(latency_s=chance.choice([1500.0, 2700.0, MAX_LATENCY_S]))
        for model in models
    }
    service = SimulatorConfig(
        seed=scenario.seed, pictures="tiny", workers=10_000, latency_jitter=0.02, models=slow
    )
    specs = [
        JobSpec(f"job-{n:03d}", chance.choice(models), f'{{"prompt":"cup {n}"}}', f"job-{n:03d}")
        for n in range(SLOW_JOBS)
    ]
    limits = replace(
        scenario.limits,
        concurrency=10_000,
        rate_scope=chance.choice([RateScope.ALL, RateScope.ALL, RateScope.SUBMIT]),
    )
    requests_per_minute = chance.choice([5, 14, 50])
    return Scenario(specs, service, limits, requests_per_minute, seed=scenario.seed)


def _with_service(scenario: Scenario, **settings: object) -> Scenario:
    return replace(scenario, service=scenario.service.model_copy(update=settings))


BUDGETS: tuple[Callable[[Scenario, random.Random], Scenario], ...] = (
    _places_of_models,
    _rates_of_models,
    _secret_limit,
    _end_of_time,
    _no_price,
    _other_prices,
    _stepping_clock,
)
