"""A whole run in virtual time: the real planner, runner and ledger, in a world that can die."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import anyio

from batchgen import catalog
from batchgen.adapters.sqlite.importer import import_jobs
from batchgen.core.board import Board, Limits
from batchgen.core.budget import Money, RateWindow
from batchgen.core.gates import Gates, Patience
from batchgen.core.job import Job, JobState
from batchgen.core.planner import Verdict
from batchgen.core.polling import Latencies
from batchgen.core.spec import JobSpec
from batchgen.errors import InternalError
from batchgen.ports import Ports, SaveFault
from batchgen.runner.runner import RunEnd, Runner
from batchgen.simulator.config import SimulatorConfig
from batchgen.simulator.messages import Urls
from batchgen.simulator.service import Service
from batchgen.testing.memory import MemoryOutputs, MemoryState, RecordingProgress
from batchgen.testing.service_api import ServiceApi
from batchgen.testing.virtual_time import START_AT, VirtualClock, run_virtual
from batchgen.testing.world import Killed, World

URLS = Urls("https://api.segmind.test", "https://cdn.segmind.test")
MAX_PROCESSES = 200
GIVE_UP_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is rehearsed. `kills` are steps after which one process after another dies."""

    specs: Sequence[JobSpec]
    service: SimulatorConfig = field(default_factory=SimulatorConfig)
    limits: Limits = field(default_factory=Limits)
    requests_per_minute: int | None = 50
    max_spend_usd: float | None = None
    kills: Sequence[int] = ()
    downtime_s: float = 5.0
    seed: int = 0
    patience: Patience = field(default_factory=Patience)
    save_faults: Sequence[SaveFault] = ()
    again_after_s: float = 1800.0
    """A run that stopped early is started again after so long, as its user would."""


@dataclass(slots=True)
class Report:
    """What came of it: the service's own ledger, our state, the files, and how long it took."""

    service: Service
    state: MemoryState
    outputs: MemoryOutputs
    progress: RecordingProgress
    world: World
    end: RunEnd
    board: Board
    elapsed_s: float
    processes: int
    ghosts: int

    def jobs(self, *states: JobState) -> list[Job]:
        """Our jobs in these states (all, when none is named)."""
        from batchgen.adapters.sqlite.rows import JOB_COLUMNS, job_of  # noqa: PLC0415

        rows = self.state.ledger.connection.execute(f"SELECT {JOB_COLUMNS} FROM jobs")  # noqa: S608
        jobs = [job_of(row) for row in rows]
        return [job for job in jobs if not states or job.state in states]

    def counts(self) -> Mapping[str, int]:
        """Our jobs by state."""
        return self.state.ledger.totals().counts

    def attempts(self) -> list[tuple[int, int, str, str]]:
        """The ledger: job key, number, state, request_id."""
        return self.state.ledger.connection.execute(
            "SELECT job_key, number, state, coalesce(request_id, '') FROM attempts"
        ).fetchall()


def rehearse(scenario: Scenario) -> Report:
    """Run a scenario to its end; deterministic for its seed. Kills are followed by a restart."""
    return run_virtual(lambda: _rehearse(scenario))


async def _rehearse(scenario: Scenario) -> Report:
    clock = VirtualClock()
    world = World(random.Random(scenario.seed))
    state = MemoryState(world)
    import_jobs(state.ledger, scenario.specs)
    service = Service(scenario.service, started_at=START_AT, urls=URLS)
    api = ServiceApi(service, world, clock)
    outputs = MemoryOutputs(world, api.download, faults=list(scenario.save_faults))
    progress = RecordingProgress()
    ports = Ports(api, state, outputs, clock, progress)
    kills = list(scenario.kills)
    for process in range(1, MAX_PROCESSES):
        world.revive(kills.pop(0) if kills else None)
        board = _board(scenario, state, clock.now())
        end = await _one_process(Runner(board, ports))
        stopped = end is not None and end.verdict is Verdict.STOP
        if stopped and not _out_of_money(end) and clock.now() < START_AT + GIVE_UP_S:
            await anyio.sleep(scenario.again_after_s)
            continue
        if end is not None:
            api.arrive_late()
            elapsed_s = clock.now() - START_AT
            return Report(
                service, state, outputs, progress, world, end, board, elapsed_s, process, api.ghosts
            )
        await anyio.sleep(scenario.downtime_s)
    raise InternalError(f"no end after {MAX_PROCESSES} processes")


def _out_of_money(end: RunEnd | None) -> bool:
    return end is not None and end.gate is not None and "max_spend" in end.gate.reason


async def _one_process(runner: Runner) -> RunEnd | None:
    """The life of one process; None when it was killed."""
    end: RunEnd | None = None
    try:
        end = await runner.run()
    except* Killed:
        end = None
    return end


def _board(scenario: Scenario, state: MemoryState, now: float) -> Board:
    totals = state.ledger.totals()
    return Board(
        limits=scenario.limits,
        rate=RateWindow.restore(scenario.requests_per_minute, state.ledger.note("rate"), now),
        money=Money.of(scenario.max_spend_usd, totals, state.ledger.active()),
        gates=Gates(scenario.patience),
        latencies=Latencies({m.slug: m.latency_s for m in catalog.load() if m.latency_s}),
    )


def completed(report: Report) -> bool:
    """Whether the run ended with nothing left to do."""
    return report.end.verdict is Verdict.COMPLETE
