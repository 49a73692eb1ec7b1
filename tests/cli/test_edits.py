"""A manifest that changes between runs, and jobs that are put back."""

import json

import pytest

OLD = {"a": {"prompt": "edit a"}, "b": {"prompt": "edit b"}}


def prompts(bills):
    return sorted(json.loads(bill["body"])["prompt"] for bill in bills)


def test_new_and_dropped_jobs(place, simulate):
    service = simulate()
    there = place.at(service)
    assert there.inside("run", there.manifest(OLD), "--limit", "1").code == 1
    edited = there.manifest({"b": {"prompt": "edit b"}, "c": {"prompt": "edit c"}})
    assert there.inside("run", edited).code == 0
    assert prompts(service.bills()) == ["edit a", "edit b", "edit c"]
    told = there.inside("status", "runs/batch", "--json").json
    assert told["counts"]["done"] == 3  # what was paid for stays on the record


def test_a_job_that_left_before_it_was_submitted(place, simulate):
    service = simulate()
    there = place.at(service)
    assert there.inside("run", there.manifest(OLD), "--limit", "1").code == 1
    assert there.inside("run", there.manifest({"a": OLD["a"]})).code == 0
    assert prompts(service.bills()) == ["edit a"]
    assert "not in the manifest any more  1" in there.inside("status", "runs/batch").out
    assert there.inside("run", there.manifest(OLD)).code == 0
    assert prompts(service.bills()) == ["edit a", "edit b"]


def test_a_change_before_the_submit(place, simulate):
    service = simulate()
    there = place.at(service)
    assert there.inside("run", there.manifest(OLD), "--limit", "1").code == 1
    edited = there.manifest(OLD | {"b": {"prompt": "edit b, better"}})
    assert there.inside("run", edited).code == 0
    assert prompts(service.bills()) == ["edit a", "edit b, better"]


def test_a_change_of_what_was_paid_for_needs_a_word(place, simulate):
    service = simulate()
    there = place.at(service)
    assert there.inside("run", there.manifest(OLD)).code == 0
    before = (there.path / "runs/batch/outputs/a.png").read_bytes()
    edited = there.manifest(OLD | {"a": {"prompt": "edit a, better"}})

    ended = there.inside("run", edited)
    assert ended.code == 2
    assert "a." in ended.err
    assert "--on-change keep" in ended.err
    assert "--on-change rerun" in ended.err

    assert there.inside("run", edited, "--on-change", "keep").code == 0
    assert there.inside("run", edited).code == 0  # not asked about again
    assert prompts(service.bills()) == ["edit a", "edit b"]

    again = there.manifest(OLD | {"a": {"prompt": "edit a, best"}})
    assert there.inside("run", again, "--on-change", "rerun").code == 0
    assert prompts(service.bills()) == ["edit a", "edit a, best", "edit b"]
    outputs = there.path / "runs/batch/outputs"
    assert (outputs / "a.png").read_bytes() != before
    assert (there.path / "runs/batch/replaced/a.png").read_bytes() == before
    assert sorted(path.name for path in outputs.glob("*.png")) == ["a.png", "b.png"]


def test_a_failed_job_that_is_mended(place, simulate):
    service = simulate(blocked_words=["naughty"])
    there = place.at(service)
    assert there.inside("run", there.manifest(OLD | {"c": {"prompt": "edit naughty"}})).code == 1
    failed = there.inside("status", "runs/batch", "--failed").out
    assert "failed   c: " in failed
    assert there.inside("run", there.manifest(OLD | {"c": {"prompt": "edit nice"}})).code == 0
    assert prompts(service.bills()) == ["edit a", "edit b", "edit naughty", "edit nice"]
    assert there.inside("status", "runs/batch", "--json").json["spent_usd"] == pytest.approx(
        service.charged_usd()
    )


def test_retry_of_failed_jobs_asks_nothing(place, simulate):
    """They were not charged."""
    service = simulate(failure_probability=1.0, failure_messages=["flagged"])
    there = place.at(service)
    manifest = there.manifest(3)
    assert there.inside("run", manifest).code == 1
    assert there.inside("run", manifest).code == 1
    assert len(service.bills()) == 3  # a run alone never tries a failed job again
    ended = there.inside("retry", "runs/batch", "--failed", "--id", "job-[01]")
    assert ended.code == 0
    assert "2 failed job(s): were not charged" in ended.out
    assert "2 job(s) put back" in ended.out
    assert there.inside("run", manifest).code == 1
    assert len(service.bills()) == 5
    assert "no such jobs" in there.inside("retry", "batch.yaml", "--unknown").out


@pytest.fixture
def doubtful(place, simulate):
    """A run with one job whose answer was lost, and whose policy leaves it to the user."""
    service = simulate(history_lag_s=1000)
    there = place.at(service)
    manifest = there.manifest(3, reconcile={"settle": 0, "when_absent": "hold"})
    service.fail({"where": "sync", "kind": "drop_after", "count": 1})
    ended = there.inside("run", manifest)
    assert ended.code == 1
    assert "1 unknown" in ended.out
    assert len(service.bills()) == 3
    return there, service, manifest


def test_retry_of_an_unknown_job_says_what_may_be_billed_twice(doubtful):
    there, service, manifest = doubtful
    refused = there.inside("retry", manifest, "--unknown")
    assert refused.code == 2
    assert "MAY BILL THEM TWICE (up to $0.04 once more)" in refused.out
    assert "add --yes" in refused.err

    refused = there.inside("retry", manifest, "--unknown", data=b"n\n")
    assert refused.code == 2
    assert "nothing changed" in refused.err
    assert there.inside("run", manifest).code == 1
    assert len(service.bills()) == 3

    agreed = there.inside("retry", manifest, "--unknown", data=b"y\n")
    assert agreed.code == 0
    assert there.inside("run", manifest).code == 0
    assert len(service.bills()) == 4
    told = there.inside("status", manifest, "--json").json
    assert told["attempts"] == {"acked": 3, "abandoned": 1}
    assert told["spent_usd"] + told["reserved_usd"] == pytest.approx(service.charged_usd())


def test_retry_with_yes_is_not_asked(doubtful):
    there, _, manifest = doubtful
    ended = there.inside("retry", manifest, "--id", "*", "--unknown", "--yes")
    assert ended.code == 0
    assert "Go on?" not in ended.text
