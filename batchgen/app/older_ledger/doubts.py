"""Why a state may not know everything that was done with it, and what that means for a run."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

from batchgen.app.older_ledger.evidence import NewerFacts, newer_facts, older
from batchgen.store.base import Importer
from batchgen.store.sqlite.older import RECORDED_NOTE
from batchgen.system.clock import SystemClock
from batchgen.system.run_directory import RunDirectory
from batchgen.system.whereabouts import WHEREABOUTS_NOTE, Standing, Whereabouts

BEGUN_NOTE = "adoption_begun"
"""The note that an adoption was begun and has not ended; empty where there is none. What it records
meanwhile would hide the rest of what it looks for from the next process."""


@dataclass(frozen=True, slots=True)
class LedgerDoubts:
    """Why a state may not know everything: what it is to the file of the last run, what was found
    beside it (only where `adopt` was given), and its last record.

    `begun` says that an adoption was begun, `had_newer` that newer facts were found, now or then.
    `others_until` is when somebody else can have sent something at the latest; inf: until now.
    """

    standing: Standing = Standing.SAME
    newer: NewerFacts = field(default_factory=NewerFacts)
    adopt: bool = False
    recorded_at: float | None = None
    begun: bool = False
    had_newer: bool = False
    others_until: float = math.inf

    def __bool__(self) -> bool:
        """Whether anything is in doubt."""
        return self.adopt or self.begun or self.standing is not Standing.SAME

    def notes(self) -> dict[str, str]:
        """What the next process has to know if this one does not bring it to an end."""
        begun = {"recorded_at": self.recorded_at, "newer": self.had_newer}
        return {BEGUN_NOTE: json.dumps(begun)}


def touched_at(directory: RunDirectory) -> float:
    """When a run worked on a directory at the latest, or a state was put there; 0 if never.

    By times of files that copying does not keep. To be asked before the state is opened.
    """
    state = directory.state
    paths = (state, state.with_name(f"{state.name}-wal"), directory.log)
    found = [path.stat() for path in paths if path.exists()]
    return max((max(file.st_ctime, file.st_mtime) for file in found), default=0.0)


def doubts_about(
    directory: RunDirectory, importer: Importer, clock: SystemClock, touched: float, *, adopt: bool
) -> LedgerDoubts:
    """What the state may not know. Raises `StateError` for one that is older, and not adopted."""
    newer = newer_facts(directory, whole=adopt)
    if newer and not adopt:
        raise older(directory, newer)
    begun: dict[str, Any] = json.loads(importer.note(BEGUN_NOTE) or "{}")
    recorded_at = begun.get("recorded_at") if begun else importer.note(RECORDED_NOTE)
    here, note = Whereabouts.of(directory.state), importer.note(WHEREABOUTS_NOTE)
    return LedgerDoubts(
        here.since(note),
        newer,
        adopt,
        float(recorded_at) if recorded_at else None,
        bool(begun),
        bool(newer) or bool(begun.get("newer")),
        others_until(here, note, clock, touched),
    )


def others_until(here: Whereabouts, note: str | None, clock: SystemClock, touched: float) -> float:
    """Until when somebody else can have sent what a state does not know, as far as that is sure.

    In the directory where it was, nothing is sent without touching files there; and on a machine
    nothing was sent while it was down. Elsewhere, which is where a copy comes from, a run may have
    been at work until now: inf.
    """
    touched_until = clock.now() - clock.since_s(touched)
    if here.is_at_home(note):
        return touched_until
    if here.since(note) is Standing.RESTARTED and here.is_on_host(note):
        return max(clock.booted_at, touched_until)
    return math.inf
