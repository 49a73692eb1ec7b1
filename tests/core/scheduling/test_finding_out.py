"""What counts is found out: the windows against services of every kind, and what they teach."""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.policies import RateScope
from batchgen.core.scheduling.rates.rates import GetPrice, GetScope, RateLimits, Rates
from batchgen.providers.segmind.simulator.rate_limits.admission import (
    FixedWindow,
    RateLimiter,
    SlidingWindow,
    TokenBucket,
)
from tests.core.builders import NOW
from tests.core.scheduling.test_rate_limit import most_in_a_window

TRIP_S = 0.05
MOST_STEPS = 200_000
NAMES = (
    "gets", "calls", "submits", "burst", "bursts", "passed", "minute", "limit", "raise", "refused",
    "rest_until", "proved", "ceiling", "moved_at", "recovery_s", "counted", "apart",
)  # fmt: skip
SEEDS = st.integers(0, 2**32)
SHAPES = {
    "sliding": lambda limit: [SlidingWindow(limit, 60.0)],
    "short windows": lambda limit: [SlidingWindow(limit, 60.0), SlidingWindow(10, 10.0)],
    "bucket": lambda limit: [TokenBucket(5, limit / 60.0)],
    "fixed": lambda limit: [FixedWindow(limit, 60.0)],
}


@dataclass
class Played:
    """What a run against a service came to. Instants are those at which the service counted."""

    rates: Rates
    submits: list[float] = field(default_factory=list)
    gets: list[float] = field(default_factory=list)
    passed: int = 0
    refused: int = 0
    counted_from: float = float("inf")
    """From when on the windows held calls beside submits to the limit of the manifest."""


def play(asked, seconds, submits, gets=None, *, known=None, seed=0, wanted=(1, 1), reset=True,
         start=NOW):  # fmt: skip
    """Both kinds of calls are wanted all the time, `wanted` of each for one of the other; `submits`
    and `gets` are the service's limits, or one and the same; None: these calls are not counted."""
    chance, now, turn = Random(seed), start, 0
    done = Played(Rates.restore(asked, None, now, known))
    rates, answers = done.rates, []
    order = [True] * wanted[0] + [False] * wanted[1]
    for _ in range(MOST_STEPS):
        if now >= start + seconds:
            return done
        while answers and answers[0][0] <= now:
            at, _, submit, until = heapq.heappop(answers)
            rates.answered("m", at, submit=submit, refused_until=until)
        rates.advance(now)
        if rates.gets is GetScope.COUNTED:
            done.counted_from = min(done.counted_from, now)
        submit = order[turn % len(order)]
        names = rates.windows_of(submit=submit)
        free = min((rates.windows[name].free(now) for name in names), default=1)
        if free <= 0:
            other = rates.windows_of(submit=not submit)
            if (
                all(wanted)
                and min((rates.windows[name].free(now) for name in other), default=1) > 0
            ):
                submit, free = not submit, 1
        if free <= 0:
            instants = [rates.windows[name].next_free_at(now) for name in ("whole", *names)]
            instants += [answers[0][0]] if answers else []
            now = min([at for at in instants if at is not None and at > now], default=now + 1.0)
            continue
        turn += 1
        kind = [["m"], []] if submit else [[], ["m"]]
        rates.note(kind[0], now, kind[1])
        rates.start("m", now, submit=submit)
        arrives_at = now + TRIP_S * chance.random()
        limit, until = (submits if submit else gets), None
        (done.submits if submit else done.gets).append(arrives_at)
        if limit is not None and limit.free_at(arrives_at) > arrives_at:
            done.refused += 1
            until = limit.free_at(arrives_at) if reset else now + 5.0
        elif limit is not None:
            limit.take(arrives_at)
        done.passed += until is None and (submit or limit is not None)
        heapq.heappush(answers, (now + TRIP_S, turn, submit, until))
        if not submit and (limit is None or not names):
            now += 0.1  # they are free, and not without end
    raise AssertionError("it goes round in circles")


def asked(number=50, *, learns=False, scope=RateScope.AUTO):
    return RateLimits(number, learns, scope)


def limiter(shape="sliding", limit=50):
    return RateLimiter(SHAPES[shape](limit))


# ------------------------------------------------------------------ a number is a promise


@given(
    SEEDS, st.sampled_from(sorted(SHAPES)), st.sampled_from([5, 20, 50, 90]),
    st.sampled_from([3, 10, 50]), st.sampled_from(["free", "counted", "apart"]), st.booleans(),
)  # fmt: skip
def test_a_number_is_never_exceeded_whatever_is_found_out(seed, shape, true, number, gets, reset):
    submits = limiter(shape, true)
    others = {"free": None, "counted": submits, "apart": limiter("sliding", 10 * true)}[gets]

    done = play(asked(number), 200, submits, others, seed=seed, reset=reset)

    assert most_in_a_window(done.submits) <= number
    late = [at for at in (*done.submits, *done.gets) if at > done.counted_from + 60.0]
    assert most_in_a_window(sorted(late)) <= number


@given(SEEDS, st.sampled_from(sorted(SHAPES)), st.sampled_from([3, 10, 50]))
def test_with_the_scope_all_nothing_is_left_to_find_out(seed, shape, number):
    submits = limiter(shape, 50)

    done = play(asked(number, scope=RateScope.ALL), 150, submits, submits, seed=seed)

    assert most_in_a_window(sorted([*done.submits, *done.gets])) <= number


# ------------------------------------------------------------------ what is found out


@pytest.mark.parametrize("reset", [True, False], ids=["told when", "not told when"])
@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_calls_that_count_are_found_out_by_few_refusals(shape, reset):
    service = limiter(shape)

    done = play(asked(), 1_200, service, service, reset=reset)

    assert done.rates.gets is GetScope.COUNTED
    assert done.rates.get_price is GetPrice.COUNTED
    assert done.refused <= 3
    assert done.passed >= 0.93 * 50 * 1_200 / 60


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_calls_that_do_not_count_are_found_out_without_any_refusal(shape):
    done = play(asked(), 600, limiter(shape))

    assert done.rates.gets is GetScope.FREE
    assert done.refused <= (shape in {"bucket", "short windows"})
    assert done.passed >= 0.93 * 50 * 600 / 60


def test_calls_that_count_apart_are_held_to_their_own_limit():
    done = play(asked(), 600, limiter(), limiter("sliding", 500), wanted=(1, 15))

    assert done.rates.gets is GetScope.APART
    assert done.rates.calls.limit == pytest.approx(500, abs=3)
    assert done.refused <= 3


def test_one_refusal_within_the_limit_proves_nothing_yet():
    rates = Rates.restore(asked(), None, NOW)
    for second in range(3):
        rates.start("m", NOW + second, submit=False)
        rates.answered("m", NOW + second, submit=False)
    rates.start("m", NOW + 5, submit=False)
    rates.answered("m", NOW + 5, submit=False, refused_until=NOW + 6)
    assert rates.gets is GetScope.UNKNOWN

    rates.start("m", NOW + 20, submit=False)
    rates.answered("m", NOW + 20, submit=False, refused_until=NOW + 21)
    assert rates.gets is GetScope.COUNTED


@pytest.mark.parametrize(("true", "number"), [(120, 50), (50, 50), (20, 50), (1_000, 50)])
def test_a_limit_that_nobody_told_is_found_from_below_and_from_above(true, number):
    done = play(asked(number, learns=True), 1_000, limiter("sliding", true), reset=False,
                wanted=(1, 0))  # fmt: skip

    window = done.rates.whole
    assert window.learned.known(window.limit) == pytest.approx(true, rel=0.15)
    assert done.refused <= 4
    assert done.passed >= 0.85 * true * 1_000 / 60


def test_a_lower_limit_than_was_promised_is_kept_to():
    done = play(asked(), 1_200, limiter("sliding", 25), reset=False)

    assert done.refused <= 4
    assert 0.85 * 25 * 20 <= done.passed <= 25 * 20 + 25


def test_one_at_a_time_beyond_what_has_passed():
    """Of fifty that are due one is refused, not forty."""
    rates = Rates.restore(asked(), None, NOW)
    assert rates.whole.free(NOW) == 1

    rates.start("m", NOW)
    assert rates.whole.free(NOW) == 0
    assert rates.whole.next_free_at(NOW) == pytest.approx(NOW + 0.2)
    rates.answered("m", NOW + 0.05)
    assert rates.whole.free(NOW + 0.05) == 1

    known = {"submits": {"passed": {"minute": 50, "burst": 30}}}
    assert Rates.restore(asked(), None, NOW, known).whole.free(NOW) == 30


# ------------------------------------------------------------------ and remembered


MEMORIES = [
    *((shape, gets, (1, 2)) for shape in sorted(SHAPES) for gets in ("free", "counted")),
    ("sliding", "apart", (1, 12)),
    ("fixed", "apart", (1, 12)),
]


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize(("shape", "gets", "mix"), MEMORIES)
def test_the_next_run_is_refused_nothing_but_what_it_tries_once_more(shape, gets, mix, learns):
    def service():
        submits = limiter(shape)
        others = {"free": None, "counted": submits, "apart": limiter("sliding", 500)}[gets]
        return submits, others

    first = play(asked(learns=learns), 1_000, *service(), seed=1, wanted=mix)
    lessons = json.loads(json.dumps(first.rates.lessons()))
    again = play(asked(learns=learns), 150, *service(), known=lessons, seed=2, wanted=mix,
                 start=NOW + 1_100)  # fmt: skip

    assert again.refused <= 2
    assert again.rates.gets is first.rates.gets


@given(SEEDS, st.sampled_from(sorted(SHAPES)), st.booleans())
def test_lessons_are_the_same_after_a_restart(seed, shape, learns):
    service = limiter(shape)
    first = play(asked(learns=learns), 150, service, service, seed=seed).rates

    again = Rates.restore(asked(learns=learns), first.snapshot(NOW + 150), NOW + 150,
                          first.lessons())  # fmt: skip

    assert again.lessons() == first.lessons()
    assert again.whole.used(NOW + 150) >= first.whole.used(NOW + 150)


def test_a_log_of_an_older_version_is_taken_up():
    known = f'{{"answered": [[{NOW}, 20]], "under_way": 2, "models": {{}}}}'

    rates = Rates.restore(asked(), known, NOW + 1)

    assert rates.whole.used(NOW + 1) == 22
    assert rates.calls.used(NOW + 1) == 0


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=12,
)


@given(JUNK, st.sampled_from(list(RateScope)), st.booleans(), SEEDS)
def test_lessons_that_are_damaged_or_hostile_do_no_harm(known, scope, learns, seed):
    """A number is kept whatever they say, and something goes out within the minute."""
    service = limiter()

    done = play(asked(10, learns=learns, scope=scope), 61, service, service, known=known, seed=seed)

    if not learns:
        assert most_in_a_window(done.submits) <= 10
    assert done.submits or done.gets


def test_what_all_calls_used_is_known_to_the_next_process_once_they_count():
    rates = Rates.restore(asked(), None, NOW)
    for number in range(30):
        rates.start("m", NOW, submit=number < 5)
        rates.answered("m", NOW, submit=number < 5)
    known = {"gets": "counted"}

    again = Rates.restore(asked(), rates.snapshot(NOW), NOW + 1, known)

    assert again.whole.used(NOW + 1) == 30


def test_calls_that_take_minutes_are_neither_a_burst_nor_refused():
    """Calls of the first API: a refusal beside forty that run says that forty passed."""
    rates = Rates.restore(asked(learns=True), None, NOW)
    for second in range(40):
        rates.start("m", NOW + second)
    rates.start("m", NOW + 41)
    rates.answered("m", NOW + 41, refused_until=NOW + 60)

    assert rates.whole.limit == 38
    assert rates.whole.burst is None

    rates.whole.limit, rates.whole.burst = 50, 4
    assert rates.whole.free(NOW + 60) == 1, "what left a minute ago is no burst of now"
