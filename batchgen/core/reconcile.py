"""What became of an ambiguous POST: decided from the account's history, never by posting again.

Positive evidence counts at once: a row with the same model and body, in the right time, whose id is
not in our ledger, and which the history confirms as ours when asked by id (lists also show the rows
of team-mates).

Negative evidence must be earned. A POST can arrive after its client died, and history lags. So
absence is believed only when the read began a settle time after the doubt arose, was complete back
to the POST, and shows a *later* submit of ours with the very body we sent: that one proves that the
history has caught up and that it tells bodies as they were sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from batchgen.core.http import Answer, canonical_json
from batchgen.core.instant import instant_of
from batchgen.core.job import Job
from batchgen.core.retry import FIRST_READS_S
from batchgen.core.spec import ApiVersion

PAGE_ROWS = 100
"""The most the service gives on a page."""
MAX_PAGES = 300
"""A read longer than this is given up as incomplete. A guess: 30,000 requests since the POST."""
SKEW_S = 120.0
"""How far the service's clock may be from where its answers put it."""
LATER_READS_S = 30.0
GRACE_S = 180.0
"""How long after the settle time a later submit of ours is waited for."""


@dataclass(frozen=True, slots=True)
class Row:
    """One request in the account's history; `body` is canonical JSON, `created_at` may be None."""

    request_id: str
    model: str
    body: str
    created_at: float | None


@dataclass(frozen=True, slots=True)
class OwnRequest:
    """A request_id of our own ledger: what was sent, and when."""

    body: str
    sent_at: float


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
class Finding:
    """The decision about one job: the candidate's id, or when to look again, or why not.

    `unlisted` says that a complete read after the settle time does not show it.
    """

    job: Job
    decision: Decision
    request_id: str = ""
    look_at: float = 0.0
    reason: str = ""
    unlisted: bool = False


@dataclass(slots=True)
class HistoryRead:
    """One paged read, newest first, back to the earliest doubtful POST; it serves all of them.

    `started_at` is on our clock, `back_to` on the service's.

    Newest first, so that rows which arrive meanwhile push others to later pages: seen twice, never
    missed.
    """

    started_at: float
    back_to: float
    page: int = 1
    rows: dict[str, Row] = field(default_factory=dict)
    complete: bool = False
    failed: str = ""

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to read."""
        return self.complete or bool(self.failed)

    def take_in(self, rows: Sequence[Row]) -> None:
        """One page. The read is complete at the end of the list or of the time that matters."""
        fresh = [row for row in rows if row.request_id not in self.rows]
        self.rows.update((row.request_id, row) for row in rows)
        oldest = min((row.created_at for row in rows if row.created_at is not None), default=None)
        reached = oldest is not None and oldest < self.back_to - SKEW_S
        if reached or not fresh or len(rows) < PAGE_ROWS:
            # A page of one row per output can be short of new ids, but never of rows.
            self.complete = True
        elif self.page >= MAX_PAGES:
            self.failed = f"the history is longer than {MAX_PAGES} pages"
        self.page += 1


def rows_of(answer: Answer) -> list[Row] | None:
    """The rows of a list answer, wherever they stand; None when there is no list at all."""
    try:
        body = answer.json()
    except ValueError:
        return None
    found = _list_in(body, 0)
    if found is None:
        return None
    return [row for item in found if (row := _row(item)) is not None]


def _list_in(value: Any, depth: int) -> list[Any] | None:
    """The envelope is not documented: the list may be the body, or under some key of it."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict) or depth > 3:
        return None
    preferred = ("data", "results", "items", "requests", "rows", "history")
    for key in (*preferred, *(key for key in value if key not in preferred)):
        if isinstance(value.get(key), list | dict):
            found = _list_in(value[key], depth + 1)
            if found is not None:
                return found
    return None


def _row(item: Any) -> Row | None:
    if not isinstance(item, dict) or not isinstance(item.get("request_id"), str):
        return None
    if not item["request_id"].isprintable():
        return None  # half a surrogate pair could be neither asked for nor looked up
    created = (item.get(key) for key in ("model_created", "created_at", "createdAt", "timestamp"))
    instants = (instant_of(str(value)) for value in created if value is not None)
    return Row(
        item["request_id"],
        str(item.get("model_name", "")),
        _canonical(item.get("request_body")),
        next((at for at in instants if at is not None), None),
    )


def _canonical(body: Any) -> str:
    try:
        value = json.loads(body) if isinstance(body, str) else body
        return canonical_json(value)
    except (ValueError, RecursionError):
        return ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the decision depends on besides the evidence. `now` is the end of the read.

    `more_to_come` says that later submits of ours may still appear; `spoken_for` are the candidates
    of other jobs; `skew_s` is the service's clock minus ours.
    """

    now: float
    settle_s: float
    more_to_come: bool = True
    skew_s: float = 0.0
    spoken_for: frozenset[str] = frozenset()


def decide(
    jobs: Iterable[Job],
    read: HistoryRead,
    own: Mapping[str, OwnRequest],
    foreign: frozenset[str],
    policy: Policy,
) -> list[Finding]:
    """What one ended read says about every ambiguous job.

    `own` holds the requests of our ledger among the rows, `foreign` ids that were found not to be
    ours; an equal request of a team-mate spoils the proof of absence. k jobs with equal bodies and
    m rows: the first min(k, m) get a candidate each.
    """
    taken = set(policy.spoken_for)
    findings = []
    for job in sorted(jobs, key=lambda job: (job.sent_at, job.key)):
        row = _match(job, read, set(own) | foreign | taken, policy)
        if row is not None:
            taken.add(row.request_id)
            findings.append(Finding(job, Decision.CANDIDATE, row.request_id))
        else:
            shadowed = _match(job, read, set(own) | taken, policy) is not None
            findings.append(_without_row(job, read, own, policy, shadowed=shadowed))
    return findings


def _match(job: Job, read: HistoryRead, spent: set[str], policy: Policy) -> Row | None:
    """The earliest row that may be this POST, its id not `spent` on another.

    Without a time a row is no evidence: an equal request of last week must not be taken for it.
    """
    from_at = job.sent_at + policy.skew_s - SKEW_S
    to_at = job.unclear_at + policy.skew_s + policy.settle_s + SKEW_S
    fitting = [
        row
        for row in read.rows.values()
        if row.request_id not in spent
        and row.model == job.model
        and row.body == job.body
        and row.created_at is not None
        and from_at <= row.created_at <= to_at
    ]
    return min(fitting, key=lambda row: row.created_at or 0.0, default=None)


def _without_row(
    job: Job,
    read: HistoryRead,
    own: Mapping[str, OwnRequest],
    policy: Policy,
    *,
    shadowed: bool,
) -> Finding:
    settled_at = job.unclear_at + policy.settle_s
    if read.started_at < settled_at:
        return Finding(job, Decision.WAIT, look_at=next_read_at(job, policy))
    # After the settle time: proof, or patience, or neither.
    if shadowed:
        reason = f"{job.reason}; an equal request that is not ours stands in the history"
        return Finding(job, Decision.SET_ASIDE, reason=reason)
    if read.complete and job.may_be_absent and _has_control(job, read, own):
        return Finding(job, Decision.ABSENT, reason="not in the account's history")
    patient = policy.now < settled_at + GRACE_S and policy.more_to_come
    if job.may_be_absent and (patient or (read.failed and policy.now < settled_at + GRACE_S)):
        look_at = policy.now + LATER_READS_S
        return Finding(job, Decision.WAIT, look_at=look_at, unlisted=read.complete)
    return _undecided(job, read)


def _undecided(job: Job, read: HistoryRead) -> Finding:
    """Where history does not answer at all, the documented rule: a 5xx was not accepted."""
    if read.failed and job.documented_absent:
        reason = f"{job.reason}; documented as not accepted, the history does not answer"
        return Finding(job, Decision.ABSENT, reason=reason)
    why = read.failed or "the history shows neither this submit nor a later one of ours"
    return Finding(job, Decision.SET_ASIDE, reason=f"{job.reason}; {why}")


def _has_control(job: Job, read: HistoryRead, own: Mapping[str, OwnRequest]) -> bool:
    """Whether a later submit of ours stands in the same read with the body we sent."""
    return any(
        request.sent_at > job.unclear_at
        and request_id in read.rows
        and read.rows[request_id].body == request.body
        for request_id, request in own.items()
    )


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
    return job.api is ApiVersion.V1 and bool(job.request_id)
