"""The figures of the charts: counted in the state file, cut into steps of a round length."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from batchgen.core.jobs.job import StateGroup, states_of
from batchgen.store.sqlite.page import LATENCY_GRAIN_S, PageQueries, Steps

MOST_STEPS = 144
"""Steps of a chart over time: more would be narrower than two pixels on a phone."""
MOST_BINS = 48
"""Bins of the latencies."""
MOST_MODELS = 6
"""Models with a line of their own; the others are in the table."""
MOST_POLLS = 40
"""Polls a job beyond which all are counted together."""
_ROUND_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)


def steps_over(start_at: float, end_at: float) -> Steps:
    """Equal steps of a round length from one instant to another, both included."""
    span_s = max(0.0, end_at - start_at)
    fitting = (float(step) for step in _ROUND_S if span_s / step < MOST_STEPS)
    step_s = next(fitting, 86_400.0 * math.ceil(span_s / 86_400 / MOST_STEPS + 1e-9))
    begin_at = math.floor(start_at / step_s) * step_s
    return Steps(begin_at, step_s, math.floor((end_at - begin_at) / step_s) + 1)


def charts_of(gallery: PageQueries) -> dict[str, Any]:
    """All charts; empty lists where nothing happened yet."""
    span = gallery.span()
    over_time = _over_time(gallery, steps_over(*span)) if span else {"time": None}
    return {
        **over_time,
        "latency": latency_bins(gallery.latencies()),
        "polls": poll_bins(gallery.polls()),
    }


def _over_time(gallery: PageQueries, steps: Steps) -> dict[str, Any]:
    """Jobs that ended in each step, and what was spent up to its end, in USD."""
    finished = states_of(StateGroup.DONE)
    done, other = [0] * steps.count, [0] * steps.count
    for step, state, count in gallery.ends(steps):
        (done if state in finished else other)[step] += count
    spent = [0.0] * steps.count
    for step, usd in gallery.spending(steps):
        spent[step] += usd
    return {
        "time": {"start_at": steps.start_at, "step_s": steps.step_s, "count": steps.count},
        "done": done,
        "not_done": other,
        "spent": [round(usd, 6) for usd in accumulate(spent)],
    }


def latency_bins(counted: Iterable[tuple[str, int, int]]) -> dict[str, Any]:
    """Latencies by model: how many requests fell into each bin of `step_s`, and their quantiles.

    `counted` holds (model, grains, count), grains ascending. The models come with the commonest
    first; only `MOST_MODELS` of them have bins.
    """
    grains: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for model, grain, count in counted:
        grains[model].append((grain, count))
    totals = {model: sum(count for _, count in pairs) for model, pairs in grains.items()}
    order = sorted(grains, key=lambda model: (-totals[model], model))
    shown = order[:MOST_MODELS]
    far_s = max((_far_s(grains[model], totals[model]) for model in shown), default=0.0)
    step_s = round_step(far_s / MOST_BINS)
    return {
        "step_s": step_s,
        "models": [
            {
                "model": model,
                "count": totals[model],
                **_quantiles(grains[model], totals[model]),
                "bins": _binned(grains[model], step_s) if model in shown else [],
            }
            for model in order
        ],
    }


def round_step(least: float) -> float:
    """The smallest round number that is at least so much, and no finer than the grains."""
    least = max(least, LATENCY_GRAIN_S * 2)
    power = 10.0 ** math.floor(math.log10(least))
    return next(round(power * r, 9) for r in _ROUND if power * r >= least - 1e-12)


def _far_s(pairs: Sequence[tuple[int, int]], total: int) -> float:
    """Where the last bin may be: a few stragglers would press all others into one."""
    far = _at(pairs, total, 0.99)
    return min(float(pairs[-1][0]), far * 1.5) * LATENCY_GRAIN_S


def _binned(pairs: Sequence[tuple[int, int]], step_s: float) -> list[int]:
    bins = [0] * (MOST_BINS + 1)
    for grain, count in pairs:
        bins[min(MOST_BINS, int(grain * LATENCY_GRAIN_S / step_s + 1e-9))] += count
    while bins and not bins[-1]:
        bins.pop()
    return bins


def _quantiles(pairs: Sequence[tuple[int, int]], total: int) -> dict[str, float]:
    shares = {"p10_s": 0.1, "median_s": 0.5, "p90_s": 0.9, "most_s": 1.0}
    return {
        name: round(_at(pairs, total, share) * LATENCY_GRAIN_S, 2) for name, share in shares.items()
    }


def _at(pairs: Sequence[tuple[int, int]], total: int, share: float) -> float:
    """The grain that this share of the requests does not exceed."""
    rank = share * (total - 1)
    seen = 0
    for grain, count in pairs:
        seen += count
        if seen > rank:
            return float(grain)
    return 0.0


def poll_bins(counted: Iterable[tuple[int, int]]) -> dict[str, Any]:
    """Finished jobs by their polls: `counts[n]` took n, the last one n or more."""
    counts = [0] * (MOST_POLLS + 1)
    job_count = poll_count = 0
    for polls, count in counted:
        counts[min(polls, MOST_POLLS)] += count
        job_count += count
        poll_count += polls * count
    while counts and not counts[-1]:
        counts.pop()
    mean = round(poll_count / job_count, 2) if job_count else 0.0
    return {"counts": counts, "mean": mean, "jobs": job_count}
