"""One ordering of all calls under one budget: shares, scouts, limits of models, back-pressure."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.events import Event
from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.policies import Limits, RateScope
from batchgen.core.jobs.spec import Mode
from batchgen.core.scheduling.completion import Verdict
from batchgen.core.scheduling.effects import EffectKind as F
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.planner import BACKLOG_FACTOR, FREE_POLLS, SCOUTS, plan
from batchgen.core.scheduling.rates.rates import Rates
from batchgen.core.scheduling.rates.window import RateWindow
from batchgen.core.scheduling.spending import Money
from batchgen.core.scheduling.tick import submit_share, tick
from batchgen.providers.segmind.treatments import WINDOW_S
from tests.core.builders import NOW, job, output, scheduler


def known(model="flux-pro", latency_s=20.0):
    latencies = Latencies()
    for number in range(20):
        latencies.learn(model, latency_s + number % 3)
    return latencies


def kinds(decided):
    return Counter(effect.kind for effect in decided.effects)


def submits(decided):
    return [effect.job.key for effect in decided.effects if effect.kind is F.SUBMIT]


def ready(made, now=NOW):
    tick(made, now)
    return made


def pending(count, first=100, **changes):
    return [job(S.PENDING, first + number, **changes) for number in range(count)]


def polls_due(count, age_s=60.0, **changes):
    return [job(S.SUBMITTED, 1 + n, sent_at=NOW - age_s, **changes) for n in range(count)]


# ------------------------------------------------------------------ shares of the minute


def crowded(**parts):
    jobs = [*polls_due(60, age_s=205.0), *pending(60)]
    latencies = known(latency_s=200.0)
    given = {"limits": Limits(concurrency=200), "rate": RateWindow(50), "latencies": latencies}
    return ready(scheduler(jobs, **given | parts))


def test_submits_keep_their_share_although_all_polls_are_due():
    made = crowded()
    decided = plan(ready(made, NOW + 2), NOW + 2)

    assert kinds(decided)[F.SUBMIT] == 17
    assert kinds(decided)[F.POLL] == 50 - 17


def test_no_share_while_a_request_grows_so_old_that_its_result_might_be_forgotten():
    made = scheduler(
        [*polls_due(60, age_s=WINDOW_S / 2 + 60), *pending(60)],
        limits=Limits(concurrency=200),
        rate=RateWindow(50),
        latencies=known(),
    )
    tick(made, NOW)

    assert made.polls.jobs_per_window() < 50
    assert submit_share(made, NOW) == 0
    assert kinds(plan(made, NOW))[F.POLL] == 50


def test_a_share_is_spent_once_a_minute():
    made = crowded()
    made.polls.next_poll_at(made.jobs[1], NOW)
    share = submit_share(made, NOW)
    for key in range(100, 110):
        made.apply([apply(made.jobs[key], Event(E.INTENDED, key, NOW))])

    assert submit_share(made, NOW) == share - 10
    assert submit_share(made, NOW + 61) == share


def test_without_a_count_there_are_no_shares():
    assert submit_share(scheduler([job()]), NOW) == 0


# ------------------------------------------------------------------ scouts


def test_of_a_model_nobody_knows_only_scouts_are_asked_for():
    made = scheduler(polls_due(40), rate=RateWindow(50), limits=Limits(concurrency=50))

    assert kinds(plan(made, NOW)) == {F.POLL: SCOUTS}


def test_scouts_are_those_that_were_asked_for_least():
    asked, fresh = polls_due(40, polls=3), [job(S.SUBMITTED, 90, sent_at=NOW - 30)]
    made = scheduler([*asked, *fresh], rate=RateWindow(50))

    assert plan(made, NOW).effects[0].job.key == 90


@pytest.mark.parametrize(
    "parts",
    [
        {"rate": RateWindow(None)},
        {"rate": RateWindow(50), "limits": Limits(rate_scope=RateScope.SUBMIT)},
    ],
)
def test_free_polls_are_no_reason_to_ask_for_all_of_an_unknown_model_for_ever(parts):
    often, fresh = polls_due(40, polls=FREE_POLLS), [job(S.SUBMITTED, 90, polls=FREE_POLLS - 1)]

    assert kinds(plan(scheduler([*often, *fresh], **parts), NOW)) == {F.POLL: SCOUTS + 1}


def test_scouts_under_way_count():
    made = scheduler(polls_due(40), rate=RateWindow(50))
    for key in (1, 2):
        made.queues.begin(key)

    assert kinds(plan(made, NOW)) == {F.POLL: SCOUTS - 2}


@pytest.mark.parametrize(
    "parts",
    [
        {"rate": RateWindow(50), "latencies": known()},
        {"rate": RateWindow(None)},
        {"rate": RateWindow(50), "limits": Limits(rate_scope=RateScope.SUBMIT)},
    ],
    ids=["known", "no limit", "polls free"],
)
def test_where_polls_cost_nothing_or_times_are_known_all_are_asked_for(parts):
    assert kinds(plan(scheduler(polls_due(40), **parts), NOW))[F.POLL] == 40


# ------------------------------------------------------------------ limits of single models


def of_models(**limits):
    jobs = [*pending(20, first=1, model="small"), *pending(20, first=50, model="other")]
    return scheduler(jobs, **limits)


def test_a_model_at_its_concurrency_keeps_nobody_else_waiting():
    made = of_models(limits=Limits(concurrency=30, models={"small": 4}))

    assert submits(plan(made, NOW)) == [1, 2, 3, 4, *range(50, 70)]


def test_a_model_at_its_requests_a_minute_keeps_nobody_else_waiting():
    rates = Rates(RateWindow(None), {"small": RateWindow(3)})
    made = of_models(rates=rates, limits=Limits(concurrency=30))

    assert submits(plan(made, NOW)) == [1, 2, 3, *range(50, 70)]


def test_when_only_its_own_window_is_full_that_is_when_to_look_again():
    window = RateWindow(1)
    window.start()
    window.answered(NOW - 20)
    made = scheduler(pending(1, model="small"), rates=Rates(RateWindow(50), {"small": window}))

    decided = plan(made, NOW)

    assert decided.effects == ()
    assert decided.wake_at == pytest.approx(NOW + 40, abs=0.1)


def test_models_with_limits_are_drawn_apart():
    made = scheduler(all_drawn=False, limits=Limits(concurrency=10, models={"small": 4}))

    decided = plan(made, NOW)

    assert decided.draw == 20
    assert decided.draw_of == (("small", 8),)
    made.drew("small", [], 8, NOW)
    assert plan(made, NOW).draw_of == ()


# ------------------------------------------------------------------ back-pressure


def test_submits_wait_while_downloads_lag():
    limits = Limits(save_concurrency=2, concurrency=100)
    files = [job(S.FETCHING, n, outputs=(output(),)) for n in range(1, 2 * BACKLOG_FACTOR + 1)]

    assert submits(plan(scheduler([*files, *pending(5)], limits=limits), NOW)) == []
    assert len(submits(plan(scheduler([*files[1:], *pending(5)], limits=limits), NOW))) == 5


def test_no_more_in_flight_than_polls_and_results_can_bring_home():
    made = scheduler(
        [*polls_due(60, age_s=1.0, due_at=NOW + 60), *pending(60)],
        limits=Limits(concurrency=10_000),
        rate=RateWindow(50),
        latencies=known(latency_s=5.0),
    )
    tick(made, NOW)
    assert made.polls.drainable("flux-pro") < 60

    assert submits(plan(made, NOW)) == []


def test_jobs_of_v1_need_no_polls_and_are_not_held_back_by_them():
    made = scheduler(
        [*polls_due(60, age_s=1.0, due_at=NOW + 60), *pending(60, api=Mode.BLOCKING)],
        limits=Limits(concurrency=10_000),
        rate=RateWindow(50),
        latencies=known(latency_s=5.0),
    )
    tick(made, NOW)

    assert len(submits(plan(made, NOW))) == 50


# ------------------------------------------------------------------ the end of the time


@pytest.mark.parametrize(("left_s", "held"), [(1_000.0, False), (20.0, True), (-5.0, True)])
def test_submits_end_in_time_to_collect_what_is_paid(left_s, held):
    jobs = [job(S.SUBMITTED, 1, due_at=NOW + 9), job(S.PENDING, 2)]
    made = ready(scheduler(jobs, limits=Limits(ends_at=NOW + left_s), latencies=known()))

    assert (GateKind.TIME in made.gates.closed) is held
    assert submits(plan(made, NOW)) == ([] if held else [2])


def test_when_all_is_collected_and_time_is_over_the_run_stops():
    made = ready(scheduler([job()], limits=Limits(ends_at=NOW)))

    decided = plan(made, NOW)

    assert (decided.verdict, decided.gate.kind) == (Verdict.STOP, GateKind.TIME)


def test_a_run_that_is_done_in_time_is_complete():
    assert plan(ready(scheduler(limits=Limits(ends_at=NOW))), NOW).verdict is Verdict.COMPLETE


# ------------------------------------------------------------------ unknown prices


def test_of_a_model_of_unknown_price_the_first_job_tells_what_the_others_cost():
    money = Money(cap_usd=1.0, allow_unknown=True)
    made = scheduler(pending(5), money=money)
    assert submits(plan(made, NOW)) == [100]

    made.apply([apply(made.jobs[100], Event(E.INTENDED, 100, NOW))])
    assert submits(plan(made, NOW)) == []

    money.learn("flux-pro", 0.30)
    assert submits(plan(made, NOW)) == [101, 102], "the first one is still to be paid for"


# ------------------------------------------------------------------ polls are moved


def test_polls_move_when_a_guess_turns_out_wrong():
    made = scheduler(polls_due(10, age_s=10.0, due_at=NOW + 5), rate=RateWindow(50))
    made.polls.next_poll_at(made.jobs[1], NOW)
    for number in range(30):
        made.latencies.learn("flux-pro", 100.0 + number % 5)

    tick(made, NOW)

    assert all(NOW + 80 < each.due_at < NOW + 100 for each in made.jobs.values())


def test_a_busy_job_is_not_moved():
    made = scheduler(polls_due(2, due_at=NOW + 5), rate=RateWindow(50))
    made.polls.next_poll_at(made.jobs[1], NOW)
    made.queues.begin(1)
    for _ in range(20):
        made.latencies.learn("flux-pro", 100.0)

    tick(made, NOW)

    assert made.jobs[1].due_at == NOW + 5
    assert made.jobs[2].due_at != NOW + 5


@given(st.integers(0, 2**32))
def test_no_pass_exceeds_a_limit(seed):
    """Whatever is in the state: places, windows of all and of each model, and money hold."""
    chance = Random(seed)
    models = {"a": chance.randint(1, 3)}
    windows = {"b": RateWindow(chance.randint(1, 4))}
    limits = Limits(concurrency=chance.randint(1, 8), models=models)
    money = Money(cap_usd=chance.choice([None, 0.3]))
    states = [S.PENDING, S.PENDING, S.SUBMITTED, S.FETCHING, S.RECOVERING, S.AMBIGUOUS]
    jobs = [
        job(chance.choice(states), key, model=chance.choice("abc"), price_usd=0.1)
        for key in range(1, chance.randint(2, 30))
    ]
    made = scheduler(
        jobs, limits=limits, money=money, rates=Rates(RateWindow(chance.randint(1, 9)), windows)
    )
    tick(made, NOW)

    decided = plan(made, NOW)

    begun = [effect.job for effect in decided.effects if effect.kind is F.SUBMIT]
    counted = [effect.model for effect in decided.effects if effect.counts]
    before = made.in_flight
    assert not begun or before + len(begun) <= limits.concurrency
    in_flight_of_a = made.queues.in_flight["a"] + sum(each.model == "a" for each in begun)
    assert not any(each.model == "a" for each in begun) or in_flight_of_a <= models["a"]
    assert len(counted) <= made.rate.free(NOW)
    assert counted.count("b") <= windows["b"].free(NOW)
    if money.cap_usd is not None and begun:
        assert money.committed_usd + 0.1 * len(begun) <= money.cap_usd + 1e-6
