"""Noticing a transfer that crawls."""

from __future__ import annotations

import asyncio


class MinSpeedGuard:
    """Bytes over time, judged once a window. Belongs to the running event loop."""

    def __init__(self, min_bytes_per_s: float, window_s: float) -> None:
        self._window_s = window_s
        self._min_count = min_bytes_per_s * window_s
        self._loop = asyncio.get_running_loop()
        self._began_at = self._loop.time()
        self._count = 0

    def crawls(self, count: int) -> bool:
        """Note that `count` bytes arrived; whether a window just ended with too few of them."""
        self._count += count
        now = self._loop.time()
        if now - self._began_at < self._window_s:
            return False
        too_few = self._count < self._min_count
        self._began_at, self._count = now, 0
        return too_few
