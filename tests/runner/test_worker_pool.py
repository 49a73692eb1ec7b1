"""The tasks that stay: every effect that is given is carried out once, whatever is cancelled."""

import anyio
import anyio.lowlevel
import pytest

from batchgen.core.scheduling.effects import Effect, EffectKind
from batchgen.errors import InternalError
from batchgen.runner.worker_pool import WorkerPool

POLL = Effect(EffectKind.POLL)


class Work:
    """Counts what begins, what ends and what is cut off; `gate` holds it up."""

    def __init__(self):
        self.gate = anyio.Event()
        self.begun = self.ended = self.cut_off = 0
        self.tasks = set()

    async def __call__(self, effect):
        self.begun += 1
        self.tasks.add(anyio.get_current_task().id)
        try:
            await self.gate.wait()
        except anyio.get_cancelled_exc_class():
            self.cut_off += 1
            raise
        self.ended += 1


async def test_a_task_that_is_free_takes_the_next_effect():
    work = Work()
    work.gate.set()
    async with WorkerPool(work) as worker_pool:
        for _ in range(4):
            worker_pool.give(POLL)
            await anyio.wait_all_tasks_blocked()
    assert work.ended == 4
    assert len(work.tasks) == 1


async def test_as_many_are_under_way_as_were_given():
    work = Work()
    async with WorkerPool(work) as worker_pool:
        for _ in range(7):
            worker_pool.give(POLL)
        await anyio.wait_all_tasks_blocked()
        assert (work.begun, work.ended) == (7, 0)
        work.gate.set()
    assert work.ended == len(work.tasks) == 7


async def test_what_is_cut_off_ends_and_what_is_given_later_does_not():
    work = Work()
    async with WorkerPool(work) as worker_pool:
        worker_pool.give(POLL)
        await anyio.wait_all_tasks_blocked()
        worker_pool.give(POLL)  # its task has not begun
        worker_pool.cut_off()
        worker_pool.give(POLL)
        with anyio.fail_after(5):
            while work.cut_off < 2:
                await anyio.lowlevel.checkpoint()
        work.gate.set()
    assert work.ended == 1


async def test_an_idle_task_that_is_cut_off_gets_nothing_more():
    work = Work()
    work.gate.set()
    async with WorkerPool(work) as worker_pool:
        worker_pool.give(POLL)
        await anyio.wait_all_tasks_blocked()
        worker_pool.cut_off()
        worker_pool.give(POLL)
    assert work.ended == 2
    assert len(work.tasks) == 2


async def test_an_effect_given_at_the_last_moment_is_not_lost():
    """The task was called, and before it could begin everything was cancelled."""
    work = Work()
    work.gate.set()
    with anyio.CancelScope() as scope:
        async with WorkerPool(work) as worker_pool:
            worker_pool.give(POLL)
            await anyio.wait_all_tasks_blocked()
            work.gate = anyio.Event()
            worker_pool.give(POLL)
            scope.cancel()
            await anyio.sleep_forever()
    assert (work.begun, work.ended, work.cut_off) == (2, 1, 1)


async def test_a_fault_of_the_work_ends_everything():
    async def breaks(effect):
        raise LookupError(effect.kind)

    async def give_it_a_poll():
        async with WorkerPool(breaks) as worker_pool:
            worker_pool.give(POLL)
            await anyio.sleep_forever()

    with pytest.raises(BaseExceptionGroup, match="unhandled errors"):
        await give_it_a_poll()


async def test_a_crew_that_was_not_entered_says_so():
    with pytest.raises(InternalError, match="async with"):
        WorkerPool(Work()).give(POLL)
