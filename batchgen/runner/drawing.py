"""Pending jobs from the state onto the board."""

from __future__ import annotations

from collections.abc import Sequence

from batchgen.core.jobs.job import Job
from batchgen.core.scheduling.clock_skew import redated
from batchgen.core.scheduling.planner import PlannedEffects
from batchgen.core.scheduling.state import SchedulerState
from batchgen.ports import State


async def draw(board: SchedulerState, state: State, decided: PlannedEffects, now: float) -> None:
    """As many as the planner asks for: of all models, and of those with limits of their own."""
    if decided.draw:
        count = _within_quota(board, decided.draw)
        jobs = await state.draw(board.drawn_key, count, but_models=tuple(board.stocks))
        _put(board, [redated(job, now, board.capabilities.retention_s) for job in jobs])
        board.stock_ended = board.quota == 0 or len(jobs) < count
        board.drawn_key = jobs[-1].key if jobs else board.drawn_key
    for model, wanted in decided.draw_of:
        stock = board.stocks[model]
        count = _within_quota(board, wanted)
        jobs = await state.draw(stock.drawn_key, count, model=model)
        _put(board, [redated(job, now, board.capabilities.retention_s) for job in jobs])
        stock.ended = board.quota == 0 or len(jobs) < count
        stock.drawn_key = jobs[-1].key if jobs else stock.drawn_key


def _within_quota(board: SchedulerState, count: int) -> int:
    """As many of `count` as this run may still draw."""
    return count if board.quota is None else min(count, board.quota)


def _put(board: SchedulerState, jobs: Sequence[Job]) -> None:
    if board.quota is not None:
        board.quota -= len(jobs)
    for job in jobs:
        if job.model in board.gates.closed_models:
            board.hold_back(job)
        else:
            board.put([job])
