"""Every command on a good day, with and without --json."""

import json
import re
import stat

import pytest

from tests.cli.processes import IMAGE, KEY, Simulator, until

EXAMPLES = [
    *("budget", "demo", "matrix", "parquet", "photos", "repeat", "rows", "seeds", "single"),
    "spreadsheet",
]


def test_plan_tells_jobs_cost_time_and_warnings(place, repository):
    ended = place.inside("plan", repository / "jobs/demo.yaml")
    assert ended.code == 0
    assert ended.out.startswith("demo: 12 jobs\n")
    assert "flux-kontext-max" in ended.out
    assert "cost       $0.90\n" in ended.out
    assert "bound by" in ended.out
    assert list(place.path.iterdir()) == []

    told = place.inside("plan", repository / "jobs/demo.yaml", "--json").json
    assert told["jobs"] == 12
    assert told["lowest_usd"] == told["highest_usd"] == pytest.approx(0.9)
    assert sum(model["jobs"] for model in told["models"].values()) == 12
    assert told["warnings"] == []


def test_plan_warns_on_stderr_and_in_json(place, repository):
    ended = place.inside("plan", repository / "jobs/seeds.yaml")
    assert ended.err.count("warning: ") == 2
    assert "safety_tolerance" in ended.err
    told = place.inside("plan", repository / "jobs/seeds.yaml", "--json").json
    assert len(told["warnings"]) == 2


def test_models(place):
    ended = place.inside("models")
    assert ended.code == 0
    assert "multi-image-kontext-max" in ended.out
    assert len(place.inside("models", "--json").json) == ended.out.count("~")

    one = place.inside("models", "flux-kontext-dev")
    assert "$0.04" in one.out
    assert "input_image" in one.out
    told = place.inside("models", "flux-kontext-dev", "--json").json
    assert told["price_usd"] == 0.04
    assert "prompt" in told["parameters"]


def test_the_schema_beside_the_examples_is_the_one_printed(place, repository):
    ended = place.inside("schema")
    assert ended.code == 0
    assert json.loads(ended.out) == json.loads(
        (repository / "jobs/manifest.schema.json").read_text()
    )


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_can_be_rehearsed(place, repository, example):
    manifest = repository / f"jobs/{example}.yaml"
    ended = place.inside("run", manifest, "--simulate", "--speed", "10000", "--rpm", "100000")
    assert ended.code == 0, ended.text
    status = place.inside("status", manifest, "--json").json
    assert status["counts"]["done"] == status["jobs"] == status["files"]
    assert str(place.path) not in ended.text


def test_the_examples_above_are_all_there_are(repository):
    assert sorted(path.stem for path in (repository / "jobs").glob("*.yaml")) == EXAMPLES


def test_a_run_says_what_came_of_it(place, service):
    there = place.at(service)
    ended = there.call("run", there.manifest(3, name="plain"))
    assert ended.code == 0
    assert re.fullmatch(
        r"3 done; \$0\.12 spent; took \d+ s\nfiles: runs/plain/outputs\n", ended.out
    )
    assert len(service.bills("plain number")) == 3

    again = there.inside("run", there.manifest(3, name="plain"), "--json")
    assert again.code == 0
    told = again.json
    assert told.pop("elapsed_s") >= 0
    assert len(told.pop("slowest")) == 3
    assert told == {
        "run": "runs/plain",
        "verdict": "complete",
        "reason": "",
        "exit_code": 0,
        "counts": {"done": 3},
        "spent_usd": 0.12,
        "reserved_usd": 0,
        "uploads": {"files": 0, "bytes": 0},
        "outputs": "runs/plain/outputs",
        "models": {"flux-kontext-dev": {"jobs": 3, "done": 3, "spent_usd": 0.12}},
        "texts": [],
        "tried_again": {},
        "held": [],
        "tokens": {"read": 0, "written": 0},
        "failures": [],
    }
    assert len(service.bills("plain number")) == 3


def test_status_agrees_with_the_ledger_of_the_service(place, simulate):
    service = simulate(failure_probability=0.3, seed=5, failure_messages=["flagged"])
    there = place.at(service)
    ended = there.inside("run", there.manifest(20))
    assert ended.code == 1
    told = there.inside("status", "runs/batch", "--json").json
    states = [bill["state"] for bill in service.bills()]
    assert told["jobs"] == len(states) == 20
    assert told["counts"]["done"] == states.count("COMPLETED") == told["files"]
    assert told["counts"]["failed"] == states.count("FAILED") > 0
    assert told["spent_usd"] == pytest.approx(service.charged_usd())
    assert told["reserved_usd"] == 0
    assert sum(told["attempts"].values()) == 20

    problems = there.inside("status", "runs/batch", "--failed", "--json").json["problems"]
    assert len(problems) == states.count("FAILED")
    assert all(problem["reason"] for problem in problems)
    people = there.inside("status", "batch.yaml", "--failed").out
    assert all(f"failed   {problem['id']}: " in people for problem in problems)
    assert "reasons: batchgen status runs/batch --failed" in ended.out


@pytest.mark.long
def test_a_queued_run_agrees_with_the_ledger_too(place, simulate):
    """v2: submit, poll, fetch, over real HTTP."""
    service = simulate(latency_s=0.5)
    there = place.at(service)
    manifest = there.manifest(10, defaults={"model": "flux-kontext-dev"})
    assert there.inside("run", manifest).code == 0
    requests = service.ledger()["requests"]
    assert requests["submit"] == {"200": 10}
    assert requests["result"] == {"200": 10}
    told = there.inside("status", "runs/batch", "--json").json
    assert told["spent_usd"] == pytest.approx(service.charged_usd()) == pytest.approx(0.4)
    assert service.ledger()["leaked_key_count"] == 0


def test_status_reads_while_the_run_works(place, simulate):
    service = simulate(latency_s=3)
    there = place.at(service)
    manifest = there.manifest(4)
    with there.start("run", manifest) as running:
        until(lambda: len(service.bills()) == 4)
        told = there.inside("status", "runs/batch", "--json").json
        assert told["counts"]["submitting"] == 4
        assert told["reserved_usd"] == pytest.approx(0.16)
        assert running.end().code == 0


def test_the_files_of_a_run(place, service):
    there = place.at(service)
    jobs = {f"dish-{i}": {"prompt": f"dishes {i}", "seed": i} for i in range(3)}
    manifest = there.manifest(jobs, name="dishes", output={"filename": "{model}/{id}"})
    assert there.inside("run", manifest).code == 0
    run = there.path / "runs/dishes"
    outputs = run / "outputs"
    rows = [json.loads(line) for line in (outputs / "metadata.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == list(jobs)
    bills = {bill["request_id"]: bill for bill in service.bills("dishes ")}
    for i, row in enumerate(rows):
        assert row["file_name"] == f"flux-kontext-dev/dish-{i}.png"
        assert (outputs / row["file_name"]).stat().st_size == row["bytes"]
        assert bills[row["request_id"]]["cost_usd"] == row["cost"]
        assert (row["prompt"], row["seed"]) == (f"dishes {i}", i)
        assert (row["width"], row["height"]) == (4, 4)
        assert row["input_image"] == IMAGE["input_image"]
    card = (outputs / "README.md").read_text()
    assert card.startswith("---\nconfigs:\n")
    assert "metadata.jsonl" in card
    assert 'load_dataset("runs/dishes/outputs")' in card
    assert {path.name for path in outputs.iterdir()} == {
        "flux-kontext-dev", "metadata.jsonl", "README.md"
    }  # fmt: skip
    assert {path.name for path in run.iterdir()} == {"outputs", "state.db", "run.log", "run.lock"}


def test_the_log_is_json_lines_and_private_files_are_private(place, service):
    there = place.at(service)
    assert there.inside("run", there.manifest(2, name="private")).code == 0
    run = there.path / "runs/private"
    lines = [json.loads(line) for line in (run / "run.log").read_text().splitlines()]
    assert [line["event"] for line in (lines[0], lines[-1])] == ["run_started", "run_ended"]
    assert all({"at", "event"} <= line.keys() for line in lines)
    assert sum(line["event"] == "job_saved" for line in lines) == 2
    for name in ("run.log", "state.db"):
        assert stat.S_IMODE((run / name).stat().st_mode) == 0o600


def test_overrides_of_the_budget(place, simulate):
    service = simulate(latency_s=0.4)
    there = place.at(service)
    ended = there.inside("run", there.manifest(6), "--concurrency", "2", "--limit", "4")
    assert ended.code == 1
    assert "2 pending, 4 done" in ended.out
    ledger = service.ledger()
    assert ledger["peak_in_flight"] == 2
    assert len(ledger["bills"]) == 4
    assert there.inside("run", there.manifest(6)).code == 0
    assert len(service.bills()) == 6


def test_requests_per_minute_hold(place, simulate):
    service = simulate()
    there = place.at(service)
    manifest = there.manifest(5)
    for _ in range(2):  # the window is remembered: a restart does not begin a new one
        # Submits are held to it, whatever else turns out to count.
        with there.start("run", manifest, "--rpm", "4") as running:
            until(lambda: len(service.bills()) >= 4)
            assert running.killed_after(1.5)
        assert len(service.bills()) == 4


def test_another_run_directory(place, service):
    there = place.at(service)
    manifest = there.manifest(1, name="elsewhere")
    assert there.inside("run", manifest, "--run-dir", "deep/down").code == 0
    assert not (there.path / "runs").exists()
    assert there.inside("status", "deep/down", "--json").json["counts"]["done"] == 1


def test_the_journal_lets_the_simulator_remember(place, tmp_path):
    journal = tmp_path / "journal.jsonl"
    manifest = place.manifest(2)
    first = Simulator(tmp_path, journal=journal)
    assert place.at(first).inside("run", manifest).code == 0
    bills = first.bills()
    assert first.stop() == 0
    second = Simulator(tmp_path, journal=journal)
    assert second.bills() == bills
    assert len(bills) == 2
    assert second.stop() == 0


def test_the_key_of_a_rehearsal_is_none(place):
    manifest = place.manifest(1)
    env = {"SEGMIND_API_KEY": KEY, "SEGMIND_BASE_URL": "http://127.0.0.1:9"}
    place.env.update(env)
    ended = place.inside("run", manifest, "--simulate", "--speed", "10000")
    assert ended.code == 0, ended.text
    journal = (place.path / "runs/batch/simulator.jsonl").read_text()
    assert len(journal.splitlines()) == 1
