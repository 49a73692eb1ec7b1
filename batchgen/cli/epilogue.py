"""What a run came to: money by model, the slowest jobs, and failures with what deals with them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from batchgen.cli.common import indented, table, usd

_MOST_REASONS = 8
_RETRY_OPTIONS = {"failed": "--failed", "unknown": "--unknown", "lost": "--failed"}
_PURSE = {
    "failed": "not charged",
    "unknown": "perhaps billed: says beforehand what may be billed twice",
    "lost": "paid, and paid again",
}
"""What it means to the user's purse to put jobs of a state back."""


def epilogue_of(run: Path) -> dict[str, Any]:
    """A run as its state tells it. Money in USD, times in seconds. Raises `StateError`."""
    from contextlib import closing

    from batchgen.adapters.sqlite.epilogue import EpilogueReader
    from batchgen.web.rows import grouped

    with closing(EpilogueReader(run / "state.db")) as reader, reader.snapshot():
        return {
            "models": {
                account.model: {
                    "jobs": account.job_count,
                    "done": account.done_count,
                    "spent_usd": round(account.spent_usd, 6),
                }
                for account in reader.accounts()
            },
            "slowest": [
                {"id": slow.id, "model": slow.model, "seconds": round(slow.seconds, 3)}
                for slow in reader.slowest()
            ],
            "failures": _failures(run, grouped(reader.reasons()), reader.problem_counts()),
        }


def _failures(
    run: Path, groups: list[dict[str, Any]], counts: Mapping[str, int]
) -> list[dict[str, Any]]:
    """The groups, and one more of each state whose reasons were too many to be told."""
    rows = [(one["state"], one["said"], one["count"], one["example"]) for one in groups]
    for state, count in counts.items():
        rest = count - sum(row[2] for row in rows if row[0] == state)
        rows += [(state, "other reasons", rest, "")] if rest > 0 else []
    return [
        {
            "state": state,
            "reason": reason,
            "count": count,
            "example": example,
            "command": retry_command(run, state),
        }
        for state, reason, count, example in rows
    ]


def retry_command(run: Path, state: str) -> str:
    """What to type to put the jobs of an ended state back."""
    return shlex.join(["batchgen", "retry", str(run), _RETRY_OPTIONS[state]])


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


def print_failures(told: dict[str, Any], run: Path, *, with_list: bool = True) -> None:
    """The reasons, the commonest first, and for each state of them the command."""
    failures = told["failures"]
    for one in failures[:_MOST_REASONS]:
        such = f"such as {one['example']}" if one["count"] > 1 else one["example"]
        where = f" ({such})" if one["example"] else ""
        click.echo(f"  {one['state']} × {one['count']}: {one['reason']:.200}{where}")
    if len(failures) > _MOST_REASONS:
        click.echo(f"  and {len(failures) - _MOST_REASONS} other reasons")
    if failures and with_list:
        click.echo(f"reasons: {shlex.join(['batchgen', 'status', str(run), '--failed'])}")
    for state in dict.fromkeys(one["state"] for one in failures):
        click.echo(f"again ({state}, {_PURSE[state]}): {retry_command(run, state)}")
