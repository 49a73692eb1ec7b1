"""What became of an ambiguous POST: decided from the account's history, never by posting again.

Positive evidence counts at once: a row with the same model and body, in the right time, whose id is
not in our ledger, and which the history confirms as ours when asked by id (lists also show the rows
of team-mates).

Negative evidence must be earned. A POST can arrive after its client died, and history lags. So
absence is believed only when the read began a settle time after the doubt arose, was complete back
to the POST, and shows a submit of ours that left *after* that time, with the very model, body and
time we sent it with: that one proves that the history has caught up with whatever arrived late, and
that it tells requests as they were sent. A row that may be the POST and cannot be adopted (it lacks
an id, a time, a body, or came late) stands in the way of the proof.

Less is asked of an answer that is documented as not accepted (5xx): two complete reads without it,
a settle time apart. The documentation is believed even where the history does not answer at all,
and more evidence of absence must never decide more timidly than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from batchgen.core.jobs.backoff import FIRST_READS_S
from batchgen.core.jobs.job import Job
from batchgen.core.jobs.spec import Mode
from batchgen.core.reconciliation.evidence import NO_READS, Evidence, Policy, Reads
from batchgen.core.reconciliation.history import HistoryRead, OwnRequest

LATER_READS_S = 30.0
GRACE_S = 180.0
"""How long after the settle time a history that does not answer is waited for, and, with the settle
time twice, a later submit of ours in one that does: that may fall into doubt itself. A guess."""


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

    `unlisted` says that a complete read after the settle time does not show it. `reads` is what the
    reads said so far, this one included.
    """

    job: Job
    decision: Decision
    request_id: str = ""
    look_at: float = 0.0
    reason: str = ""
    unlisted: bool = False
    reads: Reads = NO_READS


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
    decisions = _Decisions(Evidence(read, own, foreign, policy))
    return [
        replace(finding, reads=decisions.evidence.reads(finding.job))
        for finding in list(decisions.findings(jobs))
    ]


class _Decisions:
    """The decisions that follow from one read."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.read = evidence.read
        self.policy = evidence.policy

    def findings(self, jobs: Iterable[Job]) -> Iterator[HistoryFinding]:
        """First every row that is somebody's, then the jobs that are left without one."""
        without = []
        for job in sorted(jobs, key=lambda job: (job.sent_at, job.key)):
            row = self.evidence.match(job)
            if row is None:
                without.append(job)
            elif self.evidence.may_be_under_way(job, row):
                yield self._look_later(job)
            else:
                self.evidence.taken.add(row.request_id)
                yield HistoryFinding(job, Decision.CANDIDATE, row.request_id)
        for job in without:
            yield self._without_row(job)

    def _without_row(self, job: Job) -> HistoryFinding:
        read, policy = self.read, self.policy
        settled_at = job.unclear_at + policy.settle_s
        if read.started_at < settled_at:
            return HistoryFinding(job, Decision.WAIT, look_at=next_read_at(job, policy))
        # After the settle time: a shadow, proof, patience, or none of them.
        shadow = next(self.evidence.shadows(job), None)
        if shadow is not None:
            if self.evidence.may_be_under_way(job, shadow):
                return self._look_later(job)
            reason = f"{job.reason}; the history shows a request that may be it or somebody else's"
            return HistoryFinding(job, Decision.SET_ASIDE, reason=reason)
        if self.evidence.proves_absence(job):
            return HistoryFinding(job, Decision.ABSENT, reason="not in the account's history")
        reads = self.evidence.reads(job)
        documented = self._documented(job, reads)
        if documented is not None:
            return documented
        if self._is_patient(job, self._over_s(job, reads)):
            return self._look_later(job, unlisted=read.complete and job.may_be_absent)
        return HistoryFinding(
            job, Decision.SET_ASIDE, reason=f"{job.reason}; {self._why(job, reads)}"
        )

    def _look_later(self, job: Job, *, unlisted: bool = False) -> HistoryFinding:
        look_at = self.policy.now + LATER_READS_S
        return HistoryFinding(job, Decision.WAIT, look_at=look_at, unlisted=unlisted)

    def _documented(self, job: Job, reads: Reads) -> HistoryFinding | None:
        """The documented rule, a 5xx was not accepted: where the history does not answer at all,
        where two reads a settle time apart do not show it, and where there was one and patience
        ends."""
        if not job.documented_absent:
            return None
        over_s = self._over_s(job, reads)
        apart_s = self.read.started_at - reads.absent_since
        is_twice = self.read.complete and apart_s >= self.policy.settle_s
        if self.read.failed and self.policy.silent and over_s >= GRACE_S:
            what = "the history does not answer"
        elif reads.absent_since and (is_twice or not self._is_patient(job, over_s)):
            what = f"the history was read {_times(reads.count)} and does not show it"
        else:
            return None
        reason = f"{job.reason}; documented as not accepted, {what}"
        return HistoryFinding(job, Decision.ABSENT, reason=reason)

    def _over_s(self, job: Job, reads: Reads) -> float:
        """How long it was waited since the settle time. A doubt of an earlier process is as new as
        this one's first read, unless the history is silent, as it may have been for all of them."""
        settled_at = job.unclear_at + self.policy.settle_s
        is_silent = self.read.failed and self.policy.silent
        return self.policy.now - (settled_at if is_silent else max(settled_at, reads.begun_at))

    def _is_patient(self, job: Job, over_s: float) -> bool:
        """Whether another read may still tell more, having waited for `over_s`.

        One read that failed is not a silent history.
        """
        policy = self.policy
        if self.read.failed and (policy.silent or over_s < GRACE_S):
            return over_s < GRACE_S
        settled_at = job.unclear_at + policy.settle_s
        is_later = any(sent_at >= settled_at for sent_at, _ in policy.acked)
        may_tell = job.documented_absent or policy.more_to_come or is_later
        return job.may_be_absent and may_tell and over_s < 2 * (GRACE_S + policy.settle_s)

    def _why(self, job: Job, reads: Reads) -> str:
        """What was done, and why it was not enough."""
        times = f"the history was read {_times(reads.count)}"
        if self.read.failed:
            return f"{times}, the last time in vain: {self.read.failed}"
        if not self.evidence.shows_all_since(job.sent_at):
            return f"{times}, but not back to this submit"
        if not job.may_be_absent:
            return (
                f"{times}, complete back to {_instant(job.sent_at)}, and does not show this submit"
            )
        return (
            f"{times}, complete back to {_instant(job.sent_at)}: "
            "it shows neither this submit nor one of ours from after the settle time"
        )


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


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
