import asyncio
import time

import anyio

from batchgen.adapters.clock import SystemClock


def test_it_starts_at_the_wall_clock_and_never_goes_back():
    before = time.time()
    clock = SystemClock()
    readings = [clock.now() for _ in range(1000)]
    assert before - 0.1 <= readings[0] <= time.time() + 0.1
    assert readings == sorted(readings)


async def test_it_sleeps_until_and_hardly_longer():
    clock = SystemClock()
    for delay_s in (0.0, 0.001, 0.03, 0.1):
        at = clock.now() + delay_s
        await clock.sleep_until(at)
        assert 0 <= clock.now() - at < 1.0  # the machine may be busy, but nobody waits for seconds


async def test_the_past_still_lets_others_run():
    ran = []
    asyncio.get_running_loop().call_soon(ran.append, 1)
    await SystemClock().sleep_until(0.0)
    assert ran == [1]


async def test_a_far_instant_can_be_cancelled():
    clock = SystemClock()
    with anyio.move_on_after(0.02) as scope:
        await clock.sleep_until(float("inf"))
    assert scope.cancelled_caught
