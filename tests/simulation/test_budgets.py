"""Budgets over whole nights, judged by the service's own ledger: the hour, models with limits of
their own, limits nobody told us of, the end of the time, and prices that are not known."""

from __future__ import annotations

import pytest

from batchgen.core.common.json import canonical_json
from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.outcomes import Signal
from batchgen.core.jobs.policies import Limits, RateScope
from batchgen.core.jobs.spec import JobSpec
from batchgen.core.scheduling.completion import Verdict
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.providers.segmind.simulator import (
    Endpoint,
    FaultKind,
    FaultRule,
    ModelSettings,
    SimulatorConfig,
)
from batchgen.testing.rehearsal import Interruption, Mishap, Scenario, rehearse
from batchgen.testing.virtual_time import START_AT
from tests.simulation.oracle import violations


def specs(count, model="flux-pro", price_usd=0.05, prefix="job"):
    return [
        JobSpec(
            f"{prefix}-{n:04d}",
            model,
            canonical_json({"prompt": f"{prefix} {n}"}),
            f"{prefix}-{n:04d}",
            price_usd=price_usd,
        )
        for n in range(count)
    ]


def service(**settings):
    return SimulatorConfig(seed=3, pictures="tiny", workers=10_000, **settings)


def events(report):
    return [change.event for change in report.progress.changes]


def is_refused(event):
    return event.response is not None and event.response.signal is Signal.RATE_LIMITED


def most_at_once(bills):
    edges = sorted([(bill.accepted_at, 1) for bill in bills] + [(b.finished_at, -1) for b in bills])
    now = most = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


def most_in_a_minute(bills):
    at = sorted(bill.accepted_at for bill in bills)
    return max(sum(first <= other < first + 60 for other in at) for first in at)


# ------------------------------------------------------------------ the hour


@pytest.mark.parametrize(
    ("latency_s", "job_count"),
    [
        (1_500.0, 200),
        pytest.param(1_500.0, 400, marks=pytest.mark.hunt),
        pytest.param(2_700.0, 400, marks=pytest.mark.hunt),
        pytest.param(3_100.0, 400, marks=pytest.mark.hunt),
    ],
)
def test_a_slow_service_loses_no_result_while_the_run_is_alive(latency_s, job_count):
    """Far more places than requests could ever bring home: each result is fetched in its hour."""
    night = Scenario(
        specs(job_count),
        service(latency_s=latency_s, latency_jitter=0.02),
        Limits(concurrency=10_000),
        requests_per_minute=50,
    )

    report = rehearse(night)

    assert report.counts() == {S.DONE: job_count}
    assert not [event for event in events(report) if event.kind in {E.GONE, E.RECOVERED}]
    assert len(report.service.ledger.bills) == job_count


# ------------------------------------------------------------------ limits of single models


def test_limits_of_a_model_hold_beside_those_of_the_run():
    night = Scenario(
        [*specs(30), *specs(30, "flux-kontext-max", prefix="other")],
        service(latency_s=20.0),
        Limits(concurrency=20, rate_scope=RateScope.SUBMIT, models={"flux-pro": 3}),
        requests_per_minute=50,
        model_rates={"flux-pro": 6},
    )

    report = rehearse(night)

    assert report.counts() == {S.DONE: 60}
    limited = [bill for bill in report.service.ledger.bills if bill.model == "flux-pro"]
    others = [bill for bill in report.service.ledger.bills if bill.model != "flux-pro"]
    assert most_at_once(limited) <= 3
    assert most_in_a_minute(limited) <= 6
    assert most_at_once(others) > 3, "the limited model, first in the manifest, held up the others"
    assert not violations(night, report)


def test_a_model_that_is_closed_on_the_way_does_not_keep_the_run():
    """Its jobs are drawn apart, and after the refusal no more."""
    closed = FaultRule(
        where=Endpoint.SUBMIT, kind=FaultKind.HTTP_410, models=frozenset({"flux-pro"}), since_s=30.0
    )
    night = Scenario(
        [*specs(20), *specs(5, "flux-kontext-max", prefix="other")],
        service(faults=(closed,)),
        Limits(concurrency=4, models={"flux-pro": 2}),
    )

    report = rehearse(night)

    assert report.end.verdict is Verdict.COMPLETE
    assert report.counts()[S.DONE] >= 5
    assert report.counts()[S.PENDING] > 10


@pytest.mark.parametrize("first_s", [86_400.0, 7_200.0])
@pytest.mark.parametrize("after_steps", range(4, 60, 16))
def test_a_clock_that_was_put_back_costs_no_day_and_no_money(first_s, after_steps):
    night = Scenario(
        specs(4),
        service(latency_s=20.0),
        Limits(concurrency=2),
        clock_errors_s=[first_s],
        interruptions=[Interruption(Mishap.KILL, after_steps)],
        downtime_s=60.0,
        longest_process_s=4_000.0,
    )

    report = rehearse(night)

    assert not violations(night, report)
    assert set(report.counts()) <= {S.DONE, S.UNKNOWN}


# ------------------------------------------------------------------ a limit nobody told us of


def test_a_lower_limit_than_configured_is_found_and_kept_to():
    night = Scenario(
        specs(150),
        service(latency_s=20.0, rate_limit=20),
        Limits(concurrency=50),
        requests_per_minute=50,
    )

    report = rehearse(night)

    assert report.counts() == {S.DONE: 150}
    refused = [event for event in events(report) if is_refused(event)]
    made = 3 * 150
    assert 0 < len(refused) < 0.25 * made
    assert report.elapsed_s < 2 * made / 20 * 60
    assert [name for name, _, _ in report.progress.words].count("limited") < 20


def test_the_configured_limit_is_never_refused_where_it_is_the_true_one():
    night = Scenario(specs(150), service(latency_s=20.0, rate_limit=50), Limits(concurrency=50))

    report = rehearse(night)

    assert not [event for event in events(report) if is_refused(event)]


# ------------------------------------------------------------------ the end of the time


def test_when_the_time_is_over_everything_paid_for_is_home():
    ends_at = START_AT + 900.0
    night = Scenario(
        specs(200),
        service(latency_s=60.0),
        Limits(concurrency=16, ends_at=ends_at),
        requests_per_minute=50,
        again_after_s=10.0,
    )

    report = rehearse(night)

    counts = report.counts()
    assert report.end.gate is not None
    assert report.end.gate.kind is GateKind.TIME
    assert set(counts) == {S.DONE, S.PENDING}
    assert counts[S.DONE] > 75
    assert len(report.service.ledger.bills) == counts[S.DONE]
    last_done_at = max(event.at for event in events(report) if event.kind is E.SAVED)
    assert last_done_at <= ends_at


# ------------------------------------------------------------------ money


def test_unknown_prices_are_learned_before_they_are_spent():
    models = {"flux-pro": ModelSettings(price_usd=0.30)}
    night = Scenario(
        specs(30, price_usd=None),
        service(latency_s=20.0, models=models),
        Limits(concurrency=16),
        max_spend_usd=2.0,
        allow_unknown_price=True,
    )

    report = rehearse(night)

    spent = sum(bill.cost_usd for bill in report.service.ledger.bills)
    assert spent == pytest.approx(1.8)
    assert report.counts() == {S.DONE: 6, S.PENDING: 24}


def test_a_price_that_is_higher_than_told_is_reckoned_with_once_it_is_seen():
    models = {"flux-pro": ModelSettings(price_usd=0.10)}
    night = Scenario(
        specs(60, price_usd=0.04),
        service(latency_s=20.0, models=models),
        Limits(concurrency=4),
        max_spend_usd=3.0,
    )

    report = rehearse(night)

    assert sum(bill.cost_usd for bill in report.service.ledger.bills) <= 3.0 + 1e-6
    assert [name for name, _, _ in report.progress.words].count("budget_warning") == 1
