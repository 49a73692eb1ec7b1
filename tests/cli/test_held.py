"""Jobs whose model takes none: on hold, told everywhere, submitted once the manifest is right."""

import json
import signal
import sqlite3
from contextlib import closing

import pytest

from tests.cli.processes import IMAGE, until

GOOD, WRONG = "flux-kontext-dev", "flux-kontex-dev"
SAID = f"{WRONG}: no such model (HTTP 404: Model information not found)"
TODO = f"did you mean {GOOD}? Fix `model:` in night.yaml and run again"


def night(there, wrong=WRONG, good_count=1):
    """Three jobs of one model, and some of a good one."""
    models = {f"t-{n}": wrong for n in range(3)} | {f"g-{n}": GOOD for n in range(good_count)}
    jobs = [
        {"id": id_, "model": model, "params": {**IMAGE, "prompt": f"cup {id_}"}}
        for id_, model in models.items()
    ]
    budget = {"requests_per_minute": None, "concurrency": 1 if good_count > 1 else 8}
    document = {"version": 1, "name": "night", "budget": budget, "jobs": jobs}
    return there.write("night.yaml", json.dumps(document))


def status(there):
    return there.inside("status", "night.yaml", "--json").json


def test_a_slip_in_a_model_is_told_to_the_end_and_mended_by_an_edit(place, simulate):
    service = simulate(latency_s=0.1)
    there = place.at(service)
    ended = there.call("run", night(there), "--patience", "1")
    assert ended.code == 1
    assert ended.out.startswith("3 held, 1 done; $0.04 spent")
    assert f"{SAID}. Its 3 jobs are on hold; {TODO}\n" in ended.out
    assert f"{SAID}. Its jobs are on hold\n" in ended.err
    assert "\x1b" not in ended.text
    log = (there.path / "runs/night/run.log").read_text().splitlines()
    told = json.loads(log[-2])
    assert (told["event"], told["model"], told["jobs"]) == ("jobs_held", WRONG, 3)
    assert told["text"] == f"{SAID}. Its 3 jobs are on hold; {TODO}"

    shown = there.inside("status", "night.yaml", "--failed").out
    assert f"{SAID}. Its 3 jobs are on hold; {TODO}\n" in shown
    assert "once it runs again" not in shown
    report = status(there)
    assert (report["counts"]["held"], report["counts"]["pending"], report["left"]) == (3, 0, 0)
    assert report["eta_s"] is None
    assert f"{SAID}; 3 on hold" in there.inside("doctor", "runs/night").out
    assert f"{SAID}. Its 3 jobs are on hold; {TODO}" in there.inside("plan", "night.yaml").err

    ended = there.inside("run", night(there, wrong=GOOD), "--json")
    assert ended.code == 0
    assert (ended.json["counts"], ended.json["held"]) == ({"done": 4}, [])
    assert status(there)["held"] == []
    with closing(sqlite3.connect(there.path / "runs/night/state.db")) as state:
        noted = state.execute("SELECT value FROM notes WHERE name = 'held'").fetchall()
    assert noted == [("{}",)], "nothing comes back with the model's next job"
    assert len(service.bills()) == 4


def test_the_next_run_tries_one_and_needs_no_pause(place, simulate):
    service = simulate(latency_s=0.1)
    there = place.at(service)
    assert there.inside("run", night(there), "--patience", "1").code == 1
    (before,) = status(there)["held"]
    ended = there.inside("run", night(there), "--json")  # with the patience of a night
    assert ended.code == 1
    assert ended.json["counts"] == {"held": 3, "done": 1}
    (held,) = ended.json["held"]
    assert held == before, "on hold since the first time"
    assert ended.json["elapsed_s"] < 60
    assert len(service.bills()) == 1


def test_a_hold_outlives_a_kill_and_is_seen_from_outside(place, simulate):
    """The others go on meanwhile."""
    service = simulate(latency_s=0.5)
    there = place.at(service)
    manifest = night(there, good_count=60)
    with there.start("run", manifest, "--patience", "1") as running:
        log = there.path / "runs/night/run.log"
        until(lambda: log.exists() and "model_closed" in log.read_text())
        report = status(there)
        assert report["process"] == running.pid
        assert report["counts"]["held"] == 3
        assert report["left"] == report["jobs"] - report["counts"]["done"] - 3
        running.send(signal.SIGKILL)
        running.process.wait(30)
    (held,) = status(there)["held"]
    assert (held["model"], held["jobs"], held["remedy"]) == (WRONG, 3, TODO)
    ended = there.inside("run", night(there, wrong=GOOD, good_count=60), "--concurrency", "40")
    assert ended.code == 0, ended.text
    assert len(service.bills()) == 63


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("forbidden_models", "this account may not call this model (HTTP 403"),
        ("retired_models", "this model is retired (HTTP 410"),
    ],
)
def test_a_model_that_opens_is_forgotten(place, simulate, setting, words):
    closed = simulate(**{setting: [GOOD]})
    manifest = night(place, wrong=GOOD)
    ended = place.at(closed).inside("run", manifest, "--patience", "1")
    assert ended.code == 1
    assert f"{GOOD}: {words}" in ended.out
    assert "Its 4 jobs are on hold; " in ended.out

    ended = place.at(simulate()).inside("run", manifest, "--json")
    assert ended.code == 0
    assert (ended.json["counts"], ended.json["held"]) == ({"done": 4}, [])
