"""Jobs that ended in this run and were not handed on yet: their keys only, in order.

Their results stand in the state, so a reader that is slow costs eight bytes a job.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterable, Mapping, Sequence

from batchgen.core.jobs.events import Change

_KEPT = 4_096
"""So many keys that were handed on are dropped together: each dropping moves all behind them."""


class ResultsStream:
    """A `Progress` that notes which jobs have ended. For one event loop."""

    def __init__(self) -> None:
        self._keys = array("q")
        self._begin = 0
        self._news = asyncio.Event()

    def changed(self, changes: Iterable[Change]) -> None:
        """Note those that ended now."""
        self._keys.extend(change.after.key for change in changes if change.after.ended)
        self.wake()

    def said(self, name: str, text: str, fields: Mapping[str, object]) -> None:
        """Nothing: what is said stands in the log."""

    def wake(self) -> None:
        """Let who waits look again."""
        self._news.set()

    def first(self, most: int) -> Sequence[int]:
        """The keys to be handed on next; they stay until they are dropped."""
        return self._keys[self._begin : self._begin + most].tolist()

    def drop(self, count: int) -> None:
        """The first so many were handed on."""
        self._begin += count
        if self._begin >= _KEPT:
            del self._keys[: self._begin]
            self._begin = 0

    async def news(self) -> None:
        """Wait until something ended since the last call, or somebody woke us."""
        await self._news.wait()
        self._news.clear()
