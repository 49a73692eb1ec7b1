"""The `Clock` port: the wall clock read once, carried on by a clock that never steps."""

from __future__ import annotations

import json
import time
from pathlib import Path

import anyio
import anyio.lowlevel

SLICE_S = 30.0
"""Longest single sleep. Timers of the event loop stand still while the machine is suspended; after
a wake-up the true time is looked at within this long."""

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""On Linux the clock that counts suspends; elsewhere the monotonic one (macOS's counts them)."""


def boot_id() -> str:
    """Names this run of the machine; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class SystemClock:
    """Seconds since the epoch as they were at construction, plus the time passed since."""

    def __init__(self, anchor: str | None = None) -> None:
        """`anchor` carries on the clock of an earlier process, as long as the machine stayed up.

        A wall clock that was put forward or back between two processes then moves nothing.
        """
        wall = time.time()  # noqa: TID251  this is the Clock port
        self._offset_s = wall - time.clock_gettime(_STEADY)
        stored = json.loads(anchor) if anchor else {}
        self.carries_on = stored.get("boot") == boot_id() != ""
        """Whether it is the clock of that process."""
        if self.carries_on:
            self._offset_s = float(stored["offset_s"])

    def anchor(self) -> str:
        """This clock as text, for a later process on the same machine."""
        return json.dumps({"boot": boot_id(), "offset_s": self._offset_s})

    def now(self) -> float:
        """Seconds since the epoch; never goes back, counts through suspends.

        A wall clock corrected during the run does not move it.
        """
        return self._offset_s + time.clock_gettime(_STEADY)

    @property
    def booted_at(self) -> float:
        """When the machine was started, where this clock counts from then, as it does on Linux."""
        return self._offset_s

    def since_s(self, wall_at: float) -> float:
        """For how long at least a file is as it was at a time of its own: by this clock or the wall
        clock, whichever says less; 0 of a time that is still to come."""
        wall = time.time()  # noqa: TID251  this is the Clock port
        return max(0.0, min(self.now(), wall) - wall_at)

    async def sleep_until(self, at: float) -> None:
        """Return once `now() >= at`; yields to other tasks even when that is so already."""
        while (remaining_s := at - self.now()) > 0:  # noqa: ASYNC110  it waits for time itself
            await anyio.sleep(min(remaining_s, SLICE_S))
        await anyio.lowlevel.checkpoint()
