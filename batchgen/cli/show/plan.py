"""How a plan is shown: as a page of 80 columns, and as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from batchgen.app.plan_warnings import is_rehearsal, warnings
from batchgen.cli.common import indented, table
from batchgen.core.common.formatting import size_text, usd
from batchgen.core.forecast.diff import JobDiff
from batchgen.core.forecast.duration import Limit, TimeBound
from batchgen.core.forecast.forecast import ModelForecast, PriceSource
from batchgen.core.jobs.policies import RateScope
from batchgen.core.progress.tally import duration

if TYPE_CHECKING:
    from batchgen.app.plan import RunPlan

MOST_MODELS = 20
"""More of them make no table that anybody reads; JSON has them all."""
MOST_BOUNDS = 6
_LONGEST_SLUG = 23
_UNKNOWN = "unknown"


def as_json(plan: RunPlan) -> dict[str, Any]:
    """The plan as one document. Money in USD, times in seconds, sizes in bytes."""
    forecast, span = plan.forecast, plan.span
    duration_s = plan.manifest.manifest.budget.max_duration
    otherwise_s = plan.otherwise_s
    return {
        "name": plan.manifest.manifest.name,
        "run": str(plan.directory.path),
        "jobs": forecast.count,
        "standings": {standing.name.lower(): forecast.standings[standing] for standing in JobDiff},
        "gone": plan.gone,
        "submits": forecast.submits,
        "limit": plan.options.limit,
        "models": {slug: _model_json(plan, model) for slug, model in forecast.models.items()},
        "lowest_usd": round(forecast.lowest_usd, 6),
        "highest_usd": round(forecast.highest_usd, 6),
        "unpriced": forecast.unpriced,
        "prices_estimated": sorted(forecast.estimated),
        "rerun_usd": round(forecast.rerun_usd, 6),
        "committed_usd": round(plan.committed_usd, 6),
        "max_spend_usd": plan.cap_usd,
        "time_s": round(span.time_s, 1),
        "time_if_all_calls_count_s": None if otherwise_s is None else round(otherwise_s, 1),
        "requests": round(span.requests),
        "bound_by": span.bound_by.limit.value if span.bound_by else None,
        "bounds": [_bound_json(bound) for bound in span.bounds],
        "max_duration_s": duration_s,
        "jobs_within_max_duration": forecast.submits if plan.fitting is None else plan.fitting,
        "uploads": {"files": plan.uploads[0], "bytes": plan.uploads[1]},
        "disk": {
            "outputs_bytes": round(forecast.output_bytes),
            "is_guess": not forecast.is_size_known,
            "state_bytes": forecast.state_bytes,
            "free_bytes": plan.free_bytes,
        },
        "warnings": list(warnings(plan)),
    }


def _model_json(plan: RunPlan, model: ModelForecast) -> dict[str, Any]:
    latency_s, is_seen = _latency(plan, model.model)
    return {
        "jobs": model.count,
        "submits": model.submits,
        "low_usd": model.low_usd,
        "high_usd": model.high_usd,
        "price_from": sorted(source.value for source in model.sources),
        "lowest_usd": round(model.lowest_usd, 6),
        "highest_usd": round(model.highest_usd, 6),
        "unpriced": model.unpriced,
        "latency_s": round(latency_s, 3),
        "latency_is_guess": not is_seen,
        "outputs_bytes": round(model.output_bytes),
    }


def _bound_json(bound: TimeBound) -> dict[str, Any]:
    return {
        "limit": bound.limit.value,
        "model": bound.model or None,
        "time_s": round(bound.seconds, 1),
    }


def text(plan: RunPlan) -> str:
    """The plan as a page."""
    parts = [_head(plan), indented(table(_standings(plan)))]
    if plan.forecast.submits:
        parts += ["", indented(_models(plan))]
    figures = list(_figures(plan))
    if figures:
        parts += ["", *(f"  {line}" for line in figures)]
    parts += [f"next: {line}" for line in _next(plan)]
    return "\n".join(parts)


def _head(plan: RunPlan) -> str:
    name, count = plan.manifest.manifest.name, plan.forecast.count
    head = f"{name}: {count:,} job{'' if count == 1 else 's'}"
    return head if plan.prospect is None else f"{head}, held against {plan.directory.path}"


def _standings(plan: RunPlan) -> Iterator[tuple[str, str, str]]:
    run = shlex.quote(str(plan.directory.path))
    remarks = {
        JobDiff.CHANGED: "updated before they are submitted",
        JobDiff.UNDER_WAY: "paid for already; brought home",
        JobDiff.FAILED: f"free; again with batchgen retry {run} --failed",
        JobDiff.UNKNOWN: f"perhaps billed; batchgen retry {run} --unknown",
        JobDiff.LOST: f"paid for, files gone; batchgen retry {run} --failed",
        JobDiff.UNFETCHED: "paid for already; the next run fetches their files, free",
        JobDiff.REJECTED: f"paid for, no files came; batchgen retry {run} --rejected",
        JobDiff.CONTESTED: "changed after they were paid for: --on-change decides",
    }
    for standing in JobDiff:
        count = plan.forecast.standings[standing]
        if count:
            yield standing.value, f"{count:,}", remarks.get(standing, "")
    if plan.gone:
        yield "gone", f"{plan.gone:,}", "not in the manifest any more: kept, not submitted"
    if plan.forecast.submits < plan.forecast.left:
        yield "this time", f"{plan.forecast.submits:,}", "by --limit; what follows is about them"


def _models(plan: RunPlan) -> str:
    models = [model for model in plan.forecast.models.values() if model.submits]
    rows = [
        (
            _clipped(model.model),
            f"{model.submits:,}",
            _price(model),
            _cost(model),
            _latency_text(plan, model.model),
        )
        for model in models[:MOST_MODELS]
    ]
    shown = table(rows, ("MODEL", "JOBS", "A JOB", "COST", "LATENCY"))
    more = len(models) - MOST_MODELS
    return shown if more <= 0 else f"{shown}\nand {more:,} more models"


def _clipped(slug: str) -> str:
    return slug if len(slug) <= _LONGEST_SLUG else slug[: _LONGEST_SLUG - 1] + "…"


def _price(model: ModelForecast) -> str:
    if model.low_usd is None:
        return _UNKNOWN
    names = [source.value for source in sorted(model.sources)]
    source = PriceSource.SEEN.value if PriceSource.SEEN in model.sources else "/".join(names)
    return f"{_between(model.low_usd, model.high_usd)} {source}"


def _cost(model: ModelForecast) -> str:
    if model.unpriced == model.submits:
        return _UNKNOWN
    return _between(model.lowest_usd, model.highest_usd) + (" + ?" if model.unpriced else "")


def _between(low_usd: float, high_usd: float | None) -> str:
    low, high = usd(low_usd), usd(high_usd)
    return low if low == high else f"{low}–{high.removeprefix('$')}"


def _latency(plan: RunPlan, slug: str) -> tuple[float, bool]:
    """The typical latency of a model, and whether it was seen."""
    from batchgen.core.scheduling.learned import LATENCIES_NOTE, learned_of

    notes = plan.prospect.notes if plan.prospect else {}
    learned = learned_of({LATENCIES_NOTE: notes.get(LATENCIES_NOTE, "{}")}).get(slug)
    if learned is not None:
        return learned.median_s, True
    return plan.latencies.guesses.get(slug, plan.latencies.default_s), False


def _latency_text(plan: RunPlan, slug: str) -> str:
    seconds, is_seen = _latency(plan, slug)
    return f"{seconds:.1f} s {'seen' if is_seen else 'guess'}"


def _figures(plan: RunPlan) -> Iterator[str]:
    if plan.forecast.submits:
        yield f"cost       {_cost_text(plan)}"
        if plan.forecast.estimated:
            yield f"           estimated by average prices of {_days(plan)}"
    if plan.cap_usd is not None:
        spent = f"{usd(plan.committed_usd)} of it spent or reserved"
        yield f"max_spend  {usd(plan.cap_usd)}, {spent}"
    span = plan.span
    if span.bound_by is not None:
        yield f"time       about {duration(span.time_s)}, bound by {_bound_name(span.bound_by)}"
        rows = [_bound_row(plan, bound) for bound in span.bounds[:MOST_BOUNDS]]
        yield from (f"  {line}" for line in table(rows).splitlines())
        otherwise_s = plan.otherwise_s
        if otherwise_s is not None and duration(otherwise_s) != duration(span.time_s):
            yield "           assumes that only submits count as requests; nobody knows yet:"
            yield f"           {duration(otherwise_s)} if every call does"
        count, total = plan.uploads
        if count:
            yield f"uploads    up to {count:,} files, {size_text(total)}"
        yield f"disk       {_disk_text(plan)}"


def _days(plan: RunPlan) -> str:
    days = sorted(plan.forecast.estimated)
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _cost_text(plan: RunPlan) -> str:
    forecast = plan.forecast
    if forecast.unpriced == forecast.submits:
        return "unknown: no price of any of these jobs is known"
    low, high = usd(forecast.lowest_usd), usd(forecast.highest_usd)
    known = low if low == high else f"{low} to {high}"
    if forecast.unpriced:
        known += f", and {forecast.unpriced:,} jobs of unknown price"
    return known


def _bound_name(bound: TimeBound) -> str:
    return f"{bound.limit} of {_clipped(bound.model)}" if bound.model else bound.limit.value


def _bound_row(plan: RunPlan, bound: TimeBound) -> tuple[str, str, str]:
    name, taken = bound.limit.value, duration(bound.seconds)
    if bound.limit is Limit.LATENCY:
        return name, taken, "of the slowest model"
    if bound.limit is Limit.CONCURRENCY:
        short, made_of = "places", f"{duration(bound.load)} in {bound.allowed:,} places"
    else:
        short = "requests" if plan.pace.scope is RateScope.ALL else "submits"
        made_of = f"{bound.load:,.0f} {short} at {bound.allowed:,}"
    return f"{_clipped(bound.model)} {short}" if bound.model else name, taken, made_of


def _disk_text(plan: RunPlan) -> str:
    forecast = plan.forecast
    outputs = size_text(forecast.output_bytes)
    if not forecast.is_size_known:
        outputs = f"perhaps {outputs}"
    shown = f"{outputs} of files" + (
        f" into {plan.directory.bucket}" if plan.directory.bucket else ""
    )
    if forecast.state_bytes:
        shown += f", {size_text(forecast.state_bytes)} of state"
    return shown if plan.free_bytes is None else f"{shown}; {size_text(plan.free_bytes)} free"


def _next(plan: RunPlan) -> Iterator[str]:
    options = plan.options
    again = ["batchgen", "run", str(plan.path)]
    again += ["--run-dir", str(options.run_dir)] if options.run_dir else []
    again += ["--simulate"] if is_rehearsal(plan) else []
    if plan.forecast.standings[JobDiff.CONTESTED]:
        yield shlex.join([*again, "--on-change", "keep"]) + "   (or rerun)"
    elif plan.forecast.left > 3 and plan.prospect is None and options.limit is None:
        yield shlex.join([*again, "--limit", "3"]) + "   (a taste: it tells price and latency)"
    elif plan.span.bounds or plan.forecast.standings[JobDiff.UNFETCHED]:
        yield shlex.join(again + (["--limit", str(options.limit)] if options.limit else []))
