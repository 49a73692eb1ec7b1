"""Submits in doubt at the end of a run, and histories with a clock of their own."""

from __future__ import annotations

from collections import Counter

import pytest

from batchgen.core.jobs.events import EventKind
from batchgen.core.jobs.job import JobState
from batchgen.core.jobs.policies import Limits
from batchgen.providers.segmind.simulator import Endpoint, FaultKind, FaultRule, ModelSettings
from batchgen.testing.rehearsal import Interruption, Mishap, RehearsalReport, Scenario, rehearse
from tests.simulation.nights import PRICE_USD, jobs, service
from tests.simulation.oracle import violations

FAULTS = (FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER, FaultKind.HTTP_500, FaultKind.CUT)
EVERYWHERE = (Endpoint.SUBMIT, Endpoint.POLL, Endpoint.RESULT, Endpoint.HISTORY)
INDIA_S = 19_800.0


def faulty(probability: float, seed: int, *, count: int = 60, **settings: object) -> Scenario:
    """Each of four faults so often on every call, to the end."""
    rules = tuple(
        FaultRule(where=place, kind=kind, probability=probability)
        for place in EVERYWHERE
        for kind in FAULTS
    )
    faulty_service = service(*rules, **settings).model_copy(update={"seed": seed})
    return Scenario(jobs(count), faulty_service, Limits(), seed=seed)


def submit_fault(kind: FaultKind, **settings: object) -> FaultRule:
    return FaultRule(where=Endpoint.SUBMIT, kind=kind, **settings)


def played(scenario: Scenario) -> RehearsalReport:
    report = rehearse(scenario)
    assert violations(scenario, report) == []
    return report


def kinds(report: RehearsalReport) -> Counter[EventKind]:
    return Counter(change.event.kind for change in report.progress.changes)


@pytest.mark.parametrize(("probability", "seed"), [(0.02, 0), (0.05, 13), (0.08, 11), (0.08, 32)])
def test_faults_on_every_call_leave_nobody_in_doubt(probability, seed):
    report = played(faulty(probability, seed))

    assert report.counts() == {JobState.DONE: 60}
    assert kinds(report)[EventKind.UNCLEAR] >= 1


@pytest.mark.hunt
def test_of_many_such_runs_few_leave_one_job_in_doubt_and_none_leaves_two():
    """One is left where the very last submit of all is lost."""
    left = [played(faulty(0.08, seed)).counts().get(JobState.UNKNOWN, 0) for seed in range(20)]

    assert max(left) <= 1
    assert sum(left) <= 2


def test_the_last_submit_answered_by_a_5xx_goes_out_again_without_any_later_one():
    once = submit_fault(FaultKind.HTTP_503, count=1)

    report = played(Scenario(jobs(1), service(once), Limits()))

    assert report.counts() == {JobState.DONE: 1}
    assert kinds(report)[EventKind.ABSENT] == 1


def test_the_last_submit_answered_by_a_5xx_and_accepted_is_not_paid_for_twice():
    once = submit_fault(FaultKind.HTTP_503, count=1, accepted=True)

    report = played(Scenario(jobs(1), service(once, history_lag_s=200.0), Limits()))

    assert report.counts() == {JobState.DONE: 1}
    assert len(report.service.ledger.bills) == 1


LATE_S = 600.0
"""Nobody waits so long for a history of which nothing is known."""


@pytest.mark.parametrize("seed", [2, 3, 5, 6])
def test_a_post_that_arrives_after_later_ones_is_not_paid_for_again(seed):
    """A history that lags by more than the POST shows these first."""
    late = service(history_lag_s=100.0, latency_jitter=0)
    kill = Interruption(Mishap.KILL, 16)

    report = played(
        Scenario(jobs(12), late, Limits(concurrency=4), interruptions=[kill], seed=seed)
    )

    assert report.ghosts >= 1
    assert report.counts() == {JobState.DONE: 12}
    assert len(report.service.ledger.bills) == 12


@pytest.mark.parametrize("killed_at", [40, 60, 80, 110])
def test_a_process_that_begins_with_a_doubt_sees_by_earlier_submits_that_the_history_lags(
    killed_at,
):
    last = submit_fault(FaultKind.HTTP_503, after=3, count=1, accepted=True)
    late = service(last, history_lag_s=LATE_S)
    kill = Interruption(Mishap.KILL, killed_at)

    report = played(Scenario(jobs(4), late, Limits(concurrency=4), interruptions=[kill]))

    assert report.counts() == {JobState.DONE: 4}
    assert report.processes == 2
    assert len(report.service.ledger.bills) == 4


def test_a_read_goes_back_to_a_submit_by_which_it_can_be_seen_that_the_history_lags():
    last = submit_fault(FaultKind.HTTP_503, after=2, count=1, accepted=True)
    slow = {"flux-kontext-max": ModelSettings(latency_s=90.0, price_usd=PRICE_USD)}
    late = service(last, history_lag_s=LATE_S, models=slow)

    report = played(Scenario(jobs(3), late, Limits(concurrency=1)))

    assert report.counts() == {JobState.DONE: 3}
    assert len(report.service.ledger.bills) == 3


@pytest.mark.parametrize("late_s", [60.0, 200.0, 400.0])
def test_a_listed_row_whose_record_comes_late_is_not_taken_for_a_team_mates(late_s):
    once = submit_fault(FaultKind.DROP_AFTER, after=1, count=1)

    report = played(Scenario(jobs(4), service(once, record_lag_s=late_s), Limits()))

    assert report.counts() == {JobState.DONE: 4}
    assert kinds(report)[EventKind.ADOPTED] == 1


def test_one_lost_submit_without_any_later_one_stays_in_doubt_and_says_what_was_done():
    once = submit_fault(FaultKind.DROP_BEFORE, count=1)

    report = played(Scenario(jobs(1), service(once), Limits()))

    (doubtful,) = report.jobs()
    assert doubtful.state is JobState.UNKNOWN
    assert doubtful.reason.startswith(
        "answer lost: connection reset; the history was read 5 times, complete back to 2027-01-15 "
    )


def test_with_one_place_the_second_job_waits_and_then_proves_that_the_first_was_lost():
    once = submit_fault(FaultKind.DROP_BEFORE, count=1)

    report = played(Scenario(jobs(2), service(once), Limits(concurrency=1)))

    assert report.counts() == {JobState.DONE: 2}
    assert report.elapsed_s < 300


@pytest.mark.parametrize("zone_s", [INDIA_S, -8 * 3600.0, 14 * 3600.0])
def test_lost_answers_are_found_in_a_history_of_a_local_time(zone_s):
    lost = submit_fault(FaultKind.DROP_AFTER, probability=0.3)

    report = played(
        Scenario(jobs(20), service(lost, history_offset_s=zone_s), Limits(concurrency=4), seed=4)
    )

    assert report.counts() == {JobState.DONE: 20}
    assert kinds(report)[EventKind.ADOPTED] >= 4
    assert len(report.service.ledger.bills) == 20


def test_what_was_never_accepted_is_told_in_a_history_of_a_local_time_too():
    lost = submit_fault(FaultKind.DROP_BEFORE, probability=0.2)

    report = played(
        Scenario(jobs(20), service(lost, history_offset_s=INDIA_S), Limits(concurrency=4), seed=4)
    )

    assert report.counts() == {JobState.DONE: 20}
    assert kinds(report)[EventKind.ABSENT] >= 2
