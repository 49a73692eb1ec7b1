"""Reading a run while it works: the tally and the scheduler as one snapshot, with an ETA.

Reads only: whoever watches never moves what the planner looks at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from batchgen.core.jobs.job import JobState
from batchgen.core.progress.gate_words import GATE_WORDS
from batchgen.core.progress.snapshot import RunSnapshot
from batchgen.core.progress.tally import Tally, duration
from batchgen.core.scheduling.gates.gates import Gate, GateKind
from batchgen.core.scheduling.rates.window import RATE_WINDOW_S
from batchgen.core.scheduling.state import SchedulerState


@dataclass(slots=True)
class SnapshotReader:
    """What displays of a running run read. `scheduler` comes once the run has one."""

    tally: Tally
    cap_usd: float | None = None
    scheduler: SchedulerState | None = None

    def read(self, now: float) -> RunSnapshot:
        """The run as it is now."""
        tally, scheduler = self.tally, self.scheduler
        shown = RunSnapshot(
            at=now,
            counts=dict(tally.counts),
            spent_usd=tally.spent_usd,
            cap_usd=self.cap_usd,
            submits=tally.per_minute("submits", now),
            polls=tally.per_minute("polls", now),
            eta_s=tally.eta_s(now),
            deadline_at=tally.next_deadline_at(),
            bytes_per_s=tally.bytes_per_s(now),
            uploaded_count=tally.uploaded_count,
            uploaded_bytes=tally.uploaded_bytes,
            faltering=tuple(tally.faltering(now)),
        )
        return shown if scheduler is None else _with_board(shown, tally, scheduler)


def _with_board(shown: RunSnapshot, tally: Tally, scheduler: SchedulerState) -> RunSnapshot:
    now, rate, closed = shown.at, scheduler.rate, scheduler.gates.closed
    spent_usd = scheduler.money.spent_usd
    reserved_usd = max(0.0, scheduler.money.committed_usd - spent_usd)
    return replace(
        shown,
        spent_usd=spent_usd,
        reserved_usd=reserved_usd,
        calls=rate.used(now),
        allowed=rate.allowed,
        limited_until=rate.blocked_until if rate.blocked_until > now else None,
        waiting_for=tuple(_short(gate, now) for gate in closed.values() if gate.kind in GATE_WORDS),
        held_count=scheduler.held_count,
        uploading_count=len(scheduler.uploads.under_way),
        eta_s=eta_s(tally, scheduler, now),
    )


def _short(gate: Gate, now: float) -> str:
    words = GATE_WORDS[gate.kind].short
    if gate.kind is not GateKind.OLDER:
        return words
    return f"{words} in {duration(max(0.0, gate.probe_at - now))}"


def eta_s(tally: Tally, scheduler: SchedulerState, now: float) -> float | None:
    """Seconds until this run has nothing left to do; None while that cannot be told.

    By the pace at which jobs ended lately, and never less than the budget needs for what is left,
    with the latencies and polls that were learned. Jobs beyond `--limit` are not this run's.
    """
    if scheduler.gates.closed.keys() & GATE_WORDS.keys():
        return None
    left = _Left.of(tally, scheduler)
    if left.count <= len(tally.faltering(now)):
        return None  # nothing is left, or nobody knows when it comes
    pace = tally.pace_per_s(now)
    by_pace_s = None if pace is None else left.count / pace
    by_budget_s = _by_budget_s(left, scheduler, now)
    known = [seconds for seconds in (by_pace_s, by_budget_s) if seconds is not None]
    return max(known, default=None)


@dataclass(frozen=True, slots=True)
class _Left:
    """Jobs this run has still to submit, those at the service, and those being brought home."""

    queued: int
    running: int
    fetching: int

    @property
    def count(self) -> int:
        return self.queued + self.running + self.fetching

    @classmethod
    def of(cls, tally: Tally, scheduler: SchedulerState) -> _Left:
        counts = tally.counts
        queued = counts[JobState.PENDING] - scheduler.held_count
        quota = scheduler.prefetch.quota
        if quota is not None:
            queued = min(queued, quota + scheduler.queues.counts[JobState.PENDING])
        fetching = counts[JobState.FETCHING] + counts[JobState.RECOVERING]
        return cls(max(0, queued), tally.in_flight, fetching)


def _by_budget_s(left: _Left, scheduler: SchedulerState, now: float) -> float | None:
    """What the requests and the places need at least; None before a latency is believed."""
    load = scheduler.polls.load
    if not load.latency_s:
        return None
    stay_s = load.latency_s + load.delay_s
    # What runs is half through, on the average.
    places_s = (left.queued + left.running / 2) * stay_s / scheduler.limits.concurrency
    last_s = stay_s if left.queued else stay_s / 2 if left.running else 0.0
    blocked_s = max(0.0, scheduler.rate.blocked_until - now)
    return max(places_s, _requests_s(left, scheduler, now)) + last_s + blocked_s


def _requests_s(left: _Left, scheduler: SchedulerState, now: float) -> float:
    """The time that the requests of what is left take; none where the minute still holds them."""
    allowed = scheduler.rate.allowed
    if allowed is None:
        return 0.0
    requests: float = left.queued
    if scheduler.rates.counts_gets:
        polls, others = scheduler.polls.load.polls, scheduler.polls.budget.other_calls
        requests = left.queued * (others + polls)
        requests += left.running * (others - 1 + polls) + left.fetching
    free = max(0, allowed - scheduler.rate.used(now))
    return RATE_WINDOW_S * max(0.0, requests - free) / allowed
