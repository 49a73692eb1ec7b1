"""`batchgen status`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.cli.common import indented, print_json, run_of, size_text, table, usd
from batchgen.cli.completion import RUN
from batchgen.cli.failed import failed_of
from batchgen.core.exit_code import ExitCode
from batchgen.core.job import ENDED, JobState

if TYPE_CHECKING:
    from batchgen.adapters.clock import SystemClock
    from batchgen.adapters.run_directory import RunDirectory
    from batchgen.adapters.sqlite.epilogue import EpilogueReader
    from batchgen.adapters.sqlite.reader import StateReader

_NO_EPILOGUE: dict[str, Any] = {"models": None, "slowest": None, "failures": None}
"""While a run works: to read it would take long, and it is not the end of the matter."""
_SPREAD = ("median_s", "p10_s", "p90_s")
_EXAMPLE = """Example:

\b
  batchgen status runs/demo
  batchgen status runs/demo --watch            # from a second terminal
  batchgen status jobs/demo.yaml --failed
  batchgen status runs/demo --failed --json > again.json    # to be edited, and run"""


@click.command("status", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", type=RUN)
@click.option("--failed", is_flag=True, help="List failed, unknown and lost jobs with reasons.")
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
    report = report_of(directory)
    if failed:
        report |= failed_of(directory)
    if as_json:
        print_json(report)
    else:
        _print(report, directory.path)
    return ExitCode.COMPLETED


def report_of(directory: RunDirectory) -> dict[str, Any]:
    """Everything `status` tells. Raises `StateError`."""
    from batchgen.adapters.log_tail import tail_of
    from batchgen.adapters.run_holder import holder_of
    from batchgen.adapters.sqlite.epilogue import EpilogueReader
    from batchgen.cli.epilogue import epilogue_of

    # Before the state: what a run that has just ended wrote last is then seen.
    process = holder_of(directory.path)
    with closing(EpilogueReader(directory.state)) as reader:
        now = _clock_of(reader).now()
        overview = reader.overview(now)
        report = _report(str(directory.path), overview, awaiting=is_awaiting(overview.notes))
        report |= _learned(overview.notes, now)
        report |= _times(reader, overview.notes, report, process)
    report["outputs"] = directory.place
    tail = tail_of(directory.log)
    report["process"] = process
    report["waiting_for"] = list(tail.gates) if process else []
    report["stopped"] = None if process or not report["left"] else tail.reason
    return report | (_NO_EPILOGUE if process else epilogue_of(directory.path))


def _times(
    reader: EpilogueReader, notes: Mapping[str, str], report: dict[str, Any], process: int | None
) -> dict[str, Any]:
    """How long the rest takes: of a run that works, or of one that would go on now."""
    from batchgen.cli.remaining import by_budget_s, eta_s

    left, awaiting = report["left"], report["more_jobs_to_come"]
    if not left or awaiting:
        return {"eta_s": None}
    now = _clock_of(reader).now()
    seconds = eta_s(reader, notes, left, now) if process else by_budget_s(reader, notes)
    return {"eta_s": None if seconds is None else round(seconds)}


def _clock_of(reader: StateReader) -> SystemClock:
    """The clock of the run: that of this machine may have been put forward or back since."""
    from batchgen.adapters.clock import SystemClock

    return SystemClock(reader.note("clock"))


def is_awaiting(notes: Mapping[str, str]) -> bool:
    """Whether jobs of the manifest are still being added, or will be by the next run."""
    from batchgen.adapters.import_note import NAME, read_note

    note = read_note(notes.get(NAME))
    return note is not None and not note.complete


def _report(path: str, overview: Any, *, awaiting: bool) -> dict[str, Any]:
    counts = {state.value: overview.counts.get(state.value, 0) for state in JobState}
    ended = sum(counts[state.value] for state in ENDED)
    minutes = 5.0
    rate = overview.recent_done_count / minutes
    left = sum(counts.values()) - ended
    return {
        "run": path,
        "jobs": sum(counts.values()),
        "more_jobs_to_come": awaiting,
        "counts": counts,
        "attempts": dict(overview.attempts),
        "dropped": overview.dropped_count,
        "spent_usd": round(overview.totals.settled_usd, 6),
        "reserved_usd": round(overview.totals.reserved_usd, 6),
        "files": overview.file_count,
        "bytes": overview.byte_count,
        "done_per_minute": round(rate, 2),
        "left": left,
        "next_deadline_at": overview.next_deadline_at,
        "started_at": overview.first_intent_at,
        "last_change_at": overview.last_change_at,
    }


def _learned(notes: Mapping[str, str], now: float) -> dict[str, Any]:
    from batchgen.core.learned import learned_of, limited_of

    limited = limited_of(notes, now)
    return {
        "limited": asdict(limited) if limited else None,
        "learned": {model: asdict(known) for model, known in learned_of(notes).items()},
    }


def _print(report: dict[str, Any], run: Path) -> None:
    from batchgen.cli.epilogue import print_epilogue, print_failures

    counts = report["counts"]
    more = "+" if report["more_jobs_to_come"] else ""
    click.echo(f"{report['run']}: {counts['done']} of {report['jobs']}{more} jobs done")
    shown = [(state, count) for state, count in counts.items() if count]
    if report["dropped"]:
        shown.append(("not in the manifest any more", report["dropped"]))
    click.echo(indented(table(shown)))
    rows = [
        ("spent", usd(report["spent_usd"])),
        ("reserved", usd(report["reserved_usd"])),
        ("files", f"{report['files']} ({size_text(report['bytes'])})"),
    ]
    if report["outputs"] != f"{report['run']}/outputs":
        rows.append(("files are in", report["outputs"]))
    rows += _pace_rows(report)
    if report["next_deadline_at"]:
        deadline = _local(report["next_deadline_at"], "%Y-%m-%d %H:%M:%S")
        rows.append(("nearest retention deadline", deadline))
    click.echo(indented(table(rows)))
    _print_learned(report)
    if not report["process"]:
        print_epilogue(report)
        print_failures(report, run, with_list="problems" not in report)
    for problem in report.get("problems", []):
        click.echo(f"{problem['state']:8} {problem['id']}: {problem['reason']}")


def _pace_rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Who works on it, how fast, and until when."""
    from batchgen.core.summary import duration

    eta = None if report["eta_s"] is None else duration(report["eta_s"])
    if not report["process"]:
        rows = [("stopped", report["stopped"])] if report["stopped"] else []
        return [*rows, ("left", f"about {eta}, once it runs again")] if eta else rows
    rows = [("process", str(report["process"]))]
    if report["waiting_for"]:
        rows.append(("waits at the gate", ", ".join(report["waiting_for"])))
    if report["done_per_minute"]:
        rows.append(("rate", f"{report['done_per_minute']:g} jobs/min"))
    return [*rows, ("ETA", eta)] if eta else rows


def _print_learned(report: dict[str, Any]) -> None:
    limited = report["limited"]
    if limited:
        pace = limited["requests_per_minute"]
        allowed = f" ({pace} requests/min)" if pace is not None else ""
        click.echo(f"  limited until {_local(limited['until'], '%H:%M:%S')}{allowed}")
    if report["learned"]:
        rows = [
            (model, known["count"], *(f"{known[name]:.1f} s" for name in _SPREAD))
            for model, known in report["learned"].items()
        ]
        header = ("latencies", "results", "median", "10 %", "90 %")
        click.echo(indented(table(rows, header)))


def _local(at: float, form: str) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime(form)
