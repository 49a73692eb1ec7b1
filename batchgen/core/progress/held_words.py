"""Jobs on hold in words: why their model takes none, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from batchgen.core.catalog.model import nearest
from batchgen.core.jobs.job import JobState
from batchgen.core.jobs.outcomes import Signal
from batchgen.core.scheduling.gates.holds import HeldJobs

HELD = "held"
"""What counts call them, beside the states of jobs."""

_WHAT: Mapping[Signal, str] = {
    Signal.NOT_FOUND: "no such model",
    Signal.RETIRED: "this model is retired",
    Signal.FORBIDDEN: "this account may not call this model",
}
_REMEDIES: Mapping[Signal, str] = {
    Signal.RETIRED: "choose another model: ",
    Signal.FORBIDDEN: "ask for access or take another plan, and run again; or choose another "
    "model: ",
}


@dataclass(frozen=True, slots=True)
class HeldModel:
    """A model whose jobs are on hold: how many, why, what to do, and since when, in
    epoch seconds."""

    model: str
    jobs: int
    reason: str
    remedy: str
    since_at: float

    @property
    def text(self) -> str:
        """All of it in one line."""
        whose = "Its job is" if self.jobs == 1 else f"Its {self.jobs:,} jobs are"
        return f"{self.model}: {self.reason}. {whose} on hold; {self.remedy}"


def what_is_wrong(signal: Signal, reason: str) -> str:
    """Why a model takes no jobs; `reason` is what the service said."""
    return f"{_WHAT.get(signal, 'it takes no jobs')} ({reason})"


def in_words(
    held: Iterable[HeldJobs], slugs: Iterable[str], manifest: str = "the manifest"
) -> tuple[HeldModel, ...]:
    """The models whose jobs are on hold; `slugs` are those of the catalogue."""
    known = tuple(slugs)
    return tuple(
        HeldModel(
            one.model,
            one.count,
            what_is_wrong(one.hold.signal, one.hold.reason),
            _remedy(one, known, manifest),
            one.hold.since_at,
        )
        for one in held
    )


def _remedy(held: HeldJobs, slugs: Sequence[str], manifest: str) -> str:
    edit = f"`model:` in {manifest} and run again"
    if held.hold.signal in _REMEDIES:
        return f"{_REMEDIES[held.hold.signal]}change {edit}"
    meant = nearest(held.model, (slug for slug in slugs if slug != held.model))
    return f"did you mean {meant}? Fix {edit}" if meant else f"fix {edit}"


def with_held(counts: Mapping[str, int], held_count: int) -> dict[str, int]:
    """Jobs by state, those on hold apart from the pending ones, behind them."""
    told: dict[str, int] = {}
    for state, count in counts.items():
        if state == JobState.PENDING:
            told |= {str(state): count - held_count, HELD: held_count}
        else:
            told[str(state)] = count
    return told


def documents(held: Iterable[HeldModel]) -> list[dict[str, Any]]:
    """The same for programs, and for `HeldModel(**document)`."""
    return [asdict(one) for one in held]
