"""What `status` tells of a state file that a run has left."""

import json
import re
import time

import pytest

from batchgen.cli.main import run_cli
from batchgen.core.jobs.spec import JobSpec, Mode
from batchgen.store.sqlite.importer import import_jobs
from batchgen.store.sqlite.state import SqliteState

SOON_S, PAST_S = 3600.0, -1.0


@pytest.fixture
def status(tmp_path, monkeypatch, capsys):
    """Writes notes into a real state file, and tells what `status` prints."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs/told"
    run.mkdir(parents=True)
    with SqliteState(run / "state.db") as state:
        import_jobs(state.ledger, [JobSpec("a", "flux-pro", "{}", "a", Mode.QUEUED, 0.1)])

    def told(notes, *options):
        with SqliteState(run / "state.db") as state:
            state.ledger.record((), {name: json.dumps(note) for name, note in notes.items()})
        assert run_cli(["status", "runs/told", *options]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return json.loads(out) if "--json" in options else out

    return told


LEARNED = {"flux-pro": [20.0, 10.0, 30.0], "flux-kontext-max": [n / 2 for n in range(41)]}


def test_latencies_that_were_learned(status):
    told = status({"latencies": LEARNED}, "--json")
    assert told["learned"] == {
        "flux-kontext-max": {"count": 41, "median_s": 10.0, "p10_s": 2.0, "p90_s": 18.0},
        "flux-pro": {
            "count": 3,
            "median_s": 20.0,
            "p10_s": pytest.approx(12.0),
            "p90_s": pytest.approx(28.0),
        },
    }
    people = status({}).splitlines()
    assert [line.split() for line in people[-3:]] == [
        ["latencies", "results", "median", "10", "%", "90", "%"],
        ["flux-kontext-max", "41", "10.0", "s", "2.0", "s", "18.0", "s"],
        ["flux-pro", "3", "20.0", "s", "12.0", "s", "28.0", "s"],
    ]


def test_a_limit_that_the_service_has_set(status):
    until = time.time() + SOON_S
    told = status({"limited": {"until": until, "requests_per_minute": 14}}, "--json")
    assert told["limited"] == {"until": until, "requests_per_minute": 14}
    clock = time.strftime("%H:%M:%S", time.localtime(until))
    assert f"  limited until {clock} (14 requests/min)\n" in status({})


def test_a_limit_of_unknown_height(status):
    shown = status({"limited": {"until": time.time() + SOON_S, "requests_per_minute": None}})
    assert re.search(r"^  limited until \d\d:\d\d:\d\d$", shown, re.MULTILINE)


@pytest.mark.parametrize(
    "notes", [{}, {"limited": {"until": time.time() + PAST_S, "requests_per_minute": 14}}]
)
def test_nothing_is_told_of_nothing(status, notes):
    told = status(notes, "--json")
    assert (told["limited"], told["learned"]) == (None, {})
    shown = status({})
    assert "limited" not in shown
    assert "latencies" not in shown
