"""An event loop whose time jumps: a night passes in seconds, exactly and repeatably."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")

START_AT = 1_800_000_000.0
"""Where virtual time begins: an instant in 2027, in seconds since the epoch."""


class DeadlockError(RuntimeError):
    """Every task waits and no timer is set: the program would have hung."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits for anything: a wait is an advance of the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Advance by `timeout` unless something is ready now."""
        if timeout == 0:
            return []  # callbacks are ready: whatever else is will be seen before time goes on
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise DeadlockError("every task waits and no timer is set")
            self.elapsed_s += max(0.0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time. For code without threads, sockets or files."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds of virtual time since the loop was made."""
        return self._jumping.elapsed_s


class VirtualClock:
    """`batchgen.ports.Clock` on the running loop's virtual time, wrong by `error_s`."""

    def __init__(self, error_s: float = 0.0) -> None:
        self.error_s = error_s

    def now(self) -> float:
        """Seconds since the epoch, virtual."""
        return START_AT + asyncio.get_running_loop().time() + self.error_s

    async def sleep_until(self, at: float) -> None:
        """Return once `now() >= at`."""
        await anyio.sleep(max(0.0, at - self.now()))


def run_virtual(main: Callable[[], Awaitable[T]]) -> T:
    """Run an async function to its end in virtual time."""
    # Not returned through the loop: asyncio forms a text of its task, with all that it returns.
    ended: list[T] = []

    async def run() -> None:
        ended.append(await main())

    anyio.run(run, backend="asyncio", backend_options={"loop_factory": VirtualTimeLoop})
    return ended[0]
