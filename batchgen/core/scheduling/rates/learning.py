"""A limit that is learned: raised where that is of use, lowered to what passed when it is refused.

Bounded: what was refused is tried once more after a rest, and then not again for a long time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from batchgen.core.scheduling.rates.lessons import Lessons

REST_S = 900.0
"""After a refusal nothing above it is tried for so long."""
HOLD_S = 7 * 86_400.0
"""After the second one at the same place: plans change rarely, and a refusal costs a minute."""
SAME_SHARE = 0.05
"""Two limits that differ by less are the same."""
STEP_S = 60.0
"""A limit that passed is raised again after a whole window."""


@dataclass(slots=True)
class Raise:
    """When a learned value may be put to the test again. `refused` is where it was refused last,
    0 before it ever was; `again` says that it was refused there twice."""

    refused: int = 0
    again: bool = False
    rest_until: float = 0.0
    proved: int = 0
    """The highest that was raised, for all of it had passed."""

    def refuse(self, passed: int, now: float) -> None:
        """So much passed, and the next one was refused."""
        is_same = abs(passed - self.refused) <= max(1.0, SAME_SHARE * passed)
        self.again = self.refused > 0 and is_same
        self.refused = max(1, passed)
        self.rest_until = now + (HOLD_S if self.again else REST_S)

    def raised(self, limit: int, now: float) -> int:
        """The next limit to try: twice this one before any refusal, then a tenth more."""
        self.proved = limit
        if not self.refused:
            return 2 * limit
        self.rest_until = now + STEP_S
        return limit + max(1, limit // 10)

    def known(self, value: int) -> int:
        """The value as far as it has passed: what was only tried may be refused."""
        return min(value, max(self.proved, self.refused) or value)

    def dump(self) -> dict[str, Any]:
        """What is worth remembering."""
        known = {"refused": self.refused, "again": self.again, "rest_until": self.rest_until}
        return known | {"proved": self.proved}

    @classmethod
    def restore(cls, known: Lessons, now: float) -> Raise:
        """As an earlier process left it. A clock that was put back must not make it rest longer."""
        until = min(known.seconds("rest_until", 0.0), now + HOLD_S)
        refused, proved = known.count("refused") or 0, known.count("proved") or 0
        return cls(refused, known.flag("again"), until, proved)
