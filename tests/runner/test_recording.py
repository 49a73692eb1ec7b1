"""What reaches the record, and when: the runner over the real ledger, in virtual time."""

from __future__ import annotations

import random
from collections import Counter

from batchgen.core.jobs.policies import Limits
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.rates.rates import Rates
from batchgen.core.scheduling.rates.window import RateWindow
from batchgen.core.scheduling.state import SchedulerState
from batchgen.ports import DuplicateRequestIdError, Ports
from batchgen.providers.segmind.provider import CAPABILITIES, Segmind
from batchgen.providers.segmind.simulator import SimulatorConfig
from batchgen.providers.segmind.simulator.service import Service
from batchgen.runner.runner import Runner
from batchgen.testing.memory import MemoryOutputs, MemoryState, RecordingProgress
from batchgen.testing.rehearsal import URLS
from batchgen.testing.service_api import ServiceApi
from batchgen.testing.virtual_time import START_AT, VirtualClock, run_virtual
from batchgen.testing.world import Disk, World
from tests.store.builders import spec

CUP = '{"prompt":"a cup"}'


class WatchedState(MemoryState):
    """Counts transactions, and what they held; refuses the first acknowledgement if asked to."""

    refuses = False

    def __init__(self, world, disk):
        super().__init__(world, disk)
        self.commit_count = 0
        self.events = Counter()
        self.notes_by = {}
        """The names of the notes that were written up to the first event of a kind, with it."""
        self.noted = set()

    async def record(self, changes, notes=None, uploaded=()):
        acked = [change for change in changes if change.event.kind.value == "acked"]
        if self.refuses and acked:
            self.refuses = False
            raise DuplicateRequestIdError(acked[0].after.key, acked[0].event.request_id)
        await super().record(changes, notes, uploaded)
        self.commit_count += 1
        self.noted |= {*notes} if notes else set()
        for change in changes:
            self.notes_by.setdefault(change.event.kind.value, {*self.noted})
        self.events.update(change.event.kind.value for change in changes)


def play(job_count, *, refuses=False, **service):
    """A run of some jobs; its state, its scheduler, its service and what was told."""

    async def run():
        clock = VirtualClock()
        world = World(random.Random(1))
        disk = Disk(clock)
        state = WatchedState(world, disk)
        state.refuses = refuses
        state.stored.import_jobs([spec(f"job-{n}", CUP) for n in range(job_count)])
        config = SimulatorConfig(pictures="tiny", unknown_models="accept", **service)
        simulated = Service(config, started_at=START_AT, urls=URLS)
        api = ServiceApi(simulated, world, clock)
        # A guess far below the truth: many polls find a request still running.
        scheduler = SchedulerState(
            Limits(concurrency=8),
            Rates(RateWindow(None)),
            CAPABILITIES,
            latencies=Latencies({}, 0.5),
        )
        progress = RecordingProgress()
        outputs = MemoryOutputs(world, disk, api.download)
        await Runner(scheduler, Ports(api, Segmind(), state, outputs, clock, progress)).run()
        return state, scheduler, simulated, progress

    return run_virtual(run)


def test_polls_that_bring_nothing_new_cost_no_transaction():
    state, _, _, progress = play(3, latency_s=60.0)

    told = Counter(change.event.kind.value for change in progress.changes)
    assert state.stored.totals().counts == {"done": 3}
    assert told["running"] > 20, "whoever watches hears of each"
    assert state.commit_count < told["running"]
    assert told["saved"] == state.events["saved"] == 3


def test_their_number_comes_to_the_record_with_what_follows():
    state, _, _, progress = play(1, latency_s=60.0)

    told = Counter(change.event.kind.value for change in progress.changes)
    (polls,) = state.stored.connection.execute("SELECT polls FROM jobs").fetchone()
    assert polls == told["running"]


def test_a_transaction_that_is_tried_again_teaches_once():
    """The service names an id that another attempt has: the batch is written a second time."""
    state, scheduler, _, _ = play(4, refuses=True, latency_s=5.0)
    usual = play(4, latency_s=5.0)[1]

    assert not state.refuses, "the transaction was refused"
    assert sum(scheduler.polls._mix.values()) == sum(usual.polls._mix.values()) - 1


def test_a_price_is_noted_before_the_job_that_told_it_leaves_the_memory():
    """A process that dies later must not leave the next one without it."""
    state = play(1, latency_s=5.0)[0]

    assert "prices" in state.notes_by["saved"]
