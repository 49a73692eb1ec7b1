"""What a run came to, as `run` and `status` tell it, and how it looks from another terminal."""

import json
import os
import re
import signal

import pytest

from batchgen.app.summary import RUN_AGAIN, next_command
from batchgen.cli.show.summary import print_failures
from tests.cli.processes import until


def test_failures_stand_beside_the_command_that_deals_with_them(place, simulate):
    service = simulate(
        failure_probability=0.4, seed=5, failure_messages=["flagged 17", "flagged 4", "blocked"]
    )
    there = place.at(service)
    entries = [
        {"id": f"job-{n}", "model": ("flux-pro", "flux-kontext-max")[n % 2],
         "params": {"prompt": f"number {n}"}}
        for n in range(20)
    ]  # fmt: skip
    document = {
        "version": 1, "name": "mixed", "defaults": {"api": "v1", "price": 0.05},
        "budget": {"requests_per_minute": None}, "jobs": entries,
    }  # fmt: skip
    manifest = there.write("mixed.yaml", json.dumps(document))

    told = there.inside("run", manifest, "--json").json

    counts = told["counts"]
    assert told["exit_code"] == 1
    assert {one["state"] for one in told["failures"]} == {"failed"}
    assert sum(one["count"] for one in told["failures"]) == counts["failed"]
    assert len(told["failures"]) <= 2, "reasons that differ in a number are one"
    assert {one["command"] for one in told["failures"]} == {"batchgen retry runs/mixed --failed"}
    assert sum(one["done"] for one in told["models"].values()) == counts["done"]
    spent = sum(one["spent_usd"] for one in told["models"].values())
    assert spent == pytest.approx(told["spent_usd"]) == pytest.approx(service.charged_usd())
    slowest = [one["seconds"] for one in told["slowest"]]
    assert len(slowest) == 3
    assert slowest == sorted(slowest, reverse=True)

    later = there.inside("status", "runs/mixed", "--json").json
    assert {name: later[name] for name in ("models", "slowest", "failures")} == {
        name: told[name] for name in ("models", "slowest", "failures")
    }
    assert (later["process"], later["eta_s"]) == (None, None)
    shown = there.inside("status", "runs/mixed").out
    assert "by model" in shown
    assert re.search(r"^  failed × \d+: flagged \d+ \(", shown, re.MULTILINE)
    assert "again (failed, not charged): batchgen retry runs/mixed --failed" in shown


def test_files_that_are_left_are_fetched_by_the_next_run_and_not_by_a_retry(tmp_path, capsys):
    """`retry --failed` means lost jobs as well, which are paid for again."""
    states = ("unfetched", "lost", "rejected")
    told = {
        "failures": [
            {"state": s, "reason": s, "count": 1, "example": s, "advice": ""} for s in states
        ]
    }
    (tmp_path / "rejected").mkdir()
    print_failures(told, tmp_path, "batchgen run x.yaml")
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "fetch them (paid for already, free): batchgen run x.yaml",
        f"again (lost, paid, and paid again): batchgen retry {tmp_path} --failed",
        f"what came instead of files: {tmp_path}/rejected",
        f"again (rejected, paid, and paid again): batchgen retry {tmp_path} --rejected",
    ]


def test_a_program_is_told_the_same_commands(tmp_path):
    assert next_command(tmp_path, "unfetched", "batchgen run x.yaml") == "batchgen run x.yaml"
    assert next_command(tmp_path, "lost", RUN_AGAIN) == f"batchgen retry {tmp_path} --failed"


def test_a_run_is_watched_from_outside_until_its_process_is_gone(place, simulate):
    """One run: a plain watcher, one as JSON lines, one that is interrupted, and one whose reader
    goes away; then the run is killed."""
    reading, writing = os.pipe()
    service = simulate(latency_s=600)
    there = place.at(service)
    manifest = there.manifest(3, defaults={"model": "flux-kontext-dev"})
    with there.start("run", manifest) as running:
        until(lambda: len(service.bills()) == 3)
        until(lambda: told(there)["counts"]["submitted"] == 3)
        assert told(there)["process"] == running.pid
        with (
            there.start("status", "runs/batch", "--watch") as plain,
            there.start("status", "runs/batch", "--watch", "--json") as lines,
            there.start("status", "runs/batch", "--watch") as bored,
            there.start("status", "runs/batch", "--watch", "--json", stdout=writing) as unread,
        ):
            os.close(writing)
            assert os.read(reading, 1) == b"{"
            os.close(reading)
            shown = [watcher.process.stdout.readline().decode() for watcher in (plain, bored)]
            assert all(line.startswith("0/3, 0 %, ") for line in shown), shown
            first = json.loads(lines.process.stdout.readline())
            assert (first["process"], first["counts"]["submitted"]) == (running.pid, 3)
            assert {first[name] for name in ("models", "slowest", "texts", "failures")} == {None}
            bored.send(signal.SIGINT)
            ended = bored.end()
            assert (ended.code, ended.err) == (
                130,
                "not watched any more; the run is not touched by it\n",
            )
            assert running.process.poll() is None
            running.send(signal.SIGKILL)
            ended = plain.end()
            assert ended.code == 0
            assert f"process {running.pid} is gone without a word" in ended.err
            assert "0 of 3 jobs done" in ended.out
            ended = unread.end()
            assert (ended.code, ended.err) == (0, "")
            last = json.loads(lines.end().out.splitlines()[-1])
            assert (last["process"], last["left"]) == (None, 3)
    # Its requests run on at the service: reckoned with what is known, though nobody works on it.
    assert told(there)["eta_s"] > 0
    assert "once it runs again" in there.inside("status", "runs/batch").out


def told(there):
    return there.inside("status", "runs/batch", "--json").json


def test_watching_what_nobody_works_on_shows_it_once(place, service):
    there = place.at(service)
    assert there.inside("run", there.manifest(1, name="over")).code == 0
    watched = there.inside("status", "runs/over", "--watch")
    assert watched.code == 0
    assert watched.err == "no process works on this run\n"
    assert watched.out.startswith("runs/over: 1 of 1 jobs done\n")


def test_texts_of_a_model_that_makes_pictures_are_told(place, simulate):
    """What a model makes is not known before its first picture: a text counts as done, and is
    told."""
    service = simulate(extra_models=["new-model"], latency_s=0.1)
    service.fail({"where": "result", "kind": "output_fields", "text": "number 0.",
                  "body": {"output": "I cannot draw that."}})  # fmt: skip
    there = place.at(service)
    entries = [
        {"id": f"job-{n}", "model": "new-model", "params": {"prompt": f"number {n}."}}
        for n in range(3)
    ]
    document = {"version": 1, "name": "new", "jobs": entries}
    manifest = there.write("new.yaml", json.dumps(document))

    ended = there.inside("run", manifest, "--concurrency", "1", "--rpm", "600")

    assert ended.code == 0
    assert "warning: 1 done job(s) of new-model brought a text, such as job-0" in ended.out
    told = there.inside("status", "runs/new", "--json").json
    assert told["texts"] == [{"model": "new-model", "count": 1, "example": "job-0"}]
