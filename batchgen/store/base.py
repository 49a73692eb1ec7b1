"""What a store is asked before and between runs: roles, and the values they exchange.

The role that the runner needs is `batchgen.ports.JobStore`. What is read of a run beside it is
asked of the classes of queries (`batchgen.store.sqlite.queries` and what builds upon it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from batchgen.core.jobs.spec import InputFile, JobSpec


class OnChange(StrEnum):
    """What to do about jobs that changed in the manifest after they were submitted."""

    STOP = "stop"
    """Nothing is written; the user is asked."""
    KEEP = "keep"
    """They stay as they were paid for; the change is taken note of and not asked about again."""
    RERUN = "rerun"
    """They are generated, and paid for, anew."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: counts of jobs, and what could not follow the manifest.

    `paid` names (some of) the changed jobs that may already have been paid for, `busy` those of
    them that are still under way; when either is not empty, nothing was written. `replaced` are
    the files of jobs that are to be generated anew.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    dropped: int = 0
    paid: tuple[str, ...] = ()
    paid_count: int = 0
    busy: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()

    @property
    def job_count(self) -> int:
        """Jobs of the manifest."""
        return self.new + self.changed + self.unchanged


class Importer(Protocol):
    """Brings a state in line with a manifest, before a run. Raises `DiskError`."""

    def has_jobs(self) -> bool:
        """Whether anything was ever imported."""
        ...

    def has_files(self) -> bool:
        """Whether any output was ever brought home."""
        ...

    def import_jobs(
        self,
        specs: Iterable[JobSpec],
        on_change: OnChange = OnChange.STOP,
        now: float = 0.0,
        notes: Callable[[int], Mapping[str, str]] | None = None,
    ) -> Imported:
        """Bring the state in line with the manifest, in one transaction, however many jobs it has.

        New jobs are added behind the others, untouched ones kept, changed ones updated while they
        were never submitted, or failed, and otherwise as `on_change` says; jobs that left the
        manifest stay in the record but are not run. `notes` are made from the count of jobs and
        written with them.
        """
        ...

    def known_inputs(self) -> Iterator[tuple[InputFile, bool]]:
        """Every input file that was seen, and whether its content stands at the service."""
        ...

    def unpriced_models(self) -> list[str]:
        """Some models of pending jobs without a price."""
        ...

    def note(self, name: str) -> str | None:
        """A note, or None."""
        ...

    def write_notes(self, notes: Mapping[str, str]) -> None:
        """Write notes, durably."""
        ...
