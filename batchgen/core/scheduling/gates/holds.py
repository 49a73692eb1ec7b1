"""Models whose jobs are on hold, as the record notes them.

A hold is no state of a job: the pending jobs of a model that is noted here are on hold.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from batchgen.core.jobs.outcomes import Signal

HELD_NOTE = "held"
"""`{"<model>": {"signal": "404", "reason": "<text>", "since": epoch seconds}, …}`."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a model takes no jobs: what came back, in the service's words, and since when."""

    signal: Signal
    reason: str
    since_at: float


@dataclass(frozen=True, slots=True)
class HeldJobs:
    """So many pending jobs of a model are on hold."""

    model: str
    hold: Hold
    count: int


def dump(holds: Mapping[str, Hold]) -> str:
    """The note of these holds, by model."""
    noted = {
        model: {"signal": hold.signal, "reason": hold.reason, "since": hold.since_at}
        for model, hold in holds.items()
    }
    return json.dumps(noted, sort_keys=True)


def holds_of(note: str | None) -> dict[str, Hold]:
    """The holds of a note, by model; of another version's, what can be read."""
    try:
        noted = json.loads(note or "{}")
    except ValueError:
        return {}
    found = noted.items() if isinstance(noted, dict) else ()
    holds = {model: _hold_of(told) for model, told in found}
    return {model: hold for model, hold in holds.items() if hold is not None}


def _hold_of(told: object) -> Hold | None:
    if not isinstance(told, dict):
        return None
    since, signal = told.get("since"), told.get("signal")
    if isinstance(since, bool) or not isinstance(since, (int, float)) or not math.isfinite(since):
        return None
    known = Signal(signal) if signal in list(Signal) else Signal.REFUSED_UNTOLD
    return Hold(known, str(told.get("reason", "")), float(since))
