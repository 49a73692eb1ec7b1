"""Poll placement: the best schedule against all others, the price against the budget."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.job import JobState as S
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.poll_schedule import (
    ENOUGH_POLLS,
    FETCHING_S,
    FREE_PRICE_S,
    MAX_INTERVAL_S,
    PollBudget,
    PollScheduler,
    schedule,
)
from batchgen.providers.segmind.treatments import WINDOW_S
from tests.core.builders import NOW, job

LAST_CHANCE_S = WINDOW_S - FETCHING_S


SAMPLES = st.lists(st.floats(0.1, 1_000), min_size=1, max_size=9).map(sorted).map(tuple)
UNIFORM = tuple(18.0 + number / 5 for number in range(41))


def cost_of(instants, sample, price_s):
    """What a schedule costs a job by definition: its polls at their price, and its delay."""
    total = 0.0
    for latency_s in sample:
        polls = 1 + sum(at < latency_s for at in instants)
        found_at = min(at for at in instants if at >= latency_s)
        total += polls * price_s + found_at - latency_s
    return total / len(sample)


def instants_of(made):
    at, found = 0, []
    while at < len(made.quantiles):
        end = made.following[at]
        found.append(made.quantiles[end])
        at = end + 1
    return found


@given(SAMPLES, st.floats(0.01, 200))
def test_no_other_schedule_is_cheaper(sample, price_s):
    made = schedule(sample, price_s)
    distinct = sorted(set(sample))
    others = [
        cost_of([*some, distinct[-1]], sample, price_s)
        for count in range(len(distinct))
        for some in combinations(distinct[:-1], count)
    ]

    own = cost_of(instants_of(made), sample, price_s)

    assert own == pytest.approx(min(others), rel=1e-6, abs=1e-6)
    assert made.polls * price_s + made.delay_s == pytest.approx(own, rel=1e-6, abs=1e-5)


@given(SAMPLES, st.floats(0.01, 50), st.floats(1.1, 10))
def test_a_higher_price_means_fewer_polls_and_more_delay(sample, price_s, factor):
    cheap, dear = schedule(sample, price_s), schedule(sample, price_s * factor)

    assert dear.polls <= cheap.polls + 1e-9
    assert dear.delay_s >= cheap.delay_s - 1e-6


def test_where_polls_are_dear_a_job_is_asked_for_once_when_surely_done():
    made = schedule(UNIFORM, 1_000.0)

    assert instants_of(made) == [UNIFORM[-1]]
    assert made.polls == 1.0


def test_a_request_already_old_is_asked_for_where_the_rest_of_the_sample_wants_it():
    made = schedule(UNIFORM, 0.2)

    assert made.next_age_s(0.0) < 20.0
    assert made.next_age_s(25.0) > 25.0
    assert made.next_age_s(26.0) > 26.0


@given(SAMPLES, st.floats(0.0, 1e7))
def test_past_all_experience_polls_grow_apart_but_go_on(sample, age_s):
    next_s = schedule(sample, 1.0).next_age_s(age_s)

    assert next_s > age_s
    if age_s >= sample[-1]:
        assert next_s - age_s <= MAX_INTERVAL_S


def test_intervals_past_all_experience_grow_geometrically():
    made = schedule((20.0,), 1.0)
    age_s, gaps = 20.0, []
    for _ in range(5):
        next_s = made.next_age_s(age_s)
        gaps.append(next_s - age_s)
        age_s = next_s

    assert gaps == pytest.approx([2.0 * 1.4**number for number in range(5)])


def placed(requests_per_minute, places, sample=UNIFORM):
    latencies = Latencies()
    for latency_s in sample:
        latencies.learn("flux-pro", latency_s)
    budget = PollBudget(requests_per_minute and requests_per_minute / 60, places)
    placement = PollScheduler(latencies, budget)
    placement.add("flux-pro")
    return placement


def test_free_polls_find_a_job_soon():
    made = placed(None, 16)

    assert made.price_s == FREE_PRICE_S
    assert made.load.delay_s < 1.0


def test_where_requests_bind_a_job_is_asked_for_once():
    assert placed(50, 10_000).load.polls <= ENOUGH_POLLS


def test_where_places_bind_polls_are_free():
    assert placed(600, 10).price_s == FREE_PRICE_S


def test_between_them_the_price_makes_both_meet():
    """450 a minute over 50 places: R / (2 + polls) = C / (latency + delay), but for the rebate."""
    made = placed(450, 50)
    load = made.load
    by_requests = 7.5 / (2 + load.polls)
    by_places = 50 / (load.latency_s + load.delay_s)

    assert FREE_PRICE_S < made.price_s < 20.0
    assert by_requests == pytest.approx(by_places, rel=0.15)


@given(
    st.floats(0.0, 1e300),
    st.floats(0.0, 7200.0),
    st.integers(0, 10),
    st.sampled_from([None, 5, 50, 600]),
)
def test_whatever_was_told_the_first_poll_comes_well_within_the_hour(
    guess_s, age_s, polls, requests_per_minute
):
    budget = PollBudget(requests_per_minute and requests_per_minute / 60, 16)
    placement = PollScheduler(Latencies({"flux-pro": guess_s}), budget, retention_s=WINDOW_S)
    asked = job(S.SUBMITTED, sent_at=NOW - age_s, polls=polls)

    at = placement.next_poll_at(asked, NOW)

    assert math.isfinite(at)
    if polls == 0 and age_s < WINDOW_S / 2:
        assert at <= asked.sent_at + WINDOW_S / 2 + 1
    if age_s < LAST_CHANCE_S:
        assert at <= asked.sent_at + LAST_CHANCE_S + 1


def test_the_time_of_a_submit_is_added_to_what_the_service_took():
    placement = PollScheduler(Latencies({"flux-pro": 20.0}), PollBudget(None, 16))
    asked = job(S.SUBMITTED, sent_at=NOW - 2.0)

    before = placement.next_poll_at(asked, asked.sent_at)
    placement.accepted(asked, NOW)

    assert placement.next_poll_at(asked, asked.sent_at) == pytest.approx(before + 2.0)


def test_schedules_follow_what_is_learned_but_not_every_single_result():
    made = placed(50, 10)
    budget = made.budget
    made.latencies.learn("flux-pro", 30.0)
    assert not made.update(budget, NOW + 10)
    for _ in range(10):
        made.latencies.learn("flux-pro", 30.0)
    assert made.update(budget, NOW + 10)
    assert not made.update(budget, NOW + 20)


def test_schedules_follow_the_budget():
    made = placed(50, 10_000)
    assert made.load.polls <= ENOUGH_POLLS

    assert made.update(PollBudget(50 / 60, 2), NOW + 10)

    assert made.price_s == FREE_PRICE_S


def test_more_in_flight_than_can_be_brought_home_would_only_grow_old():
    made = placed(50, 10_000)
    per_minute = made.jobs_per_window()

    assert per_minute == pytest.approx(50 / 3, rel=0.03)
    assert per_minute < made.drainable("flux-pro") < 4 * per_minute
    assert placed(None, 16).drainable("flux-pro") == math.inf


def test_of_a_model_nobody_knows_no_more_than_fits_into_the_hour():
    placement = PollScheduler(Latencies(), PollBudget(50 / 60, 10_000), retention_s=WINDOW_S)

    most = placement.drainable("unknown")

    minutes_to_fetch = 2 * most / 50
    assert 52 + minutes_to_fetch <= 60


def test_models_share_one_price():
    latencies = Latencies()
    for number in range(40):
        latencies.learn("quick", 4.0 + number * 7 % 40 / 20)
        latencies.learn("slow", 50.0 + number * 7 % 40 / 2)
    made = PollScheduler(latencies, PollBudget(2.0, 30))
    for model in ("quick", "slow"):
        for _ in range(10):
            made.accepted(job(S.SUBMITTED, model=model, sent_at=NOW), NOW)
    made.add("quick")
    made.add("slow")

    assert made.load.latency_s == pytest.approx((5.0 + 60.0) / 2, rel=0.05)
    assert made.longest_s(["quick"]) < 10 < made.longest_s(["quick", "slow"])
