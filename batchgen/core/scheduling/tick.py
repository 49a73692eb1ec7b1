"""What follows from the passing of time alone: when to poll, how much to submit, when to end.

All calls share one budget of requests. In the long run a job takes a submit, its polls and a
result, so submits have a share of every minute of their own; what is in flight stays below what
polls and results can still bring home.
"""

from __future__ import annotations

import math
from dataclasses import replace

from batchgen.core.jobs.job import JobState
from batchgen.core.jobs.policies import RateScope
from batchgen.core.scheduling.gates import GateKind
from batchgen.core.scheduling.poll_schedule import OTHER_CALLS, PollBudget
from batchgen.core.scheduling.queues import QueueKind
from batchgen.core.scheduling.rate_limit import RATE_WINDOW_S
from batchgen.core.scheduling.state import SchedulerState


def tick(board: SchedulerState, now: float) -> None:
    """Bring the board to an instant, before the planner is asked, which then changes nothing."""
    board.advance(now)
    _replan_polls(board, now)
    _watch_the_end(board, now)


def _replan_polls(board: SchedulerState, now: float) -> None:
    """Give polls other instants when what is known, or what competes with them, has changed."""
    limit = board.rate.allowed if board.limits.rate_scope is RateScope.ALL else None
    places = board.limits.concurrency
    if board.all_drawn or board.gates.holds_submits():
        left = board.roster.counts[JobState.PENDING] + board.in_flight
        places = max(1, min(places, left))
    requests_per_s = None if limit is None else limit / RATE_WINDOW_S
    placement = board.placement
    if not placement.update(PollBudget(requests_per_s, places), now):
        return
    for key in board.roster.idle(QueueKind.POLL):
        job = board.jobs[key]
        due_at = placement.next_poll_at(job, board.asked_at.get(key, job.sent_at))
        if due_at != job.due_at:
            board.roster.put(replace(job, due_at=due_at))


def _watch_the_end(board: SchedulerState, now: float) -> None:
    """Stop submits early enough that what is paid for can still be collected."""
    ends_at = board.limits.ends_at
    if ends_at is None or GateKind.TIME in board.gates.closed:
        return
    requests_per_s = board.placement.budget.requests_per_s
    calls = OTHER_CALLS * (board.in_flight + 1)
    drain_s = calls / requests_per_s if requests_per_s else 0.0
    models = {*+board.roster.pending, *+board.roster.in_flight}
    longest_s = board.placement.longest_s(models)
    if now + longest_s + drain_s >= ends_at:
        reason = "max_duration leaves no time for more jobs"
        board.gates.close(GateKind.TIME, reason, now)


def submit_share(board: SchedulerState, now: float) -> int:
    """How many submits may come before polls: their share of a minute, less those of the last one;
    none while a request is so old that its window might end unfetched."""
    oldest_at = board.roster.queues[QueueKind.POLL].first_rank(now)
    if oldest_at is not None and now - oldest_at > board.capabilities.retention_s / 2:
        return 0
    share = board.placement.jobs_per_window()
    return 0 if share == math.inf else math.ceil(share) - board.submits_of_last_minute(now)
