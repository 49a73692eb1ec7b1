"""The time of a forecast: never below what any limit allows, and bound by the tightest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.forecast.diff import JobDiff
from batchgen.core.forecast.duration import (
    Limit,
    ModelLimits,
    RunLimits,
    Work,
    fitting,
    span,
    works,
)
from batchgen.core.forecast.forecast import Forecast
from batchgen.core.jobs.policies import RateScope
from batchgen.core.jobs.spec import JobSpec, Mode
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.learned import LATENCIES_NOTE
from batchgen.providers.segmind import catalog

CATALOG = catalog.load()
ALL, SUBMIT = RateScope.ALL, RateScope.SUBMIT
GUESSES = {"slow": 100.0, "fast": 2.0}


def works_of(counts, pace, latencies=None, api=Mode.QUEUED, standing=JobDiff.NEW):
    forecast = Forecast(CATALOG)
    for model, count in counts.items():
        for number in range(count):
            forecast.add(JobSpec(f"j-{number}", model, "{}", "j", api), standing)
    return works(forecast, latencies or Latencies(GUESSES), pace)


def span_of(counts, pace, **changes):
    return span(works_of(counts, pace, **changes), pace)


def test_nothing_takes_no_time():
    nothing = span_of({}, RunLimits(16, 50))

    assert (nothing.time_s, nothing.requests, nothing.bounds, nothing.bound_by) == (0, 0, (), None)
    assert fitting({}, RunLimits(16, 50), 10.0) == 0


@pytest.mark.parametrize(
    ("count", "model", "pace", "seconds", "limit"),
    [
        (1, "slow", RunLimits(16, None), 100.0, Limit.LATENCY),
        (1, "slow", RunLimits(16, 50), 100.0, Limit.LATENCY),
        (32, "fast", RunLimits(16, None), 4.0, Limit.CONCURRENCY),
        (100, "fast", RunLimits(1000, 100, SUBMIT), 2.0, Limit.LATENCY),
        (400, "fast", RunLimits(1000, 100, SUBMIT), 182.0, Limit.REQUESTS),
        (400, "fast", RunLimits(1000, 100, ALL), 662.0, Limit.REQUESTS),
        (400, "fast", RunLimits(2, 10_000, ALL), 400.0, Limit.CONCURRENCY),
    ],
)
def test_the_tightest_limit_decides(count, model, pace, seconds, limit):
    result = span_of({model: count}, pace)

    assert (result.bounds[0].limit, result.bounds[0].seconds) == (limit, pytest.approx(seconds))
    assert result.bound_by is result.bounds[0]
    assert seconds <= result.time_s <= 1.05 * seconds + 2.0 * GUESSES[model]


def test_a_model_may_have_limits_of_its_own():
    pace = RunLimits(
        100, None, ALL, {"slow": ModelLimits(concurrency=2), "fast": ModelLimits(None, 30)}
    )

    result = span_of({"slow": 10, "fast": 20}, pace)

    told = {(bound.limit, bound.model): bound.seconds for bound in result.bounds}
    assert told[Limit.CONCURRENCY, "slow"] == pytest.approx(500.0)
    assert told[Limit.REQUESTS, "fast"] == pytest.approx(60.0 * (60 - 30) / 30 + 2.0)
    assert result.bound_by.model == "slow"
    unused = RunLimits(100, None, ALL, {"other": ModelLimits(1, 1)})
    assert {bound.model for bound in span_of({"slow": 1}, unused).bounds} == {""}


def test_what_was_learned_goes_before_the_guess():
    latencies = Latencies(GUESSES)
    latencies.load(f'{{"slow": {[10.0] * 40}}}')

    learned = span_of({"slow": 32}, RunLimits(16, None), latencies=latencies)

    assert learned.bounds[0].seconds == pytest.approx(20.0)
    assert learned.time_s < span_of({"slow": 32}, RunLimits(16, None)).time_s
    assert LATENCIES_NOTE == "latencies"


@pytest.mark.parametrize(
    ("api", "standing", "scope", "least", "most"),
    [
        (Mode.QUEUED, JobDiff.NEW, ALL, 300, 330),
        (Mode.QUEUED, JobDiff.NEW, SUBMIT, 100, 100),
        (Mode.BLOCKING, JobDiff.NEW, ALL, 100, 100),
        (Mode.BLOCKING, JobDiff.NEW, SUBMIT, 100, 100),
        (Mode.QUEUED, JobDiff.UNDER_WAY, ALL, 200, 230),
        (Mode.QUEUED, JobDiff.UNDER_WAY, SUBMIT, 0, 0),
    ],
)
def test_requests_that_count(api, standing, scope, least, most):
    pace = RunLimits(1000, 50, scope)
    result = span_of({"fast": 100}, pace, api=api, standing=standing)

    assert least <= result.requests <= most


def test_polls_are_placed_as_a_run_places_them():
    """Where requests bind a job is asked for about once; where places do, often."""
    tight = span_of({"slow": 1000}, RunLimits(1000, 50))
    roomy = span_of({"slow": 1000}, RunLimits(10, 6000))

    assert tight.requests / 1000 == pytest.approx(3.0, abs=0.1)
    assert roomy.requests / 1000 > 5
    assert roomy.time_s == pytest.approx(10_000, rel=0.03)


def test_uploads_are_requests_too():
    pace = RunLimits(100, 60)
    work = works_of({"fast": 100}, pace)

    without, with_them = span(work, pace), span(work, pace, uploads=60)

    assert with_them.requests == pytest.approx(without.requests + 60)
    assert with_them.time_s == pytest.approx(without.time_s + 60.0)
    submits = RunLimits(100, 60, SUBMIT)
    assert span(work, submits, uploads=60) == span(work, submits)


COUNTS = st.fixed_dictionaries({"fast": st.integers(0, 300), "slow": st.integers(0, 50)})
LIMITS = st.builds(
    RunLimits, st.integers(1, 60), st.none() | st.integers(1, 300), st.sampled_from(RateScope)
)


@given(COUNTS, LIMITS)
def test_the_time_is_below_no_bound(counts, pace):
    result = span_of(counts, pace)

    assert [b.seconds for b in result.bounds] == sorted(
        (b.seconds for b in result.bounds), reverse=True
    )
    assert all(result.time_s >= bound.seconds for bound in result.bounds)
    work_s = sum(GUESSES[model] * count for model, count in counts.items())
    assert result.time_s >= work_s / pace.concurrency - 1e-6
    jobs = sum(counts.values())
    assert result.requests >= jobs * (3 if pace.scope is ALL else 1) - 1e-6


@given(COUNTS, LIMITS)
def test_more_of_anything_allowed_lowers_every_bound(counts, pace):
    limit = pace.requests_per_minute
    looser = RunLimits(pace.concurrency + 1, limit and limit + 1, pace.scope)

    tight, loose = span_of(counts, pace), span_of(counts, looser)

    tight_s = {bound.limit: bound.seconds for bound in tight.bounds}
    assert all(bound.seconds <= tight_s[bound.limit] + 1e-9 for bound in loose.bounds)


@given(COUNTS, LIMITS, st.floats(0, 20_000))
def test_what_fits_into_a_duration_does_fit(counts, pace, seconds):
    work = works_of(counts, pace)
    total = sum(counts.values())

    count = fitting(work, pace, seconds)

    assert 0 <= count <= total
    if count == total:
        return
    assert span(work, pace).time_s > seconds
    if count:
        some = {model: one.scaled(count / total) for model, one in work.items()}
        assert span(some, pace).time_s <= seconds + 1e-6
    more = {model: one.scaled(min(1.0, (count + 1) / total)) for model, one in work.items()}
    assert span(more, pace).time_s > seconds - 1e-6


def test_what_is_under_way_stays_when_less_is_submitted():
    half = Work(10, 4, 6, 5.0, 1.5, 2.0).scaled(0.5)

    assert half == Work(5, 2, 6, 5.0, 1.5, 2.0)
    assert half.jobs == 13
