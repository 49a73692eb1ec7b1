"""`batchgen retry`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batchgen.cli.common import run_of, usd
from batchgen.core.exit_code import ExitCode
from batchgen.errors import UserError

if TYPE_CHECKING:
    from batchgen.adapters.sqlite.retrying import Selection

_EXAMPLE = """Example:

\b
  batchgen retry runs/demo --failed
  batchgen retry runs/demo --unknown --yes
  batchgen retry jobs/demo.yaml --id 'cup-*' --failed"""


@click.command("retry", epilog=_EXAMPLE)
@click.argument("run")
@click.option("--failed", is_flag=True, help="Jobs that failed (not charged) or were lost (paid).")
@click.option("--unknown", is_flag=True, help="Jobs set aside because nothing could tell.")
@click.option("--id", "pattern", default="*", metavar="GLOB", help="Only jobs with such ids.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(run: str, *, failed: bool, unknown: bool, pattern: str, yes: bool) -> int:
    """Put jobs of RUN back to pending; says beforehand what may be billed twice.

    Nothing is submitted: the next `batchgen run` does that. With --id alone, failed, lost and
    unknown jobs of those ids are meant.
    """
    from batchgen.adapters.clock import SystemClock
    from batchgen.adapters.sqlite.retrying import put_back, select
    from batchgen.adapters.sqlite.state import SqliteState

    if not (failed or unknown) and pattern == "*":
        raise UserError("say which jobs: --failed, --unknown or --id GLOB")
    states = [*(("failed", "lost") if failed else ()), *(("unknown",) if unknown else ())]
    directory = run_of(run)
    with SqliteState(directory.state) as state:
        chosen = select(state.ledger, states or ["failed", "lost", "unknown"], pattern)
        if not chosen.count:
            click.echo("no such jobs; nothing changed")
            return ExitCode.COMPLETED
        _say(chosen)
        if not yes and not _agreed(chosen):
            click.echo("nothing changed", err=True)
            return ExitCode.USAGE
        put_back(state.ledger, chosen, SystemClock().now())
    click.echo(f"{chosen.count} job(s) put back; `batchgen run` takes them up")
    return ExitCode.COMPLETED


def _say(chosen: Selection) -> None:
    """What it may cost, before anything is done."""
    if chosen.failed:
        click.echo(f"{chosen.failed} failed job(s): were not charged, are submitted again")
    if chosen.reopened:
        click.echo(f"{chosen.reopened} job(s) with a request_id: looked up again, free")
    if chosen.unclear:
        click.echo(
            f"{chosen.unclear} unknown job(s): may already have been billed, so submitting them "
            f"again MAY BILL THEM TWICE (up to {usd(chosen.risk_usd)} once more{chosen.unpriced})"
        )
    if chosen.lost:
        click.echo(f"{chosen.lost} lost job(s): WERE PAID and will be paid again")


def _agreed(chosen: Selection) -> bool:
    if not (chosen.unclear or chosen.lost):
        return True
    try:
        return click.confirm("Go on?", default=False, err=True)
    except click.Abort:
        raise UserError("not confirmed; add --yes to go on without being asked") from None
