"""Pending jobs from the record: how many, of which models, and when there are no more."""

from __future__ import annotations

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.outcomes import Signal
from batchgen.core.jobs.policies import Limits
from batchgen.core.scheduling.gates.holds import Hold, dump
from batchgen.core.scheduling.gates.refusals import MODEL_PAUSE_S
from batchgen.core.scheduling.planner import PlannedEffects
from batchgen.runner.runner import draw
from tests.core.builders import NOW, event, job, scheduler


class Shelf:
    """A state with these pending jobs; remembers what was asked."""

    def __init__(self, *models):
        self.jobs = [job(key=key, model=model) for key, model in enumerate(models, 1)]
        self.asked = []

    async def draw(self, after_key, limit, *, model=None, but_models=()):
        self.asked.append((after_key, limit, model, but_models))
        fit = [
            job
            for job in self.jobs
            if job.key > after_key
            and (job.model == model if model else job.model not in but_models)
        ]
        return fit[:limit]


def empty_board(**parts):
    return scheduler(all_drawn=False, **parts)


async def test_drawing_goes_on_behind_what_was_drawn():
    made, shelf = empty_board(), Shelf(*"aaaaa")

    for keys, ended in [({1, 2}, False), ({1, 2, 3, 4}, False), ({1, 2, 3, 4, 5}, True)]:
        await draw(made, shelf, PlannedEffects(draw=2), NOW)
        assert (made.jobs.keys(), made.prefetch.others.ended) == (keys, ended)

    assert [after for after, *_ in shelf.asked] == [0, 2, 4]
    assert made.prefetch.others.last_key == 5


async def test_an_empty_state_leaves_the_place_as_it_was():
    made, shelf = empty_board(), Shelf()
    made.prefetch.others.last_key = 7

    await draw(made, shelf, PlannedEffects(draw=2), NOW)

    assert (made.prefetch.others.last_key, made.prefetch.others.ended) == (7, True)


async def test_a_model_with_limits_of_its_own_is_drawn_by_itself():
    made, shelf = empty_board(limits=Limits(models={"b": 1})), Shelf(*"ababb")

    await draw(made, shelf, PlannedEffects(draw=5, draw_of=(("b", 2),)), NOW)

    assert shelf.asked == [(0, 5, None, ("b",)), (0, 2, "b", ())]
    assert made.jobs.keys() == {1, 2, 3, 4}
    assert made.prefetch.others.ended
    assert (made.prefetch.models["b"].last_key, made.prefetch.models["b"].ended) == (4, False)

    await draw(made, shelf, PlannedEffects(draw_of=(("b", 2),)), NOW)

    assert shelf.asked[2:] == [(4, 2, "b", ())]
    assert (made.prefetch.models["b"].last_key, made.prefetch.models["b"].ended) == (5, True)
    assert made.all_drawn

    await draw(made, shelf, PlannedEffects(draw_of=(("b", 2),)), NOW)

    assert made.prefetch.models["b"].last_key == 5


@pytest.mark.parametrize(
    ("quota", "keys", "left", "ended"),
    [
        (None, {1, 2, 3}, None, False),
        (5, {1, 2, 3}, 2, False),
        (3, {1, 2, 3}, 0, True),
        (2, {1, 2}, 0, True),
        (0, set(), 0, True),
    ],
)
async def test_no_more_is_drawn_than_this_run_may(quota, keys, left, ended):
    made = empty_board()
    made.prefetch.quota = quota

    await draw(made, Shelf(*"aaaaa"), PlannedEffects(draw=3), NOW)

    assert (made.jobs.keys(), made.prefetch.quota, made.prefetch.others.ended) == (
        keys,
        left,
        ended,
    )


async def test_the_quota_is_one_for_all_models():
    made, shelf = empty_board(limits=Limits(models={"b": 1})), Shelf(*"aabb")
    made.prefetch.quota = 3

    await draw(made, shelf, PlannedEffects(draw=2, draw_of=(("b", 2),)), NOW)

    assert made.jobs.keys() == {1, 2, 3}
    assert (made.prefetch.quota, made.prefetch.models["b"].ended) == (0, True)


def close_model(made, model):
    for at in (NOW - MODEL_PAUSE_S, NOW):
        made.gates.refusals.refuse_model(model, "HTTP 404", at)


async def test_jobs_of_a_closed_model_stay_pending_in_the_state_but_for_one():
    made = empty_board()
    close_model(made, "b")

    await draw(made, Shelf(*"ababb"), PlannedEffects(draw=5), NOW)

    assert made.jobs.keys() == {1, 2, 3}
    assert made.held == {"b": 2}


@pytest.mark.parametrize("quota", [None, 5, 4, 3])
async def test_a_model_that_takes_jobs_again_is_drawn_from_the_beginning(quota):
    """Jobs that are here already count against the limit of this run once."""
    made, shelf = empty_board(), Shelf(*"ababb")
    made.prefetch.quota = quota
    close_model(made, "b")
    await draw(made, shelf, PlannedEffects(draw=5), NOW)
    allowed = quota or 5
    assert sum(made.held.values()) + len(made.jobs) == allowed

    made.put([job(S.SUBMITTING, 2, model="b")])
    made.apply([apply(made.jobs[2], event(E.ACKED, job_key=2, request_id="r"))])
    shelf.jobs = [each for each in shelf.jobs if each.key != 2]
    for _ in range(5):
        await draw(made, shelf, PlannedEffects(draw=2), NOW)

    assert made.jobs.keys() == set(range(1, allowed + 1))
    assert not made.held
    assert made.all_drawn


async def test_an_instant_of_a_clock_that_was_ahead_comes_back_to_now():
    made, shelf = empty_board(), Shelf("a")
    shelf.jobs = [job(due_at=NOW + 10 * 86_400)]

    await draw(made, shelf, PlannedEffects(draw=1), NOW)

    assert made.jobs[1].due_at <= NOW + made.capabilities.retention_s


async def test_what_an_earlier_run_put_on_hold_is_tried_at_once():
    made, shelf = empty_board(), Shelf()
    shelf.jobs = [
        job(key=key, model=model, due_at=NOW + 170) for key, model in ((1, "a"), (2, "b"))
    ]
    made.gates.refusals.recall(dump({"b": Hold(Signal.NOT_FOUND, "HTTP 404", NOW - 9000)}))

    await draw(made, shelf, PlannedEffects(draw=2), NOW)

    assert {key: each.due_at for key, each in made.jobs.items()} == {1: NOW + 170, 2: 0.0}
