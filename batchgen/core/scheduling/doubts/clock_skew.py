"""Jobs that an earlier process dated by a clock that was put forward or back since.

Their instants may lie ahead. Waited for as they stand, a clock that was a day fast would cost a
day. A doubt that is dated wrongly is worse: its row is not found where it is looked for, and a
submit that left before it counts as later. So it is noted by which clock each doubt is dated, as
the clock of the service tells: that one did not move.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from batchgen.core.jobs.events import Change, Event, EventKind
from batchgen.core.jobs.job import Job, JobState
from batchgen.core.reconciliation.history import SKEW_S
from batchgen.core.reconciliation.reconcile import needs_lookup
from batchgen.core.scheduling.learned import CLOCKS_NOTE, clocks_of

_DATED_IN_HISTORY = frozenset({JobState.SUBMITTING, JobState.AMBIGUOUS})
MOVED_S = SKEW_S / 2
"""By so much two readings of one clock do not differ: `Date` is told in whole seconds."""


@dataclass(slots=True)
class DoubtClocks:
    """By which clocks the POSTs are dated of which nobody knows yet what became of them.

    A clock is told by how far the service's is ahead of it: `skew_s` of this process, None until an
    answer told it; `carried` of the processes that dated what this one took over, by job key.
    `own` are the keys of what is dated by the clock of this process, which began at `began_at`;
    `lost` of what is dated by a clock of which no answer told. `last_s` is the clock of the process
    before, and `were_moved` says that clocks before differed.
    """

    skew_s: float | None = None
    began_at: float = 0.0
    carried: dict[int, float] = field(default_factory=dict)
    own: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    last_s: float | None = None
    were_moved: bool = False

    def load(self, text: str | None, now: float, *, carries_on: bool = False) -> None:
        """Begin with what earlier processes noted; with `carries_on` by the clock of the last."""
        noted = clocks_of({CLOCKS_NOTE: text or "{}"})
        self.began_at, self.carried = now, noted.of_jobs
        self.last_s, self.were_moved = noted.last_s, noted.were_moved
        self.own = noted.untold if carries_on else set()
        self.lost = noted.lost if carries_on else noted.lost | noted.untold

    def observe(self, skew_s: float) -> None:
        """An answer told how far the service's clock is ahead of this process's."""
        self.skew_s = skew_s

    def dump(self) -> str:
        """The clocks as text; whole seconds, so that it rarely changes."""
        own = {} if self.skew_s is None else dict.fromkeys(self.own, self.skew_s)
        noted: dict[str, object] = {
            str(key): round(skew_s) for key, skew_s in sorted((self.carried | own).items())
        }
        untold = self.own if self.skew_s is None else ()
        lists = {"untold": sorted(untold), "lost": sorted(self.lost)}
        noted |= {name: keys for name, keys in lists.items() if keys}
        last_s = self.last_s if self.skew_s is None else self.skew_s
        if last_s is not None:
            noted |= {"last": round(last_s), "moved": self.are_mixed}
        return json.dumps(noted, separators=(",", ":"))

    def apply(self, changes: Iterable[Change]) -> None:
        """Changes of jobs that were `dated` before."""
        for change in changes:
            key, state = change.after.key, change.after.state
            is_dated = state in _DATED_IN_HISTORY
            is_ours = is_dated and (state is JobState.SUBMITTING or self.has_moved(key))
            if is_ours or not is_dated:
                self.carried.pop(key, None)
                self.lost.discard(key)
                self.own.discard(key)
            if is_ours:
                self.own.add(key)

    def after(self, changes: Iterable[Change]) -> DoubtClocks:
        """The clocks as they will be."""
        then = replace(self, carried=dict(self.carried), own=set(self.own), lost=set(self.lost))
        then.apply(changes)
        return then

    def dated(self, job: Job) -> Job:
        """A job in doubt by the clock of this process.

        What another clock says of when the doubt arose is not believed, nor that it arose before
        the POST left: it counts as one of this process's beginning.
        """
        if job.state is not JobState.AMBIGUOUS:
            return job
        if self.has_moved(job.key):
            sent_at = job.sent_at + self.carried[job.key] - (self.skew_s or 0.0)
            return replace(job, sent_at=sent_at, unclear_at=self.began_at)
        is_reversed = job.unclear_at < job.sent_at
        return replace(job, unclear_at=self.began_at) if is_reversed else job

    def has_moved(self, key: int) -> bool:
        """Whether a job in doubt is dated by another clock than that of this process."""
        return self._differs(self.carried.get(key))

    def tell(self, key: int) -> bool:
        """Whether it can be told when a job in doubt was sent, so that absence may be proved."""
        if key in self.lost:
            return False
        return not self.are_mixed or key in self.own or key in self.carried

    @property
    def are_mixed(self) -> bool:
        """Whether the ledger is dated by several clocks."""
        return self.were_moved or any(map(self._differs, (self.last_s, *self.carried.values())))

    def _differs(self, then_s: float | None) -> bool:
        if then_s is None or self.skew_s is None:
            return False
        return abs(then_s - self.skew_s) > MOVED_S


def redated(job: Job, now: float, retention_s: float) -> Job:
    """The job with nothing ahead of now but what it may wait for: at most the window of a
    request, `retention_s`.

    What was sent ahead of now is asked for at once, and counts as sent now; a doubt of then as one
    of now, so that it settles from here. The sending of an unclear POST stays as it was: it tells
    rows of the history apart.
    """
    latest_at = max(job.sent_at, job.unclear_at)
    if latest_at <= now and job.due_at <= now + retention_s:
        return job
    job = replace(job, due_at=min(job.due_at, now), unclear_at=min(job.unclear_at, now))
    if job.state in _DATED_IN_HISTORY:
        return job
    return replace(job, sent_at=min(job.sent_at, now))


def undatable(job: Job, now: float) -> Event | None:
    """Set an ambiguous job aside whose POST is dated ahead: no row of the history can be told to be
    it, and no absence be proved."""
    if job.sent_at <= now + SKEW_S or needs_lookup(job):
        return None
    reason = f"{job.reason}; the clock was put back since, so the history cannot tell"
    return Event(EventKind.SET_ASIDE, job.key, now, reason=reason)
