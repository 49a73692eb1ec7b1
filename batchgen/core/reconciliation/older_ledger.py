"""Jobs that an older ledger takes for never sent: which of them the account's history shows.

A ledger may be older than what was done with it: a backup was put back, or a copy of it was run. A
row of the history that it does not know, with model and body of a job that waits, is then taken for
that job. Wrongly held, a job waits for a decision; wrongly sent, it is paid for twice.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from batchgen.core.jobs.events import (
    AnswerEvent,
    Change,
    DoubtEvent,
    Event,
    EventKind,
    IntentEvent,
)
from batchgen.core.jobs.job import Doubt, Job
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.reconciliation.history import SKEW_S, HistoryRead, HistoryRow, comparable


@dataclass(frozen=True, slots=True)
class SentBefore:
    """A POST that the ledger does not know: its request_id, empty where nothing tells it, and when
    it left, on our clock."""

    request_id: str
    sent_at: float
    reason: str


@dataclass(slots=True)
class UnknownRows:
    """Rows of an ended read that the ledger does not know, the earliest first, by model and body.

    `since_at` is the ledger's last record, on the service's clock.
    """

    since_at: float
    rows: dict[tuple[str, str], deque[HistoryRow]] = field(default_factory=dict)
    unreadable_count: int = 0
    """Of all unknown rows, those that do not tell what was sent."""

    @classmethod
    def of(
        cls,
        read: HistoryRead,
        known: Collection[str],
        doubtful: Iterable[Job],
        since_at: float,
    ) -> UnknownRows:
        """`known` are request_ids of the ledger. Of equal bodies, as many rows are left out as
        there are `doubtful` POSTs of it: they may be theirs, and are looked up as ever."""
        found = cls(since_at)
        rows = [*read.rows.values(), *read.nameless]
        by_body: defaultdict[tuple[str, str], list[HistoryRow]] = defaultdict(list)
        for row in rows:
            at = since_at if row.created_at is None else row.created_at
            if row.request_id in known or at < since_at - SKEW_S:
                continue
            if row.model and row.body:
                by_body[row.model, row.body].append(row)
            else:
                found.unreadable_count += 1
        for what, some in by_body.items():
            some.sort(key=lambda row: row.created_at or since_at)
            found.rows[what] = deque(some)
        for job in doubtful:
            if waiting := found.rows.get((job.model, comparable(job.body))):
                waiting.popleft()
        return found

    @property
    def tells_nothing(self) -> bool:
        """Whether there are unknown rows, and none that could be compared with a job."""
        return self.unreadable_count > 0 and not any(self.rows.values())

    def take(self, job: Job) -> HistoryRow | None:
        """The earliest row that may be a POST of a waiting job; it is then nobody else's.

        An attempt before may have been given up by the user although it stands in the history: of
        such a job only rows after the last record count.
        """
        waiting = self.rows.get((job.model, comparable(job.body)))
        if not waiting:
            return None
        at = waiting[0].created_at
        if job.attempt and at is not None and at <= self.since_at:
            return None
        return waiting.popleft()


def held_back(job: Job, sent: SentBefore, now: float) -> list[Change]:
    """The changes, to be recorded together, by which a waiting job is set aside as sent before.

    They write down the attempt that the ledger lacks: with a request_id, `retry --unknown` looks
    for its result, free of charge.
    """
    events: list[Event] = [
        IntentEvent(EventKind.INTENDED, job.key, min(sent.sent_at, now), price_usd=job.price_usd)
    ]
    if sent.request_id:
        events.append(
            AnswerEvent(
                EventKind.ACKED, job.key, now, reason=sent.reason, request_id=sent.request_id
            )
        )
    else:
        doubt = Doubt.ACCEPTED
        events.append(DoubtEvent(EventKind.UNCLEAR, job.key, now, sent.reason, doubt=doubt))
    events.append(Event(EventKind.SET_ASIDE, job.key, now, reason=sent.reason))
    changes: list[Change] = []
    for event in events:
        changes.append(apply(changes[-1].after if changes else job, event))
    return changes
