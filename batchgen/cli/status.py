"""`batchgen status`."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from batchgen.app.status import failed_of, report_of
from batchgen.app.summary import RUN_AGAIN
from batchgen.cli.common import indented, print_json, run_of, table
from batchgen.cli.completion import RUN
from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.common.formatting import size_text, usd

_SPREAD = ("median_s", "p10_s", "p90_s")
_EXAMPLE = """Example:

\b
  batchgen status runs/demo
  batchgen status runs/demo --watch            # from a second terminal
  batchgen status jobs/demo.yaml --failed
  batchgen status runs/demo --failed --json > again.json    # to be edited, and run"""


@click.command("status", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", type=RUN)
@click.option(
    "--failed", is_flag=True, help="List the jobs that ended without files, with reasons."
)
@click.option(
    "--watch",
    is_flag=True,
    help="Go on showing it, about every second, until the run ends or Ctrl-C. With --json: one "
    "document a line.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(run: str, *, failed: bool, watch: bool, as_json: bool) -> int:
    """Show how a run stands; RUN is a run directory or its manifest.

    Reads the state file only, also while the run works. What `--failed --json` prints is also a
    manifest of those jobs: `batchgen run` takes it as it is, or edited.
    """
    directory = run_of(run)
    if watch:
        from batchgen.cli.watch import watch as watch_run

        watched = watch_run(directory, as_json=as_json)
        if as_json or not watched:
            return ExitCode.COMPLETED if watched else ExitCode.INTERRUPTED
    is_manifest = Path(run).is_file()
    again = shlex.join(["batchgen", "run", run]) if is_manifest else RUN_AGAIN
    report = report_of(directory, again, Path(run).name if is_manifest else "the manifest")
    if failed:
        report |= failed_of(directory)
    if as_json:
        print_json(report)
    else:
        _print(report, directory.path, again)
    return ExitCode.COMPLETED


def _print(report: dict[str, Any], run: Path, again: str) -> None:
    from batchgen.cli.show.summary import print_epilogue, print_failures, print_held, uploads_text

    counts = report["counts"]
    click.echo(f"{report['run']}: {counts['done']} of {report['jobs']} jobs done")
    shown = [(state, count) for state, count in counts.items() if count]
    if report["dropped"]:
        shown.append(("not in the manifest any more", report["dropped"]))
    click.echo(indented(table(shown)))
    rows = [
        ("spent", usd(report["spent_usd"])),
        ("reserved", usd(report["reserved_usd"])),
        ("files", f"{report['files']} ({size_text(report['bytes'])})"),
    ]
    if report["uploads"]["files"]:
        rows.append(("uploaded", uploads_text(report["uploads"])))
    if report["outputs"] != f"{report['run']}/outputs":
        rows.append(("files are in", report["outputs"]))
    rows += _pace_rows(report)
    if report["next_deadline_at"]:
        deadline = _local(report["next_deadline_at"], "%Y-%m-%d %H:%M:%S")
        rows.append(("nearest retention deadline", deadline))
    click.echo(indented(table(rows)))
    for fact in report["newer"]:
        click.echo(f"  older than what was done with it, `batchgen run` refuses it: {fact}")
    _print_learned(report)
    print_held(report["held"])
    if not report["process"]:
        print_epilogue(report)
        print_failures(report, run, again, with_list="problems" not in report)
    for problem in report.get("problems", []):
        click.echo(f"{problem['state']:8} {problem['id']}: {problem['reason']}")


def _pace_rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Who works on it, how fast, and until when."""
    from batchgen.core.progress.gate_words import short_words
    from batchgen.core.progress.tally import duration

    eta = None if report["eta_s"] is None else duration(report["eta_s"])
    if not report["process"]:
        rows = [("stopped", report["stopped"])] if report["stopped"] else []
        return [*rows, ("left", f"about {eta}, once it runs again")] if eta else rows
    rows = [("process", str(report["process"]))]
    waits = short_words(report["waiting_for"])
    if waits:
        rows.append(("waits", " and ".join(waits)))
    if report["done_per_minute"]:
        rows.append(("rate", f"{report['done_per_minute']:g} jobs/min"))
    return [*rows, ("ETA", eta)] if eta else rows


def _print_learned(report: dict[str, Any]) -> None:
    limited = report["limited"]
    if limited:
        pace = limited["requests_per_minute"]
        allowed = f" ({pace} requests/min)" if pace is not None else ""
        click.echo(f"  limited until {_local(limited['until'], '%H:%M:%S')}{allowed}")
    for one in report["found_out"]:
        click.echo(f"  {one['text']}")
    if report["learned"]:
        rows = [
            (model, known["count"], *(f"{known[name]:.1f} s" for name in _SPREAD))
            for model, known in report["learned"].items()
        ]
        header = ("latencies", "results", "median", "10 %", "90 %")
        click.echo(indented(table(rows, header)))


def _local(at: float, form: str) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime(form)
