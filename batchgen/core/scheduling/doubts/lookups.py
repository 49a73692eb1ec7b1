"""What the account's history is asked for the ambiguous jobs, and what it answered so far."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from batchgen.core.jobs.job import Job
from batchgen.core.reconciliation.clock import history_skew_s
from batchgen.core.reconciliation.evidence import Reads
from batchgen.core.reconciliation.history import (
    MAX_LAG_S,
    HistoryRead,
    HistoryRow,
    OwnRequest,
)

DENIALS = 3
"""A listed row is a team-mate's after so many denials, the last of them when its record would have
come."""
ACKED_FOR_S = 1800.0
"""Acknowledged submits are remembered so long, by when they were sent: longer than one doubt is."""


@dataclass(slots=True)
class Lookups:
    """One read at a time serves all ambiguous jobs; what it shows is then confirmed row by row."""

    read: HistoryRead | None = None
    """The read that is under way."""
    fetching: bool = False
    """Whether a page of it is being fetched."""
    skew_s: float = 0.0
    """The service's clock minus ours, as its last answer's `Date` said; whole seconds."""
    history_skew_s: float | None = None
    """The same of the clock that dates the rows, as rows of ours told last."""
    candidates: dict[int, str] = field(default_factory=dict)
    """request_ids that may be an ambiguous job's, to be confirmed, by job key."""
    unlisted: set[int] = field(default_factory=set)
    """Ambiguous jobs that a complete read after the settle time does not show, by key.

    They no longer take a slot of the concurrency: otherwise the later submit that is to prove their
    absence might never find a slot itself.
    """
    shown_at: float = 0.0
    """When the latest request of ours left that the history was seen to show."""
    wants_control: set[int] = field(default_factory=set)
    """Jobs whose record is gone, by key: that the history does not know them counts once it shows a
    later request of ours."""
    had_doubts: bool = False
    """Whether it was ever unclear in this process what became of a submit."""
    reads: dict[int, Reads] = field(default_factory=dict)
    """What the reads said of the ambiguous jobs so far, by key."""
    acked: list[tuple[float, str]] = field(default_factory=list)
    """Submits that got an id: when each was sent, and the id, in the order of their sending."""
    doors: dict[str, str] = field(default_factory=dict)
    """Through which door they went, by id, of those of workflows."""
    earlier: frozenset[str] | None = None
    """The ids of those among them that earlier processes sent; None until they are recalled."""
    denials: Counter[str] = field(default_factory=Counter)
    """How often the history denied that a listed request_id is ours."""

    def begin_page(self, oldest_at: float, now: float) -> HistoryRead:
        """The read whose next page is about to be fetched; a new one goes back to `oldest_at`, by
        each of the clocks that may have dated it."""
        self.fetching = True
        if self.read is None:
            told_s = self.skew_s if self.history_skew_s is None else self.history_skew_s
            self.read = HistoryRead(now, oldest_at + min(self.skew_s, told_s))
        return self.read

    def page_read(self, rows: Sequence[HistoryRow]) -> None:
        """A page came."""
        self.fetching = False
        if self.read is not None:
            self.read.add(rows)

    def page_failed(self, reason: str, *, not_found: bool) -> None:
        """It did not: the read ends with what it has."""
        self.fetching = False
        if self.read is not None:
            self.read.break_off(reason, not_found=not_found)

    def page_cut_off(self) -> None:
        """Nobody waits for the page any more; the read stays as it was."""
        self.fetching = False

    def take_ended(self) -> HistoryRead | None:
        """The read, once it has ended: conclusions are drawn from it once."""
        if self.read is None or not self.read.ended or self.fetching:
            return None
        read, self.read = self.read, None
        return read

    def observe_skew(self, skew_s: float) -> None:
        """The service's clock was compared with ours."""
        self.skew_s = skew_s

    def observe_own(self, read: HistoryRead, own: Mapping[str, OwnRequest]) -> float:
        """Rows of ours tell the clock of an ended read; without any it is the service's."""
        skew_s = history_skew_s(read, own, self.skew_s)
        if own:
            self.history_skew_s = skew_s
        return skew_s

    def propose(self, job_key: int, request_id: str) -> None:
        """A row may be this job's."""
        self.candidates[job_key] = request_id

    def withdraw(self, job_key: int) -> None:
        """Its row is another job's."""
        self.candidates.pop(job_key, None)

    def deny(self, job_key: int, doubted_s: float) -> None:
        """The history denied, so long after the doubt arose, that the row is ours: it may be a
        team-mate's, or its record may come later than the list."""
        candidate = self.candidates.pop(job_key, None)
        if candidate is None:
            return
        if doubted_s >= MAX_LAG_S or self.denials[candidate] < DENIALS - 1:
            self.denials[candidate] += 1

    def miss(self, job_key: int) -> None:
        """A complete read does not show this job."""
        self.unlisted.add(job_key)

    def show(self, sent_at: float) -> None:
        """The history shows a request of ours that left then."""
        self.shown_at = max(self.shown_at, sent_at)

    def settle(self, job_key: int) -> None:
        """The job is not ambiguous any more."""
        self.candidates.pop(job_key, None)
        self.unlisted.discard(job_key)
        self.reads.pop(job_key, None)

    def doubt(self) -> None:
        """It is unclear what became of a submit."""
        self.had_doubts = True

    def observe_ack(self, sent_at: float, request_id: str, door: str = "") -> None:
        """A submit of ours got its id: the history should show it, now or soon."""
        insort(self.acked, (sent_at, request_id))
        if door:
            self.doors[request_id] = door
        old_count = bisect_left(self.acked, (self.acked[-1][0] - ACKED_FOR_S, ""))
        for _, old_id in self.acked[:old_count]:
            self.doors.pop(old_id, None)
        del self.acked[:old_count]

    def recall_acks(self, acked: Iterable[tuple[float, str]]) -> None:
        """What earlier processes knew of these submits: without it a history that lags looks like
        one that has caught up."""
        sent_here = {request_id for _, request_id in self.acked}
        earlier = [ack for ack in acked if ack[1] not in sent_here]
        self.acked = sorted([*self.acked, *earlier])
        self.earlier = frozenset(request_id for _, request_id in earlier)

    def witnessed_from(self, job: Job) -> float:
        """How far back a read must go to tell whether the history has caught up with a doubt: to
        the last submit of ours before it that has an id, if that is not too long ago."""
        earlier_count = bisect_right(self.acked, job.sent_at, key=lambda ack: ack[0])
        last_at = self.acked[earlier_count - 1][0] if earlier_count else -math.inf
        return last_at if last_at >= job.sent_at - ACKED_FOR_S else job.sent_at

    @property
    def foreign(self) -> frozenset[str]:
        """request_ids of the history that are not ours: denied more than once by accident."""
        return frozenset(id_ for id_, count in self.denials.items() if count >= DENIALS)
