"""What people are told of gates: closed, open again, and while they wait."""

from __future__ import annotations

import pytest

from batchgen.core.progress.advice import STATUS_PAGE
from batchgen.core.progress.gate_words import GATE_WORDS, closed_line, opened_line, short_words
from batchgen.core.scheduling.gates.gates import GateKind as K

AWAY = f"the service does not answer; waiting for it, {STATUS_PAGE} may tell more"


@pytest.mark.parametrize(
    ("kind", "reason", "told"),
    [
        (K.OUTAGE, "HTTP 503", f"{AWAY} (HTTP 503)"),
        (K.OUTAGE, "", AWAY),
        (
            K.FILES,
            "files of cdn.example cannot be fetched: HTTP 403",
            (
                "files of cdn.example cannot be fetched: HTTP 403; trying again; jobs whose files "
                "would stand there are not submitted meanwhile"
            ),
        ),
        (K.HISTORY, "HTTP 503", ""),
        ("of another version", "why", ""),
    ],
)
def test_a_gate_that_closes(kind, reason, told):
    assert closed_line(str(kind), reason) == told


@pytest.mark.parametrize("kind", K)
def test_a_gate_that_opens_is_told_as_what_works_again(kind):
    told = opened_line(str(kind))
    assert bool(told) == (kind in GATE_WORDS)
    assert f"({kind})" not in told
    if told and GATE_WORDS[kind].message:
        assert told.startswith("going on: ")


def test_status_says_what_a_run_waits_for():
    assert short_words(["outage", "history", "files"]) == ["no answer", "files cannot be fetched"]
