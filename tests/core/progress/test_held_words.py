"""What people are told of jobs on hold: why, and what to type next."""

from __future__ import annotations

import pytest

from batchgen.core.jobs.outcomes import Signal
from batchgen.core.progress.held_words import HeldModel, documents, in_words, with_held
from batchgen.core.scheduling.gates.holds import HeldJobs, Hold

SLUGS = ("flux-kontext-pro", "flux-kontext-dev", "veo-3")


def told(model, signal, reason, count=10):
    (one,) = in_words([HeldJobs(model, Hold(signal, reason, 7.0), count)], SLUGS, "night.yaml")
    return one


@pytest.mark.parametrize(
    ("model", "signal", "reason", "count", "text"),
    [
        (
            "flux-kontex-pro", Signal.NOT_FOUND, "HTTP 404: Model information not found", 10,
            ("flux-kontex-pro: no such model (HTTP 404: Model information not found). Its 10 jobs "
            "are on hold; did you mean flux-kontext-pro? Fix `model:` in night.yaml and run again"),
        ),
        (
            "zzz", Signal.NOT_FOUND, "HTTP 404", 1,
            ("zzz: no such model (HTTP 404). Its job is on hold; fix `model:` in night.yaml and "
            "run again"),
        ),
        (
            "veo-3", Signal.RETIRED, "HTTP 410: gone", 1200,
            ("veo-3: this model is retired (HTTP 410: gone). Its 1,200 jobs are on hold; choose "
            "another model: change `model:` in night.yaml and run again"),
        ),
        (
            "veo-3", Signal.FORBIDDEN, "HTTP 403: no", 2,
            ("veo-3: this account may not call this model (HTTP 403: no). Its 2 jobs are on hold; "
            "ask for access or take another plan, and run again; or choose another model: change "
            "`model:` in night.yaml and run again"),
        ),
    ],
)  # fmt: skip
def test_a_hold_says_why_and_what_to_do(model, signal, reason, count, text):
    assert told(model, signal, reason, count).text == text


def test_a_known_model_is_not_meant_by_itself():
    """The service may know less than the catalogue."""
    assert "did you mean veo-3?" not in told("veo-3", Signal.NOT_FOUND, "HTTP 404").text


def test_programs_are_told_the_same():
    one = told("zzz", Signal.NOT_FOUND, "HTTP 404", 3)
    (document,) = documents([one])
    assert document.keys() == {"model", "jobs", "reason", "remedy", "since_at"}
    assert (document["model"], document["jobs"], document["since_at"]) == ("zzz", 3, 7.0)
    assert HeldModel(**document) == one


def test_jobs_on_hold_are_counted_apart_from_those_that_wait():
    assert with_held({"pending": 12, "done": 4}, 10) == {"pending": 2, "held": 10, "done": 4}
    assert with_held({"done": 4}, 0) == {"done": 4}
