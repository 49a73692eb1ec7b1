"""What a state file tells of the jobs of a manifest, and of the prices and sizes to expect.

Read-only: `batchgen plan` looks at a run without touching it, also while it works.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from batchgen.core.forecast.diff import JobDiff, Known, standing
from batchgen.core.forecast.forecast import Experience
from batchgen.core.forecast.upload_volume import UploadVolume
from batchgen.core.jobs.job import JobState, Totals
from batchgen.core.jobs.spec import JobSpec
from batchgen.core.scheduling.learned import prices_of
from batchgen.store.sqlite.importer import fingerprint_of
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.queries import JobQueries
from batchgen.store.sqlite.states import is_done, is_uncharged

_SOME = 1_000
"""Jobs that are looked up together, and held in memory."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """A run as far as a forecast needs it: its jobs counted, its money, its notes, and what its
    finished jobs tell of each model."""

    job_count: int
    totals: Totals
    notes: dict[str, str]
    experience: dict[str, Experience]


class PlanQueries(JobQueries):
    """What a forecast asks."""

    def prospect(self) -> Prospect:
        """Everything but the standing of single jobs."""
        notes = self.notes()
        with self._guarded():
            return Prospect(
                job_count=self._one("SELECT count(*) FROM jobs"),
                totals=Ledger(self._connection).totals(),
                notes=notes,
                experience=self._experience(prices_of(notes)),
            )

    def uploaded(self) -> UploadVolume:
        """The contents that need not be uploaded any more."""
        there = UploadVolume()
        # States of earlier versions have no such table.
        if self._one("SELECT count(*) FROM sqlite_master WHERE name = 'uploads'"):
            rows = self._rows(
                "SELECT sha256, size FROM uploads WHERE url IS NOT NULL AND url <> ''"
            )
            for sha256, size in rows:
                there.add(sha256, size)
        return there

    def standings(self, specs: Iterable[JobSpec]) -> Iterator[tuple[JobSpec, JobDiff]]:
        """Every job of a manifest with its standing, in their order.

        No transaction stays open between two handfuls: a run that works beside this must be able to
        clear its log.
        """
        coming = iter(specs)
        while some := list(islice(coming, _SOME)):
            known = self._known([spec.id for spec in some])
            for spec in some:
                yield spec, standing(known.get(spec.id), fingerprint_of(spec))

    def _known(self, ids: Sequence[str]) -> dict[str, Known]:
        rows = self._rows(
            f"SELECT id, state, CASE WHEN {is_uncharged('jobs')} THEN 0 ELSE billable END, "
            "fingerprint FROM jobs WHERE id IN (SELECT value FROM json_each(?))",
            json.dumps(ids),
        )
        return {row[0]: Known(JobState(row[1]), row[2], row[3]) for row in rows}

    def _experience(self, prices: dict[str, float]) -> dict[str, Experience]:
        sizes = self._rows(
            "SELECT j.model, sum(o.size) FROM outputs o JOIN jobs j ON j.key = o.job_key "
            f"WHERE o.name IS NOT NULL AND {is_done('j.state')} GROUP BY j.model"
        )
        size_of = {str(model): int(size) for model, size in sizes}
        rows = self._rows(
            "SELECT model, count(*), min(cost_usd), max(cost_usd) FROM jobs "
            f"WHERE {is_done()} GROUP BY model"
        )
        found = {}
        for model, count, low_usd, high_usd in rows:
            # The note remembers costs of jobs that were generated anew since.
            seen = [usd for usd in (low_usd, high_usd, prices.get(model)) if usd is not None]
            size = size_of.get(model, 0) / count
            found[str(model)] = Experience(
                count, min(seen, default=None), max(seen, default=None), size or None
            )
        for model, usd in prices.items():
            found.setdefault(model, Experience(0, usd, usd))
        return found
