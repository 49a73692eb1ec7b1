"""Money: no sequence of prices, costs, failures and restarts overshoots the cap."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.job import Receipt, Totals
from batchgen.core.scheduling.spending import TOLERANCE_USD, Money
from tests.core.builders import job, scheduler

SEEDS = st.integers(0, 2**32)


@given(SEEDS, st.floats(0.01, 20.0))
def test_no_sequence_of_prices_and_failures_overshoots_the_cap(seed, cap_usd):
    """The adversary chooses prices, what a job costs (never more than reckoned with), which fail,
    and which are never heard of again."""
    chance, money, key, bills = Random(seed), Money(cap_usd), 0, 0.0
    open_jobs = {}
    for _ in range(200):
        key += 1
        if chance.random() < 0.5 or not open_jobs:
            wanted = job(S.PENDING, key, price_usd=chance.choice([0.01, 0.04, 0.1, 3.0]))
            price_usd = money.expected_usd(wanted)
            if money.affords(price_usd):
                money.reserve(key, price_usd)
                open_jobs[key] = price_usd
            continue
        settled, price_usd = open_jobs.popitem()
        match chance.choice(["cost", "failed", "unknown"]):
            case "cost":
                cost_usd = price_usd * chance.choice([0.5, 1.0])
                money.release(settled)
                money.settled_usd += cost_usd
                money.learn("flux-pro", cost_usd)
                bills += cost_usd
            case "failed":
                money.release(settled)
            case "unknown":
                money.standing_usd += money.release(settled)
                bills += price_usd
        assert bills + sum(open_jobs.values()) <= cap_usd + 2 * TOLERANCE_USD
    assert money.committed_usd == pytest.approx(bills + sum(open_jobs.values()), abs=1e-6)


def test_a_price_that_rose_is_reckoned_with_from_then_on():
    money = Money(cap_usd=1.0)
    wanted = job(S.PENDING, price_usd=0.04)
    assert money.expected_usd(wanted) == 0.04

    money.learn("flux-pro", 0.06)
    money.learn("flux-pro", 0.05)

    assert money.expected_usd(wanted) == 0.06
    assert money.expected_usd(job(S.PENDING, price_usd=0.10)) == 0.10


def test_a_learned_price_stands_for_one_nobody_told():
    money = Money()
    assert money.expected_usd(job(S.PENDING)) is None

    money.learn("flux-pro", 0.02)

    assert money.expected_usd(job(S.PENDING)) == 0.02


@pytest.mark.parametrize(
    ("cap_usd", "allow", "affordable"),
    [(None, False, True), (1.0, False, False), (1.0, True, True), (0.5, True, False)],
)
def test_jobs_of_unknown_price_need_leave_and_money_that_is_left(cap_usd, allow, affordable):
    money = Money(cap_usd, settled_usd=0.5, allow_unknown=allow)

    assert money.affords(None) is affordable


def test_a_next_run_takes_over_the_prices():
    money, again = Money(), Money()
    money.learn("flux-pro", 0.02)
    again.load(money.dump())
    again.load(None)

    assert again.learned == {"flux-pro": 0.02}


@pytest.mark.parametrize(
    ("cap_usd", "settled_usd", "near"),
    [(None, 99.0, False), (10.0, 7.99, False), (10.0, 8.0, True)],
)
def test_four_fifths_of_the_cap_are_worth_a_word(cap_usd, settled_usd, near):
    assert Money(cap_usd, settled_usd).is_nearly_spent is near


@given(st.lists(st.tuples(st.integers(1, 5), st.floats(0, 10)), max_size=60))
def test_the_kept_sum_is_the_sum(steps):
    money = Money()
    for key, usd in steps:
        if usd < 3:
            money.release(key)
        else:
            money.reserve(key, usd)

    assert money.committed_usd == pytest.approx(sum(money.reserved.values()), abs=1e-9)


@pytest.mark.parametrize("cost_usd", [None, 0.3])
def test_a_job_whose_files_are_fetched_by_the_next_run_is_held_against_the_cap_once(cost_usd):
    left = job(S.UNFETCHED, price_usd=0.2, receipt=Receipt(cost_usd=cost_usd))
    totals = Totals({}, settled_usd=cost_usd or 0.0, reserved_usd=0.0 if cost_usd else 0.2)
    money = Money.of(1.0, totals, [left])

    for state in (S.UNFETCHED, S.FETCHING, S.DONE):
        money.account(replace(left, state=state))
        assert money.committed_usd == pytest.approx(cost_usd or 0.2)


@pytest.mark.parametrize("state", [S.LOST, S.UNKNOWN, S.DONE, S.SUBMITTED, S.RECOVERING])
def test_what_nobody_knew_a_price_of_is_reckoned_with_once_the_model_tells_one(state):
    """By the process that sent it, and by the next one."""
    sent = job(state, 1)
    money = Money(cap_usd=0.5, allow_unknown=True)
    money.account(job(S.SUBMITTED, 1))
    money.account(sent)
    under_way = [] if sent.ended else [sent]
    again = Money.of(0.5, Totals({}, unpriced={"flux-pro": 1}), under_way)
    for active in under_way:
        again.account(active)

    for reckoning in (money, again):
        assert reckoning.committed_usd == 0.0
        reckoning.learn("flux-pro", 0.30)
        assert reckoning.committed_usd == pytest.approx(0.30)
        assert not reckoning.affords(0.30)


def test_a_result_of_unknown_price_that_is_paid_for_again_was_paid_for():
    money = Money(cap_usd=1.0, learned={"flux-pro": 0.30})
    money.account(job(S.RECOVERING, 1))

    money.account(job(S.PENDING, 1), paid_in_vain=True)

    assert money.committed_usd == pytest.approx(0.30)


@pytest.mark.parametrize("after", [job(S.PENDING, 1), job(S.FAILED, 1)])
def test_what_was_not_accepted_or_failed_costs_nothing_whatever_its_price(after):
    money = Money(cap_usd=1.0, learned={"flux-pro": 0.30})
    money.account(job(S.SUBMITTED, 1))

    money.account(after)

    assert money.committed_usd == 0.0


def test_a_cost_that_stands_in_the_record_is_known_to_the_next_process():
    made = scheduler([job(S.FETCHING, 1, receipt=Receipt(cost_usd=0.05))])

    assert made.money.learned == {"flux-pro": 0.05}
