"""What follows from the passing of time alone: when to poll, how much to submit, when to end.

All calls share one budget of requests. In the long run a job takes a submit, its polls and a
result, so submits have a share of every minute of their own; what is in flight stays below what
polls and results can still bring home.
"""

from __future__ import annotations

import math
from dataclasses import replace

from batchgen.core.jobs.job import JobState
from batchgen.core.jobs.policies import PollWith
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.core.scheduling.poll_schedule import OTHER_CALLS, PollBudget
from batchgen.core.scheduling.queues import QueueKind
from batchgen.core.scheduling.rates.rates import GetPrice
from batchgen.core.scheduling.rates.window import RATE_WINDOW_S
from batchgen.core.scheduling.state import SchedulerState


def tick(scheduler: SchedulerState, now: float) -> None:
    """Bring the state to an instant, before the planner is asked, which then changes nothing."""
    scheduler.advance(now)
    _replan_polls(scheduler, now)
    _watch_the_end(scheduler, now)


def _replan_polls(scheduler: SchedulerState, now: float) -> None:
    """Give polls other instants when what is known, or what competes with them, has changed."""
    places = scheduler.limits.concurrency
    if scheduler.all_drawn or scheduler.gates.holds_submits():
        left = scheduler.queues.counts[JobState.PENDING] + scheduler.in_flight
        places = max(1, min(places, left))
    polls = scheduler.polls
    if not polls.update(_poll_budget(scheduler, places), now):
        return
    for key in scheduler.queues.idle(QueueKind.POLL):
        job = scheduler.jobs[key]
        if job.trouble:
            continue  # it waits for its backoff
        due_at = polls.next_poll_at(job, scheduler.asked_at.get(key, job.sent_at))
        if due_at != job.due_at:
            scheduler.queues.put(replace(job, due_at=due_at))


def _poll_budget(scheduler: SchedulerState, places: int) -> PollBudget:
    """What polls compete for, as far as it is known what they cost."""
    rates, price = scheduler.rates, scheduler.rates.get_price
    other_calls = OTHER_CALLS - (scheduler.result_polls.way is not PollWith.STATUS)
    if price is GetPrice.FREE:
        return PollBudget(None, places, other_calls)
    is_assumed = price is GetPrice.ASSUMED_FREE
    window = rates.whole if is_assumed else rates.of_gets
    limit = None if window is None else window.allowed
    requests_per_s = None if limit is None else limit / RATE_WINDOW_S
    return PollBudget(requests_per_s, places, other_calls, is_assumed)


def _watch_the_end(scheduler: SchedulerState, now: float) -> None:
    """Stop submits early enough that what is paid for can still be collected."""
    ends_at = scheduler.limits.ends_at
    if ends_at is None or GateKind.TIME in scheduler.gates.closed:
        return
    requests_per_s = scheduler.polls.budget.requests_per_s
    calls = OTHER_CALLS * (scheduler.in_flight + 1)
    drain_s = calls / requests_per_s if requests_per_s else 0.0
    models = {*+scheduler.queues.pending, *+scheduler.queues.in_flight}
    longest_s = scheduler.polls.longest_s(models)
    if now + longest_s + drain_s >= ends_at:
        reason = "max_duration leaves no time for more jobs"
        scheduler.gates.close(GateKind.TIME, reason, now)


def submit_share(scheduler: SchedulerState, now: float) -> int:
    """How many submits may come before polls: their share of a minute, less those of the last one;
    none while a request is so old that its window might end unfetched."""
    oldest_at = scheduler.queues[QueueKind.POLL].first_rank(now)
    if oldest_at is not None and now - oldest_at > scheduler.capabilities.retention_s / 2:
        return 0
    share = scheduler.polls.jobs_per_window()
    return 0 if share == math.inf else math.ceil(share) - scheduler.submits_of_last_minute(now)
