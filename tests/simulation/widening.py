"""What else may befall a night: stops, wrong clocks, full disks, refused keys, dead services."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from batchgen.core.scheduling.gates.gates import Patience
from batchgen.providers.segmind.simulator import Endpoint, FaultKind, FaultRule
from batchgen.testing.rehearsal import Interruption, Mishap, Scenario

DAY_S = 86_400.0
REBOOT_S = 60.0
"""A clock can only change its mind between two processes where the machine went down."""
LONG_OUTAGE_S = 900.0
OPEN_AGAIN_S = 3000.0
"""Long faults end before this, so that the night can come to its end."""
CDN_FAULTS = (
    FaultKind.DROP_BEFORE,
    FaultKind.CUT,
    FaultKind.CUT_SILENTLY,
    FaultKind.STALL,
    FaultKind.HTML_AS_MEDIA,
    FaultKind.HTTP_404,
    FaultKind.HTTP_403,
    FaultKind.HTTP_502,
)
HISTORY_FAULTS = (
    FaultKind.DROP_BEFORE,
    FaultKind.HTTP_401,
    FaultKind.HTTP_403,
    FaultKind.HTTP_404,
    FaultKind.HTTP_502,
    FaultKind.GARBLED,
)


def widen(plain: Scenario, seed: int) -> Scenario:
    """The scenario with two or three more troubles, chosen by the seed."""
    chance = random.Random(f"{seed}/wide")
    scenario = plain
    for trouble in chance.sample(TROUBLES, chance.choice([2, 2, 3])):
        scenario = trouble(scenario, chance)
    return scenario


def _interruptions(scenario: Scenario, chance: random.Random) -> Scenario:
    mishaps = [chance.choice(list(Mishap)) for _ in range(chance.randint(1, 6))]
    planned = [Interruption(mishap, chance.randint(1, 120)) for mishap in mishaps]
    return replace(scenario, interruptions=planned)


def _wrong_clocks(scenario: Scenario, chance: random.Random) -> Scenario:
    errors_s = [chance.choice([-40.0, 0.0, 40.0]) for _ in range(6)]
    return replace(scenario, clock_errors_s=errors_s, downtime_s=max(REBOOT_S, scenario.downtime_s))


def _full_disk(scenario: Scenario, chance: random.Random) -> Scenario:
    from_s = chance.uniform(0.0, 300.0)
    for_s = chance.choice([10.0, 50.0, 1000.0])
    return replace(scenario, disk_full_s=[(from_s, from_s + for_s)])


def _endless_jobs(scenario: Scenario, chance: random.Random) -> Scenario:
    """Few jobs: each endless one keeps its place for an hour and more."""
    fewer = replace(scenario, specs=scenario.specs[:8])
    return _with_service(fewer, never_finish_probability=chance.choice([0.1, 0.3]))


def _refused_key(scenario: Scenario, chance: random.Random) -> Scenario:
    return _with_outage(scenario, chance, Endpoint.ANY, FaultKind.HTTP_401)


def _dead_service(scenario: Scenario, chance: random.Random) -> Scenario:
    kind = chance.choice([FaultKind.DROP_BEFORE, FaultKind.HTTP_503, FaultKind.STALL])
    return _with_outage(scenario, chance, Endpoint.ANY, kind)


def _closed_model(scenario: Scenario, chance: random.Random) -> Scenario:
    """Retired, unknown or forbidden from some instant on, for ever."""
    kind = chance.choice([FaultKind.HTTP_410, FaultKind.HTTP_404, FaultKind.HTTP_403])
    models = frozenset({chance.choice([spec.model for spec in scenario.specs])})
    since_s = chance.choice([0.0, 5.0, 60.0])
    return _with_rules(
        scenario,
        *(
            FaultRule(where=place, kind=kind, models=models, since_s=since_s)
            for place in (Endpoint.SUBMIT, Endpoint.SYNC)
        ),
    )


def _empty_account(scenario: Scenario, chance: random.Random) -> Scenario:
    """Too few credits; paid in while the run is stopped."""
    poor = _with_service(scenario, credits_usd=chance.choice([0.0, 0.05, 0.4]))
    return replace(poor, top_ups_usd=[chance.choice([0.0, 0.3]), 0.5, 100.0])


def _dead_history(scenario: Scenario, chance: random.Random) -> Scenario:
    """It never answers again. Then a 5xx is trusted to mean what is documented: not accepted."""
    scenario = honest(scenario)
    kind = chance.choice(HISTORY_FAULTS)
    since_s = chance.choice([0.0, 0.0, 30.0])
    impatient = replace(scenario, patience=Patience(history_s=60.0), again_after_s=6 * 3600.0)
    return _with_rules(impatient, FaultRule(where=Endpoint.HISTORY, kind=kind, since_s=since_s))


def honest(scenario: Scenario) -> Scenario:
    """What answers an error has not accepted anything."""
    honest = [rule.model_copy(update={"accepted": False}) for rule in scenario.service.faults]
    return _with_service(scenario, faults=tuple(honest))


def _terse_history(scenario: Scenario, chance: random.Random) -> Scenario:
    """Rows without what the documentation promises."""
    field = chance.choice(["model_created", "request_body", "generation_url", "model_status"])
    return replace(scenario, untold=frozenset({field}))


def _late_history(scenario: Scenario, chance: random.Random) -> Scenario:
    """It lags by more than the settle time; by more than twice that a 5xx has to be trusted."""
    lag_s = chance.choice([150.0, 400.0])
    trusted = honest(scenario) if lag_s > 2 * scenario.limits.settle_s else scenario
    return _with_service(trusted, history_lag_s=lag_s)


def _failing_jobs(scenario: Scenario, chance: random.Random) -> Scenario:
    status = chance.choice([200, 422])
    return _with_service(scenario, failure_probability=0.4, failed_status=status)


def _vanishing_results(scenario: Scenario, chance: random.Random) -> Scenario:
    """COMPLETED and then 404, and sometimes the history has no file either."""
    gone = _with_service(scenario, vanish_probability=chance.choice([0.2, 0.6]))
    untold = frozenset({"generation_url"}) if chance.random() < 0.5 else frozenset()
    return replace(gone, untold=gone.untold | untold)


def _failing_cdn(scenario: Scenario, chance: random.Random) -> Scenario:
    kind = chance.choice(CDN_FAULTS)
    if chance.random() < 0.5:
        return _with_outage(scenario, chance, Endpoint.CDN, kind)
    rule = FaultRule(where=Endpoint.CDN, kind=kind, probability=0.3, until_s=OPEN_AGAIN_S)
    return _with_rules(scenario, rule)


def _with_outage(
    scenario: Scenario, chance: random.Random, place: Endpoint, kind: FaultKind
) -> Scenario:
    since_s = chance.choice([0.0, 10.0, 60.0])
    for_s = chance.choice([30.0, LONG_OUTAGE_S, OPEN_AGAIN_S - since_s])
    rule = FaultRule(where=place, kind=kind, since_s=since_s, until_s=since_s + for_s)
    return _with_rules(scenario, rule)


def _with_rules(scenario: Scenario, *rules: FaultRule) -> Scenario:
    """In front of the others: of several rules the first one decides."""
    return _with_service(scenario, faults=(*rules, *scenario.service.faults))


def _with_service(scenario: Scenario, **settings: object) -> Scenario:
    return replace(scenario, service=scenario.service.model_copy(update=settings))


TROUBLES: tuple[Callable[[Scenario, random.Random], Scenario], ...] = (
    _interruptions,
    _wrong_clocks,
    _full_disk,
    _endless_jobs,
    _refused_key,
    _dead_service,
    _closed_model,
    _empty_account,
    _dead_history,
    _terse_history,
    _late_history,
    _failing_jobs,
    _vanishing_results,
    _failing_cdn,
)
