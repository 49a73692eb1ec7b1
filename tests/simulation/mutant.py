"""What a deliberate bug is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: the only place where `old` stands in `file` becomes `new`.

    `night` shows it: a seed, or a name of `tests.simulation.nights`. `tests` are asked where no
    night does.
    """

    name: str
    breaks: str
    file: str
    old: str
    new: str
    night: str = ""
    tests: str = ""

    def applied_to(self, text: str) -> str:
        """The text with the bug; ValueError when its place is not there exactly once."""
        count = text.count(self.old)
        if count != 1:
            raise ValueError(f"{self.name}: its place stands {count} times in {self.file}")
        return text.replace(self.old, self.new)
