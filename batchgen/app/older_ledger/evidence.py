"""Whether a state file is older than what was done with it, as far as the run directory tells.

Looked at whenever a run begins, so the work is bounded, however many jobs there are: the last
64 KiB of `run.log`, up to 256 KiB of `metadata.jsonl`, and the first `WAITING` jobs that wait.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from batchgen.core.media.formats import BY_EXTENSION
from batchgen.core.reconciliation.older_ledger import SentBefore
from batchgen.datasets.metadata import METADATA_NAME
from batchgen.datasets.metadata_rows import sampled_rows
from batchgen.errors import ADOPT, RUN_DIR, StateError
from batchgen.observe.log_tail import LoggedJob, logged_jobs
from batchgen.outputs.reading import NOTE as OUTPUTS_NOTE
from batchgen.outputs.reading import read_bound
from batchgen.store.sqlite.older import ADOPTED_NOTE, RECORDED_NOTE, OlderQueries
from batchgen.store.sqlite.schema import is_begun
from batchgen.system.run_directory import RunDirectory
from batchgen.system.run_holder import holder_of

WAITING = 100
"""Jobs whose files are looked for. A newer run has submitted the first ones first."""
_ALL = 2**31
_ROUNDING_S = 1.0
"""Instants in the log are cut to milliseconds."""
_SOME = 500
_EXTENSIONS = (*BY_EXTENSION, "bin")


@dataclass(slots=True)
class NewerFacts:
    """What is there and unknown to the state. Falsy where there is nothing of the kind.

    `logged` and `listed` are POSTs by the id of their job, from `run.log` and `metadata.jsonl`;
    `intended` those that left according to the log, which names no request of theirs. `files` are
    names below the outputs by the id of a job that waits for its first submit.
    `later_s` is by how much the last event in `run.log` is later than the last one recorded.
    """

    logged: dict[str, SentBefore] = field(default_factory=dict)
    listed: dict[str, SentBefore] = field(default_factory=dict)
    intended: dict[str, SentBefore] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    later_s: float = 0.0

    def __bool__(self) -> bool:
        """Whether anything was found."""
        found = self.logged or self.listed or self.intended or self.files
        return bool(found or self.later_s > 0)

    def told(self) -> Iterator[str]:
        """What was found, each with an example."""
        for where, found in (("run.log", self.logged), (METADATA_NAME, self.listed)):
            if found:
                id_, sent = next(iter(found.items()))
                yield (
                    f"{where} names {len(found):,} request(s) that it does not know "
                    f"({id_}: {sent.request_id})"
                )
        if self.intended and not self.logged:
            yield f"run.log tells of {len(self.intended):,} submit(s) that it does not know"
        if self.files:
            id_, name = next(iter(self.files.items()))
            yield f"{len(self.files):,} job(s) that wait have files already ({id_}: {name})"
        if self.later_s > 0 and not self.logged:
            yield f"run.log goes on for {self.later_s:,.0f} s after its last record"

    def of(self, job_id: str) -> SentBefore | None:
        """What tells that a job was sent before."""
        sent = self.logged.get(job_id) or self.listed.get(job_id) or self.intended.get(job_id)
        if sent is None and job_id in self.files:
            sent = SentBefore("", 0.0, f"unknown to this state, and {self.files[job_id]} is there")
        return sent


def refuse_older(directory: RunDirectory) -> None:
    """Refuse a state that is older than what was done with it. Raises `StateError`.

    One that a process works on is left to that process.
    """
    if holder_of(directory.path) is None and (newer := newer_facts(directory)):
        raise older(directory, newer)


def older(directory: RunDirectory, newer: NewerFacts) -> StateError:
    """What a run says that is not to go on from an older state."""
    name = directory.state.name
    return StateError(
        f"{directory.state} is older than what was done with it: {'; '.join(newer.told())}. Jobs "
        "that were paid for would be paid for again; nothing was submitted.\n"
        f"    Put the newer {name} back, with its {name}-wal if there was one; or go on with ",
        ADOPT,
        ": jobs of which anything, or the account's history, tells that they were sent are then "
        "set aside; or begin anew with another ",
        RUN_DIR,
    )


def newer_facts(directory: RunDirectory, *, whole: bool = False) -> NewerFacts:
    """What the run directory tells; the `whole` of it, whatever that takes, where asked for.

    Log and files are read before the state: what another process writes meanwhile is then no news.
    Objects in a bucket are not looked at. Raises `StateError` where the state cannot be read.
    """
    log = list(logged_jobs(directory.log, whole=whole))
    metadata = directory.outputs / METADATA_NAME
    is_local = directory.bucket is None
    rows = list(sampled_rows(metadata, whole=whole)) if is_local else []
    if not is_begun(directory.state):
        return NewerFacts({line.id: _by_log(line) for line in log if line.request_id})
    with closing(OlderQueries(directory.state)) as reader:
        adopted_at = reader.instant(ADOPTED_NOTE) or 0.0
        log = [line for line in log if line.at > adopted_at]
        found = NewerFacts(_unknown(reader, log))
        found.intended = _intended(reader, log)
        recorded_at = reader.instant(RECORDED_NOTE)
        if recorded_at is None:  # by an earlier version: when it was written last is not known
            return found
        if log:
            later_s = max(line.at for line in log) - recorded_at
            found.later_s = later_s if later_s > _ROUNDING_S else 0.0
        bound = read_bound(reader.note(OUTPUTS_NOTE))
        if (bound.place if bound else "") != str(directory.folder or ""):
            is_local = False  # another's files, or none: who binds the outputs says so
        if is_local and _changed_at(metadata) > adopted_at:
            listed = (LoggedJob(str(r.get("id")), _text(r.get("request_id")), 0.0) for r in rows)
            found.listed = _unknown(reader, listed, METADATA_NAME)
        if is_local:
            unsent = reader.unsent(_ALL if whole else WAITING)
            names = _names_below(directory.outputs) if whole else None
            since_at = max(recorded_at, adopted_at)
            found.files = dict(_files(directory.outputs, unsent, names, since_at))
        return found


def _unknown(
    reader: OlderQueries, jobs: Iterable[LoggedJob], where: str = "run.log"
) -> dict[str, SentBefore]:
    """The last unknown request of each job."""
    found: dict[str, SentBefore] = {}
    told = (job for job in jobs if job.request_id)
    while some := list(islice(told, _SOME)):
        unknown = reader.unknown({job.request_id for job in some})
        for job in some:
            if job.request_id in unknown:
                found[job.id] = _by_log(job, where)
    return found


def _intended(reader: OlderQueries, log: Iterable[LoggedJob]) -> dict[str, SentBefore]:
    """The last POST of each job, where the state knows fewer of it."""
    last = {line.id: line for line in log if line.attempt}
    unknown = reader.without_attempt({id_: line.attempt for id_, line in last.items()})
    reason = "unknown to this state, and run.log says that it was submitted"
    return {id_: SentBefore("", last[id_].at, reason) for id_ in unknown}


def _by_log(job: LoggedJob, where: str = "run.log") -> SentBefore:
    reason = f"unknown to this state, and {where} names its request"
    return SentBefore(job.request_id, job.at, reason)


def _files(
    outputs: Path,
    unsent: Iterable[tuple[str, str]],
    names: Mapping[str, str] | None,
    since_at: float,
) -> Iterator[tuple[str, str]]:
    """A file under the name of each job that has one since an instant; `names` by stem, if known.

    Else they are tried: a folder may hold a million.
    """
    for id_, stem in unsent:
        tried = _tried(stem) if names is None else filter(None, [names.get(stem)])
        for name in tried:
            if _changed_at(f"{outputs}/{name}") > since_at:
                yield id_, name
                break


def _tried(stem: str) -> Iterator[str]:
    """The names that the first output of a job may have."""
    return (f"{stem}{mark}.{end}" for mark in ("", "~1") for end in _EXTENSIONS)


def _names_below(outputs: Path) -> dict[str, str]:
    """A file of each stem."""
    found: dict[str, str] = {}
    for folder, _, names in os.walk(outputs):
        inner = os.path.relpath(folder, outputs)
        before = "" if inner == "." else f"{inner}/"
        for name in names:
            stem = name.rpartition(".")[0].partition("~")[0]
            found.setdefault(before + stem, before + name)
    return found


def _changed_at(path: Path | str) -> float:
    try:
        return os.stat(path).st_mtime  # noqa: PTH116  a `Path` costs as much as the call
    except OSError:
        return 0.0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
