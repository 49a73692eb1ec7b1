"""From a seed to a scenario: manifest, limits, a service with faults, and the places of death."""

from __future__ import annotations

import random

from batchgen.core.common.json import canonical_json
from batchgen.core.jobs.policies import Limits, OnExpired, RateScope, WhenAbsent
from batchgen.core.jobs.spec import JobSpec, Mode
from batchgen.ports import SaveFault
from batchgen.providers.segmind.simulator import (
    Endpoint,
    FaultKind,
    FaultRule,
    ModelSettings,
    OutputShape,
    ResetHeader,
    SimulatorConfig,
)
from batchgen.testing.rehearsal import Interruption, Mishap, Scenario
from tests.simulation.oddities import with_oddities
from tests.simulation.tightening import tighten
from tests.simulation.unknowns import with_unknowns
from tests.simulation.uploading import with_uploads
from tests.simulation.widening import widen
from tests.simulation.worlds import with_worlds

FAULTS_END_S = 3600.0
"""After this every fault stops, so that every job must come to its end."""

SUBMIT_FAULTS = (
    FaultKind.DROP_BEFORE,
    FaultKind.DROP_AFTER,
    FaultKind.STALL,
    FaultKind.CUT,
    FaultKind.GARBLED,
    FaultKind.GHOST,
    FaultKind.SLOW,
    FaultKind.NO_ID,
    FaultKind.HTTP_401,
    FaultKind.HTTP_429,
    FaultKind.HTTP_500,
    FaultKind.HTTP_502,
    FaultKind.HTTP_503,
    FaultKind.HTTP_504,
    FaultKind.CREDITS_406,
)
READ_FAULTS = (
    FaultKind.DROP_BEFORE,
    FaultKind.DROP_AFTER,
    FaultKind.STALL,
    FaultKind.CUT,
    FaultKind.CUT_SILENTLY,
    FaultKind.GARBLED,
    FaultKind.SLOW,
    FaultKind.HTTP_401,
    FaultKind.HTTP_404,
    FaultKind.HTTP_429,
    FaultKind.HTTP_500,
    FaultKind.HTTP_502,
    FaultKind.UNKNOWN_STATE,
    FaultKind.BACKWARDS,
    FaultKind.NO_OUTPUT,
)
READ_PLACES = (Endpoint.POLL, Endpoint.RESULT, Endpoint.HISTORY, Endpoint.CREDITS)
SHAPES = (
    OutputShape.URL,
    OutputShape.URLS,
    OutputShape.DATA_URI,
    OutputShape.BASE64,
    OutputShape.IMAGES,
    OutputShape.TEXT,
    OutputShape.MEDIA,
)
PRICE_USD = 0.05


def scenario_of(seed: int) -> Scenario:
    """The scenario of a seed; equal seeds, equal scenarios.

    Two of three hold more troubles, six of twenty tighter budgets or a slow service, three of
    twenty files to be uploaded, five of twenty oddities of the service and of what is before it,
    four of twenty models that make texts or films, workflows, or failures that pass, six of twenty
    a service of which nobody knows how it counts.
    """
    if seed % 20 == 19:
        return _duplicate_ids(seed)
    plain = _plain(seed)
    night = tighten(widen(plain, seed) if seed % 3 else plain, seed)
    night = with_worlds(with_oddities(night, seed), seed)
    return with_unknowns(with_uploads(night, seed), seed)


def _plain(seed: int) -> Scenario:
    chance = random.Random(seed)
    requests_per_minute = chance.choice([5, 50, 50, 600])
    return Scenario(
        specs=_specs(chance, 12 if requests_per_minute == 5 else 30),
        service=_service(chance, seed, requests_per_minute),
        limits=_limits(chance),
        requests_per_minute=requests_per_minute,
        max_spend_usd=chance.choice([None, None, None, 0.5]),
        interruptions=_kills(chance),
        downtime_s=chance.choice([0.1, 5.0, 200.0, 4000.0]),
        seed=seed,
        save_faults=[chance.choice(SAVE_FAULTS) for _ in range(chance.choice([0, 0, 3]))],
    )


def _kills(chance: random.Random) -> list[Interruption]:
    steps = [chance.randint(1, 150) for _ in range(chance.choice([0, 1, 3, 6]))]
    return [Interruption(Mishap.KILL, after_steps) for after_steps in steps]


def _duplicate_ids(seed: int) -> Scenario:
    """A service that answers with the id of the request before.

    A night of its own, one job at a time: where the earlier id is not known yet, or was lost,
    nobody could tell which of the two it belongs to.
    """
    chance = random.Random(seed)
    specs = [
        JobSpec(f"job-{i:03d}", "flux-pro", canonical_json({"prompt": f"cup {i}"}), f"job-{i:03d}")
        for i in range(12)
    ]
    rule = _rule(chance, Endpoint.SUBMIT, FaultKind.DUPLICATE_ID)
    service = SimulatorConfig(seed=seed, pictures="tiny", faults=(rule,))
    return Scenario(specs, service, Limits(concurrency=1), 50, seed=seed)


SAVE_FAULTS = (
    SaveFault.TRANSIENT,
    SaveFault.GONE,
    SaveFault.BAD_CONTENT,
    SaveFault.DISK_FULL,
    SaveFault.TOO_MANY_FILES,
)


def _specs(chance: random.Random, most: int) -> list[JobSpec]:
    count = chance.randint(2, most)
    models = chance.sample(["flux-kontext-pro", "flux-pro", "flux-kontext-max"], 2)
    specs = []
    for index in range(count):
        # Some jobs ask for exactly the same: history rows then fit several of them.
        prompt = f"cup {index}" if chance.random() < 0.85 else "a cup"
        api = Mode.BLOCKING if chance.random() < 0.1 else Mode.QUEUED
        body = canonical_json({"prompt": prompt})
        job_id = f"job-{index:03d}"
        specs.append(JobSpec(job_id, chance.choice(models), body, job_id, api, PRICE_USD))
    return specs


def _limits(chance: random.Random) -> Limits:
    return Limits(
        concurrency=chance.choice([1, 2, 4, 16]),
        rate_scope=chance.choice([RateScope.ALL, RateScope.ALL, RateScope.SUBMIT]),
        max_attempts=chance.choice([1, 3]),
        on_expired=chance.choice(list(OnExpired)),
        when_absent=chance.choice([WhenAbsent.RESUBMIT, WhenAbsent.RESUBMIT, WhenAbsent.HOLD]),
    )


def _service(chance: random.Random, seed: int, limit: int) -> SimulatorConfig:
    shape = ModelSettings(
        shape=chance.choice(SHAPES), outputs_per_job=chance.choice([1, 1, 3]), price_usd=PRICE_USD
    )
    plain = ModelSettings(price_usd=PRICE_USD)
    return SimulatorConfig(
        seed=seed,
        pictures="tiny",
        models={"flux-kontext-pro": plain, "flux-pro": shape, "flux-kontext-max": plain},
        failure_probability=chance.choice([0.0, 0.05]),
        vanish_probability=chance.choice([0.0, 0.0, 0.05]),
        teammate_probability=chance.choice([0.0, 0.0, 0.0, 0.3]),
        history_lag_s=chance.choice([0.0, 1.0, 20.0]),
        history_body_as_text=chance.random() < 0.3,
        fresh_404_s=chance.choice([0.0, 0.0, 1.0]),
        rate_limit=limit,
        faults=(*_submit_rules(chance), *_read_rules(chance)),
    )


def _submit_rules(chance: random.Random) -> list[FaultRule]:
    kinds = chance.sample(SUBMIT_FAULTS, chance.randint(0, 4))
    places = [chance.choice([Endpoint.SUBMIT, Endpoint.SUBMIT, Endpoint.SYNC]) for _ in kinds]
    return [_rule(chance, place, kind) for place, kind in zip(places, kinds, strict=True)]


def _read_rules(chance: random.Random) -> list[FaultRule]:
    kinds = chance.sample(READ_FAULTS, chance.randint(0, 4))
    return [_rule(chance, chance.choice(READ_PLACES), kind) for kind in kinds]


def _rule(chance: random.Random, place: Endpoint, kind: FaultKind) -> FaultRule:
    return FaultRule(
        where=place,
        kind=kind,
        probability=chance.choice([0.05, 0.1, 0.3]),
        accepted=chance.random() < 0.5,
        reset=chance.choice(list(ResetHeader)),
        until_s=FAULTS_END_S,
    )
