"""A whole run in virtual time: the real planner, runner and ledger, in a world that can die."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from batchgen.app.stopping import POSTS_WITHIN_S
from batchgen.core.catalog.kinds import known_kinds
from batchgen.core.catalog.model import latency_guesses
from batchgen.core.jobs.job import Job, JobState
from batchgen.core.jobs.lifecycle import INTERRUPTED
from batchgen.core.scheduling.completion import Verdict
from batchgen.core.scheduling.gates.gates import Gate, GateKind, Gates
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.learned import CLOCKS_NOTE, LESSON_NOTES, account_of
from batchgen.core.scheduling.rates.rates import CALLS, SUBMITS, RateLimits, Rates
from batchgen.core.scheduling.spending import Money
from batchgen.core.scheduling.state import SchedulerState
from batchgen.errors import DiskError, InternalError
from batchgen.ports import Ports
from batchgen.providers.segmind import catalog
from batchgen.providers.segmind.provider import CAPABILITIES, Segmind
from batchgen.providers.segmind.simulator.messages import Urls
from batchgen.providers.segmind.simulator.service import Service
from batchgen.runner.runner import RunEnd, Runner
from batchgen.testing.memory import MemoryInputs, MemoryOutputs, MemoryState, RecordingProgress
from batchgen.testing.scenario import Interruption, Mishap, Scenario
from batchgen.testing.service_api import ServiceApi
from batchgen.testing.virtual_time import START_AT, VirtualClock, run_virtual
from batchgen.testing.world import Disk, Killed, World

URLS = Urls("https://api.segmind.test", "https://cdn.segmind.test", "https://cdn2.segmind.test")
MAX_PROCESSES = 200
GIVE_UP_S = 24 * 3600.0
ABANDONED_AFTER_STEPS = 3


@dataclass(slots=True)
class RehearsalReport:
    """What came of it: the service's own ledger, our state, the files, and how long it took.

    `left_behind` names jobs whose POST was left without an outcome, or not waited for, by a process
    that was not killed; `last_words_s` is how long stopped processes took to end;
    `told_too_early` counts changes that a watcher was told of before they were on disk.
    `needless_uploads` counts contents that were uploaded although the record had their address,
    `placeholders_sent` bodies that were sent although they still needed one.
    """

    service: Service
    state: MemoryState
    outputs: MemoryOutputs
    progress: RecordingProgress
    ghosts: int
    end: RunEnd
    scheduler: SchedulerState
    elapsed_s: float
    processes: int
    endings: Counter[str]
    left_behind: list[str]
    last_words_s: list[float]
    told_too_early: int
    needless_uploads: int
    placeholders_sent: int

    def jobs(self, *states: JobState) -> list[Job]:
        """Our jobs in these states (all, when none is named)."""
        return _jobs(self.state, *states)

    def counts(self) -> Mapping[str, int]:
        """Our jobs by state."""
        return self.state.stored.totals().counts

    def attempts(self) -> list[tuple[int, int, str, str]]:
        """The ledger: job key, number, state, request_id."""
        return self.state.stored.attempts()


def _jobs(state: MemoryState, *states: JobState) -> list[Job]:
    return [job for job in state.stored.jobs() if not states or job.state in states]


def _unended(state: MemoryState) -> str:
    jobs = [job for job in _jobs(state) if not job.ended]
    return ", ".join(f"{job.id} is {job.state} ({job.reason})" for job in jobs)


_DISK_ERROR = RunEnd(Verdict.STOP, Gate(GateKind.DISK, "the record cannot be written", 0.0, 0.0))


def rehearse(scenario: Scenario) -> RehearsalReport:
    """Run a scenario to its end; deterministic for its seed.

    Interruptions are followed by restarts, until nothing is left to do or `GIVE_UP_S` is over.
    Raises `InternalError` when it comes to no end.
    """
    return run_virtual(_Rehearsal(scenario).play)


class _Rehearsal:
    """One scenario being played: what outlives its processes."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.clock = VirtualClock()
        self.world = World(random.Random(scenario.seed))
        disk = Disk(self.clock, _instants(scenario.disk_full_s))
        quota = Disk(self.clock, _instants(scenario.quota_full_s))
        self.state = MemoryState(self.world, disk)
        self.state.stored.import_jobs(scenario.specs)
        self.service = Service(scenario.service, started_at=START_AT, urls=URLS)
        self.api = ServiceApi(self.service, self.world, self.clock, scenario.untold)
        faults = list(scenario.save_faults)
        self.outputs = MemoryOutputs(
            self.world, disk, self.api.download, faults=faults, quota=quota
        )
        self.inputs = MemoryInputs(self.world, self.state, scenario.inputs)
        self.progress = RecordingProgress()
        self.endings: Counter[str] = Counter()
        self.left_behind: list[str] = []
        self.last_words_s: list[float] = []
        self.told_too_early = 0
        self._interruptions = list(scenario.interruptions)
        self._clock_errors_s = list(scenario.clock_errors_s)
        self._top_ups_usd = list(scenario.top_ups_usd)
        self._stopped_at = 0.0

    async def play(self) -> RehearsalReport:
        """Process after process, until one has nothing more to do."""
        last_error_s: float | None = None
        for process in range(1, MAX_PROCESSES):
            self.world.revive()
            error_s = self._clock_errors_s.pop(0) if self._clock_errors_s else 0.0
            clock, carries_on = VirtualClock(error_s), error_s == last_error_s
            last_error_s = error_s
            scheduler = _board(self.scenario, self.state, clock.now(), carries_on=carries_on)
            ports = Ports(
                self.api, Segmind(), self.state, self.outputs, clock, self.progress, self.inputs
            )
            end = await self._live(Runner(scheduler, ports))
            interrupted = end is None or _is_by(end, GateKind.STOP)
            too_late = self.clock.now() > START_AT + GIVE_UP_S and not interrupted
            waits = bool(_jobs(self.state, JobState.UNFETCHED))
            if end is not None and ((_is_over(end) and not waits) or too_late):
                return self._report(end, scheduler, process)
            pause_s = self.scenario.downtime_s if interrupted else self.scenario.again_after_s
            await anyio.sleep(pause_s)
            if self._top_ups_usd:
                self.service.add_credits(self._top_ups_usd.pop(0))
        raise InternalError(f"no end after {MAX_PROCESSES} processes")

    async def _live(self, runner: Runner) -> RunEnd | None:
        """The life of one process; None when it did not end by itself."""
        end: RunEnd | None = None
        interruption = self._interruptions.pop(0) if self._interruptions else None
        self._stopped_at = 0.0
        hangs_at = anyio.current_time() + self.scenario.longest_process_s
        with anyio.CancelScope(deadline=hangs_at) as caller:
            if interruption is not None:
                self._arrange(interruption, runner, caller)
            try:
                end = await runner.run()
            except* Killed:
                self.endings["killed"] += 1
            except* DiskError:
                # What stood in the answers of these moments is looked up by the next process.
                end = _DISK_ERROR
        self._look_at_the_end(end, interruption, caller)
        return end

    def _arrange(
        self, interruption: Interruption, runner: Runner, caller: anyio.CancelScope
    ) -> None:
        def stop() -> None:
            self._stopped_at = self.clock.now()
            if interruption.mishap is Mishap.CANCEL:
                caller.cancel()
                return
            runner.stop("interrupted", POSTS_WITHIN_S)
            if interruption.mishap is Mishap.ABANDON:
                self.world.plan(ABANDONED_AFTER_STEPS, runner.abandon)

        is_kill = interruption.mishap is Mishap.KILL
        self.world.plan(interruption.after_steps, self.world.kill if is_kill else stop)

    def _look_at_the_end(
        self, end: RunEnd | None, interruption: Interruption | None, caller: anyio.CancelScope
    ) -> None:
        if caller.cancelled_caught and not self._stopped_at:
            raise InternalError(f"a process did not end by itself: {_unended(self.state)}")
        if caller.cancelled_caught:
            self.endings["cancelled"] += 1
        elif end is not None:
            by = f" by {end.gate.kind}" if end.gate else ""
            self.endings[f"{end.verdict}{by}"] += 1
        told_count = sum(change.is_news for change in self.progress.changes)
        told_too_early = told_count - self.state.recorded_count
        self.told_too_early = max(self.told_too_early, told_too_early)
        if self._stopped_at and not self.world.dead:
            self.last_words_s.append(self.clock.now() - self._stopped_at)
        if not (self.world.dead or end is _DISK_ERROR):
            self.left_behind += [job.id for job in _jobs(self.state, JobState.SUBMITTING)]
            self.left_behind += self._cut_off_too_early(interruption)

    def _cut_off_too_early(self, interruption: Interruption | None) -> list[str]:
        """Jobs whose POST was not waited for as long as the end of this process allowed it."""
        if not self._stopped_at or interruption is None:
            return []
        waits_s = {Mishap.CANCEL: math.inf, Mishap.STOP: POSTS_WITHIN_S}
        until = self._stopped_at + waits_s.get(interruption.mishap, 0.0)
        return [
            job.id
            for job in _jobs(self.state, JobState.AMBIGUOUS)
            if job.reason.startswith(INTERRUPTED) and self._stopped_at <= job.unclear_at < until
        ]

    def _report(self, end: RunEnd, scheduler: SchedulerState, processes: int) -> RehearsalReport:
        self.api.arrive_late()
        return RehearsalReport(
            service=self.service,
            state=self.state,
            outputs=self.outputs,
            progress=self.progress,
            ghosts=self.api.ghosts,
            end=end,
            scheduler=scheduler,
            elapsed_s=self.clock.now() - START_AT,
            processes=processes,
            endings=self.endings,
            left_behind=self.left_behind,
            last_words_s=self.last_words_s,
            told_too_early=self.told_too_early,
            needless_uploads=self.inputs.needless_count,
            placeholders_sent=self.api.placeholder_count,
        )


def _instants(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(START_AT + since, START_AT + until) for since, until in spans]


def _is_over(end: RunEnd) -> bool:
    """Whether starting again would change nothing: all is done, or a cap is reached."""
    capped = _is_by(end, GateKind.TIME) or _is_by(end, GateKind.SPEND_CAP)
    return end.verdict is Verdict.COMPLETE or capped


def _is_by(end: RunEnd, kind: GateKind) -> bool:
    return end.gate is not None and end.gate.kind is kind


def _passed(scenario: Scenario) -> Mapping[str, Any]:
    """What earlier runs know of how much passes."""
    if scenario.is_first or scenario.requests_per_minute is None:
        return {}
    most = scenario.requests_per_minute
    window = {"passed": {"minute": most, "burst": most}}
    return {SUBMITS: window, CALLS: window}


def _board(
    scenario: Scenario, state: MemoryState, now: float, *, carries_on: bool
) -> SchedulerState:
    ledger = state.stored
    notes = {name: text for name in LESSON_NOTES if (text := ledger.note(name)) is not None}
    money = Money.of(scenario.max_spend_usd, ledger.totals(), ledger.active())
    money.allow_unknown = scenario.allow_unknown_price
    scheduler = SchedulerState(
        limits=scenario.limits,
        rates=Rates.restore(
            RateLimits(
                scenario.requests_per_minute,
                scenario.learns,
                scenario.limits.rate_scope,
                scenario.model_rates,
            ),
            ledger.note("rate"),
            now,
            account_of(notes).get("rates", _passed(scenario)),
        ),
        capabilities=CAPABILITIES,
        money=money,
        gates=Gates(scenario.patience),
        latencies=Latencies(latency_guesses(catalog.load())),
        kinds=known_kinds(catalog.load()),
    )
    scheduler.load(notes)
    scheduler.clocks.load(ledger.note(CLOCKS_NOTE), now, carries_on=carries_on)
    return scheduler
