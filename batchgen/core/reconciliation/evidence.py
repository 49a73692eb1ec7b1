"""What the rows of one read say about an ambiguous POST: which may be it, and what they prove."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from batchgen.core.jobs.job import Job
from batchgen.core.jobs.spec import door_of
from batchgen.core.reconciliation.clock import CONTROL_LATE_S, is_timely
from batchgen.core.reconciliation.history import (
    SKEW_S,
    HistoryRead,
    HistoryRow,
    OwnRequest,
    comparable,
)


@dataclass(frozen=True, slots=True)
class Reads:
    """What the reads of the history said of one job so far.

    `count` is how many there were, and `begun_at` when the first one began. `absent_since` is when
    the first of those began that should have shown it and did not; 0 if there is none.
    """

    count: int = 0
    begun_at: float = 0.0
    absent_since: float = 0.0


NO_READS = Reads()


@dataclass(frozen=True, slots=True)
class Policy:
    """What the decision depends on besides the evidence. `now` is the end of the read.

    `more_to_come` says that later submits of ours may still appear; `spoken_for` are the candidates
    of other jobs; `skew_s` is the history's clock minus ours. `posting` are the POSTs under way,
    whose rows may stand in the history before their ids are known: by model and body, since when.
    `silent` says that the history did not answer for some time. `reads` is what earlier reads said,
    by job key. `acked` are submits of ours of the last time that got an id: when each was sent, and
    the id, in the order of their sending; `doors` are those that workflows went through, by id.
    """

    now: float
    settle_s: float
    more_to_come: bool = True
    skew_s: float = 0.0
    spoken_for: frozenset[str] = frozenset()
    posting: Mapping[tuple[str, str], float] = field(default_factory=dict)
    silent: bool = False
    reads: Mapping[int, Reads] = field(default_factory=dict)
    acked: Sequence[tuple[float, str]] = ()
    doors: Mapping[str, str] = field(default_factory=dict)


class Evidence:
    """One read and what is known about its rows; `taken` grows as rows become candidates."""

    def __init__(
        self,
        read: HistoryRead,
        own: Mapping[str, OwnRequest],
        foreign: frozenset[str],
        policy: Policy,
    ) -> None:
        self.read = read
        self.own = own
        self.foreign = foreign
        self.policy = policy
        self.taken = set(policy.spoken_for)
        self._controls_at: dict[str, float] = {}

    def match(self, job: Job) -> HistoryRow | None:
        """The earliest row that may be this POST, its id not spent on another.

        Without a time a row is no evidence: an equal request of last week must not be taken for it.
        """
        body = comparable(job.body)
        fitting = [
            row
            for row in self.read.rows.values()
            if row.model in _names_of(job.model)
            and row.body == body != ""
            and row.created_at is not None
            and self._from_at(job) <= row.created_at <= self._to_at(job)
            and row.request_id not in self.own
            and row.request_id not in self.foreign
            and row.request_id not in self.taken
        ]
        return min(fitting, key=lambda row: row.created_at or 0.0, default=None)

    def may_be_under_way(self, job: Job, row: HistoryRow) -> bool:
        """Whether the row may be of another POST of the same body that has no answer yet."""
        since_at = self.policy.posting.get((job.model, job.body))
        if since_at is None or row.created_at is None:
            return since_at is not None
        return row.created_at >= since_at + self.policy.skew_s - SKEW_S

    def shadows(self, job: Job) -> Iterator[HistoryRow]:
        """Rows that may be this POST but cannot be adopted: denied, late, no id, no time, no body.

        They prove nothing, but where one stands absence is not proved either. One without a body
        may be as late as the row of a control: the clock is not known any better.
        """
        body, to_at = comparable(job.body), self._to_at(job) + CONTROL_LATE_S
        for row in (*self.read.rows.values(), *self.read.nameless):
            at = row.created_at
            too_old = at is not None and at < self._from_at(job)
            # How the history calls a workflow nobody knows.
            other = not door_of(job.model) and row.model not in {"", job.model}
            if self._is_spent(row) or too_old or other:
                continue
            hidden = not row.body and row.request_id not in self.foreign
            if row.body == body or (hidden and (at is None or at <= to_at)):
                yield row

    def proves_absence(self, job: Job) -> bool:
        """Whether it shows a later submit of ours as we sent it, and all since this one.

        Later than this one may still have arrived: a history that lags shows them one by one.
        """
        is_later = self._control_at(job) >= job.unclear_at + self.policy.settle_s
        return job.may_be_absent and is_later and self.shows_all_since(job.sent_at)

    def shows_all_since(self, sent_at: float) -> bool:
        """Whether it would show whatever was sent since then, had the history caught up."""
        return self.read.complete and self.read.covers(sent_at + self.policy.skew_s)

    def should_show(self, job: Job) -> bool:
        """Whether a POST that was accepted should be seen in this read, as far as can be told
        without a later submit of ours.

        It should not where the history lacks a submit of ours that is older than the settle time.
        As long as no row of ours shows that requests are told as they were sent, any row that is
        nobody's may be this one in disguise.
        """
        if self.read.started_at < job.unclear_at + self.policy.settle_s:
            return False
        if not self.shows_all_since(job.sent_at) or self._lags(door_of(job.model)):
            return False
        rows = (*self.read.rows.values(), *self.read.nameless)
        return bool(self._control_at(job)) or all(
            self._is_spent(row) or row.request_id in self.foreign for row in rows
        )

    def reads(self, job: Job) -> Reads:
        """What the reads said of it, with this one. One that failed takes nothing back."""
        earlier, read = self.policy.reads.get(job.key, NO_READS), self.read
        since = earlier.absent_since
        if read.complete:
            since = (since or read.started_at) if self.should_show(job) else 0.0
        return Reads(earlier.count + 1, earlier.begun_at or read.started_at, since)

    def _from_at(self, job: Job) -> float:
        return job.sent_at + self.policy.skew_s - SKEW_S

    def _to_at(self, job: Job) -> float:
        return job.unclear_at + self.policy.skew_s + self.policy.settle_s + SKEW_S

    def _is_spent(self, row: HistoryRow) -> bool:
        return row.request_id in self.own or row.request_id in self.taken

    def _control_at(self, job: Job) -> float:
        """When the last submit of ours left, through the same door as the job, that stands in the
        read just as we sent it; 0 if none.

        Model, body and time must be ours: a history that writes one of them differently would show
        no row of any ambiguous job either. One that lists models need not list workflows.
        """
        door = door_of(job.model)
        if door not in self._controls_at:
            self._controls_at[door] = self._last_control_at(door)
        return self._controls_at[door]

    def _last_control_at(self, door: str) -> float:
        return max(
            (
                request.sent_at
                for request_id, request in self.own.items()
                if (row := self.read.rows.get(request_id)) is not None
                and door_of(request.model) == door
                and row.model in _names_of(request.model)
                and row.body == comparable(request.body) != ""
                and not request.is_ahead(self.read)
                and self._is_timely(row, request)
            ),
            default=0.0,
        )

    def _is_timely(self, row: HistoryRow, request: OwnRequest) -> bool:
        if row.created_at is None:
            return False
        return is_timely(row.created_at - request.sent_at - self.policy.skew_s)

    def _lags(self, door: str) -> bool:
        """Whether it lacks the last submit of ours through this door that it should show by now."""
        settled_at = self.read.started_at - self.policy.settle_s
        due = [
            request_id
            for sent_at, request_id in self.policy.acked
            if sent_at <= settled_at
            and self.policy.doors.get(request_id, "") == door
            and self.shows_all_since(sent_at)
        ]
        return bool(due) and due[-1] not in self.read.rows


def _names_of(model: str) -> frozenset[str]:
    """What a row may call a model: a workflow by its path, or by its slug alone."""
    return frozenset({model, model.rpartition("/")[2]})
