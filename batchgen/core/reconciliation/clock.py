"""The clock by which the history dates its rows, told by rows of our own.

It should be the clock of the service's answers (`Date`). But a history may be written in a local
time without saying so, or `Date` may come from another machine. Then all rows are off by the same,
so the rows of request_ids in our ledger, of which we know when they were sent, tell by how much.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from statistics import median_low

from batchgen.core.reconciliation.history import SKEW_S, HistoryRead, OwnRequest

CONTROL_LATE_S = 600.0
"""How long after its POST a row may say it was created: a v1 call may take so long."""
ZONE_STEP_S = 900.0
"""Time zones differ by whole quarters of an hour, which is more than a row may be late."""
WIDEST_ZONE_S = 14 * 3600.0
"""The widest offset of a time zone that is in use."""


def is_timely(late_s: float) -> bool:
    """Whether a row may be so late after its POST, by a clock that is right."""
    return -SKEW_S <= late_s <= CONTROL_LATE_S + SKEW_S


def history_skew_s(read: HistoryRead, own: Mapping[str, OwnRequest], skew_s: float) -> float:
    """The history's clock minus ours; `skew_s` is what the `Date` of its answers says.

    One row that stands where `Date` puts it confirms `Date`. Otherwise more than half of our rows
    must be off by the same; a single row must be off by what a time zone may be. Rows that
    contradict each other tell nothing: then it is `Date` again.
    """
    late_s = sorted(
        row.created_at - request.sent_at - skew_s
        for request_id, request in own.items()
        if (row := read.rows.get(request_id)) is not None
        and row.created_at is not None
        and not request.is_ahead(read)
    )
    if not late_s or any(map(is_timely, late_s)):
        return skew_s
    if len(late_s) == 1:
        return skew_s + _zone_s(late_s[0])
    agreeing = max((_within_skew(late_s, first) for first in range(len(late_s))), key=len)
    if len(agreeing) <= len(late_s) / 2 or len(agreeing) == 1:
        return skew_s
    return skew_s + median_low(agreeing)


def _zone_s(late_s: float) -> float:
    """The offset of the time zone that would explain it; 0 if none would."""
    offset_s = ZONE_STEP_S * round(late_s / ZONE_STEP_S)
    return offset_s if abs(late_s - offset_s) <= SKEW_S and abs(offset_s) <= WIDEST_ZONE_S else 0.0


def _within_skew(ordered: list[float], first: int) -> list[float]:
    """The values from this place on that differ from it by no more than clocks may."""
    return ordered[first : bisect_right(ordered, ordered[first] + SKEW_S)]
