"""`batchgen plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from batchgen.app.console import say
from batchgen.cli.common import print_json
from batchgen.core.common.exit_codes import ExitCode

_EXAMPLE = """Example:

\b
  batchgen plan jobs/demo.yaml
  batchgen plan jobs/demo.yaml --rpm 5 --max-spend 0.50     # what if
  batchgen plan jobs/demo.yaml --json"""


@click.command("plan", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--run-dir", type=click.Path(path_type=Path), help="Default: runs/<name>.")
@click.option(
    "--concurrency", type=click.IntRange(1, 10_000), help="Reckon with so many jobs at a time."
)
@click.option(
    "--rpm", type=click.IntRange(1, 1_000_000), help="Reckon with so many requests a minute."
)
@click.option("--max-spend", type=click.FloatRange(0), help="Reckon with this cap, in USD.")
@click.option("--limit", type=click.IntRange(1), help="Reckon with the first so many submits.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(manifest: Path, *, as_json: bool, **options: Any) -> int:
    """Say what MANIFEST will come to: jobs, cost, time, disk; spends nothing and needs no key.

    Every job is made and checked, and held against what was run of it before. Prices and latencies
    are those that the run has seen, where it has seen any, else the manifest's and the catalogue's.
    """
    from batchgen.app import plan_warnings
    from batchgen.app.options import RunOptions
    from batchgen.app.plan import plan_of
    from batchgen.cli.show import plan as plan_view

    plan = plan_of(manifest, RunOptions(**options))
    if as_json:
        print_json(plan_view.as_json(plan))
    else:
        click.echo(plan_view.text(plan))
        for warning in plan_warnings.warnings(plan):
            say(f"warning: {warning}")
    return ExitCode.COMPLETED
