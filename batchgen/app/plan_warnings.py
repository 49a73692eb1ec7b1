"""What a plan warns of: what stands in the way of a run, or would surprise in it."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING

from batchgen.app.service import REHEARSAL_NAME
from batchgen.app.summary import held_models
from batchgen.core.common.formatting import size_text, usd
from batchgen.core.forecast.diff import JobDiff
from batchgen.core.progress.advice import storage_warning
from batchgen.core.progress.tally import duration
from batchgen.core.scheduling.gates.holds import HELD_NOTE, HeldJobs, holds_of

if TYPE_CHECKING:
    from batchgen.app.plan import RunPlan

V1_LATENCY_S = 60.0
"""Models that take longer are not for v1, says the documentation."""
_NAMED = 5


def warnings(plan: RunPlan) -> Iterator[str]:
    """What should be known beforehand, one sentence each."""
    yield from (str(notice) for notice in plan.manifest.notices)
    yield from _warnings_of_record(plan)
    yield from _warnings_of_money(plan)
    fitting = plan.fitting
    if fitting is not None:
        longest = duration(plan.manifest.manifest.budget.max_duration or 0.0)
        yield (
            f"about {fitting:,} of {plan.forecast.submits:,} jobs fit into max_duration {longest}; "
            "the same command then goes on with the others"
        )
    if storage := storage_warning(*plan.uploads):
        yield storage
    yield from _warnings_of_v1(plan)
    needed = plan.forecast.state_bytes + (
        0 if plan.directory.bucket else plan.forecast.output_bytes
    )
    if plan.free_bytes is not None and needed > plan.free_bytes:
        yield f"the disk has less space ({size_text(plan.free_bytes)}) than all this may need"


def _warnings_of_v1(plan: RunPlan) -> Iterator[str]:
    """Jobs that a v1 call may not be there to see the end of."""
    for slug, model in plan.forecast.models.items():
        typical_s = median(plan.latencies.quantiles(slug))
        if model.blocking and typical_s > V1_LATENCY_S:
            yield (
                f"{slug} takes about {duration(typical_s)}, and a v1 call breaks off after about "
                "100 s, billed all the same: set `api: v2`"
            )


def is_rehearsal(plan: RunPlan) -> bool:
    """Whether the record is that of a run with `--simulate`."""
    return plan.prospect is not None and plan.prospect.notes.get("service") == REHEARSAL_NAME


def _warnings_of_record(plan: RunPlan) -> Iterator[str]:
    if is_rehearsal(plan):
        yield (
            f"{plan.directory.path} is a rehearsal: its prices and latencies are the look-alike's, "
            "and a real run needs another --run-dir"
        )
    yield from _held_models(plan)
    contested = plan.forecast.standings[JobDiff.CONTESTED]
    if contested:
        yield (
            f"{contested:,} job(s) were changed after they may have been paid for: nothing runs "
            f"until --on-change keep (free) or rerun ({_rerun_text(plan)} more) decides"
        )


def _held_models(plan: RunPlan) -> Iterator[str]:
    """Models that took no jobs the last time, and have jobs again."""
    if plan.prospect is None:
        return
    models = plan.forecast.models
    holds = holds_of(plan.prospect.notes.get(HELD_NOTE))
    held = [
        HeldJobs(model, hold, models[model].submits)
        for model, hold in holds.items()
        if model in models and models[model].submits
    ]
    yield from (one.text for one in held_models(held, plan.prospect.notes, plan.manifest.path.name))


def _rerun_text(plan: RunPlan) -> str:
    unpriced = sum(model.rerun_unpriced for model in plan.forecast.models.values())
    known = f"up to {usd(plan.forecast.rerun_usd)}"
    return f"{known} and {unpriced:,} jobs of unknown price" if unpriced else known


def _warnings_of_money(plan: RunPlan) -> Iterator[str]:
    forecast, cap_usd = plan.forecast, plan.cap_usd
    if cap_usd is None:
        return
    if forecast.unpriced:
        names = [model.model for model in forecast.models.values() if model.unpriced]
        some = ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
        yield (
            f"under max_spend every job needs a price; none is known of {some}: "
            "set `price:`, or run with --allow-unknown-price"
        )
    room_usd = max(0.0, cap_usd - plan.committed_usd)
    if forecast.highest_usd > room_usd + 1e-6:
        count = int((forecast.submits - forecast.unpriced) * room_usd / forecast.highest_usd + 1e-9)
        yield (
            f"max_spend leaves {usd(room_usd)}: enough for about {count:,} of "
            f"{forecast.submits:,} jobs; the run stops there and can be resumed"
        )
