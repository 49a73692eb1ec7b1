"""Workers, queue, randomness, money and memory."""

import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchgen.providers.segmind.simulator import Outcome, Service, SimulatorConfig, Urls
from batchgen.providers.segmind.simulator.engine import BLOCKED
from tests.simulator.callers import API, CDN, START_AT, Caller, caller, read

DICE = {
    "failure_probability": 0.3,
    "never_finish_probability": 0.1,
    "vanish_probability": 0.1,
    "filtered_probability": 0.2,
    "cold_start_probability": 0.2,
    "latency_jitter": 0.3,
}


def bills_of(seed, polls=0):
    client = caller(seed=seed, **DICE)
    for number in range(30):
        request_id = client.accepted(seed=number if number % 2 else None)
        for _ in range(polls):
            client.poll(request_id)
        client.later(1)
    return client.service.ledger.bills


def test_the_seed_decides_everything_and_polls_change_nothing():
    assert bills_of(1) == bills_of(1, polls=3)
    assert bills_of(1) != bills_of(2)
    assert {bill.outcome for bill in bills_of(1)} == set(Outcome)


def test_request_ids_are_uuids_and_distinct():
    ids = {bill.request_id for bill in bills_of(3)}
    assert len(ids) == 30
    assert all(len(i) == 36 and i[14] == "4" and i[19] in "89ab" for i in ids)


def test_the_queue_is_first_in_first_out_over_the_workers():
    client = caller(workers=2, latency_s=10)
    ids = [client.accepted() for _ in range(5)]
    bills = client.service.ledger.bills
    assert [bill.started_at - START_AT for bill in bills] == [0, 0, 10, 10, 20]
    assert read(client.poll(ids[4]))["status"] == "QUEUED"
    done = read(client.later(30).poll(ids[4]))
    assert done["metrics"]["queue_time"] == 20
    assert done["metrics"]["total_time"] == 30


@settings(max_examples=50, deadline=None)
@given(
    workers=st.integers(1, 5),
    gaps=st.lists(st.floats(0, 30), min_size=1, max_size=30),
    seed=st.integers(0, 10**6),
)
def test_never_more_run_than_there_are_workers(workers, gaps, seed):
    client = caller(workers=workers, latency_jitter=0.5, seed=seed)
    for gap in gaps:
        client.later(gap).accepted()
    bills = client.service.ledger.bills
    assert [b.started_at for b in bills] == sorted(b.started_at for b in bills)
    for bill in bills:
        running = [b for b in bills if b.started_at <= bill.started_at < b.finished_at]
        assert len(running) <= workers
        assert bill.started_at >= bill.accepted_at


def test_latencies_come_from_the_model_the_service_or_the_catalogue():
    client = caller(models={"mine": {"latency_s": 3}}, extra_models=["other"], workers=99)
    expected = {"mine": 3, "other": 20, "flux-pro": 20.4, "flux-kontext-pro": 21.8}
    for slug in expected:
        client.accepted(slug)
    took = {b.model: b.finished_at - b.started_at for b in client.service.ledger.bills}
    assert took == pytest.approx(expected)
    everywhere = caller(latency_s=5, models={"mine": {"latency_s": 3}})
    for slug in expected.keys() - {"other"}:
        everywhere.accepted(slug)
    took = {b.model: b.finished_at - b.started_at for b in everywhere.service.ledger.bills}
    assert took == pytest.approx({"mine": 3, "flux-pro": 5, "flux-kontext-pro": 5})


def test_jitter_keeps_the_median_and_cold_starts_add():
    client = caller(latency_s=10, latency_jitter=0.2, workers=5000, credits_usd=1e6)
    took = sorted(b.finished_at - b.started_at for b in accept(client, 2001))
    assert took[1000] == pytest.approx(10, rel=0.03)
    assert took[-1] < 10 * math.exp(1)
    cold = caller(latency_s=10, cold_start_probability=1, cold_start_s=180)
    assert accept(cold, 1)[0].finished_at == pytest.approx(START_AT + 190)


def accept(client, count):
    for _ in range(count):
        client.accepted()
    return client.service.ledger.bills


def test_prices_come_from_settings_catalogue_and_default():
    models = {"mine": {"price_usd": 0.5}}
    client = caller(models=models, extra_models=["other"], default_price_usd=0.07)
    for slug in ("mine", "flux-kontext-max", "other"):
        client.accepted(slug, input_image="https://pictures.test/cup.png")
    assert [bill.cost_usd for bill in client.service.ledger.bills] == [0.5, 0.1, 0.07]


@given(st.integers(0, 10**6), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_credits_are_the_start_less_what_the_ledger_charged(seed, count):
    client = caller(seed=seed, failure_probability=0.5, latency_jitter=0.5, workers=3)
    dice = random.Random(seed)
    for _ in range(count):
        client.later(dice.uniform(0, 20)).accepted()
    for _ in range(10):
        client.later(dice.uniform(0, 60))
        charged = client.service.ledger.charged_usd(client.now)
        assert client.service.credits_usd(client.now) == pytest.approx(1000 - charged)


def test_one_model_can_fail_while_others_do_not():
    client = caller(models={"bad": {"failure_probability": 1}}, latency_s=0)
    assert client.poll(client.accepted("bad")).status == 422
    assert client.poll(client.accepted("flux-pro")).status == 200


def test_blocked_words_fail_as_moderation():
    client = caller(blocked_words=["forbidden"], latency_s=0)
    assert read(client.poll(client.accepted(prompt="a forbidden cup")))["error"] == BLOCKED
    assert client.poll(client.accepted()).status == 200


def test_an_own_seed_is_kept_and_a_missing_one_drawn():
    client = caller(latency_s=0)
    assert read(client.result(client.accepted(seed=7)))["seed"] == 7
    drawn = [read(client.result(client.accepted()))["seed"] for _ in range(2)]
    assert drawn[0] != drawn[1]


def test_a_restored_service_goes_on_as_if_nothing_had_happened():
    first = caller(seed=4, workers=2, rate_limit=5, **DICE)
    ids = [first.accepted() for _ in range(5)]
    first.service.add_credits(3)
    saved = json.loads(json.dumps(first.service.export()))
    service = Service(first.service.config, started_at=first.now, urls=Urls(API, CDN))
    service.restore(saved)
    second = Caller(service, first.now)
    assert second.submit().status == first.submit().status == 429
    assert service.ledger.bills == first.service.ledger.bills
    for client in (first, second):
        client.later(61)
    for request_id in ids[:4]:
        assert second.poll(request_id).body == first.poll(request_id).body
    assert second.credits() == first.credits()
    second.later(60).accepted()
    assert len({bill.request_id for bill in service.ledger.bills}) == 6


@pytest.mark.parametrize(
    "saved",
    [{}, {"version": 2}, {"version": 1}, {"version": 1, "bills": [{}]}, {"version": 1, "bills": 5}],
)
def test_what_is_no_export_is_refused(saved):
    service = Service(SimulatorConfig(), started_at=START_AT, urls=Urls(API, CDN))
    with pytest.raises(ValueError, match=r"version|export|not a valid"):
        service.restore(saved)


def test_only_an_unused_service_is_restored():
    client = caller()
    client.accepted()
    with pytest.raises(ValueError, match="accepted nothing"):
        client.service.restore(client.service.export())
