"""The world around a run, in memory: what outlives the process when it is killed.

A `World` dies on demand. From then on every port raises `Killed`, as if the process were gone; what
was committed, sent or finished before stays. Then a next process can be run in the same world.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from batchgen.ports import Clock


class Killed(BaseException):
    """The process was killed. A BaseException, so that nothing handles it by accident."""


@dataclass(slots=True)
class World:
    """Seeded chance, and the life of the process that is being run.

    `steps` counts the port steps over the life of the world; `trail` keeps the names of the last
    ones, for messages.
    """

    random: random.Random
    dead: bool = False
    steps: int = 0
    trail: list[str] = field(default_factory=list)
    _planned: list[tuple[int, Callable[[], None]]] = field(default_factory=list)

    def step(self, name: str) -> None:
        """A place where a process may die: before and after everything it does to the world."""
        if not self.dead:
            self.steps += 1
            self.trail.append(name)
            del self.trail[:-50]
            self._meet()
        if self.dead:
            raise Killed(name)

    def plan(self, after_steps: int, action: Callable[[], None]) -> None:
        """Let something happen to this process after so many further steps."""
        self._planned.append((self.steps + after_steps, action))

    def _meet(self) -> None:
        if not self._planned:
            return
        due = [action for at, action in self._planned if at <= self.steps]
        self._planned = [item for item in self._planned if item[0] > self.steps]
        for action in due:
            action()

    def kill(self) -> None:
        """The process dies now."""
        self.dead = True

    def revive(self) -> None:
        """A next process begins; nothing is planned for it yet."""
        self.dead = False
        self._planned.clear()


BALLAST_RECORDS = 2
"""How many records the reserve of a full disk still takes."""


@dataclass(slots=True)
class Disk:
    """A disk that is full between some instants (seconds since the epoch, the end not included)."""

    clock: Clock
    full_between: Sequence[tuple[float, float]] = ()
    _ballast: int = BALLAST_RECORDS

    @property
    def is_full(self) -> bool:
        """Whether it is full just now."""
        now = self.clock.now()
        return any(since <= now < until for since, until in self.full_between)

    def lay_ballast(self) -> bool:
        """Lay the reserve anew; whether there was room for it."""
        if self.is_full:
            return self._ballast == BALLAST_RECORDS
        self._ballast = BALLAST_RECORDS
        return True

    def takes_record(self) -> bool:
        """Whether one more record fits, if need be at the cost of the reserve."""
        if not self.is_full:
            return True
        self._ballast -= 1
        return self._ballast >= 0
