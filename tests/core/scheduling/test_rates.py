"""Windows of single models beside the one of the run, and limits that refusals teach."""

from __future__ import annotations

import heapq
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.scheduling.rates.rates import RateLimits, Rates
from batchgen.core.scheduling.rates.window import (
    RATE_WINDOW_S,
    RECOVERY_S,
    SAME_CONGESTION_S,
    SLOWEST,
    RateWindow,
)
from tests.core.builders import NOW
from tests.core.scheduling.test_rate_limit import most_in_a_window

SEEDS = st.integers(0, 2**32)
MODELS = {"a": 3, "b": 7}


def drive(chance, rates, now, steps):
    """Requests about three models by the rules of the runner; see `test_budget.drive`."""
    durable, answers, arrivals = None, [], []
    for _ in range(steps):
        now += chance.choice((0.0, 0.5, 7.0, 20.0, 59.9, 60.03))
        while answers and answers[0][0] <= now:
            rates.answered(heapq.heappop(answers)[1], now)
        wanted = [chance.choice("abc") for _ in range(chance.randint(0, 4))]
        started = []
        for model in wanted:
            own = rates.models.get(model)
            fits = own is None or own.free(now) > started.count(model)
            if rates.whole.free(now) > len(started) and fits:
                started.append(model)
        note = rates.note(started, now)
        durable = note if note is not None else durable
        for model in started:
            rates.start(model)
            answer_at = now + chance.choice((0.0, 0.3, 30.0, 61.0))
            heapq.heappush(answers, (answer_at, model))
            arrivals.append((model, now + chance.choice((0.0, 1.0)) * (answer_at - now)))
    return now, durable, arrivals


def assert_kept(arrivals, whole):
    assert most_in_a_window([at for _, at in arrivals]) <= whole
    for model, limit in MODELS.items():
        assert most_in_a_window([at for name, at in arrivals if name == model]) <= limit


@given(SEEDS, st.sampled_from([4, 12]))
def test_no_window_of_any_model_holds_more_than_its_limit(seed, limit):
    chance = Random(seed)
    rates = Rates(RateWindow(limit), {m: RateWindow(own) for m, own in MODELS.items()})

    _, _, arrivals = drive(chance, rates, NOW, 150)

    assert_kept(arrivals, limit)


@given(SEEDS, st.integers(0, 60), st.sampled_from([0.0, 5.0, 3600.0]))
def test_nor_across_a_crash_with_the_clock_put_back(seed, steps, back_s):
    chance = Random(seed)
    rates = Rates(RateWindow(9), {m: RateWindow(own) for m, own in MODELS.items()})
    crashed_at, durable, before = drive(chance, rates, NOW, steps)
    again_at = crashed_at + chance.choice((0.0, 30.0)) - back_s

    again = Rates.restore(RateLimits(9, models=MODELS), durable, again_at)
    _, _, after = drive(chance, again, again_at, 80)

    arrivals = [(model, min(at, crashed_at)) for model, at in before]
    assert_kept(arrivals + [(model, at + back_s) for model, at in after], 9)


def test_what_is_about_no_model_counts_for_the_run_alone():
    rates = Rates(RateWindow(5), {"a": RateWindow(1)})
    rates.start("")
    rates.start("a")

    assert (rates.whole.free(NOW), rates.models["a"].free(NOW)) == (3, 0)


def test_a_durable_note_is_written_only_when_it_is_needed():
    rates = Rates(RateWindow(100), {"a": RateWindow(100)})

    assert rates.note(["a"], NOW) is not None
    rates.start("a")
    assert rates.note(["a"] * 4, NOW) is None
    assert rates.note(["a"] * 5, NOW) is not None
    assert Rates(RateWindow(None)).note(["a"] * 50, NOW) is None


def test_limits_may_change_between_runs():
    rates = Rates(RateWindow(10), {"a": RateWindow(5)})
    rates.start("a")
    rates.answered("a", NOW)

    again = Rates.restore(RateLimits(3, models={"b": 2}), rates.snapshot(NOW), NOW)

    assert again.whole.used(NOW) == 1
    assert again.models["b"].free(NOW) == 2


# ------------------------------------------------------------------ refusals


def spend(window, count, now):
    for _ in range(count):
        window.start()
        window.answered(now)


def test_a_refusal_within_the_limit_lowers_it_once_a_congestion():
    window = RateWindow(50)
    spend(window, 50, NOW)

    for _ in range(30):
        window.refuse_until(NOW + 60, NOW + 0.2)

    assert window.allowed == 40
    assert window.free(NOW + 30) == 0
    assert window.next_free_at(NOW + 30) == pytest.approx(NOW + 60, abs=0.1)


def test_a_refusal_after_the_wait_lowers_it_again_but_not_below_half():
    window = RateWindow(50)
    spend(window, 50, NOW)
    window.refuse_until(NOW + 60, NOW)
    spend(window, 2, NOW + 61)
    window.refuse_until(NOW + 121, NOW + 61.5)

    assert window.allowed == 20


@pytest.mark.parametrize("limit", [None, 50, 5, 2])
def test_refusals_without_end_leave_a_trickle(limit):
    window, now = RateWindow(limit), NOW
    for _ in range(50):
        window.refuse_until(now + 60, now)
        now += 61

    assert window.allowed == min(SLOWEST, limit or SLOWEST)


def test_it_rises_slowly_and_to_the_configured_limit_at_most():
    window, now, seen = RateWindow(50), NOW, []
    spend(window, 50, NOW)
    window.refuse_until(NOW, NOW)
    for _ in range(5):
        now += RECOVERY_S
        window.advance(now)
        seen.append(window.allowed)

    assert seen == [44, 48, 50, 50, 50]
    assert window.ceiling is None


def test_a_refusal_right_after_a_rise_is_heard():
    window = RateWindow(50)
    spend(window, 50, NOW)
    window.refuse_until(NOW, NOW)
    window.advance(NOW + RECOVERY_S)
    assert window.allowed == 44

    spend(window, 44, NOW + RECOVERY_S)
    window.refuse_until(NOW + RECOVERY_S, NOW + RECOVERY_S + SAME_CONGESTION_S / 2)

    assert window.allowed == 35


def test_a_lowered_limit_counts_what_is_in_the_window_already():
    window = RateWindow(50)
    spend(window, 50, NOW)
    window.refuse_until(NOW + 1, NOW)

    assert window.free(NOW + 2) == 0
    at = window.next_free_at(NOW + 2)
    assert at == pytest.approx(NOW + RATE_WINDOW_S, abs=0.1)
    assert window.free(at) == 40


def test_what_refusals_taught_survives_a_restart():
    window = RateWindow(50)
    spend(window, 50, NOW)
    window.refuse_until(NOW, NOW)

    again = RateWindow.restore(50, window.snapshot(NOW), NOW + 10)

    assert again.allowed == 40
    again.advance(NOW + RECOVERY_S)
    assert again.free(NOW + RECOVERY_S) == 44


def test_a_wait_survives_a_restart_but_not_a_clock_put_back():
    window = RateWindow(50)
    window.refuse_until(NOW + 60, NOW)
    stored = window.snapshot(NOW)

    assert RateWindow.restore(50, stored, NOW + 1).next_free_at(NOW + 1) == NOW + 60
    assert RateWindow.restore(50, stored, NOW - 86_400).next_free_at(NOW - 86_400) < NOW - 80_000


@given(SEEDS)
def test_refusals_never_let_more_through(seed):
    """Nor does the ceiling that rises again after them."""
    chance, window, now, arrivals = Random(seed), RateWindow(20), NOW, []
    for _ in range(120):
        now += chance.choice((0.1, 5.0, 61.0, 400.0))
        window.advance(now)
        count = min(window.free(now), chance.randint(0, 8))
        spend(window, count, now)
        arrivals += [now] * count
        if chance.random() < 0.2:
            window.refuse_until(now + chance.choice((0.0, 60.0)), now)
        assert window.allowed <= 20
        at = window.next_free_at(now)
        assert at is None or at == now or window.free(at) > 0
    assert most_in_a_window(arrivals) <= 20
    assert Counter(arrivals).total() == len(arrivals)
