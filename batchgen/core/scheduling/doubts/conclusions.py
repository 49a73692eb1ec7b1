"""The ends of doubtful submits: what a read of the history, or having none, says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from batchgen.core.jobs.events import Event, EventKind
from batchgen.core.jobs.job import Doubt
from batchgen.core.reconciliation.evidence import Policy
from batchgen.core.reconciliation.history import HistoryRead, OwnRequest
from batchgen.core.reconciliation.reconcile import Decision, HistoryFinding, decide, needs_lookup
from batchgen.core.scheduling.gates.gates import CHECK_S

if TYPE_CHECKING:
    from batchgen.core.scheduling.state import SchedulerState


def doubts_without_history(scheduler: SchedulerState, now: float) -> list[Event]:
    """The end of the doubts about a service that lists no requests: nothing can settle them."""
    if scheduler.capabilities.has_history:
        return []
    what = "the service lists no requests: whether this one was accepted cannot be told"
    return [
        Event(EventKind.SET_ASIDE, job.key, now, f"{job.reason}; {what}")
        for job in scheduler.ambiguous
        if job.key not in scheduler.busy
    ]


def concluded(
    scheduler: SchedulerState, read: HistoryRead, own: Mapping[str, OwnRequest], now: float
) -> list[Event]:
    """The conclusions of an ended read; `own` are the rows' request_ids that the record has."""
    jobs = [
        job if scheduler.clocks.tell(job.key) else replace(job, doubt=Doubt.ACCEPTED)
        for job in scheduler.doubts
        # A doubt that arose after the read began was not looked for by it.
        if job.key not in scheduler.lookups.candidates
        and job.key not in scheduler.busy
        and not needs_lookup(job)
        and job.unclear_at <= read.started_at
    ]
    _learn_control(scheduler, read, own)
    if read.failed and scheduler.gates.is_quiet(read.started_at, now):
        # Where nothing answers at all, a history that does not says nothing.
        look_at = now + CHECK_S
        return [Event(EventKind.HELD, job.key, now, retry_at=look_at) for job in jobs]
    acked, dated = _dated_by_this_clock(scheduler, own)
    policy = Policy(
        now,
        scheduler.limits.settle_s,
        scheduler.more_to_submit or _more_to_settle(scheduler, now),
        scheduler.lookups.observe_own(read, dated),
        frozenset(scheduler.lookups.candidates.values()),
        scheduler.posting,
        scheduler.gates.only_history_is_silent,
        scheduler.lookups.reads,
        acked,
        scheduler.lookups.doors,
    )
    findings = decide(jobs, read, own, scheduler.lookups.foreign, policy)
    return [event for finding in findings if (event := _event_of(scheduler, finding, now))]


def _dated_by_this_clock(
    scheduler: SchedulerState, own: Mapping[str, OwnRequest]
) -> tuple[list[tuple[float, str]], Mapping[str, OwnRequest]]:
    """Submits that got an id, and those of our requests that tell the clock of the history: where
    our own clock was moved, none but those that this process sent."""
    lookups = scheduler.lookups
    if not scheduler.clocks.are_mixed:
        return lookups.acked, own
    acked = [(at, id_) for at, id_ in lookups.acked if id_ not in (lookups.earlier or ())]
    # What was adopted is in the ledger by the clock that dated it when it left.
    sent_at = {id_: at for at, id_ in acked}
    return acked, {id_: sent for id_, sent in own.items() if sent_at.get(id_) == sent.sent_at}


def _learn_control(
    scheduler: SchedulerState, read: HistoryRead, own: Mapping[str, OwnRequest]
) -> None:
    """Requests of ours that the history shows: it has caught up with them."""
    shown = [
        request.sent_at
        for id_, request in own.items()
        if id_ in read.rows and not request.is_ahead(read)
    ]
    scheduler.lookups.show(max(shown, default=0.0))
    scheduler.lookups.wants_control.clear()


def _event_of(scheduler: SchedulerState, finding: HistoryFinding, now: float) -> Event | None:
    key = finding.job.key
    scheduler.lookups.reads[key] = finding.reads
    match finding.decision:
        case Decision.CANDIDATE:
            scheduler.lookups.propose(key, finding.request_id)
            return None
        case Decision.WAIT:
            if finding.unlisted:
                scheduler.lookups.miss(key)
            return Event(EventKind.HELD, key, now, retry_at=finding.look_at)
        case Decision.ABSENT:
            return Event(EventKind.ABSENT, key, now, reason=finding.reason)
        case Decision.SET_ASIDE:
            return Event(EventKind.SET_ASIDE, key, now, reason=finding.reason)


def _more_to_settle(scheduler: SchedulerState, now: float) -> bool:
    """Whether another doubtful submit may turn out to be ours, or go out again."""
    return any(
        job.documented_absent
        or job.key in scheduler.lookups.candidates
        or now < job.unclear_at + scheduler.limits.settle_s
        for job in scheduler.doubts
    )
