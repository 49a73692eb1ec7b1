"""What the scheduler has to know about a service, in no service's words."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a service does with the requests it has accepted.

    `retention_s` is how long after its submit a request can be asked for, in seconds; infinite
    where the service never forgets one. `file_retention_s` is how long its files stand.
    `has_history` says that it lists the requests of the account, so that a lost answer can be
    looked up; `has_credits` that it tells what the account holds.
    """

    retention_s: float
    file_retention_s: float = math.inf
    has_history: bool = True
    has_credits: bool = True

    def deadline_at(self, sent_at: float | None) -> float | None:
        """Until when the result of a request sent then can be fetched; None where it has no end."""
        if sent_at is None or math.isinf(self.retention_s):
            return None
        return sent_at + self.retention_s
