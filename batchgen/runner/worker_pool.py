"""Tasks that stay: each carries out one effect after the other.

A task and a cancel scope for every effect cost as much as a tenth of a whole run without limits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from batchgen.core.scheduling.effects import Effect
from batchgen.errors import InternalError


@dataclass(slots=True, eq=False)
class _Worker:
    """An idle task. Set `effect`, then wake it; a worker that is woken without one exits."""

    called: anyio.Event = field(default_factory=anyio.Event)
    effect: Effect | None = None


class WorkerPool:
    """As many tasks as effects were ever under way at once. An async context manager.

    `work` is awaited for every effect that is given, exactly once, whatever is cancelled: it is to
    see to it that what it does is shielded, or told as cut off. Leaving waits for all of it.
    """

    def __init__(self, work: Callable[[Effect], Awaitable[None]]) -> None:
        self._work = work
        self._tasks: TaskGroup | None = None
        self._idle: list[_Worker] = []
        self._scopes: set[anyio.CancelScope] = set()
        self._dismissed = False

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        self._dismissed = True
        while self._idle:
            self._idle.pop().called.set()
        return await self._group().__aexit__(kind, error, trace)

    def _group(self) -> TaskGroup:
        if self._tasks is None:
            raise InternalError("a pool was used outside its `async with`")
        return self._tasks

    def give(self, effect: Effect) -> None:
        """Have an effect carried out, now."""
        if self._idle:
            worker = self._idle.pop()
            worker.effect = effect
            worker.called.set()
        else:
            scope = anyio.CancelScope()
            self._scopes.add(scope)  # a task that has not begun can be cut off as well
            self._group().start_soon(self._serve, effect, scope)

    def cut_off(self) -> None:
        """Cancel what is under way; what is given later is not concerned."""
        self._idle.clear()
        for scope in self._scopes:
            scope.cancel()

    async def _serve(self, first: Effect, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                effect: Effect | None = first
                while effect is not None:
                    await self._work(effect)
                    effect = None if self._dismissed else await self._next()
            finally:
                self._scopes.discard(scope)

    async def _next(self) -> Effect | None:
        worker = _Worker()
        self._idle.append(worker)
        try:
            await worker.called.wait()
        except anyio.get_cancelled_exc_class():
            if worker in self._idle:
                self._idle.remove(worker)
            if worker.effect is not None:  # it was given at the last moment
                await self._work(worker.effect)
            raise
        return worker.effect
