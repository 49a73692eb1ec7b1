"""A run that another process works on, as one snapshot from its state."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from batchgen.core.forecast.run_settings import budget_of, pace_of
from batchgen.core.jobs.job import JobState
from batchgen.core.progress.snapshot import RunSnapshot
from batchgen.core.scheduling.learned import account_of, limited_of
from batchgen.core.scheduling.rates.window import RATE_WINDOW_S
from batchgen.store.sqlite.queries import Overview
from batchgen.store.sqlite.status import StatusQueries


def snapshot_of(
    reader: StatusQueries,
    overview: Overview,
    now: float,
    deadline_at: float | None,
    waiting_for: Sequence[str],
) -> RunSnapshot:
    """The run at an instant of its own clock. Raises `StateError`.

    The state does not know the nearest deadline, nor which gates are closed.
    """
    budget, limited = budget_of(overview.notes), limited_of(overview.notes, now)
    allowed = pace_of(budget, account_of(overview.notes)).requests_per_minute
    if limited is not None and limited.requests_per_minute is not None:
        allowed = limited.requests_per_minute
    return RunSnapshot(
        at=now,
        counts={JobState(state): count for state, count in overview.counts.items()},
        spent_usd=overview.totals.settled_usd,
        reserved_usd=overview.totals.reserved_usd,
        cap_usd=budget.max_spend,
        submits=reader.submit_count(now - RATE_WINDOW_S),
        calls=_calls(overview.notes, now),
        allowed=allowed,
        limited_until=limited.until if limited else None,
        waiting_for=tuple(waiting_for),
        deadline_at=deadline_at,
        bytes_per_s=reader.bytes_per_s(now),
        held_count=overview.held_count,
    )


def _calls(notes: Mapping[str, str], now: float) -> int | None:
    """Requests of the last minute, as the log of them was last written down."""
    try:
        noted: Any = json.loads(notes.get("rate", "{}"))
        return sum(int(count) for at, count in noted["answered"] if at > now - RATE_WINDOW_S)
    except (ValueError, KeyError, TypeError):
        return None
