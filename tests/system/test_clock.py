import asyncio
import json
import time

import anyio
import pytest

from batchgen.system.clock import SystemClock


def test_it_starts_at_the_wall_clock_and_never_goes_back():
    before = time.time()
    clock = SystemClock()
    readings = [clock.now() for _ in range(1000)]
    assert before - 0.1 <= readings[0] <= time.time() + 0.1
    assert readings == sorted(readings)


def shifted(anchor, by_s):
    """The anchor of a process that read a wall clock so far ahead of today's."""
    fields = json.loads(anchor)
    return json.dumps(fields | {"offset_s": fields["offset_s"] + by_s})


@pytest.mark.parametrize("by_s", [-86_400.0, 0.0, 86_400.0])
def test_it_carries_on_the_clock_of_an_earlier_process(by_s):
    """Whatever the wall clock shows now: the rate window and the hours were counted on this one."""
    earlier = shifted(SystemClock().anchor(), by_s)

    later = SystemClock(earlier)

    assert later.now() == pytest.approx(time.time() + by_s, abs=5.0)
    assert json.loads(later.anchor()) == json.loads(earlier)
    assert later.carries_on


@pytest.mark.parametrize("boot", ["", "another-boot", None])
def test_after_a_reboot_the_wall_clock_is_all_there_is(boot):
    earlier = json.loads(shifted(SystemClock().anchor(), 86_400.0)) | {"boot": boot}

    later = SystemClock(json.dumps(earlier))

    assert later.now() == pytest.approx(time.time(), abs=5.0)
    assert not later.carries_on


@pytest.mark.parametrize("anchor", [None, "", "{}"])
def test_without_an_anchor_it_is_the_wall_clock(anchor):
    clock = SystemClock(anchor)

    assert clock.now() == pytest.approx(time.time(), abs=5.0)
    assert not clock.carries_on


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
