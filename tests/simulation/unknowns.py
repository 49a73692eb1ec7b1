"""Nights in a service of which nobody knows how it counts: the scope of the limit, the limit
itself, how it is enforced, and what a result is answered while its request runs."""

from __future__ import annotations

import random
from dataclasses import replace

from batchgen.core.jobs.policies import PollWith, RateScope
from batchgen.testing.scenario import Scenario

UNKNOWING = frozenset({0, 4, 6, 10, 14, 16})
"""Seeds modulo 20 of such nights."""
PER_MINUTE = (5, 50, 120, 600)
SHAPES = (
    {},
    {},
    {"burst_limit": 10, "burst_window_s": 10.0},
    {"burst_limit": 3, "burst_window_s": 4.0},
    {"rate_limit_form": "bucket", "burst_limit": 5},
    {"rate_limit_form": "bucket", "burst_limit": 1},
    {"rate_limit_form": "fixed"},
)


def with_unknowns(scenario: Scenario, seed: int) -> Scenario:
    """The night where the run has to find out what the service is; most seeds: as it was."""
    if seed % 20 not in UNKNOWING:
        return scenario
    chance = random.Random(f"{seed}/unknowns")
    asked = scenario.requests_per_minute
    is_true = asked is not None and chance.random() < 0.7
    settings = {
        "rate_limit": asked if is_true else chance.choice(PER_MINUTE),
        "rate_limit_scope": chance.choice(["all", "submit", "apart"]),
        "early_result": chance.choice([200, 202, 404, 409, 425]),
        "reset_form": chance.choice(["utc", "retry_after", "none"]),
        **chance.choice(SHAPES),
    }
    poll_with = chance.choice([PollWith.AUTO, PollWith.AUTO, PollWith.RESULT, PollWith.STATUS])
    scope = chance.choice([RateScope.AUTO, RateScope.AUTO, RateScope.AUTO, RateScope.ALL])
    return replace(
        scenario,
        limits=replace(scenario.limits, rate_scope=scope, poll_with=poll_with),
        service=scenario.service.model_copy(update=settings),
        learns=not is_true and asked is not None,
        is_first=True,
    )
