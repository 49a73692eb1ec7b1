"""How many pending jobs to draw from the state: a small stock, so that millions can wait there."""

from __future__ import annotations

from batchgen.core.jobs.job import JobState
from batchgen.core.scheduling.state import SchedulerState

MAX_STOCK = 2_048
"""Pending jobs kept on the board at most."""
MODEL_STOCK = 64
"""Of a model with a limit on its requests only."""


def to_draw(board: SchedulerState) -> int:
    """A stock of twice the concurrency is kept, and drawn anew when half of it is gone."""
    if board.stock_ended or board.gates.holds_submits():
        return 0
    pending = board.roster.pending
    apart = {*board.stocks, *board.gates.closed_models}
    stock = board.roster.counts[JobState.PENDING] - sum(pending[model] for model in apart)
    return _missing(stock, min(MAX_STOCK, 2 * board.limits.concurrency))


def to_draw_of(board: SchedulerState) -> tuple[tuple[str, int], ...]:
    """The same for each model with limits of its own."""
    if board.gates.holds_submits():
        return ()
    draws = []
    for model, stock in board.stocks.items():
        if stock.ended or model in board.gates.closed_models:
            continue
        wanted = 2 * board.limits.models.get(model, MODEL_STOCK)
        count = _missing(board.roster.pending[model], min(MAX_STOCK, wanted))
        if count:
            draws.append((model, count))
    return tuple(draws)


def _missing(stock: int, wanted: int) -> int:
    return wanted - stock if stock <= wanted // 2 else 0
