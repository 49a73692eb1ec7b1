"""`batchgen report`."""

from __future__ import annotations

from pathlib import Path

import click

from batchgen.cli.common import print_json, run_of
from batchgen.cli.completion import RUN
from batchgen.core.common.exit_codes import ExitCode

_EXAMPLE = """Example:

\b
  batchgen report runs/demo                       # writes runs/demo/report.html
  batchgen report runs/demo --embed --out demo.html   # originals inside: to pass on"""


@click.command("report", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", type=RUN)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Default: report.html in the run directory. Elsewhere it holds thumbnails only.",
)
@click.option("--embed", is_flag=True, help="Put the originals into the page as well.")
@click.option(
    "--most",
    type=click.IntRange(1, 100_000),
    default=10_000,
    show_default=True,
    help="Show at most so many jobs, the newest; figures and charts are of all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def command(run: str, *, out: Path | None, embed: bool, most: int, as_json: bool) -> int:
    """Make one HTML page of RUN, a run directory or its manifest: pictures, problems, charts.

    The page needs no network and nothing beside it but the outputs, which it links to. It can be
    made while the run works.
    """
    from tqdm import tqdm

    from batchgen.system.clock import SystemClock
    from batchgen.web.report import ReportSettings, write_report

    directory = run_of(run)
    settings = ReportSettings(out or directory.report, most, embed)
    with tqdm(desc="thumbnails", unit="", leave=False, disable=None) as bar:

        def told(made: int, total: int) -> None:
            bar.total = total
            bar.update(made - bar.n)

        report = write_report(directory, settings, SystemClock().now(), told)
    if as_json:
        print_json(
            {
                "report": str(report.path),
                "bytes": report.size,
                "jobs": report.job_count,
                "shown": report.shown_count,
                "pictures": report.picture_count,
            }
        )
        return ExitCode.COMPLETED
    click.echo(f"{report.path}: {report.picture_count} pictures, {report.size / 1e6:.1f} MB")
    if report.shown_count < report.job_count:
        click.echo(f"  the newest {report.shown_count} of {report.job_count} jobs (see --most)")
    return ExitCode.COMPLETED
