"""The world around a run, in memory: what outlives the process when it is killed.

A `World` dies on demand. From then on every port raises `Killed`, as if the process were gone; what
was committed, sent or finished before stays. Then a next process can be run in the same world.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


class Killed(BaseException):
    """The process was killed. A BaseException, so that nothing handles it by accident."""


@dataclass(slots=True)
class World:
    """Seeded chance, and the life of the process that is being run.

    `kill_at_step` names the port step (counted from 1 over the life of the world) at which the
    process dies; None lets it live. `trail` keeps the last step names, for messages.
    """

    random: random.Random
    kill_at_step: int | None = None
    dead: bool = False
    steps: int = 0
    trail: list[str] = field(default_factory=list)
    on_kill: Callable[[], None] | None = None

    def step(self, name: str) -> None:
        """A place where a process may die: before and after everything it does to the world."""
        if self.dead:
            raise Killed(name)
        self.steps += 1
        self.trail.append(name)
        del self.trail[:-50]
        if self.kill_at_step is not None and self.steps >= self.kill_at_step:
            self.kill()
            raise Killed(name)

    def kill(self) -> None:
        """The process dies now."""
        self.dead = True
        if self.on_kill is not None:
            self.on_kill()

    def revive(self, kill_at_step: int | None = None) -> None:
        """A next process begins, to be killed after so many further steps."""
        self.dead = False
        self.kill_at_step = None if kill_at_step is None else self.steps + kill_at_step
