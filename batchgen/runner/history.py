"""Reading the account's history for the ambiguous jobs: pages onto the board, findings off it."""

from __future__ import annotations

from dataclasses import replace

from batchgen.core.jobs.events import Event, EventKind
from batchgen.core.jobs.job import Doubt
from batchgen.core.jobs.outcomes import CallKind, Signal
from batchgen.core.reconciliation.history import HistoryRead
from batchgen.core.reconciliation.reconcile import (
    Decision,
    HistoryFinding,
    Policy,
    decide,
    needs_lookup,
)
from batchgen.core.scheduling.gates import GateKind
from batchgen.core.scheduling.state import SchedulerState
from batchgen.ports import DuplicateRequestIdError, Ports
from batchgen.runner.outcome import Landed


def begin_page(board: SchedulerState, now: float) -> HistoryRead:
    """The read whose next page is about to be fetched; a new one goes back to the oldest doubt."""
    board.reading = True
    if board.history is None:
        oldest_at = min((job.sent_at for job in board.ambiguous), default=now)
        board.history = HistoryRead(now, oldest_at + board.skew_s)
    return board.history


def take_in_page(board: SchedulerState, landed: Landed) -> None:
    """Put a page, or its failure, onto the board. A cut-off effect leaves the read as it was."""
    board.reading = False
    if landed.event is not None:
        board.gates.observe(landed.event)
    if board.history is None:
        return
    if landed.rows is not None:
        board.history.take_in(landed.rows)
    elif landed.event is not None:
        gone = landed.event.signal is Signal.NOT_FOUND
        board.history.break_off(landed.detail, not_found=gone)


def reject_candidate(board: SchedulerState, job_key: int) -> None:
    """The history denied that the row is ours: it may be a team-mate's."""
    candidate = board.candidates.pop(job_key, None)
    if candidate is not None:
        board.denials[candidate] += 1


async def conclude(board: SchedulerState, ports: Ports) -> list[Event]:
    """Draw the conclusions of an ended read; none while it goes on."""
    read = board.history
    if read is None or not read.ended or board.reading:
        return []
    board.history = None
    own = await ports.state.requests(list(read.rows))
    jobs = [
        job
        for job in board.ambiguous
        # A doubt that arose after the read began was not looked for by it.
        if job.key not in board.candidates
        and job.key not in board.busy
        and not needs_lookup(job)
        and job.unclear_at <= read.started_at
    ]
    policy = Policy(
        ports.clock.now(),
        board.limits.settle_s,
        board.more_to_submit,
        board.skew_s,
        frozenset(board.candidates.values()),
        board.posting,
        GateKind.HISTORY in board.gates.closed,
    )
    findings = decide(jobs, read, own, board.foreign, policy)
    return [event for finding in findings if (event := _act(board, finding, policy.now))]


def _act(board: SchedulerState, finding: HistoryFinding, now: float) -> Event | None:
    job = finding.job
    match finding.decision:
        case Decision.CANDIDATE:
            board.candidates[job.key] = finding.request_id
            return None
        case Decision.WAIT:
            if finding.unlisted:
                board.unlisted.add(job.key)
            return Event(EventKind.HELD, job.key, now, retry_at=finding.look_at)
        case Decision.ABSENT:
            return Event(EventKind.ABSENT, job.key, now, reason=finding.reason)
        case Decision.SET_ASIDE:
            return Event(EventKind.SET_ASIDE, job.key, now, reason=finding.reason)


def doubted(event: Event, error: DuplicateRequestIdError) -> Event:
    """An id that another attempt already has is none: what became of the POST stays unclear."""
    if event.job_key != error.job_key:
        return event
    bare = replace(event, request_id="", outputs=(), reason=str(error))
    if event.call is CallKind.HISTORY:
        return replace(bare, kind=EventKind.HELD, retry_at=event.at + 1.0)
    return replace(bare, kind=EventKind.UNCLEAR, doubt=Doubt.ACCEPTED)
