"""Whole nights of the real runner in virtual time, judged by the simulated service's own ledger."""

from __future__ import annotations

from collections import Counter

import pytest

from batchgen.core.jobs.events import EventKind
from batchgen.core.jobs.job import JobState
from batchgen.core.jobs.policies import Limits
from batchgen.core.scheduling.completion import Verdict
from batchgen.providers.segmind.simulator import (
    Endpoint,
    FaultKind,
    FaultRule,
    ResetHeader,
    SimulatorConfig,
)
from batchgen.testing.rehearsal import Interruption, Mishap, RehearsalReport, Scenario, rehearse
from tests.simulation.hunt import judged, night, sentence
from tests.simulation.nights import NIGHTS, STEPS, jobs, service
from tests.simulation.oracle import violations
from tests.simulation.scenarios import scenario_of

NIGHT_COUNT = 50
DEAR = frozenset({0, 7, 21, 23, 24, 25, 26, 27, 28, 35, 44, 47})
"""Nights near the hour, or with hundreds of looks: these few of the first fifty cost more than all
the others together. `make sim` has them, and `test_budgets` three of their kind."""
ENOUGH = {
    "processes": 70,
    "bills": 220,
    "done": 190,
    "faulty answers": 250,
    "ghosts": 2,
    "unclear events": 36,
    "adopted events": 17,
    "absent events": 1,
    "recovered events": 19,
    "ended: killed": 33,
    "ended: cancelled": 1,
    "ended: stop by stop": 3,
    "ended: stop by history": 2,
    "ended: stop by key": 2,
    "ended: stop by credits": 2,
    "ended: stop by disk": 1,
}
"""What the slice must hold at least: a simulation in which nothing happens proves nothing."""


def test_nothing_is_violated_in_a_slice_of_nights():
    found = {}
    held = Counter[str]()
    for seed in sorted({*range(NIGHT_COUNT)} - DEAR):
        violated, counts = night(seed)
        held.update(counts)
        if violated:
            found[f"make sim SEED={seed}"] = violated
    assert not found
    too_few = {name: held[name] for name, least in ENOUGH.items() if held[name] < least}
    assert not too_few


def test_a_service_that_is_not_there_at_first_stops_a_run_and_the_next_one_is_done():
    away = FaultRule(where=Endpoint.ANY, kind=FaultKind.DROP_BEFORE, until_s=900)
    scenario = Scenario(jobs(6), service(away), Limits())

    report = rehearse(scenario)

    assert violations(scenario, report) == []
    assert report.endings == {"stop by outage": 1, "complete": 1}


def story(report: RehearsalReport) -> list[str]:
    return [sentence(change) for change in report.progress.changes]


@pytest.mark.parametrize("seed", [5, 39])
def test_a_seed_tells_the_same_story_twice(seed):
    first, second = rehearse(scenario_of(seed)), rehearse(scenario_of(seed))

    assert story(first) == story(second)
    assert len(story(first)) > 10
    assert first.service.ledger.bills == second.service.ledger.bills
    assert first.outputs.files == second.outputs.files
    assert first.elapsed_s == second.elapsed_s


def test_different_seeds_tell_different_stories():
    assert story(rehearse(scenario_of(5))) != story(rehearse(scenario_of(6)))


EIGHT_HOURS_S = 8 * 3600.0
NIGHT_FAULTS = (
    (Endpoint.SUBMIT, FaultKind.DROP_AFTER),
    (Endpoint.SUBMIT, FaultKind.HTTP_502),
    (Endpoint.SUBMIT, FaultKind.HTTP_429),
    (Endpoint.POLL, FaultKind.HTTP_500),
    (Endpoint.RESULT, FaultKind.CUT),
)


def eight_hour_night(count: int = 2000) -> Scenario:
    """So many jobs at 14 requests a minute, one answer in twenty faulty, two deaths."""
    rules = tuple(
        FaultRule(where=place, kind=kind, probability=0.05, reset=ResetHeader.TRUE)
        for place, kind in NIGHT_FAULTS
    )
    return Scenario(
        jobs(count),
        SimulatorConfig(seed=8, pictures="tiny", rate_limit=14, faults=rules),
        Limits(concurrency=16),
        requests_per_minute=14,
        interruptions=[Interruption(Mishap.KILL, 9_000), Interruption(Mishap.STOP, 20_000)],
        seed=8,
    )


@pytest.mark.hunt
def test_an_eight_hour_night_passes_in_seconds():
    scenario = eight_hour_night()
    report = rehearse(scenario)

    assert violations(scenario, report) == []
    assert report.end.verdict is Verdict.COMPLETE
    assert report.elapsed_s > EIGHT_HOURS_S
    assert report.counts()[JobState.DONE] > 1950
    assert report.endings == {"killed": 1, "stop by stop": 1, "complete": 1}
    assert report.service.ledger.busiest_window_count() == 14


def test_a_piece_of_the_eight_hour_night_passes_twice_in_the_same_way():
    first, second = rehearse(eight_hour_night(100)), rehearse(eight_hour_night(100))

    assert story(first) == story(second)
    assert first.elapsed_s == second.elapsed_s > 1800


def kinds(report: RehearsalReport) -> Counter[EventKind]:
    return Counter(change.event.kind for change in report.progress.changes)


THINNED = {
    "killed_at_every_step": 2,
    "cancelled_at_every_step": 3,
    "stopped_at_every_step": 3,
    "endless_requests": 3,
    "every_oddity": 2,
    "uploads_killed_at_every_step": 3,
}
"""Of these every second or third night is played every day: a kill still falls on every step, and
each kind of mishap on every kind of step. `make sim` plays all."""


def assert_nothing_is_violated(nights):
    found = {}
    for place, scenario in enumerate(nights):
        violated, counts = judged(scenario)
        assert counts["bills"] > 0
        if violated:
            found[place, scenario.seed, *scenario.interruptions] = violated
    assert not found


@pytest.mark.parametrize("name", sorted(NIGHTS.keys() - {"glitches_while_confirming"}))
def test_nothing_is_violated_in_a_night_with_a_name(name):
    assert_nothing_is_violated(NIGHTS[name]()[:: THINNED.get(name, 1)])


def test_a_kill_falls_on_every_step_every_day():
    nights = NIGHTS["killed_at_every_step"]()[:: THINNED["killed_at_every_step"]]
    assert [night.interruptions[0].after_steps for night in nights] == [*STEPS]


@pytest.mark.hunt
@pytest.mark.parametrize("name", THINNED)
def test_nothing_is_violated_in_the_nights_that_are_left_out_every_day(name):
    nights, every = NIGHTS[name](), THINNED[name]
    assert_nothing_is_violated([night for n, night in enumerate(nights) if n % every])


def test_glitches_while_confirming_leave_nobody_unknown():
    adopted = 0
    for scenario in NIGHTS["glitches_while_confirming"]():
        report = rehearse(scenario)
        assert violations(scenario, report) == []
        assert report.counts() == {JobState.DONE: len(scenario.specs)}
        adopted += kinds(report)[EventKind.ADOPTED]
    assert adopted >= 3


FOUND_SEEDS = {
    555: "a recovered v1 request was in the ledger without its request_id",
    591: "the same",
}
"""Seeds that once found a bug, and which; later ones became nights with a name."""


@pytest.mark.parametrize("seed", FOUND_SEEDS)
def test_nothing_is_violated_any_more_in_seeds_that_once_found_a_bug(seed):
    violated, counts = night(seed)
    assert violated == []
    assert counts["adopted events"] + counts["recovered events"] > 0
