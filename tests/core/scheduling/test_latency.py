"""What is learned of latencies: samples, guesses, forgetting, and what a next run takes over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.scheduling.latency import (
    BELIEVED_COUNT,
    DEFAULT_LATENCY_S,
    FLOOR_FACTOR,
    MAX_QUANTILES,
    SAMPLE_COUNT,
    STORED_COUNT,
    SURPRISES,
    Latencies,
)

SECONDS = st.floats(0.01, 5_000)


def taught(*latencies_s, model="flux-pro", guess_s=20.0):
    made = Latencies({model: guess_s})
    for latency_s in latencies_s:
        made.learn(model, latency_s)
    return made


def middle(latencies, model="flux-pro"):
    found = latencies.quantiles(model)
    return found[len(found) // 2]


def test_without_experience_the_catalogue_and_then_a_default_are_believed():
    latencies = Latencies({"flux-pro": 40.0})

    assert min(latencies.quantiles("flux-pro")) < 40.0 < max(latencies.quantiles("flux-pro"))
    assert middle(latencies, "other") == pytest.approx(DEFAULT_LATENCY_S, rel=0.2)
    assert not latencies.is_known("flux-pro")


def test_few_results_are_eked_out_with_their_like_and_many_stand_alone():
    few = taught(100.0, 110.0)
    many = taught(*(100.0 + 7 * number % BELIEVED_COUNT for number in range(BELIEVED_COUNT)))

    assert len(few.quantiles("flux-pro")) == BELIEVED_COUNT
    assert max(few.quantiles("flux-pro")) > 110.0
    assert min(few.quantiles("flux-pro")) > 20.0
    assert many.quantiles("flux-pro") == tuple(100.0 + number for number in range(BELIEVED_COUNT))
    assert many.is_known("flux-pro")


def test_models_do_not_learn_from_each_other():
    latencies = taught(*[300.0] * 10, model="slow")

    assert max(latencies.quantiles("fast")) < 100.0


def test_old_experience_is_forgotten():
    latencies = taught(*[10.0] * SAMPLE_COUNT, *[10.5] * SAMPLE_COUNT)

    assert set(latencies.quantiles("flux-pro")) == {10.5}


@pytest.mark.parametrize("changed_s", [45.0, 3.0])
def test_a_service_that_changed_is_believed_after_a_few_surprises(changed_s):
    usual = [20.0 + number % 5 for number in range(50)]

    almost = taught(*usual, *[changed_s] * (SURPRISES - 1))
    enough = taught(*usual, *[changed_s] * SURPRISES)

    assert 22.0 in almost.quantiles("flux-pro")
    assert set(enough.quantiles("flux-pro")) >= {changed_s}
    assert 22.0 not in enough.quantiles("flux-pro")


def test_stragglers_among_usual_results_change_nothing():
    latencies = taught(*[20.0 + number % 5 for number in range(50)])
    for _ in range(10):
        latencies.learn("flux-pro", 200.0)
        latencies.learn("flux-pro", 22.0)

    assert 22.0 in latencies.quantiles("flux-pro")
    assert max(latencies.quantiles("flux-pro")) == 200.0


def test_a_guess_gives_way_to_what_still_runs():
    latencies = Latencies({"flux-pro": 20.0})

    latencies.observe_running("flux-pro", 1, 100.0)
    latencies.observe_running("flux-pro", 2, 60.0)

    assert middle(latencies) == pytest.approx(100.0 * FLOOR_FACTOR, rel=0.2)
    assert latencies.revised == 1


def test_many_requests_that_outlast_all_known_ones_make_them_worthless():
    latencies = taught(*[20.0 + number % 5 for number in range(50)])

    for request in range(SURPRISES - 1):
        latencies.observe_running("flux-pro", request, 40.0)
        latencies.observe_running("flux-pro", request, 50.0)  # the same ones again count once
    assert latencies.revised == 0
    latencies.observe_running("flux-pro", SURPRISES, 55.0)

    assert latencies.revised == 1
    assert min(latencies.quantiles("flux-pro")) > 24.0


def test_requests_within_what_is_known_say_nothing():
    latencies = taught(*[20.0 + number % 5 for number in range(50)])
    for request in range(100):
        latencies.observe_running("flux-pro", request, 23.0)

    assert latencies.revised == 0


@given(st.lists(SECONDS, min_size=1, max_size=400))
def test_quantiles_are_ascending_few_and_keep_the_longest(latencies_s):
    latencies = taught(*latencies_s)

    found = latencies.quantiles("flux-pro")

    assert list(found) == sorted(found)
    assert len(found) <= MAX_QUANTILES
    if len(latencies._seen["flux-pro"].values) >= BELIEVED_COUNT:
        assert found[-1] == max(latencies._seen["flux-pro"].values)
        assert set(found) <= set(latencies_s)


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.lists(SECONDS, max_size=100)))
def test_a_next_run_takes_over_what_the_last_one_learned(seen):
    latencies = Latencies()
    for model, latencies_s in seen.items():
        for latency_s in latencies_s:
            latencies.learn(model, latency_s)
    again = Latencies()

    again.load(latencies.dump())

    for model in seen:
        newest = list(latencies._seen[model].values)[-STORED_COUNT:] if seen[model] else []
        kept = list(again._seen[model].values) if model in again._seen else []
        assert kept == [round(value, 3) for value in newest]


def test_nothing_to_recall_is_nothing_learned():
    latencies = Latencies()
    latencies.load(None)
    assert latencies.learned == 0
