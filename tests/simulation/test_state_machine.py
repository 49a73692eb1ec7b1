"""Ledger, scheduler and planner under any legal course of events, restarts and clock steps."""

from __future__ import annotations

import sqlite3
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from batchgen.core.jobs.events import Event, EventKind
from batchgen.core.jobs.job import Job, JobState, Output, Receipt, SavedFile
from batchgen.core.jobs.lifecycle import TABLE, apply, found_at_start
from batchgen.core.jobs.outcomes import CallKind, Response, Signal
from batchgen.core.jobs.policies import Limits, OnExpired
from batchgen.core.scheduling.completion import Verdict
from batchgen.core.scheduling.effects import (
    Effect,
    EffectKind,
    JobOutcome,
    Outcome,
    PageOutcome,
    ProbeOutcome,
)
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.core.scheduling.planner import plan
from batchgen.core.scheduling.rates.rates import RateLimits, Rates
from batchgen.core.scheduling.spending import Money
from batchgen.core.scheduling.state import SchedulerState
from batchgen.core.scheduling.tick import tick
from batchgen.providers.segmind.provider import CAPABILITIES
from batchgen.store.sqlite.importer import import_jobs
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.retrying import Retrier
from batchgen.store.sqlite.schema import create_schema
from tests.core.builders import event
from tests.simulation.nights import PRICE_USD, jobs

JOB_COUNT = 6
CAP_USD = 4.5 * PRICE_USD
START_AT = 1_800_000_000.0
E, S, K = EventKind, JobState, EffectKind

OUTCOMES = {
    K.SUBMIT: (E.ACKED, E.NOT_ACCEPTED, E.REFUSED, E.UNCLEAR),
    K.POLL: (E.RUNNING, E.FINISHED, E.FAILED, E.TROUBLE, E.HELD, E.GONE, E.SET_ASIDE),
    K.FETCH: (E.RESULT, E.RUNNING, E.FAILED, E.TROUBLE, E.HELD, E.GONE, E.SET_ASIDE),
    K.SAVE: (E.SAVED, E.TROUBLE, E.HELD, E.GONE, E.GIVEN_UP),
    K.RECOVER: (E.RECOVERED, E.RUNNING, E.FAILED, E.TROUBLE, E.HELD, E.GIVEN_UP, E.SET_ASIDE),
    K.CONFIRM: (E.ADOPTED, E.TROUBLE, E.HELD),
}
"""How an effect about a job may end."""
BEST = {
    K.SUBMIT: E.ACKED,
    K.POLL: E.FINISHED,
    K.FETCH: E.RESULT,
    K.SAVE: E.SAVED,
    K.RECOVER: E.RECOVERED,
    K.CONFIRM: E.ADOPTED,
}
CALLS = {
    K.SUBMIT: CallKind.SUBMIT,
    K.POLL: CallKind.STATUS,
    K.FETCH: CallKind.RESULT,
    K.RECOVER: CallKind.HISTORY,
    K.CONFIRM: CallKind.HISTORY,
    K.PROBE: CallKind.CREDITS,
}
FINDINGS = (None, E.HELD, E.ABSENT, E.SET_ASIDE)
"""What a read of the history may say about an ambiguous job; None is a candidate."""
HOLDING = (GateKind.KEY, GateKind.OUTAGE, GateKind.CREDITS, GateKind.HISTORY)


class Run(RuleBasedStateMachine):
    """A run without a loop: effects are started by one rule and end by another."""

    def __init__(self) -> None:
        super().__init__()
        connection = sqlite3.connect(":memory:", isolation_level=None)
        create_schema(connection)
        self.ledger = Ledger(connection)
        import_jobs(self.ledger, jobs(JOB_COUNT))
        self.now = START_AT
        self.ids = 0
        self.begin()

    def begin(self) -> None:
        """A process starts from what the ledger holds."""
        active = self.ledger.active()
        self.under_way: list[Effect] = []
        self.scheduler = SchedulerState(
            limits=Limits(concurrency=2, on_expired=OnExpired.RECOVER, max_attempts=2),
            rates=Rates.restore(RateLimits(30), self.ledger.note("rate"), self.now),
            capabilities=CAPABILITIES,
            money=Money.of(CAP_USD, self.ledger.totals(), active),
        )
        self.scheduler.put(active)
        self.record(*filter(None, (found_at_start(job, self.now) for job in active)))

    def record(self, *events: Event) -> None:
        for happened in events:
            job = self.scheduler.jobs[happened.job_key]
            change = apply(job, self.scheduler.resolve(job, happened))
            self.ledger.record([change])
            self.scheduler.apply([change])

    # ------------------------------------------------------------ what the shell does

    @rule()
    def start_what_is_planned(self):
        tick(self.scheduler, self.now)
        decided = plan(self.scheduler, self.now)
        if decided.draw:
            drawn = self.ledger.draw(self.scheduler.prefetch.of(None).last_key, decided.draw)
            self.scheduler.drew(None, drawn, decided.draw, self.now)
            return
        counted = [effect for effect in decided.effects if effect.counts]
        submits, others = ([e.model for e in counted if e.is_submit is s] for s in (True, False))
        note = self.scheduler.rates.note(submits, self.now, others)
        if note is not None:
            self.ledger.record((), {"rate": note})
        for effect in decided.effects:
            self.start(effect)

    def start(self, effect: Effect) -> None:
        if effect.kind is K.SUBMIT and effect.job is not None:
            self.record(Event(E.INTENDED, effect.job.key, self.now))
        self.under_way.append(self.scheduler.start(effect, self.now))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def one_effect_ends(self, data):
        effect = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self.end(effect, lambda kinds: data.draw(st.sampled_from(kinds)))

    def end(self, effect: Effect, choose) -> None:
        if effect.counts:
            self.scheduler.answered(effect, None, self.now)
        if effect.kind is K.READ_HISTORY:
            self.end_read(choose)
        elif effect.job is None:
            response = Response(CallKind.CREDITS, Signal.OK, self.now)
            self.take(ProbeOutcome(effect.kind, response))
        else:
            job = self.scheduler.jobs[effect.job.key]
            legal = [kind for kind in OUTCOMES[effect.kind] if kind in TABLE[job.state]]
            self.take(JobOutcome(job.key, self.outcome(job, effect, choose(legal))))

    def take(self, outcome: Outcome) -> None:
        events, _ = self.scheduler.digest([outcome], self.now)
        self.record(*events)

    def outcome(self, job: Job, effect: Effect, kind: EventKind) -> Event:
        call = CALLS.get(effect.kind)
        told = {"reason": "said", "job_key": job.key}
        told |= {} if call is None else {"call": call, "signal": Signal.OK}
        if kind is E.ACKED:
            self.ids += 1
            told["request_id"] = f"r-{self.ids}"
        if kind is E.ADOPTED:
            told["request_id"] = effect.request_id
        if kind in {E.RESULT, E.RECOVERED}:
            told["outputs"] = (Output(0, url="https://cdn.segmind.test/a.png"),)
            told["receipt"] = Receipt(cost_usd=PRICE_USD)
        if kind is E.SAVED:
            told["files"] = (SavedFile(0, f"{job.stem}.png", 1, "0" * 64, "image/png"),)
        return event(kind, self.now, **told)

    def end_read(self, choose) -> None:
        self.take(PageOutcome())
        for job in self.scheduler.ambiguous:
            if job.key in self.scheduler.busy or job.key in self.scheduler.lookups.candidates:
                continue
            kind = choose(FINDINGS)
            if kind is None:
                self.ids += 1
                self.scheduler.lookups.propose(job.key, f"r-{self.ids}")
            else:
                self.record(Event(kind, job.key, self.now, reason="read", retry_at=self.now + 3.0))

    # ------------------------------------------------------------ what the world does

    @rule(step_s=st.sampled_from([0.5, 5.0, 61.0, 4000.0]))
    def time_passes(self, step_s):
        self.now += step_s

    @rule(kind=st.sampled_from(HOLDING))
    def a_gate_closes(self, kind):
        self.scheduler.gates.close(kind, "held", self.now)

    @rule(kind=st.sampled_from(HOLDING))
    def a_gate_opens(self, kind):
        self.scheduler.gates.open(kind)

    @rule(step_s=st.sampled_from([0.0, 10.0, -600.0, 90_000.0]))
    def the_process_dies_and_the_clock_may_step(self, step_s):
        self.now += step_s
        self.begin()

    @rule(state=st.sampled_from([S.FAILED, S.LOST, S.UNKNOWN]))
    def the_user_puts_jobs_back_between_two_runs(self, state):
        Retrier(self.ledger).put_back(Retrier(self.ledger).select([state], "*"), self.now)
        self.begin()

    # ------------------------------------------------------------ what always holds

    @invariant()
    def no_job_has_two_live_attempts(self):
        live = self.ledger.connection.execute(
            "SELECT job_key FROM attempts WHERE ended_at IS NULL"
        ).fetchall()
        assert max(Counter(live).values(), default=0) <= 1

    @invariant()
    def the_board_shows_what_the_ledger_holds(self):
        stored = {job.key: job for job in self.ledger.active()}
        shown = {key: job for key, job in self.scheduler.jobs.items() if job.state is not S.PENDING}
        assert {key: job.state for key, job in shown.items()} == {
            key: job.state for key, job in stored.items()
        }
        assert {key: job.request_id for key, job in shown.items()} == {
            key: job.request_id for key, job in stored.items()
        }
        assert sum(self.ledger.totals().counts.values()) == JOB_COUNT

    @invariant()
    def the_money_on_the_board_is_the_money_in_the_ledger(self):
        totals, money = self.ledger.totals(), self.scheduler.money
        assert money.committed_usd == pytest.approx(totals.settled_usd + totals.reserved_usd)
        assert money.committed_usd <= CAP_USD + 1e-6

    @invariant()
    def nothing_is_submitted_beside_a_live_attempt(self):
        live = {
            key
            for (key,) in self.ledger.connection.execute(
                "SELECT job_key FROM attempts WHERE ended_at IS NULL"
            )
        }
        decided = plan(self.scheduler, self.now)
        submits = {e.job.key for e in decided.effects if e.kind is K.SUBMIT and e.job is not None}
        assert not submits & live
        in_flight = self.scheduler.in_flight + len(submits)
        assert in_flight <= max(self.scheduler.limits.concurrency, self.scheduler.in_flight)
        if decided.verdict is Verdict.GO_ON:
            waits = self.scheduler.is_waiting
            assert decided.effects or decided.draw or decided.wake_at is not None or waits

    def teardown(self):
        """Without further trouble it comes to its end."""
        for kind in HOLDING:
            self.scheduler.gates.open(kind)
        for _ in range(400):
            if plan(self.scheduler, self.now).verdict is not Verdict.GO_ON:
                break
            self.start_what_is_planned()
            for effect in [*self.under_way]:
                self.under_way.remove(effect)
                best = BEST.get(effect.kind)
                self.end(effect, lambda kinds, best=best: best if best in kinds else kinds[0])
            self.now = plan(self.scheduler, self.now).wake_at or self.now
        decided = plan(self.scheduler, self.now)
        assert decided.verdict is Verdict.COMPLETE or decided.gate.kind is GateKind.SPEND_CAP
        self.ledger.connection.close()


def lives(count: int) -> settings:
    """So many of them, the same ones every time."""
    return settings(
        max_examples=count,
        stateful_step_count=40,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )


class LongRun(Run):
    """Many more lives, for `make sim`."""


Run.TestCase.settings = lives(25)
LongRun.TestCase.settings = lives(300)
TestRun = Run.TestCase
TestLongRun = pytest.mark.hunt(LongRun.TestCase)
