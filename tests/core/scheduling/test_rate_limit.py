"""The budget against an adversary who counts requests where it hurts most, and the optimum."""

from __future__ import annotations

import heapq
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.job import Receipt, Totals
from batchgen.core.scheduling.rates.window import MARGIN_S, RATE_WINDOW_S, RateWindow
from batchgen.core.scheduling.spending import Money
from tests.core.builders import NOW, job, scheduler

WAITS_S = (0.0, 0.001, 0.5, 7.0, 20.0, 59.9, 60.0, 60.03)
LATENCIES_S = (0.0, 0.01, 0.3, 2.0, 30.0, 59.99, 61.0, 200.0)
SEEDS = st.integers(0, 2**32)
LIMITS = st.sampled_from([1, 2, 5, 25, 60])


def most_in_a_window(arrivals):
    """The fullest 60 s as the service counts them."""
    arrivals = sorted(arrivals)
    first = most = 0
    for last, at in enumerate(arrivals):
        while at - arrivals[first] >= RATE_WINDOW_S:
            first += 1
        most = max(most, last - first + 1)
    return most


def drive(chance, window, now, steps):
    """Waits, starts and answers by the rules of the runner, against an adversary who counts each
    request anywhere between its start and its answer. Returns the end, what was durable, and the
    arrivals."""
    durable, answers, arrivals = None, [], []
    for _ in range(steps):
        now += chance.choice(WAITS_S)
        while answers and answers[0] <= now:
            window.answered(heapq.heappop(answers))
        count = min(window.free(now), chance.randint(0, 4))
        if not count:
            continue
        if not window.covers(count):
            durable = window.allow(count, now)
        for _ in range(count):
            window.start()
            answer_at = now + chance.choice(LATENCIES_S)
            heapq.heappush(answers, answer_at)
            arrivals.append(now + chance.choice((0.0, 0.5, 1.0)) * (answer_at - now))
    return now, durable, arrivals


@given(SEEDS, LIMITS)
def test_no_window_ever_holds_more_than_the_limit(seed, limit):
    _, _, arrivals = drive(Random(seed), RateWindow(limit), NOW, 200)

    assert most_in_a_window(arrivals) <= limit


@given(SEEDS, LIMITS, st.integers(0, 60), st.sampled_from([0.0, 5.0, 3600.0, 86_400.0]))
def test_nor_across_a_crash_at_any_point_with_the_clock_put_back(seed, limit, steps, back_s):
    """What was durable at the crash is all that the next process knows, and its clock may show
    less than the last one's. What was under way has arrived when the process is dead."""
    chance = Random(seed)
    crashed_at, durable, before = drive(chance, RateWindow(limit), NOW, steps)
    restarted_at = crashed_at + chance.choice((0.0, 0.1, 30.0)) - back_s

    window = RateWindow.restore(limit, durable, restarted_at)
    _, _, after = drive(chance, window, restarted_at, 100)

    arrivals = [min(at, crashed_at) for at in before] + [at + back_s for at in after]
    assert most_in_a_window(arrivals) <= limit


@given(SEEDS, LIMITS)
def test_a_clean_end_is_taken_up_exactly(seed, limit):
    window = RateWindow(limit)
    now, _, _ = drive(Random(seed), window, NOW, 60)

    again = RateWindow.restore(limit, window.snapshot(now), now)

    assert again.free(now) == window.free(now)


def test_no_slot_is_wasted_when_answers_come_at_once():
    """The optimum is `limit` at each multiple of the window; ours is later by the margin only."""
    limit, now, started = 50, NOW, []
    window = RateWindow(limit)
    for _ in range(5 * limit):
        at = window.next_free_at(now)
        assert at is not None
        now = max(now, at)
        assert window.free(now) > 0, "the timer fired and nothing was free"
        window.allow(1, now)
        window.start()
        window.answered(now)
        started.append(now - NOW)

    optimum = [RATE_WINDOW_S * (number // limit) for number in range(5 * limit)]
    late = [at - best for at, best in zip(started, optimum, strict=True)]
    assert max(late) <= 5 * MARGIN_S
    assert min(late) >= 0.0


@given(st.floats(0.0, 4e9), st.integers(1, 5))
def test_at_the_instant_it_names_a_slot_is_free(now, limit):
    """Else a timer set for it would fire too early, and nobody would set another one."""
    window = RateWindow(limit)
    for _ in range(limit):
        window.start()
        window.answered(now)

    at = window.next_free_at(now)

    assert at is not None
    assert at > now
    assert window.free(at) == limit


def test_the_next_slot_beside_those_about_to_be_used():
    window = RateWindow(2)
    window.start()
    window.answered(NOW - 50)

    assert window.next_free_at(NOW) == NOW
    assert window.next_free_at(NOW, taken=1) == pytest.approx(NOW + 10 + MARGIN_S)


def test_while_all_is_under_way_only_an_answer_can_tell():
    window = RateWindow(2)
    window.start(2)

    assert window.free(NOW) == 0
    assert window.next_free_at(NOW) is None


def test_a_429_blocks_until_its_instant():
    window = RateWindow(5)
    window.blocked_until = NOW + 9

    assert window.free(NOW) == 0
    assert window.next_free_at(NOW) == NOW + 9
    assert window.free(NOW + 9) == 5


def test_without_a_limit_everything_may_start_and_nothing_is_kept():
    window = RateWindow(None)
    for _ in range(1000):
        assert window.covers(1)
        window.start()
        window.answered(NOW)

    assert window.free(NOW) > 100_000
    assert window.next_free_at(NOW) == NOW
    assert RateWindow.restore(None, window.snapshot(NOW), NOW).free(NOW) > 100_000


def test_the_allowance_covers_so_many_starts_and_no_more():
    window = RateWindow(100)
    assert not window.covers(1)

    window.allow(2, NOW)

    assert window.covers(5)  # a twentieth of the limit, so that high rates do not write each time
    window.start(5)
    assert not window.covers(1)


def test_after_a_crash_all_that_was_allowed_counts_as_just_used():
    window = RateWindow(100)
    text = window.allow(3, NOW)

    later = RateWindow.restore(100, text, NOW + 10)

    assert later.free(NOW + 10) == 95
    assert later.free(NOW + 69.9) == 95
    assert later.free(NOW + 71) == 100


def test_a_run_without_a_past_is_free():
    assert RateWindow.restore(5, None, NOW).free(NOW) == 5


def test_a_lowered_limit_holds_at_once():
    window = RateWindow(50)
    for _ in range(40):
        window.start()
        window.answered(NOW)

    lower = RateWindow.restore(5, window.snapshot(NOW), NOW)

    assert lower.free(NOW + 1) == 0
    assert lower.free(NOW + 62) == 5


@pytest.mark.parametrize(
    ("cap", "settled", "reserved", "price", "beside", "fits"),
    [
        (None, 100.0, 0.0, 5.0, 0.0, True),
        (None, 0.0, 0.0, None, 0.0, True),
        (1.0, 0.0, 0.0, 1.0, 0.0, True),
        (1.0, 0.0, 0.0, 1.01, 0.0, False),
        (1.0, 0.6, 0.2, 0.2, 0.0, True),
        (1.0, 0.6, 0.3, 0.2, 0.0, False),
        (1.0, 0.0, 0.0, 0.5, 0.5, True),
        (1.0, 0.0, 0.0, 0.5, 0.6, False),
        (1.0, 0.0, 0.0, None, 0.0, False),
        (0.0, 0.0, 0.0, 0.0, 0.0, True),
        (0.3, 0.1 + 0.1, 0.0, 0.1, 0.0, True),
    ],
)
def test_what_is_affordable(cap, settled, reserved, price, beside, fits):
    money = Money(cap, settled_usd=settled, reserved={1: reserved})

    assert money.affords(price, beside) is fits


MONEY_BEFORE = [
    # settled and reserved in the record, jobs under way, settled and standing beside them
    (Totals({}, 0.0, 0.0), [], (0.0, 0.0)),
    (Totals({}, 3.0, 0.5), [], (3.0, 0.5)),
    (Totals({}, 3.0, 0.5), [job(S.PENDING, price_usd=0.1)], (3.0, 0.5)),
    (Totals({}, 3.0, 0.5), [job(S.SUBMITTED, price_usd=0.1)], (3.0, 0.4)),
    (Totals({}, 3.0, 0.5), [job(S.AMBIGUOUS, 1, price_usd=0.1), job(S.FETCHING, 2, price_usd=0.2)],
     (3.0, 0.2)),
    (Totals({}, 3.0, 0.5), [job(S.FETCHING, price_usd=0.1, receipt=Receipt(cost_usd=0.3))],
     (2.7, 0.5)),
    (Totals({}, 3.0, 0.5), [job(S.FETCHING, price_usd=0.1, receipt=Receipt(cost_usd=0.0))],
     (3.0, 0.5)),
    (Totals({}, 3.0, 0.5), [job(S.SUBMITTED)], (3.0, 0.5)),
    (Totals({}, 0.0, 0.05), [job(S.SUBMITTED, price_usd=0.1)], (0.0, 0.0)),
]  # fmt: skip


@pytest.mark.parametrize(("totals", "under_way", "expected"), MONEY_BEFORE)
def test_what_earlier_processes_spent_beside_the_jobs_under_way(totals, under_way, expected):
    money = Money.of(20.0, totals, under_way)

    assert (money.settled_usd, money.standing_usd) == pytest.approx(expected)
    assert (money.cap_usd, money.reserved) == (20.0, {})


MONEY = st.floats(0, 100)
UNDER_WAY = [S.SUBMITTING, S.SUBMITTED, S.FETCHING, S.AMBIGUOUS, S.RECOVERING]


@given(
    MONEY,
    MONEY,
    st.lists(
        st.tuples(st.sampled_from(UNDER_WAY), st.none() | MONEY, st.none() | MONEY),
        max_size=6,
    ),
)  # fmt: skip
def test_a_restart_changes_nothing_about_what_is_committed(settled, reserved, under_way):
    jobs = [
        job(state, key, price_usd=price, receipt=Receipt(cost_usd=cost))
        for key, (state, price, cost) in enumerate(under_way, 1)
    ]
    known = sum(one.cost_usd for one in jobs if one.receipt.cost_usd is not None)
    hoped = sum(one.cost_usd for one in jobs if one.receipt.cost_usd is None)
    unpriced = [one for one in jobs if one.price_usd is None and one.receipt.cost_usd is None]
    count = len(unpriced) + 2
    totals = Totals({}, settled + known, reserved + hoped, {"flux-pro": count})

    made = scheduler(jobs, money=Money.of(None, totals, jobs))

    told_usd = count * made.money.learned.get("flux-pro", 0.0)
    expected_usd = totals.settled_usd + totals.reserved_usd + told_usd
    assert made.money.committed_usd == pytest.approx(expected_usd)


def test_committed_is_spent_standing_and_reserved():
    money = Money(10.0, settled_usd=1.0, standing_usd=0.5, reserved={1: 0.25, 2: 0.25})

    assert money.committed_usd == pytest.approx(2.0)
