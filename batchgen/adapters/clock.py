"""The `Clock` port: the wall clock read once, carried on by a clock that never steps."""

from __future__ import annotations

import time

import anyio
import anyio.lowlevel

SLICE_S = 30.0
"""Longest single sleep. Timers of the event loop stand still while the machine is suspended; after
a wake-up the true time is looked at within this long."""

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""On Linux the clock that counts suspends; elsewhere the monotonic one (macOS's counts them)."""


class SystemClock:
    """Seconds since the epoch as they were at construction, plus the time passed since."""

    def __init__(self) -> None:
        wall = time.time()  # noqa: TID251  this is the Clock port
        self._offset_s = wall - time.clock_gettime(_STEADY)

    def now(self) -> float:
        """Seconds since the epoch; never goes back, counts through suspends.

        A wall clock corrected during the run does not move it.
        """
        return self._offset_s + time.clock_gettime(_STEADY)

    async def sleep_until(self, at: float) -> None:
        """Return once `now() >= at`; yields to other tasks even when that is so already."""
        while (remaining_s := at - self.now()) > 0:  # noqa: ASYNC110  it waits for time itself
            await anyio.sleep(min(remaining_s, SLICE_S))
        await anyio.lowlevel.checkpoint()
