"""`batchgen status`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from batchgen.cli.common import print_json, run_of, table, usd
from batchgen.core.exit_code import ExitCode
from batchgen.core.job import ENDED, JobState

_SPREAD = ("median_s", "p10_s", "p90_s")
_EXAMPLE = """Example:

\b
  batchgen status runs/demo
  batchgen status jobs/demo.yaml --failed"""


@click.command("status", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run")
@click.option("--failed", is_flag=True, help="List failed, unknown and lost jobs with reasons.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(run: str, *, failed: bool, as_json: bool) -> int:
    """Show how a run stands; RUN is a run directory or its manifest.

    Reads the state file only, also while the run works.
    """
    from batchgen.adapters.clock import SystemClock
    from batchgen.adapters.sqlite.reader import StateReader

    directory = run_of(run)
    reader = StateReader(directory.state)
    now = SystemClock().now()
    try:
        overview = reader.overview(now)
        problems = list(reader.problems()) if failed else []
    finally:
        reader.close()
    awaiting = _is_awaiting(overview.notes)
    report = _report(str(directory.path), overview, awaiting=awaiting) | _learned(
        overview.notes, now
    )
    if failed:
        report["problems"] = [
            {name: getattr(problem, name) for name in problem.__slots__} for problem in problems
        ]
    if as_json:
        print_json(report)
    else:
        _print(report)
    return ExitCode.COMPLETED


def _is_awaiting(notes: Mapping[str, str]) -> bool:
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
        "eta_s": round(left / rate * 60) if left and rate and not awaiting else None,
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


def _print(report: dict[str, Any]) -> None:
    counts = report["counts"]
    more = "+" if report["more_jobs_to_come"] else ""
    click.echo(f"{report['run']}: {counts['done']} of {report['jobs']}{more} jobs done")
    shown = [(state, count) for state, count in counts.items() if count]
    if report["dropped"]:
        shown.append(("not in the manifest any more", report["dropped"]))
    click.echo(_indented(table(shown)))
    rows = [
        ("spent", usd(report["spent_usd"])),
        ("reserved", usd(report["reserved_usd"])),
        ("files", f"{report['files']} ({_size(report['bytes'])})"),
    ]
    if report["done_per_minute"]:
        rows.append(("rate", f"{report['done_per_minute']:g} jobs/min"))
    if report["eta_s"]:
        from batchgen.core.summary import duration

        rows.append(("ETA", duration(report["eta_s"])))
    if report["next_deadline_at"]:
        deadline = _local(report["next_deadline_at"], "%Y-%m-%d %H:%M:%S")
        rows.append(("nearest retention deadline", deadline))
    click.echo(_indented(table(rows)))
    _print_learned(report)
    for problem in report.get("problems", []):
        click.echo(f"{problem['state']:8} {problem['id']}: {problem['reason']}")


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
        click.echo(_indented(table(rows, header)))


def _local(at: float, form: str) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime(form)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{count} B"
