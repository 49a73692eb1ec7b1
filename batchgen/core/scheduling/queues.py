"""The jobs in memory, in the order in which something can be done about them.

Every step costs what changed, not what is there: a pass of the planner over ten thousand running
jobs looks at the few whose instant has come.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from math import inf

from batchgen.core.jobs.job import IN_FLIGHT, Job, JobState
from batchgen.core.jobs.placeholders import is_ready
from batchgen.core.jobs.spec import Mode


class QueueKind(StrEnum):
    """What idle jobs wait for, each kind in a queue of its own."""

    SUBMIT = "submit"
    UPLOAD = "upload"
    """Pending jobs that name a file which is not at the service yet."""
    POLL = "poll"
    FETCH = "fetch"
    SAVE = "save"
    RECOVER = "recover"
    LOOKUP = "lookup"
    """Ambiguous jobs."""


_LINES: Mapping[JobState, QueueKind] = {
    JobState.SUBMITTED: QueueKind.POLL,
    JobState.RECOVERING: QueueKind.RECOVER,
    JobState.AMBIGUOUS: QueueKind.LOOKUP,
}


def line_of(job: Job) -> QueueKind | None:
    """What the job waits for when nothing is done about it; None: for nothing of ours."""
    if job.state is JobState.PENDING:
        return QueueKind.SUBMIT if is_ready(job.body) else QueueKind.UPLOAD
    if job.state is JobState.FETCHING:
        return QueueKind.SAVE if job.outputs else QueueKind.FETCH
    return _LINES.get(job.state)


class DueQueue:
    """Jobs that wait for the same: the due ones in the order of their rank, others by instant.

    The rank of a pending job is its key, the order of the manifest. That of all others is when
    they were sent: windows are of one length, so the earliest sent expires first.
    """

    def __init__(self) -> None:
        self._ready: list[tuple[float, int]] = []
        self._later: list[tuple[float, float, int]] = []

    def add(self, job: Job) -> None:
        """One more."""
        insort(self._later, (job.due_at, _rank(job), job.key))

    def remove(self, job: Job) -> None:
        """Take out the job as it was added."""
        rank = _rank(job)
        at = bisect_left(self._ready, (rank, job.key))
        if at < len(self._ready) and self._ready[at] == (rank, job.key):
            del self._ready[at]
            return
        at = bisect_left(self._later, (job.due_at, rank, job.key))
        if at < len(self._later) and self._later[at][2] == job.key:
            del self._later[at]

    def advance(self, now: float) -> None:
        """Move due jobs to the ready list. Callers must not go back in time afterwards."""
        count = self._due_count(now)
        if not count:
            return
        for _, rank, key in self._later[:count]:
            insort(self._ready, (rank, key))
        del self._later[:count]

    def due(self, now: float) -> Iterator[int]:
        """The keys of the jobs whose instant has come, in the order of their rank, one by one.

        Changes nothing, and costs least right after `advance`. Nothing may be added or removed
        while it is iterated over.
        """
        ranked = self._ranked(now)
        return (key for _, key in ranked) if ranked else iter(())

    def next_at(self, now: float) -> float | None:
        """The next instant at which one more is due."""
        count = self._due_count(now)
        return self._later[count][0] if count < len(self._later) else None

    def first_rank(self, now: float) -> float | None:
        """The lowest rank of those that are due."""
        ranked = self._ranked(now)
        return ranked[0][0] if ranked else None

    def _due_count(self, now: float) -> int:
        """How many of the later ones are due by now: mostly none."""
        later = self._later
        return bisect_left(later, (now, inf, 0)) if later and later[0][0] <= now else 0

    def _ranked(self, now: float) -> list[tuple[float, int]]:
        count = self._due_count(now)
        if not count:
            return self._ready
        return sorted([*self._ready, *((rank, key) for _, rank, key in self._later[:count])])

    def keys(self) -> list[int]:
        """All of them."""
        return [key for _, key in self._ready] + [key for _, _, key in self._later]

    def __len__(self) -> int:
        return len(self._ready) + len(self._later)


def _rank(job: Job) -> float:
    return float(job.key) if job.state is JobState.PENDING else job.sent_at


class JobQueues:
    """All jobs in memory by key, which of them are busy, and the idle ones in their queues."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.busy: set[int] = set()
        self.by_kind: dict[QueueKind, DueQueue] = {line: DueQueue() for line in QueueKind}
        self.counts: Counter[JobState] = Counter()
        self.pending: Counter[str] = Counter()
        """Pending jobs by model."""
        self.in_flight: Counter[str] = Counter()
        """Jobs that take a place of the concurrency, by model."""
        self.fetching: Counter[str] = Counter()
        """Jobs whose result or files are being brought home, by model."""
        self.polled = 0
        """Those of them that will still need a poll and a result: of v2."""
        self.saving = 0
        """Downloads under way."""

    def __eq__(self, other: object) -> bool:
        """Equal jobs, equally busy: everything else follows from these."""
        if not isinstance(other, JobQueues):
            return NotImplemented
        return (self.jobs, self.busy) == (other.jobs, other.busy)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def advance(self, now: float) -> None:
        """Bring all queues to an instant."""
        for queue in self.by_kind.values():
            queue.advance(now)

    def __getitem__(self, kind: QueueKind) -> DueQueue:
        """The idle jobs of one kind."""
        return self.by_kind[kind]

    def put(self, job: Job) -> None:
        """Add a job, or replace it as it was."""
        self.drop(job.key)
        self.jobs[job.key] = job
        self._count(job, 1)
        if job.key in self.busy:
            self.saving += _is_savable(job)
        else:
            self._enqueue(job)

    def drop(self, key: int) -> None:
        """Take a job off; whether it is busy is kept."""
        job = self.jobs.pop(key, None)
        if job is None:
            return
        self._count(job, -1)
        if key in self.busy:
            self.saving -= _is_savable(job)
        else:
            self._dequeue(job)

    def idle(self, line: QueueKind) -> list[int]:
        """The keys of all jobs that wait for the same, due or not."""
        return self.by_kind[line].keys()

    def begin(self, key: int) -> None:
        """Something is being done about a job: it waits for nothing."""
        if key in self.busy:
            return
        job = self.jobs[key]
        self._dequeue(job)
        self.busy.add(key)
        self.saving += _is_savable(job)

    def release(self, key: int) -> None:
        """Nothing is being done about it any more."""
        if key not in self.busy:
            return
        self.busy.discard(key)
        job = self.jobs.get(key)
        if job is not None:
            self.saving -= _is_savable(job)
            self._enqueue(job)

    def _count(self, job: Job, by: int) -> None:
        self.counts[job.state] += by
        if job.state is JobState.PENDING:
            self.pending[job.model] += by
        if job.state is JobState.FETCHING:
            self.fetching[job.model] += by
        if job.state in IN_FLIGHT:
            self.in_flight[job.model] += by
            self.polled += by * (job.api is Mode.QUEUED)

    def _enqueue(self, job: Job) -> None:
        line = line_of(job)
        if line is not None:
            self.by_kind[line].add(job)

    def _dequeue(self, job: Job) -> None:
        line = line_of(job)
        if line is not None:
            self.by_kind[line].remove(job)


def _is_savable(job: Job) -> bool:
    return line_of(job) is QueueKind.SAVE
