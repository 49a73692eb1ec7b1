"""What a run tells a forecast: the same as what an import would then do, and nothing touched."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from dataclasses import replace

import pytest

from batchgen.core.forecast.diff import TO_SUBMIT, JobDiff
from batchgen.core.forecast.forecast import Experience
from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import Receipt
from batchgen.core.scheduling.learned import PRICES_NOTE
from batchgen.store.base import Imported
from batchgen.store.sqlite.importer import import_jobs
from batchgen.store.sqlite.plan import PlanQueries
from tests.core.builders import output, saved
from tests.store.builders import dump, ledger_at, live, load, spec

SENT = (E.INTENDED, E.ACKED)
HISTORIES = {
    "pending": (),
    "refused": (E.INTENDED, E.NOT_ACCEPTED),
    "submitting": (E.INTENDED,),
    "submitted": SENT,
    "finished": (*SENT, E.FINISHED),
    "again": (*SENT, E.GONE, E.AGAIN),
    "tried again": (*SENT, E.TRIED_AGAIN),
    "failed": (*SENT, E.FAILED),
    "unknown": (E.INTENDED, E.UNCLEAR, E.SET_ASIDE),
    "lost": (*SENT, E.GONE, E.GIVEN_UP),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture
def ledger(path):
    made = ledger_at(path, *HISTORIES)
    with closing(made.connection):
        for name, kinds in HISTORIES.items():
            live(made, load(made, name), *kinds)
        yield made


def standings(path, specs):
    with closing(PlanQueries(path)) as reader:
        return {job.id: standing for job, standing in reader.standings(iter(specs))}


def changed(name):
    return spec(name, body='{"seed":1}')


def test_unchanged_jobs_stand_as_they_are(path, ledger):
    before = dump(ledger, "jobs")
    told = standings(path, [spec("new"), *map(spec, HISTORIES)])

    assert Counter(told.values()) == {
        JobDiff.NEW: 1,
        JobDiff.WAITING: 4,
        JobDiff.UNDER_WAY: 3,
        JobDiff.FAILED: 1,
        JobDiff.UNKNOWN: 1,
        JobDiff.LOST: 1,
    }
    assert list(told) == ["new", *HISTORIES]
    assert dump(ledger, "jobs") == before


@pytest.mark.parametrize("name", HISTORIES)
def test_of_a_changed_job_it_tells_what_the_import_does(path, ledger, name):
    told = standings(path, [changed(name)])[name]

    others = [spec(other) for other in HISTORIES if other != name]
    imported = import_jobs(ledger, [*others, changed(name)])

    assert told is (JobDiff.CONTESTED if imported.paid else JobDiff.CHANGED)
    if told is JobDiff.CHANGED:
        assert imported == Imported(changed=1, unchanged=len(others))
        assert standings(path, [changed(name)])[name] in TO_SUBMIT


@pytest.mark.parametrize("changes", [{"stem": "b/b"}, {"model": "flux-max"}], ids=str)
def test_another_file_name_and_another_model_are_changes_too(path, ledger, changes):
    assert standings(path, [spec("pending", **changes)]) == {"pending": JobDiff.CHANGED}


def test_more_jobs_than_are_looked_up_together(path, ledger):
    specs = [spec(f"new-{number}") for number in range(2_500)]
    specs[1_700] = spec("lost")

    told = standings(path, specs)

    assert Counter(told.values()) == {JobDiff.NEW: 2_499, JobDiff.LOST: 1}
    assert list(told) == [job.id for job in specs]


def finish(ledger, name, cost, size):
    home = (E.FINISHED, E.RESULT)
    receipt = Receipt(cost_usd=cost)
    fetched = live(ledger, load(ledger, name), *home, outputs=(output(),), receipt=receipt)
    live(ledger, fetched, E.SAVED, files=(replace(saved(0, f"{name}.png"), size=size),))


def test_finished_jobs_tell_prices_and_sizes(path, ledger):
    live(ledger, load(ledger, "submitting"), E.ACKED)
    finish(ledger, "submitted", 0.03, 1_000)
    finish(ledger, "submitting", 0.05, 3_000)
    notes = {PRICES_NOTE: json.dumps({"flux-pro": 0.09, "gone": 0.5})}
    ledger.record((), notes)

    with closing(PlanQueries(path)) as reader:
        told = reader.prospect()

    assert told.job_count == len(HISTORIES)
    assert told.totals.settled_usd == pytest.approx(0.08)
    assert told.notes[PRICES_NOTE] == notes[PRICES_NOTE]
    assert told.experience == {
        "flux-pro": Experience(2, 0.03, 0.09, 2_000.0),
        "gone": Experience(0, 0.5, 0.5, None),
    }


def test_a_run_without_results_tells_nothing(path, ledger):
    with closing(PlanQueries(path)) as reader:
        assert reader.prospect().experience == {}
        assert reader.uploaded().without(reader.uploaded()) == (0, 0)
