"""The health of a run's state file, read only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from batchgen.app.doctor.findings import Diagnosis, Level
from batchgen.app.older_ledger.evidence import refuse_older
from batchgen.app.summary import held_models
from batchgen.core.common.formatting import size_text
from batchgen.core.jobs.job import JobState
from batchgen.core.progress.held_words import HELD, with_held
from batchgen.errors import StateError
from batchgen.providers.registry import SERVICE_NOTE, service_of
from batchgen.store.sqlite.status import StatusQueries
from batchgen.system.run_directory import RunDirectory
from batchgen.system.run_holder import LOCK_NAME, holder_of


@dataclass(frozen=True, slots=True)
class Checked:
    """What was seen of a state file; `pending_usd` is what its jobs that wait are reckoned at."""

    lines: tuple[Diagnosis, ...]
    pending_usd: float = 0.0


def check(run: RunDirectory, now: float) -> Checked:
    """Everything about the record of a run; `now` in epoch seconds."""
    try:
        with closing(StatusQueries(run.state)) as reader:
            if faults := reader.faults():
                what = f"{run.state} is damaged: {'; '.join(faults)}"
                return Checked((Diagnosis("state", Level.FAIL, what, _RECOVER),))
            size = size_text(run.state.stat().st_size)
            whole = Diagnosis("state", Level.OK, f"{run.state} is whole ({size})")
            lines = (whole, *_age(run), *_of_jobs(run, reader, now))
            return Checked(lines, reader.pending_usd())
    except StateError as error:
        return Checked((Diagnosis("state", Level.FAIL, str(error), _RECOVER),))


_RECOVER = "keep a copy of the whole run directory before anything else; see docs/reliability.md"


def process(run: RunDirectory) -> Iterator[Diagnosis]:
    """Who works on a run, and how the last one ended, if there is anything to say.

    To be asked before the state is opened: whoever reads it lays a write-ahead log where there is
    none.
    """
    holder = holder_of(run.path)
    if holder is not None:
        yield Diagnosis("process", Level.OK, f"process {holder} works on it")
        return
    try:
        words = (run.path / LOCK_NAME).read_text("ascii", "replace").split()
    except OSError:
        return
    if "recording" not in words:
        return
    log = run.state.with_name(f"{run.state.name}-wal")
    if not log.exists() or not log.stat().st_size:
        what = "the last run died, and its write-ahead log is gone: request_ids may be missing"
        remedy = f"put {run.state.name}-wal back beside {run.state.name} before the next run"
        yield Diagnosis("process", Level.FAIL, what, remedy)
        return
    what = "the last run died; its write-ahead log is there"
    yield Diagnosis("process", Level.WARN, what, "start it again: nothing is paid for twice")


def _age(run: RunDirectory) -> Iterator[Diagnosis]:
    """Whether the record is older than what was done with it."""
    try:
        refuse_older(run)
    except StateError as error:
        what, _, remedy = str(error).partition("\n")
        yield Diagnosis("ledger", Level.FAIL, what, remedy.strip())


def _of_jobs(run: RunDirectory, reader: StatusQueries, now: float) -> Iterator[Diagnosis]:
    overview = reader.overview(now)
    counts = with_held(overview.counts, overview.held_count)
    undecided = counts.get(JobState.UNKNOWN, 0)
    told = ", ".join(f"{counts[s]:,} {s}" for s in (*JobState, HELD) if counts.get(s))
    if undecided:
        remedy = f"`batchgen retry {run.path} --unknown` says what may be billed twice"
        yield Diagnosis("jobs", Level.WARN, f"{told}: {undecided:,} need a decision", remedy)
    else:
        yield Diagnosis("jobs", Level.OK, told or "none")
    for one in held_models(overview.held, overview.notes):
        what = f"{one.model}: {one.reason}; {one.jobs:,} on hold"
        yield Diagnosis("model", Level.WARN, what, one.remedy)
    capabilities = service_of(overview.notes.get(SERVICE_NOTE)).capabilities
    deadline = capabilities.deadline_at(overview.oldest_unfetched_at)
    if deadline is None or holder_of(run.path) is not None:
        return
    at = datetime.fromtimestamp(deadline).astimezone().strftime("%H:%M:%S")
    what, remedy = f"paid results wait at the service until {at}", "start the run again before that"
    if deadline <= now:
        what = f"paid results have waited at the service since before {at}; their hour is over"
        remedy = "start the run again: what the history still names is recovered"
    yield Diagnosis("results", Level.WARN, what, remedy)
