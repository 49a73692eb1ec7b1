"""Jobs that come into the state while the run works; in virtual time."""

from __future__ import annotations

import random

import anyio

from batchgen.core.jobs.policies import Limits
from batchgen.core.scheduling.completion import Verdict
from batchgen.core.scheduling.gates import GateKind
from batchgen.core.scheduling.rate_limit import Rates, RateWindow
from batchgen.core.scheduling.state import SchedulerState
from batchgen.ports import Ports
from batchgen.providers.segmind.provider import CAPABILITIES, Segmind
from batchgen.providers.segmind.simulator import SimulatorConfig
from batchgen.providers.segmind.simulator.service import Service
from batchgen.runner.runner import Runner
from batchgen.store.sqlite.importer import append_jobs
from batchgen.testing.memory import MemoryOutputs, MemoryState, RecordingProgress
from batchgen.testing.rehearsal import URLS
from batchgen.testing.service_api import ServiceApi
from batchgen.testing.virtual_time import START_AT, VirtualClock, run_virtual
from batchgen.testing.world import Disk, World
from tests.store.builders import spec

CUP = '{"prompt":"a cup"}'
SERVICE = SimulatorConfig(pictures="tiny", unknown_models="accept")


class Scene:
    """A run on an empty state that somebody fills."""

    def __init__(self, **board):
        self.clock = VirtualClock()
        world = World(random.Random(1))
        disk = Disk(self.clock)
        self.state = MemoryState(world, disk)
        self.service = Service(SERVICE, started_at=START_AT, urls=URLS)
        api = ServiceApi(self.service, world, self.clock)
        outputs = MemoryOutputs(world, disk, api.download)
        limits = Limits(concurrency=4, models=board.pop("models", {}))
        self.board = SchedulerState(limits, Rates(RateWindow(None)), CAPABILITIES, **board)
        ports = Ports(api, Segmind(), self.state, outputs, self.clock, RecordingProgress())
        self.runner = Runner(self.board, ports)

    def add(self, *names, awaiting=True, **fields):
        append_jobs(self.state.ledger, [spec(name, CUP, **fields) for name in names], {})
        self.runner.restock(awaiting=awaiting)

    @property
    def counts(self):
        return self.state.ledger.totals().counts

    @property
    def bills(self):
        return len(self.service.ledger.bills)


def play(fill, **board):
    """Run a scene beside the one who fills it; the scene and how it ended."""

    async def both():
        scene = Scene(**board)
        scene.runner.restock(awaiting=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fill, scene)
            end = await scene.runner.run()
            tasks.cancel_scope.cancel()
        return scene, end

    return run_virtual(both)


def test_jobs_are_run_as_they_come_and_the_run_waits_for_the_last():
    async def fill(scene):
        for number in range(5):
            await anyio.sleep(300)
            scene.add(f"a{number}", f"b{number}")
        await anyio.sleep(3_000)
        assert scene.counts == {"done": 10}, "an idle run waits for more"
        scene.add("last", awaiting=False)

    scene, end = play(fill)

    assert end.verdict is Verdict.COMPLETE
    assert scene.counts == {"done": 11}


def test_a_run_to_which_nothing_more_comes_ends():
    async def fill(scene):
        await anyio.sleep(500)
        scene.runner.restock(awaiting=False)

    scene, end = play(fill)

    assert end.verdict is Verdict.COMPLETE
    assert scene.counts == {}


def test_a_burst_while_the_board_is_full_is_not_forgotten():
    async def fill(scene):
        scene.add(*(f"a{number:02}" for number in range(30)))
        await anyio.sleep(1)
        scene.add(*(f"b{number:02}" for number in range(30)), awaiting=False)

    scene, end = play(fill)

    assert end.verdict is Verdict.COMPLETE
    assert scene.counts == {"done": 60}


def test_models_with_limits_of_their_own_are_restocked_too():
    async def fill(scene):
        for number in range(3):
            await anyio.sleep(200)
            scene.add(f"a{number}", model="flux-pro")
            scene.add(f"b{number}", model="flux-kontext-max")
        scene.runner.restock(awaiting=False)

    scene, _ = play(fill, models={"flux-kontext-max": 1})

    assert scene.counts == {"done": 6}


def test_after_a_mistake_nothing_is_submitted_and_all_that_is_paid_for_comes_home():
    async def fill(scene):
        scene.add(*(f"a{number}" for number in range(20)))
        await anyio.sleep(5)
        scene.runner.drain("row 17 cannot be")

    scene, end = play(fill)

    assert end.verdict is Verdict.STOP
    assert (end.gate.kind, end.gate.reason) == (GateKind.MANIFEST, "row 17 cannot be")
    assert scene.bills == 4
    assert scene.counts == {"done": 4, "pending": 16}


def test_a_run_of_some_jobs_only_does_not_wait_for_the_others():
    async def fill(scene):
        for number in range(9):
            await anyio.sleep(100)
            scene.add(f"a{number}")
        raise AssertionError("it should have ended")

    scene, end = play(fill, quota=3)

    assert end.verdict is Verdict.COMPLETE
    assert scene.bills == 3, "draws that brought fewer than asked for do not use up the quota"
    assert scene.counts["done"] == 3


def test_the_user_may_stop_while_jobs_still_come():
    async def fill(scene):
        scene.add("a", "b")
        await anyio.sleep(5)
        scene.runner.stop("SIGINT received")

    scene, end = play(fill)

    assert (end.verdict, end.gate.kind) == (Verdict.STOP, GateKind.STOP)
    assert scene.board.awaiting
