"""What an older state does not know, and the history does not show yet, is waited for."""

from __future__ import annotations

import asyncio
import math
import os
import random
from dataclasses import replace

import anyio
import pytest

from batchgen.app.older_ledger.adoption import Adoption
from batchgen.app.older_ledger.doubts import (
    BEGUN_NOTE,
    LedgerDoubts,
    doubts_about,
    others_until,
    touched_at,
)
from batchgen.core.jobs.policies import Limits
from batchgen.core.scheduling.completion import Verdict
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.prefetch import Prefetch
from batchgen.core.scheduling.rates.rates import Rates
from batchgen.core.scheduling.rates.window import RateWindow
from batchgen.core.scheduling.state import SchedulerState
from batchgen.ports import Ports
from batchgen.providers.segmind.provider import CAPABILITIES, Segmind
from batchgen.providers.segmind.simulator import SimulatorConfig
from batchgen.providers.segmind.simulator.service import Service
from batchgen.runner.runner import Runner
from batchgen.store.sqlite.older import RECORDED_NOTE
from batchgen.store.sqlite.state import SqliteState
from batchgen.system.clock import SystemClock
from batchgen.system.run_directory import RunDirectory
from batchgen.system.whereabouts import WHEREABOUTS_NOTE, Standing, Whereabouts
from batchgen.testing.memory import MemoryOutputs, MemoryState, RecordingProgress
from batchgen.testing.rehearsal import URLS
from batchgen.testing.service_api import ServiceApi
from batchgen.testing.virtual_time import START_AT, VirtualClock, run_virtual
from batchgen.testing.world import Disk, World
from tests.store.builders import spec

LAG_S, SETTLE_S, LATENCY_S = 60.0, 100.0, 30.0
COPY = LedgerDoubts(Standing.COPIED, recorded_at=START_AT)


class SlowOutputs(MemoryOutputs):
    """Every download takes longer than anybody waits."""

    async def save(self, order):
        await anyio.sleep(1000 * SETTLE_S)
        raise AssertionError(order)


class Copies:
    """A service whose history lags, and copies of one state that are run there."""

    def __init__(self):
        self.clock = VirtualClock()
        self.world = World(random.Random(1))
        config = SimulatorConfig(
            pictures="tiny", unknown_models="accept", latency_s=LATENCY_S, history_lag_s=LAG_S
        )
        self.service = Service(config, started_at=START_AT, urls=URLS)
        self.api = ServiceApi(self.service, self.world, self.clock)

    def copy(self, kind=MemoryOutputs):
        disk = Disk(self.clock)
        state = MemoryState(self.world, disk)
        state.stored.import_jobs([spec(f"job-{n}", f'{{"prompt":"cup {n}"}}') for n in range(4)])
        outputs = kind(self.world, disk, self.api.download)
        progress = RecordingProgress()
        return Ports(self.api, Segmind(), state, outputs, self.clock, progress)

    async def run(self, ports, most=None, until=None):
        """Run a copy to its end, or to the end of its wait."""
        scheduler = SchedulerState(
            Limits(concurrency=8, settle_s=SETTLE_S), Rates(RateWindow(None)), CAPABILITIES,
            latencies=Latencies({}, LATENCY_S), prefetch=Prefetch(most),
        )  # fmt: skip
        scheduler.load({})
        if until is not None:
            scheduler.gates.wait("why", self.clock.now(), until)
        return await Runner(scheduler, ports).run()

    @property
    def paid(self):
        return len(self.service.ledger.bills)


def counts(ports):
    return {state: n for state, n in ports.state.stored.totals().counts.items() if n}


def rates():
    return Rates(RateWindow(None))


def test_what_another_copy_sent_within_the_lag_is_waited_for_and_held():
    async def play():
        there = Copies()
        original, copy = there.copy(), there.copy()
        await there.run(original, most=2)
        adoption = Adoption(copy, COPY, SETTLE_S)
        began_at = there.clock.now()
        assert await adoption.hold_sent(rates()) == 0, "the history does not show it yet"
        assert adoption.due_at == began_at + SETTLE_S
        assert "1 min" in adoption.reason()
        end = await there.run(copy, until=adoption.due_at)
        assert end.gate.kind is GateKind.OLDER
        assert there.clock.now() >= began_at + SETTLE_S
        assert there.paid == 2
        assert await adoption.hold_sent(rates()) == 2
        assert adoption.due_at is None
        assert (await there.run(copy)).verdict is Verdict.COMPLETE
        assert there.paid == 4
        assert counts(copy) == {"done": 2, "unknown": 2}

    run_virtual(play)


def test_nothing_is_waited_for_where_nobody_can_have_sent_anything_so_lately():
    async def play():
        there = Copies()
        copy = there.copy()
        adoption = Adoption(copy, replace(COPY, others_until=START_AT - SETTLE_S), SETTLE_S)
        assert await adoption.hold_sent(rates()) == 0
        assert adoption.due_at is None

    run_virtual(play)


def test_only_the_rest_of_the_settle_time_is_waited_for():
    adoptions = []

    async def play():
        doubts = replace(COPY, others_until=START_AT - 40.0)
        adoptions.append(Adoption(Copies().copy(), doubts, SETTLE_S))

    run_virtual(play)
    assert adoptions[0].due_at == START_AT - 40.0 + SETTLE_S


def test_meanwhile_what_was_paid_for_comes_home_and_nothing_is_submitted():
    """A job that ends within the wait comes home; one that does not is brought home later."""

    async def play():
        there = Copies()
        ports = there.copy()
        began_at = there.clock.now()
        await there.run(ports, most=1, until=began_at + 1.0)
        assert counts(ports) == {"pending": 4}, "nothing was submitted"
        submits = there.run(ports, most=2)
        with anyio.move_on_after(5.0):
            await submits
        assert counts(ports) == {"pending": 2, "submitted": 2}
        await there.run(ports, until=there.clock.now() + 5.0)
        assert counts(ports) == {"pending": 2, "submitted": 2}
        await there.run(ports, until=there.clock.now() + 2 * LATENCY_S)
        assert counts(ports) == {"pending": 2, "done": 2}
        assert there.paid == 2

    run_virtual(play)


def test_a_download_does_not_prolong_the_wait_and_is_begun_anew():
    async def play():
        there = Copies()
        ports = there.copy(SlowOutputs)
        with anyio.move_on_after(2 * LATENCY_S):
            await there.run(ports, most=2)
        until = there.clock.now() + 10.0
        with anyio.fail_after(60.0):
            end = await there.run(ports, until=until)
        assert end.gate.kind is GateKind.OLDER
        assert there.clock.now() < until + 1.0
        assert counts(ports) == {"pending": 2, "fetching": 2}
        outputs = MemoryOutputs(there.world, Disk(there.clock), there.api.download)
        await there.run(replace(ports, outputs=outputs), until=there.clock.now() + 20.0)
        assert counts(ports) == {"pending": 2, "done": 2}
        assert there.paid == 2

    run_virtual(play)


def test_who_stops_a_run_that_waits_ends_it():
    async def play():
        there = Copies()
        ports = there.copy()
        scheduler = SchedulerState(Limits(), rates(), CAPABILITIES)
        scheduler.gates.wait("why", there.clock.now(), there.clock.now() + SETTLE_S)
        runner = Runner(scheduler, ports)
        asyncio.get_running_loop().call_later(2.0, runner.stop, "SIGINT received")
        end = await runner.run()
        assert end.gate.kind is GateKind.STOP
        assert there.clock.now() - START_AT < 3.0

    run_virtual(play)


# ------------------------------------------------------------- until when somebody may have sent

NOW, TOUCHED, BOOTED = 10_000.0, 9_000.0, 9_500.0
HERE = Whereabouts("machine", "boot", 1, 2, 3)


class StoppedClock:
    booted_at = BOOTED

    def now(self):
        return NOW

    def since_s(self, wall_at):
        return NOW - wall_at


@pytest.mark.parametrize(
    ("before", "until"),
    [
        (HERE, TOUCHED),
        (replace(HERE, inode=9), TOUCHED),  # a backup that was put back
        (replace(HERE, inode=9, home=9), math.inf),  # a copy of the directory
        (replace(HERE, home=9), math.inf),  # only the file was moved here
        (replace(HERE, home=0), math.inf),  # written down by an earlier version
        (replace(HERE, boot="before"), BOOTED),
        (replace(HERE, boot="before", device=9, home=9), BOOTED),
        (replace(HERE, boot="before", inode=9), math.inf),
        (replace(HERE, host="another"), math.inf),
    ],
)
def test_until_when_somebody_else_can_have_sent_something(before, until):
    note = before.dump()[WHEREABOUTS_NOTE]
    assert others_until(HERE, note, StoppedClock(), TOUCHED) == until


def test_after_a_restart_a_state_may_have_been_put_back():
    note = replace(HERE, boot="before").dump()[WHEREABOUTS_NOTE]
    assert others_until(HERE, note, StoppedClock(), BOOTED + 1) == BOOTED + 1


@pytest.mark.parametrize("note", [None, "", "nonsense"])
def test_without_a_note_it_is_not_known(note):
    assert others_until(HERE, note, StoppedClock(), TOUCHED) == math.inf


def test_the_time_of_a_file_is_judged_by_the_clock_that_says_less():
    clock = SystemClock()
    assert clock.since_s(clock.now() - 50.0) == pytest.approx(50.0, abs=5.0)
    assert clock.since_s(clock.now() + 50.0) == 0.0
    ahead = SystemClock(clock.anchor().replace('"offset_s": ', '"offset_s": 1'))
    assert ahead.since_s(clock.now() - 50.0) < 60.0


def test_a_state_that_was_put_back_with_its_old_time_is_new_there(tmp_path):
    """A run, and a backup that was put back, are both later than the file says it was changed."""
    directory = RunDirectory(tmp_path)
    assert touched_at(directory) == 0.0
    directory.state.write_text("x")
    os.utime(directory.state, (1.0, 1.0))
    clock = SystemClock()
    assert clock.since_s(touched_at(directory)) < 30.0


def test_an_adoption_that_was_not_brought_to_an_end_is_begun_again(tmp_path):
    """What it recorded is later than what it still looks for."""
    directory = RunDirectory(tmp_path)
    with SqliteState(directory.state) as state:
        importer, clock = state.importer, SystemClock()
        assert not doubts_about(directory, importer, clock, 0.0, adopt=False)
        found = LedgerDoubts(recorded_at=5.0, adopt=True, had_newer=True)
        importer.write_notes({**found.notes(), RECORDED_NOTE: repr(clock.now())})
        doubts = doubts_about(directory, importer, clock, 0.0, adopt=False)
        assert doubts
        assert doubts.recorded_at == 5.0
        assert doubts.had_newer
        importer.write_notes({BEGUN_NOTE: ""})
        assert not doubts_about(directory, importer, clock, 0.0, adopt=False)
