"""What is public: light to import, whole, and typed."""

import subprocess
import sys
from pathlib import Path

import pytest

import batchgen
from batchgen.api.results_stream import ResultsStream
from batchgen.core.jobs.events import Change, EventKind
from batchgen.core.jobs.job import JobState
from tests.cli.processes import environment
from tests.core.builders import event, job
from tests.docs.readers import ROOT

SAMPLE = Path(__file__).with_name("sample.py")


def test_importing_it_loads_nothing_of_it():
    program = (
        "import sys\nbefore = set(sys.modules)\nimport batchgen\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert ended.returncode == 0, ended.stderr
    loaded = set(ended.stdout.split()) - {"__future__"}
    assert loaded == {"batchgen"}


def test_every_public_name_is_there_and_no_other():
    assert dir(batchgen) == sorted(batchgen.__all__)
    for name in batchgen.__all__:
        assert getattr(batchgen, name) is not None
    assert batchgen.ManifestError.__mro__[1] is batchgen.UserError
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = batchgen.nothing


def test_a_script_of_a_user_is_typed():
    """What is wrong in it is marked so, and a mark that nothing is wrong with is an error, too."""
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(SAMPLE)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert SAMPLE.read_text().count("type: ignore[") == 5


def ended(*keys):
    before, saved = job(JobState.FETCHING), event(EventKind.SAVED)
    return [Change(before, job(JobState.DONE, key), saved) for key in keys]


async def test_a_landing_keeps_the_order_and_what_was_not_taken():
    landing = ResultsStream()
    landing.changed(ended(*range(1, 4_201)))
    landing.changed([Change(job(), job(JobState.SUBMITTING), event(EventKind.INTENDED))])
    await landing.news()
    taken = []
    while keys := landing.first(300):
        assert landing.first(300) == keys
        taken += keys[:299]
        landing.drop(len(keys[:299]))
    assert taken == list(range(1, 4_201))
