"""Backoff: bounded, jittered, replayable."""

from __future__ import annotations

from statistics import mean

from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.backoff import MAX_BACKOFF_S, backoff_at
from tests.core.builders import NOW


@given(st.integers(1, 10_000), st.integers())
def test_the_wait_lies_between_half_a_second_and_the_ceiling(trouble, salt):
    wait = backoff_at(NOW, trouble, salt) - NOW

    assert 0.5 - 1e-6 <= wait <= min(MAX_BACKOFF_S, 2.0 ** min(trouble, 10)) + 1e-6


@given(st.integers(1, 20), st.integers())
def test_a_decision_can_be_replayed(trouble, salt):
    assert backoff_at(NOW, trouble, salt) == backoff_at(NOW, trouble, salt)


def test_tries_grow_apart_to_minutes():
    """A request whose status never comes is not asked for a thousand times."""
    waits = [backoff_at(0.0, trouble, 7) for trouble in range(9, 60)]

    assert MAX_BACKOFF_S == 300.0
    assert max(waits) > 0.9 * MAX_BACKOFF_S
    assert 0.4 * MAX_BACKOFF_S < mean(waits) < 0.6 * MAX_BACKOFF_S


def test_jobs_that_failed_together_do_not_come_back_together():
    waits = [backoff_at(0.0, 6, salt) for salt in range(500)]

    assert len(set(waits)) == 500
    assert 25.0 < mean(waits) < 35.0
    assert min(waits) < 5.0
    assert max(waits) > 55.0
