"""A run that is told to stop, or that an effect ends: what becomes of POSTs under way."""

from __future__ import annotations

import asyncio
import random

import anyio
import pytest

from batchgen.app.stopping import POSTS_WITHIN_S
from batchgen.core.jobs.policies import Limits
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.rates.rates import Rates
from batchgen.core.scheduling.rates.window import RateWindow
from batchgen.core.scheduling.state import SchedulerState
from batchgen.errors import UserError
from batchgen.ports import Ports
from batchgen.providers.segmind.provider import CAPABILITIES, Segmind
from batchgen.providers.segmind.simulator import Endpoint, FaultKind, FaultRule, SimulatorConfig
from batchgen.providers.segmind.simulator.service import Service
from batchgen.runner.runner import Runner
from batchgen.testing.memory import MemoryOutputs, MemoryState, RecordingProgress
from batchgen.testing.rehearsal import URLS
from batchgen.testing.service_api import ServiceApi
from batchgen.testing.virtual_time import START_AT, VirtualClock, run_virtual
from batchgen.testing.world import Disk, World
from tests.store.builders import spec

STOPPED_AFTER_S = 2.0
CUP = '{"prompt":"a cup"}'


class UnfetchableOutputs(MemoryOutputs):
    """Every download ends in an error that nobody foresaw, all at the same instant."""

    async def save(self, order):
        await anyio.sleep_until(20.0)
        raise UserError("no way to that host")


class Place:
    """Some jobs at a service with one fault, run again and again."""

    def __init__(self, *faults, outputs=MemoryOutputs, jobs=3):
        self.clock = VirtualClock()
        world = World(random.Random(1))
        self.disk = Disk(self.clock)
        self.state = MemoryState(world, self.disk)
        self.state.stored.import_jobs([spec(f"job-{n}", CUP) for n in range(jobs)])
        config = SimulatorConfig(
            pictures="tiny", unknown_models="accept", latency_s=1.0, faults=faults
        )
        self.service = Service(config, started_at=START_AT, urls=URLS)
        self.api = ServiceApi(self.service, world, self.clock)
        self.outputs = outputs(world, self.disk, self.api.download)

    def runner(self):
        scheduler = SchedulerState(
            Limits(concurrency=8), Rates(RateWindow(None)), CAPABILITIES,
            latencies=Latencies({}, 1.0),
        )  # fmt: skip
        scheduler.load({})
        progress = RecordingProgress()
        ports = Ports(self.api, Segmind(), self.state, self.outputs, self.clock, progress)
        return Runner(scheduler, ports)

    async def stopped(self, *words):
        """One run to its end, told to stop after a while; its end, and how long that took."""
        runner = self.runner()
        for after_s, say in words:
            call_later = asyncio.get_running_loop().call_later
            call_later(after_s, say, runner)
        end = await runner.run()
        return end, self.clock.now() - START_AT - STOPPED_AFTER_S

    def rows(self):
        query = "SELECT id, state, reason FROM jobs ORDER BY key"
        return [tuple(row) for row in self.state.stored.connection.execute(query)]

    def counts(self):
        return {state: count for state, count in self.state.stored.totals().counts.items() if count}


def stop(runner):
    runner.stop("SIGTERM received", POSTS_WITHIN_S)


def hanging(kind, **rule):
    return FaultRule(where=Endpoint.SUBMIT, kind=kind, **rule)


@pytest.mark.parametrize(
    "fault",
    [hanging(FaultKind.STALL), hanging(FaultKind.DRIP), hanging(FaultKind.SLOW, delay_s=50.0)],
    ids=lambda rule: rule.kind,
)
def test_a_post_that_hangs_is_waited_for_some_seconds_and_then_recorded_as_unclear(fault):
    async def play():
        there = Place(fault)
        end, took_s = await there.stopped((STOPPED_AFTER_S, stop))
        assert end.gate.kind is GateKind.STOP
        assert POSTS_WITHIN_S <= took_s < POSTS_WITHIN_S + 0.5
        assert there.counts() == {"ambiguous": 3}
        assert {row[2] for row in there.rows()} == {"the run ended while the submit was under way"}
        there.service.replace_faults([])
        await there.runner().run()
        assert there.counts() == {"done": 3}
        assert len(there.service.ledger.bills) == 3, "found in the history, not paid again"

    run_virtual(play)


def test_an_answer_that_comes_in_time_is_kept():
    async def play():
        there = Place(hanging(FaultKind.SLOW, delay_s=STOPPED_AFTER_S + 4.0))
        _, took_s = await there.stopped((STOPPED_AFTER_S, stop))
        assert 4.0 <= took_s < POSTS_WITHIN_S
        assert there.counts() == {"submitted": 3}

    run_virtual(play)


def test_the_second_word_cuts_it_off_at_once_and_that_is_recorded_too():
    async def play():
        there = Place(hanging(FaultKind.STALL))
        second = (STOPPED_AFTER_S + 1.0, Runner.abandon)
        _, took_s = await there.stopped((STOPPED_AFTER_S, stop), second)
        assert took_s < 1.1
        assert there.counts() == {"ambiguous": 3}

    run_virtual(play)


def test_without_a_limit_the_posts_are_waited_for():
    async def play():
        there = Place(hanging(FaultKind.SLOW, delay_s=50.0))
        word = (STOPPED_AFTER_S, lambda runner: runner.stop("enough"))
        _, took_s = await there.stopped(word)
        assert took_s > 40.0
        assert there.counts() == {"submitted": 3}

    run_virtual(play)


def test_an_error_that_nobody_foresaw_ends_the_run_as_itself_and_answers_are_kept():
    """Several at once would come in a group, with a traceback; and a POST is still under way."""

    async def play():
        late = hanging(FaultKind.SLOW, delay_s=30.0, after=3)
        there = Place(late, outputs=UnfetchableOutputs, jobs=4)
        with pytest.raises(UserError, match="no way to that host"):
            await there.stopped()
        assert there.counts() == {"fetching": 3, "submitted": 1}

    run_virtual(play)
