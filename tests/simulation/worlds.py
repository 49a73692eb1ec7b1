"""Nights with other kinds of models: texts, films with a last frame, workflows, failures that pass,
and words in place of pictures."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from batchgen.core.jobs.spec import WORKFLOWS, Mode
from batchgen.providers.segmind.simulator import ChatStyle, ModelSettings, OutputShape
from batchgen.testing.scenario import Scenario

WORLDLY = frozenset({1, 5, 9, 13})
"""Seeds modulo 20 of such nights."""
PRICE_USD = 0.05
WORKFLOW = f"{WORKFLOWS}portrait"
FAILURES = (
    "Inference failed: the worker ran out of memory",
    "Internal server error",
    "Request blocked by content moderation (RAI): the prompt was flagged",
    "Validation error: seed must be an integer",
)
INSTEAD: tuple[dict[str, Any], ...] = (
    {"output": "I cannot draw that."},
    {"output": '{"choices":[{"message":{"content":"I cannot draw that."}}]}'},
    {"output": {"message": "blocked by policy"}},
    {"message": "blocked by policy"},
)

World = Callable[[Scenario, random.Random], Scenario]


def with_worlds(scenario: Scenario, seed: int) -> Scenario:
    """The night with one or two kinds of models that make other things; most seeds: as it was."""
    if seed % 20 not in WORLDLY:
        return scenario
    chance = random.Random(f"{seed}/worlds")
    for world in chance.sample(WORLDS, chance.choice([1, 2])):
        scenario = world(scenario, chance)
    return scenario


def text_models(scenario: Scenario, chance: random.Random) -> Scenario:
    """One of the models answers as the makers of text models do."""
    style = chance.choice(list(ChatStyle))
    return _shaped(scenario, chance, shape=OutputShape.CHAT, chat_style=style)


def last_frames(scenario: Scenario, chance: random.Random) -> Scenario:
    """One of them makes films and tells the address of their last frame."""
    return _shaped(scenario, chance, shape=OutputShape.LAST_FRAME)


def workflows(scenario: Scenario, chance: random.Random) -> Scenario:
    """A part of the jobs asks for a workflow, which the history may call otherwise or not list."""
    share = chance.choice([0.3, 1.0])
    specs = [
        spec._replace(model=WORKFLOW, api=Mode.QUEUED) if chance.random() < share else spec
        for spec in scenario.specs
    ]
    settings = ModelSettings(shape=OutputShape.NODES, price_usd=PRICE_USD)
    models = {**scenario.service.models, WORKFLOW: settings}
    told = chance.choice(["slug", "slug", "path", "none"])
    return _world(replace(scenario, specs=specs), models=models, workflow_history=told)


def failures_that_pass(scenario: Scenario, chance: random.Random) -> Scenario:
    """Many jobs fail, some for reasons that pass and some for good."""
    return _world(
        scenario,
        failure_probability=chance.choice([0.3, 0.6, 1.0]),
        failure_messages=tuple(chance.sample(FAILURES, chance.choice([1, 2, 4]))),
        failed_status=chance.choice([200, 422]),
        sync_failures_told=chance.random() < 0.7,
    )


def words_instead_of_pictures(scenario: Scenario, chance: random.Random) -> Scenario:
    """Some jobs are completed and charged, and bring words."""
    fields = chance.choice(INSTEAD)
    return _world(scenario, filtered_probability=0.3, filtered_fields=fields)


def _shaped(scenario: Scenario, chance: random.Random, **settings: object) -> Scenario:
    models = dict(scenario.service.models)
    slug = chance.choice(sorted({spec.model for spec in scenario.specs}))
    known = models.get(slug, ModelSettings(price_usd=PRICE_USD))
    models[slug] = known.model_copy(update=settings)
    return _world(scenario, models=models)


def _world(scenario: Scenario, **settings: object) -> Scenario:
    return replace(scenario, service=scenario.service.model_copy(update=settings))


WORLDS: tuple[World, ...] = (
    text_models,
    last_frames,
    workflows,
    failures_that_pass,
    words_instead_of_pictures,
)
