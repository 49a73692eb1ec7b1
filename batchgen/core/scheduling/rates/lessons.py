"""Reading what an earlier run learned: what is damaged, or of another version, is as good as
absent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST = 1_000_000
"""No count of requests is higher."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """A part of what was written down, read value by value."""

    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, value: object) -> Lessons:
        """A mapping, or nothing."""
        return cls(value) if isinstance(value, Mapping) else cls()

    def part(self, name: str) -> Lessons:
        """A mapping below this one."""
        return Lessons.of(self.values.get(name))

    def count(self, name: str, least: int = 0) -> int | None:
        """A number of requests."""
        value: Any = self.values.get(name)
        is_count = isinstance(value, int) and not isinstance(value, bool)
        return value if is_count and least <= value <= MOST else None

    def seconds(self, name: str, usual: float) -> float:
        """An instant, or a time."""
        value: Any = self.values.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if is_number and math.isfinite(value) else usual

    def flag(self, name: str) -> bool:
        """Whether it says yes."""
        return self.values.get(name) is True

    def text(self, name: str) -> str:
        """A text; empty where there is none."""
        value: Any = self.values.get(name)
        return value if isinstance(value, str) else ""
