"""`batchgen retry`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from batchgen.cli.common import print_json, run_of
from batchgen.cli.completion import RUN
from batchgen.cli.show.question import agreed
from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.common.formatting import usd
from batchgen.core.jobs.job import JobState, retry_option
from batchgen.errors import UserError

if TYPE_CHECKING:
    from batchgen.store.sqlite.retrying import RetrySelection

_EXAMPLE = """Example:

\b
  batchgen retry runs/demo --failed
  batchgen retry runs/demo --unknown --yes
  batchgen retry jobs/demo.yaml --id 'cup-*' --failed"""


@click.command("retry", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", type=RUN)
@click.option(
    "--failed",
    is_flag=True,
    help="Jobs that failed (not charged), were lost (paid), or whose files are to be fetched.",
)
@click.option("--unknown", is_flag=True, help="Jobs set aside because nothing could tell.")
@click.option("--rejected", is_flag=True, help="Jobs that were paid for and brought no files.")
@click.option("--id", "pattern", default="*", metavar="GLOB", help="Only jobs with such ids.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end.")
def command(**options: Any) -> int:
    """Put jobs of RUN back to pending; says beforehand what may be billed twice.

    Nothing is submitted: the next `batchgen run` does that. Files that could not be fetched so far
    are fetched then, and not paid for again. With --id alone, all jobs of those ids are meant that
    ended without files.
    """
    from batchgen.store.sqlite.state import SqliteState
    from batchgen.system.clock import SystemClock

    states = _states(options)
    directory = run_of(options["run"])
    with SqliteState(directory.state) as state:
        chosen = state.retrier.select(states, options["pattern"])
        _say(chosen, err=options["as_json"])
        if not options["yes"] and not _agreed(chosen):
            click.echo("nothing changed", err=True)
            return ExitCode.USAGE
        clock = SystemClock(state.retrier.note("clock"))
        state.retrier.put_back(chosen, clock.now())
    if options["as_json"]:
        print_json(_as_json(chosen))
    elif chosen.count:
        click.echo(f"{chosen.count} job(s) put back; `batchgen run` takes them up")
    else:
        click.echo("no such jobs; nothing changed")
    return ExitCode.COMPLETED


def _states(options: dict[str, Any]) -> list[JobState]:
    every = {f"--{name}" for name in ("failed", "unknown", "rejected")}
    chosen = {option for option in every if options[option.removeprefix("--")]}
    if not chosen and options["pattern"] == "*":
        raise UserError("say which jobs: --failed, --unknown, --rejected or --id GLOB")
    return [state for state in JobState if retry_option(state) in (chosen or every)]


def _as_json(chosen: RetrySelection) -> dict[str, Any]:
    return {
        "put_back": chosen.count,
        "failed": chosen.failed,
        "lost": chosen.lost,
        "rejected": chosen.rejected,
        "looked_up_again": chosen.reopened,
        "fetched_again": chosen.unfetched,
        "may_be_billed_twice": chosen.unclear,
        "risk_usd": round(chosen.risk_usd, 6),
    }


def _say(chosen: RetrySelection, *, err: bool) -> None:
    """What it may cost, before anything is done."""
    lines = []
    if chosen.failed:
        lines.append(f"{chosen.failed} failed job(s): were not charged, are submitted again")
    if chosen.reopened:
        lines.append(f"{chosen.reopened} job(s) with a request_id: looked up again, free")
    if chosen.unfetched:
        lines.append(f"{chosen.unfetched} job(s) to be fetched: their files are fetched, free")
    if chosen.unclear:
        lines.append(
            f"{chosen.unclear} unknown job(s): may already have been billed, so submitting them "
            "again MAY BILL THEM TWICE"
        )
    if chosen.lost:
        lines.append(f"{chosen.lost} lost job(s): WERE PAID and will be paid again")
    if chosen.rejected:
        lines.append(f"{chosen.rejected} rejected job(s): WERE PAID and will be paid again")
    if chosen.at_risk:
        kinds = sum(map(bool, (chosen.unclear, chosen.lost, chosen.rejected)))
        upto = "all together up to" if kinds > 1 else "up to"
        lines[-1] += f" ({upto} {usd(chosen.risk_usd)} once more{chosen.unpriced})"
    for line in lines:
        click.echo(line, err=err)


def _agreed(chosen: RetrySelection) -> bool:
    if not chosen.at_risk:
        return True
    answer = agreed("Go on?")
    if answer is None:
        raise UserError("not confirmed; add --yes to go on without being asked")
    return answer
