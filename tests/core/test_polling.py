"""When to poll: after the typical latency, then ever later, and never past the end of the hour."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.job import JobState as S
from batchgen.core.polling import (
    DEFAULT_LATENCY_S,
    MAX_INTERVAL_S,
    MIN_INTERVAL_S,
    SAMPLE_COUNT,
    Latencies,
    next_poll_at,
)
from batchgen.core.treatment import WINDOW_S
from tests.core.builders import NOW, job


def test_without_experience_the_catalogue_and_then_a_default_are_believed():
    latencies = Latencies({"flux-pro": 20.3})

    assert latencies.typical_s("flux-pro") == 20.3
    assert latencies.typical_s("other") == DEFAULT_LATENCY_S


def test_a_few_results_are_not_believed_yet_and_then_most_must_be_done():
    latencies = Latencies({"flux-pro": 20.0})
    for number in range(4):
        latencies.learn("flux-pro", 40.0 + number)
    assert latencies.typical_s("flux-pro") == 20.0

    latencies.learn("flux-pro", 44.0)
    assert 42.0 < latencies.typical_s("flux-pro") < 44.0


def test_old_experience_is_forgotten():
    latencies = Latencies()
    for seconds in (10.0, 50.0):
        for _ in range(SAMPLE_COUNT):
            latencies.learn("flux-pro", seconds)

    assert latencies.typical_s("flux-pro") == 50.0


def test_models_do_not_learn_from_each_other():
    latencies = Latencies()
    for _ in range(10):
        latencies.learn("slow", 300.0)

    assert latencies.typical_s("fast") == DEFAULT_LATENCY_S


@pytest.mark.parametrize(
    ("age_s", "wait_s"), [(0.0, 22.0), (10.0, 12.0), (22.0, 0.0), (500.0, 0.0)]
)
def test_the_first_poll_comes_when_most_are_done(age_s, wait_s):
    asked = job(S.SUBMITTED, sent_at=NOW - age_s)

    assert next_poll_at(asked, Latencies({"flux-pro": 22.0}), NOW) == NOW + wait_s


def test_further_polls_grow_apart_between_their_bounds():
    latencies = Latencies({"flux-pro": 22.0})
    gaps = [
        next_poll_at(job(S.SUBMITTED, polls=polls), latencies, NOW) - NOW for polls in range(1, 30)
    ]

    assert gaps[0] == pytest.approx(2.2)
    assert gaps == sorted(gaps)
    assert gaps[-1] == MAX_INTERVAL_S


@given(st.integers(1, 10**9), st.floats(0.0, 1e300))
def test_any_number_of_polls_has_a_next_one_within_the_bounds(polls, latency_s):
    at = next_poll_at(job(S.SUBMITTED, polls=polls), Latencies({"flux-pro": latency_s}), NOW)

    assert MIN_INTERVAL_S <= at - NOW <= MAX_INTERVAL_S


@given(st.floats(0.0, 1e300), st.floats(0.0, 7200.0))
def test_whatever_latencies_were_told_the_first_poll_comes_well_within_the_hour(latency_s, age_s):
    asked = job(S.SUBMITTED, sent_at=NOW - age_s)

    at = next_poll_at(asked, Latencies({"flux-pro": latency_s}), NOW)

    assert at >= NOW
    assert at <= max(NOW, asked.sent_at + WINDOW_S / 2)
