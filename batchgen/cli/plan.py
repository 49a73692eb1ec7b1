"""`batchgen plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.cli.common import print_json, say, table, usd
from batchgen.core.exit_code import ExitCode

if TYPE_CHECKING:
    from batchgen.adapters.manifest_file import ManifestFile
    from batchgen.core.forecast import Forecast

_EXAMPLE = """Example:

\b
  batchgen plan jobs/demo.yaml
  batchgen plan jobs/demo.yaml --json"""


@click.command("plan", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(manifest: Path, *, as_json: bool) -> int:
    """Validate and expand MANIFEST; spends nothing and needs no key."""
    from batchgen import catalog
    from batchgen.adapters.manifest_file import load_manifest
    from batchgen.core.forecast import Pace, forecast
    from batchgen.core.limits import RateScope

    loaded = load_manifest(manifest)
    budget = loaded.manifest.budget
    pace = Pace(budget.concurrency, budget.requests_per_minute, RateScope(budget.rate_limit_scope))
    latencies = {model.slug: model.latency_s for model in catalog.load() if model.latency_s}
    result = forecast(loaded.jobs(), latencies, pace)
    if as_json:
        print_json(_as_json(loaded, result))
    else:
        _print(loaded, result)
    return ExitCode.COMPLETED


def _as_json(loaded: ManifestFile, result: Forecast) -> dict[str, Any]:
    return {
        "name": loaded.manifest.name,
        "jobs": result.count,
        "models": {
            model.model: {
                "jobs": model.count,
                "cost_usd": round(model.cost_usd, 6),
                "unpriced": model.unpriced,
                "latency_s": model.latency_s,
            }
            for model in result.models.values()
        },
        "cost_usd": round(result.cost_usd, 6),
        "unpriced": result.unpriced,
        "max_spend_usd": loaded.manifest.budget.max_spend,
        "time_s": round(result.time_s, 1),
        "bound_by": result.bound_by,
        "warnings": [str(notice) for notice in loaded.notices],
    }


def _print(loaded: ManifestFile, result: Forecast) -> None:
    from batchgen.core.summary import duration

    click.echo(f"{loaded.manifest.name}: {result.count} jobs")
    rows = [
        (
            f"  {model.model}",
            model.count,
            usd(model.cost_usd) if model.unpriced < model.count else "unknown",
            f"~{model.latency_s:g} s",
        )
        for model in result.models.values()
    ]
    click.echo(table(rows, ("  MODEL", "JOBS", "COST", "LATENCY")))
    known = f"cost: {usd(result.cost_usd)}"
    if result.unpriced:
        known += f" and {result.unpriced} jobs of unknown price (`price:` in the manifest sets it)"
    click.echo(known)
    cap = loaded.manifest.budget.max_spend
    if cap is not None and result.cost_usd > cap:
        say(f"warning: more than max_spend {usd(cap)}: the run will stop there")
    click.echo(f"time: at least {duration(result.time_s)}, bound by {result.bound_by}")
    for notice in loaded.notices:
        say(f"warning: {notice}")
