"""What a run came to, printed: money by model, the slowest jobs, and failures with what deals with
them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from batchgen.app.summary import next_command
from batchgen.cli.common import indented, table
from batchgen.core.common.formatting import size_text, usd
from batchgen.core.jobs.job import GROUPS, STATES, JobState
from batchgen.core.progress.held_words import HeldModel
from batchgen.system.run_directory import RunDirectory

_MOST_REASONS = 8


def uploads_text(uploads: Mapping[str, int]) -> str:
    """How many input files were uploaded, and how much that is."""
    return f"{uploads['files']:,} input file(s) ({size_text(uploads['bytes'])})"


def print_epilogue(told: dict[str, Any]) -> None:
    """The tables on stdout; what would say nothing new is left out."""
    if len(told["models"]) > 1:
        rows = [
            (model, f"{one['done']}/{one['jobs']}", usd(one["spent_usd"]))
            for model, one in told["models"].items()
        ]
        click.echo(indented(table(rows, ("by model", "done", "spent"))))
    if sum(one["done"] for one in told["models"].values()) > len(told["slowest"]) > 0:
        slow = (f"{one['id']} ({one['seconds']:.1f} s)" for one in told["slowest"])
        click.echo(f"  slowest: {', '.join(slow)}")
    tokens, again = told["tokens"], told["tried_again"]
    if tokens["read"] or tokens["written"]:
        click.echo(f"  tokens: {tokens['read']:,} read, {tokens['written']:,} written")
    if again:
        ends = ", ".join(f"{count} {state}" for state, count in again.items())
        click.echo(f"  tried again after a failure (free): {sum(again.values())} ({ends})")
    for one in told["texts"]:
        click.echo(
            f"  warning: {one['count']} done job(s) of {one['model']} brought a text, such as "
            f"{one['example']}; others brought media: look at them"
        )


def print_held(held: Iterable[dict[str, Any]]) -> None:
    """Why jobs are on hold, and what to do, a line a model."""
    for one in held:
        click.echo(f"  {HeldModel(**one).text}")


def print_failures(told: dict[str, Any], run: Path, again: str, *, with_list: bool = True) -> None:
    """The reasons, the commonest first, and for each state of them the command; `again` is the
    one that resumes the run."""
    failures = told["failures"]
    for one in failures[:_MOST_REASONS]:
        such = f"such as {one['example']}" if one["count"] > 1 else one["example"]
        where = f" ({such})" if one["example"] else ""
        click.echo(f"  {one['state']} × {one['count']}: {one['reason']:.200}{where}")
        if one["advice"]:
            click.echo(f"    → {one['advice']}")
    if len(failures) > _MOST_REASONS:
        click.echo(f"  and {len(failures) - _MOST_REASONS} other reasons")
    if failures and with_list:
        click.echo(f"reasons: {shlex.join(['batchgen', 'status', str(run), '--failed'])}")
    for state in dict.fromkeys(one["state"] for one in failures):
        if state == JobState.REJECTED and (came := RunDirectory(run).rejected).is_dir():
            click.echo(f"what came instead of files: {came}")
        cost = GROUPS[STATES[state].group].retry_cost
        is_fetched = state == JobState.UNFETCHED
        what = "fetch them (paid for already, free)" if is_fetched else f"again ({state}, {cost})"
        click.echo(f"{what}: {next_command(run, state, again)}")
