"""What became of an ambiguous POST: decided from the account's history, never by posting again.

Positive evidence counts at once: a row with the same model and body, in the right time, whose id is
not in our ledger, and which the history confirms as ours when asked by id (lists also show the rows
of team-mates).

Negative evidence must be earned. A POST can arrive after its client died, and history lags. So
absence is believed only when the read began a settle time after the doubt arose, was complete back
to the POST, and shows a *later* submit of ours with the very model, body and time we sent it with:
that one proves that the history has caught up and that it tells requests as they were sent. A row
that may be the POST and cannot be adopted (it lacks an id, a time, a body, or came late) stands in
the way of the proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from batchgen.core.jobs.backoff import FIRST_READS_S
from batchgen.core.jobs.job import Job
from batchgen.core.jobs.spec import Mode
from batchgen.core.reconciliation.clock import is_timely
from batchgen.core.reconciliation.history import (
    SKEW_S,
    HistoryRead,
    HistoryRow,
    OwnRequest,
    comparable,
)

LATER_READS_S = 30.0
GRACE_S = 180.0
"""How long after the settle time a later submit of ours is waited for."""


class Decision(StrEnum):
    """What a read says about one ambiguous job."""

    CANDIDATE = "candidate"
    """A row may be it; its id is to be confirmed."""
    ABSENT = "absent"
    """Proved not accepted."""
    WAIT = "wait"
    """Too early to tell; look again."""
    SET_ASIDE = "set aside"
    """History cannot tell."""


@dataclass(frozen=True, slots=True)
class HistoryFinding:
    """The decision about one job: the candidate's id, or when to look again, or why not.

    `unlisted` says that a complete read after the settle time does not show it.
    """

    job: Job
    decision: Decision
    request_id: str = ""
    look_at: float = 0.0
    reason: str = ""
    unlisted: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What the decision depends on besides the evidence. `now` is the end of the read.

    `more_to_come` says that later submits of ours may still appear; `spoken_for` are the candidates
    of other jobs; `skew_s` is the history's clock minus ours. `posting` are the POSTs under way,
    whose rows may stand in the history before their ids are known: by model and body, since when.
    `silent` says that the history did not answer for some time.
    """

    now: float
    settle_s: float
    more_to_come: bool = True
    skew_s: float = 0.0
    spoken_for: frozenset[str] = frozenset()
    posting: Mapping[tuple[str, str], float] = field(default_factory=dict)
    silent: bool = False


def decide(
    jobs: Iterable[Job],
    read: HistoryRead,
    own: Mapping[str, OwnRequest],
    foreign: frozenset[str],
    policy: Policy,
) -> list[HistoryFinding]:
    """What one ended read says about every ambiguous job.

    `own` holds the requests of our ledger among the rows, `foreign` ids that were found not to be
    ours; an equal request of a team-mate spoils the proof of absence. k jobs with equal bodies and
    m rows: the first min(k, m) get a candidate each.
    """
    return list(_Evidence(read, own, foreign, policy).findings(jobs))


class _Evidence:
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
        self.control_at = self._last_control_at()

    def findings(self, jobs: Iterable[Job]) -> Iterator[HistoryFinding]:
        """First every row that is somebody's, then the jobs that are left without one."""
        without = []
        for job in sorted(jobs, key=lambda job: (job.sent_at, job.key)):
            row = self._match(job)
            if row is None:
                without.append(job)
            elif self._may_be_under_way(job, row):
                yield self._look_later(job)
            else:
                self.taken.add(row.request_id)
                yield HistoryFinding(job, Decision.CANDIDATE, row.request_id)
        for job in without:
            yield self._without_row(job)

    def _from_at(self, job: Job) -> float:
        return job.sent_at + self.policy.skew_s - SKEW_S

    def _to_at(self, job: Job) -> float:
        return job.unclear_at + self.policy.skew_s + self.policy.settle_s + SKEW_S

    def _match(self, job: Job) -> HistoryRow | None:
        """The earliest row that may be this POST, its id not spent on another.

        Without a time a row is no evidence: an equal request of last week must not be taken for it.
        """
        body = comparable(job.body)
        fitting = [
            row
            for row in self.read.rows.values()
            if row.model == job.model
            and row.body == body != ""
            and row.created_at is not None
            and self._from_at(job) <= row.created_at <= self._to_at(job)
            and row.request_id not in self.own
            and row.request_id not in self.foreign
            and row.request_id not in self.taken
        ]
        return min(fitting, key=lambda row: row.created_at or 0.0, default=None)

    def _may_be_under_way(self, job: Job, row: HistoryRow) -> bool:
        """Whether the row may be of another POST of the same body that has no answer yet."""
        since_at = self.policy.posting.get((job.model, job.body))
        if since_at is None or row.created_at is None:
            return since_at is not None
        return row.created_at >= since_at + self.policy.skew_s - SKEW_S

    def _without_row(self, job: Job) -> HistoryFinding:
        read, policy = self.read, self.policy
        settled_at = job.unclear_at + policy.settle_s
        if read.started_at < settled_at:
            return HistoryFinding(job, Decision.WAIT, look_at=next_read_at(job, policy))
        # After the settle time: a shadow, proof, patience, or none of them.
        shadow = next(self._shadows(job), None)
        if shadow is not None:
            if self._may_be_under_way(job, shadow):
                return self._look_later(job)
            reason = f"{job.reason}; the history shows a request that may be it or somebody else's"
            return HistoryFinding(job, Decision.SET_ASIDE, reason=reason)
        is_later = self.control_at > job.unclear_at
        if job.may_be_absent and is_later and self._shows_all_since(job):
            return HistoryFinding(job, Decision.ABSENT, reason="not in the account's history")
        if self._is_patient(job, policy.now - settled_at):
            return self._look_later(job, unlisted=read.complete and job.may_be_absent)
        return self._undecided(job)

    def _look_later(self, job: Job, *, unlisted: bool = False) -> HistoryFinding:
        look_at = self.policy.now + LATER_READS_S
        return HistoryFinding(job, Decision.WAIT, look_at=look_at, unlisted=unlisted)

    def _shadows(self, job: Job) -> Iterator[HistoryRow]:
        """Rows that may be this POST but cannot be adopted: denied, late, no id, no time, no body.

        They prove nothing, but where one stands absence is not proved either.
        """
        body = comparable(job.body)
        for row in (*self.read.rows.values(), *self.read.nameless):
            at = row.created_at
            spent = row.request_id in self.own or row.request_id in self.taken
            too_old = at is not None and at < self._from_at(job)
            if spent or too_old or row.model not in {"", job.model}:
                continue
            hidden = not row.body and row.request_id not in self.foreign
            if row.body == body or (hidden and (at is None or at <= self._to_at(job))):
                yield row

    def _shows_all_since(self, job: Job) -> bool:
        return self.read.complete and self.read.covers(job.sent_at + self.policy.skew_s)

    def _last_control_at(self) -> float:
        """When the last submit of ours left that stands in the read just as we sent it; 0 if none.

        Model, body and time must be ours: a history that writes one of them differently would show
        no row of any ambiguous job either.
        """
        return max(
            (
                request.sent_at
                for request_id, request in self.own.items()
                if (row := self.read.rows.get(request_id)) is not None
                and row.model == request.model
                and row.body == comparable(request.body) != ""
                and self._is_timely(row, request)
            ),
            default=0.0,
        )

    def _is_timely(self, row: HistoryRow, request: OwnRequest) -> bool:
        if row.created_at is None:
            return False
        return is_timely(row.created_at - request.sent_at - self.policy.skew_s)

    def _is_patient(self, job: Job, over_s: float) -> bool:
        """Whether another read may still tell more, `over_s` after the settle time.

        One read that failed is not a silent history: where silence counts, it is waited for.
        """
        if self.read.failed:
            silence_counts = job.documented_absent and not self.policy.silent
            return over_s < GRACE_S * (2 if silence_counts else 1)
        return job.may_be_absent and over_s < GRACE_S and self.policy.more_to_come

    def _undecided(self, job: Job) -> HistoryFinding:
        """Where history does not answer at all, the documented rule: a 5xx was not accepted."""
        if self.read.failed and self.policy.silent and job.documented_absent:
            reason = f"{job.reason}; documented as not accepted, the history does not answer"
            return HistoryFinding(job, Decision.ABSENT, reason=reason)
        return HistoryFinding(job, Decision.SET_ASIDE, reason=f"{job.reason}; {self._why(job)}")

    def _why(self, job: Job) -> str:
        if self.read.failed:
            return self.read.failed
        if not self._shows_all_since(job):
            return "the history was not read back to this submit"
        return "the history shows neither this submit nor a later one of ours"


def next_read_at(job: Job, policy: Policy) -> float:
    """When the history should be asked next about a job, before its settle time is over."""
    settled_at = job.unclear_at + policy.settle_s
    for delay_s in FIRST_READS_S:
        at = job.unclear_at + delay_s
        if policy.now < at < settled_at:
            return at
    return max(settled_at, policy.now + 1.0)


def needs_lookup(job: Job) -> bool:
    """Whether the POST already told its id (a v1 answer cut off): it is asked by that, not read."""
    return job.api is Mode.BLOCKING and bool(job.request_id)
