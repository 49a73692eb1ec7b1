"""Looking at the state of a run again and again, and telling only what changed since the last time.

Used by one thread, which may wait for the disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from batchgen.ports import OutputFiles
from batchgen.store.sqlite.page import PageQueries
from batchgen.system.run_directory import RunDirectory
from batchgen.web.charts import charts_of
from batchgen.web.excerpts import with_excerpts
from batchgen.web.rows import row_of
from batchgen.web.summary import Titled, summary_of

SHARE = 0.1
"""Of the time at most so much is spent on each of rows, summary and charts: over a million jobs
each of them takes a second."""
CHARTS_S = 3.0
"""Least time between two times that the charts are counted anew."""
STILL_S = 15.0
"""So often the summary is made anew while nothing is written: rates fall, estimates move."""
OVERLAP_S = 10.0
"""Changes are written in groups, so an earlier one may come after a later one."""
_LONG_AGO = float("-inf")


@dataclass(slots=True)
class _Pace:
    """When something is made anew: after `least_s`, and seldom enough to keep to its share."""

    least_s: float = 0.0
    took_s: float = 0.0
    made_at: float = _LONG_AGO
    is_old: bool = True

    def is_due(self, now: float) -> bool:
        """Whether it is old, and it is time to make it anew."""
        return self.is_old and now - self.made_at >= max(self.least_s, self.took_s / SHARE)

    def made(self, now: float, began_at: float) -> None:
        """It is as new as can be; `began_at` as `perf_counter` counts."""
        self.took_s, self.made_at, self.is_old = perf_counter() - began_at, now, False


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new: rows of jobs, and the summary and the charts where they are not as they were."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] | None = None
    charts: dict[str, Any] | None = None

    @property
    def is_anything(self) -> bool:
        """Whether anything is new."""
        return bool(self.rows) or self.summary is not None or self.charts is not None


class ChangePoller:
    """Looks at one run. Rows are those of at most `most` jobs, the newest."""

    def __init__(self, directory: RunDirectory, run: Titled, files: OutputFiles, most: int) -> None:
        self._gallery = PageQueries(directory.state, is_known=True)
        self._run, self._files, self._most = run, files, most
        self._rows: dict[int, dict[str, Any]] = {}
        self._summary: dict[str, Any] = {}
        self._changed_at = self._looked_at = 0.0
        self._last_key = -1
        self._version = -1
        self._summary_pace, self._charts_pace = _Pace(), _Pace(CHARTS_S)
        self.took_s = 0.0
        """What looking for new rows took last."""

    def close(self) -> None:
        """Let go of the file."""
        self._gallery.close()

    def look(self, now: float, *, at_last: bool = False) -> Changes:
        """What is new. `at_last`: nothing is put off for later. Raises `StateError`."""
        version = self._gallery.version()
        is_written = version != self._version
        summary, charts = self._summary_pace, self._charts_pace
        charts.is_old |= is_written
        summary.is_old |= is_written or now - summary.made_at >= STILL_S
        try:
            with self._gallery.snapshot():
                found = Changes(
                    self._new_rows(now) if is_written else [],
                    self._new_summary(now) if at_last or summary.is_due(now) else None,
                    self._new_charts(now) if at_last or charts.is_due(now) else None,
                )
        except BaseException:
            # What was found and could not be told is found again, with all else.
            self._rows, self._summary, self._last_key = {}, {}, -1
            raise
        self._version = version
        return found

    def _new_rows(self, now: float) -> list[dict[str, Any]]:
        """The rows of jobs that are not as they were; `self._rows` holds them as they are."""
        gallery, first, began_at = self._gallery, self._last_key < 0, perf_counter()
        # The wall clock may have been set back since the last change that was seen.
        since_at = min(self._changed_at, self._looked_at) - OVERLAP_S
        jobs = (
            gallery.newest(self._most)
            if first
            else gallery.changed(since_at, self._last_key, self._most)
        )
        new = []
        for job in jobs:
            self._changed_at = max(self._changed_at, job.changed_at)
            row = row_of(job)
            if self._rows.get(job.key) != row:
                self._rows[job.key] = row
                new.append(with_excerpts(dict(row, files=_copied(row)), self._files))
        self._last_key, self._looked_at = gallery.last_key(), now
        self._forget()
        self.took_s = 0.0 if first else perf_counter() - began_at
        return new

    def _forget(self) -> None:
        """Keep the newest rows only, once there are many too many."""
        if len(self._rows) > self._most * 2:
            newest = sorted(self._rows.values(), key=lambda row: -row.get("changed_at", 0.0))
            self._rows = {row["key"]: row for row in newest[: self._most]}

    def _new_summary(self, now: float) -> dict[str, Any] | None:
        began_at = perf_counter()
        summary = summary_of(self._gallery, self._run, now)
        self._summary_pace.made(now, began_at)
        before, self._summary = self._summary, summary
        return None if summary == before | {"at": summary["at"]} else summary

    def _new_charts(self, now: float) -> dict[str, Any]:
        began_at = perf_counter()
        charts = charts_of(self._gallery)
        self._charts_pace.made(now, began_at)
        return charts


def _copied(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The files of a row, to be added to."""
    return [dict(file) for file in row.get("files", ())]
