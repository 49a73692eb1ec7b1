"""What people may be told of."""

from __future__ import annotations

from enum import StrEnum


class NoticeKind(StrEnum):
    """What people are told of."""

    FINISHED = "finished"
    """The run came to its end; some jobs may have failed."""
    STOPPED = "stopped"
    """It ended early: credits, cap, key, outage, disk, a signal that was not Ctrl-C."""
    DECISION = "decision"
    """It goes on, but somebody has to decide: a job is unknown, a model takes no jobs, or a gate
    stays closed."""
    BUDGET = "budget"
    """80 % of `max_spend` are spent or reserved."""
