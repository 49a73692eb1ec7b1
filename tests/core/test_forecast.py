"""What a manifest will come to: counts, money and the bound on its time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.forecast import Pace, forecast
from batchgen.core.limits import RateScope
from batchgen.core.polling import DEFAULT_LATENCY_S
from batchgen.core.spec import ApiVersion, JobSpec

LATENCIES = {"slow": 100.0, "fast": 2.0}
PLENTY = Pace(10_000, None, RateScope.ALL)


def spec(number=0, model="fast", **changes):
    return JobSpec(f"j-{number}", model, "{}", f"j-{number}", **changes)


def test_nothing_takes_no_time():
    result = forecast([], LATENCIES, PLENTY)

    assert (result.count, result.calls, result.time_s, result.cost_usd) == (0, 0, 0.0, 0.0)
    assert result.models == {}


def test_jobs_and_money_by_model():
    jobs = [spec(1, price_usd=0.25), spec(2, price_usd=0.5), spec(3), spec(4, "slow"),
            spec(5, "new", price_usd=0.0)]  # fmt: skip

    result = forecast(iter(jobs), LATENCIES, PLENTY)

    told = {
        name: (entry.count, entry.unpriced, entry.cost_usd, entry.latency_s)
        for name, entry in result.models.items()
    }
    assert told == {
        "fast": (3, 1, 0.75, 2.0),
        "slow": (1, 1, 0.0, 100.0),
        "new": (1, 0, 0.0, DEFAULT_LATENCY_S),
    }
    assert (result.count, result.unpriced, result.cost_usd) == (5, 2, 0.75)
    assert result.work_s == 3 * 2.0 + 100.0 + DEFAULT_LATENCY_S


@pytest.mark.parametrize(
    ("api", "scope", "calls"),
    [
        (ApiVersion.V2, RateScope.ALL, 3),
        (ApiVersion.V2, RateScope.SUBMIT, 1),
        (ApiVersion.V1, RateScope.ALL, 1),
        (ApiVersion.V1, RateScope.SUBMIT, 1),
    ],
)
def test_calls_that_count(api, scope, calls):
    assert forecast([spec(api=api)], LATENCIES, Pace(1, 5, scope)).calls == calls


@pytest.mark.parametrize(
    ("count", "model", "pace", "time_s", "bound_by"),
    [
        (1, "slow", Pace(16, None, RateScope.ALL), 100.0, "the slowest job"),
        (32, "fast", Pace(16, None, RateScope.ALL), 4.0, "concurrency"),
        (100, "fast", Pace(1000, 100, RateScope.SUBMIT), 2.0, "the slowest job"),
        (400, "fast", Pace(1000, 100, RateScope.SUBMIT), 182.0, "requests a minute"),
        (400, "fast", Pace(1000, 100, RateScope.ALL), 662.0, "requests a minute"),
        (400, "fast", Pace(2, 10_000, RateScope.ALL), 400.0, "concurrency"),
    ],
)
def test_the_tightest_limit_decides_the_time(count, model, pace, time_s, bound_by):
    result = forecast([spec(number, model) for number in range(count)], LATENCIES, pace)

    assert (result.time_s, result.bound_by) == (time_s, bound_by)


@given(
    st.integers(1, 300),
    st.integers(1, 50),
    st.none() | st.integers(1, 200),
    st.sampled_from(RateScope),
)
def test_more_of_anything_allowed_is_never_slower(count, concurrency, rpm, scope):
    jobs = [spec(number) for number in range(count)]

    tight = forecast(jobs, LATENCIES, Pace(concurrency, rpm, scope))
    loose = forecast(jobs, LATENCIES, Pace(concurrency + 1, rpm and rpm + 1, scope))

    assert loose.time_s <= tight.time_s + 1e-9
    assert tight.time_s >= LATENCIES["fast"]
    assert tight.time_s >= tight.work_s / concurrency
