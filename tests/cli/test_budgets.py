"""Limits on time and money as a user meets them: what is told, and how the run ends."""

import json

import pytest

from tests.cli.processes import until

pytestmark = pytest.mark.processes


def test_an_account_that_will_not_suffice_is_told_at_the_start(place, simulate):
    there = place.at(simulate(credits_usd=0.10))
    ended = there.inside("run", there.manifest(6), "--concurrency", "1")
    assert ended.code == 3
    assert "warning: the account holds 0.10 USD, the jobs that wait are reckoned at 0." in ended.err


def test_one_that_suffices_is_not_worth_a_line(place, service):
    there = place.at(service)
    ended = there.inside("run", there.manifest(2))
    assert ended.code == 0
    assert "the account holds" not in ended.err
    log = [
        json.loads(line) for line in (there.path / "runs/batch/run.log").read_text().splitlines()
    ]
    (told,) = [line for line in log if line["event"] == "credits"]
    assert told["credits_usd"] > told["pending_usd"]


def test_four_fifths_of_the_cap_are_told(place, service):
    there = place.at(service)
    ended = there.inside("run", there.manifest(10), "--max-spend", "0.20")
    assert ended.code == 3
    assert "of max_spend 0.20 USD are spent or reserved" in ended.err
    assert len(there.inside("status", "runs/batch", "--json").json["counts"]) > 0
    assert ended.out.startswith("5 pending, 5 done; $0.20 spent")


@pytest.mark.parametrize("allowed", [False, True])
def test_models_of_unknown_price_under_a_cap_need_leave(place, simulate, allowed):
    service = simulate(default_price_usd=0.25, unknown_models="accept")
    there = place.at(service)
    manifest = there.manifest(6, defaults={"model": "nobody-knows", "api": "v1"})
    extra = ["--allow-unknown-price"] if allowed else []
    ended = there.inside("run", manifest, "--max-spend", "1.00", *extra)
    if allowed:
        assert (ended.code, len(service.bills())) == (3, 4)
        again = there.inside("run", manifest, "--max-spend", "1.50")
        assert (again.code, len(service.bills())) == (0, 6), "the price was learned"
    else:
        assert (ended.code, service.bills()) == (2, [])
        assert "--allow-unknown-price" in ended.err


def test_a_run_that_has_no_time_left_stops_and_resumes(place, service):
    there = place.at(service)
    ended = there.inside("run", there.manifest(3, budget={"max_duration": "1s"}))
    assert ended.code == 3
    assert "max_duration leaves no time for more jobs" in ended.err
    assert service.bills("cup") == []
    again = there.inside("run", there.manifest(3, budget={"max_duration": "1h"}))
    assert again.code == 0


def test_limits_of_a_model_hold(place, simulate):
    service = simulate()
    there = place.at(service)
    budget = {"models": {"flux-kontext-dev": {"requests_per_minute": 2}}}
    manifest = there.manifest(5, budget=budget, defaults={"model": "flux-kontext-dev"})
    with there.start("run", manifest) as running:
        until(lambda: len(service.bills()) == 2)
        assert running.killed_after(1.0)
    assert len(service.bills()) == 2


def test_status_shows_what_was_learned(place, service):
    there = place.at(service)
    assert there.inside("run", there.manifest(4)).code == 0
    told = there.inside("status", "runs/batch", "--json").json["learned"]
    assert sum(model["count"] for model in told.values()) == 4
    assert "latencies" in there.inside("status", "runs/batch").out
