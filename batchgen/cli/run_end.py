"""The end of `batchgen run`: what it came to, and what to type next."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.adapters.local_time import local_time
from batchgen.cli.common import print_json, say, silence, usd
from batchgen.cli.epilogue import epilogue_of, print_epilogue, print_failures
from batchgen.cli.places import write_metadata
from batchgen.core.ending import Verdict
from batchgen.core.exit_code import ExitCode
from batchgen.core.job import JobState
from batchgen.core.notice import Facts
from batchgen.core.summary import duration
from batchgen.core.treatment import WINDOW_S
from batchgen.errors import StateError, StoppedEarly, UserError

if TYPE_CHECKING:
    from batchgen.cli.run import Request
    from batchgen.cli.session import Session
    from batchgen.core.gates import Gate
    from batchgen.core.job import Job
    from batchgen.core.summary import Tally
    from batchgen.runner.runner import RunEnd


async def finish(request: Request, session: Session, end: RunEnd, began_at: float) -> int:
    """Write the dataset files, say what the run came to and what to type next; the exit code."""
    tally = session.tally
    code = session.exit_code(end, dict(tally.counts))
    if not await write_metadata(session):
        code = max(code, ExitCode.STOPPED)
    active = await session.state.active()
    totals = await session.state.totals()
    epilogue = _epilogue(session.directory.path)
    tally.spent_usd = totals.settled_usd
    told = {
        **_summary(session, tally, end, int(code)),
        "reserved_usd": round(totals.reserved_usd, 6),
        "elapsed_s": round(session.clock.now() - began_at, 3),
        **epilogue,
    }
    try:
        if request.as_json:
            print_json(told)
        else:
            _print(session, tally, told)
    except BrokenPipeError:
        # Nobody reads on; how the run ended is still so.
        silence(sys.stdout)
    for notice in session.supply.later_notices:
        say(f"note: {notice}")
    if tally.awaiting and end.verdict is Verdict.COMPLETE:
        say("the manifest was not read to its end; the next run goes on with it")
    if end.gate is not None:
        _print_stop(request, end.gate, active)
    elif request.limit and tally.counts[JobState.PENDING]:
        _print_rest(request, tally)
    return int(code)


def _epilogue(run: Path) -> dict[str, Any]:
    """How the run ended is so, whether or not this can be read."""
    try:
        return epilogue_of(run)
    except StateError as error:
        say(f"note: what it came to is not told: {error}")
        return {"models": {}, "slowest": [], "failures": []}


def _summary(session: Session, tally: Tally, end: RunEnd, code: int) -> dict[str, Any]:
    return {
        "run": str(session.directory.path),
        "verdict": end.verdict.value,
        "reason": end.gate.reason if end.gate else "",
        "exit_code": code,
        "counts": {state.value: count for state, count in tally.counts.items() if count},
        "spent_usd": round(tally.spent_usd, 6),
        "outputs": session.directory.place,
    }


def _print(session: Session, tally: Tally, told: dict[str, Any]) -> None:
    counts = tally.counts
    parts = [f"{counts[state]} {state.value}" for state in JobState if counts[state]]
    took = duration(told["elapsed_s"])
    click.echo(f"{', '.join(parts)}; {usd(tally.spent_usd)} spent; took {took}")
    print_epilogue(told)
    click.echo(f"files: {session.directory.place}")
    print_failures(told, session.directory.path)


def _print_stop(request: Request, gate: Gate, active: list[Job]) -> None:
    say(f"stopped: {gate.reason}")
    running = [job for job in active if job.state in {JobState.SUBMITTED, JobState.FETCHING}]
    if running:
        until = local_time(min(job.sent_at for job in running) + WINDOW_S)
        say(f"{len(running)} paid job(s) still at the service; fetch them before {until}")
    say(f"resume: {_again(request)}")


def _print_rest(request: Request, tally: Tally) -> None:
    """After a taste: what is left, and how to learn what that will come to."""
    say(f"--limit {request.limit} is reached; {tally.counts[JobState.PENDING]:,} jobs wait")
    run_dir = ["--run-dir", str(request.run_dir)] if request.run_dir else []
    plan = shlex.join(["batchgen", "plan", str(request.manifest), *run_dir])
    say(f"what they will come to: {plan}")
    say(f"go on: {_again(request)}")


def _again(request: Request) -> str:
    again = ["batchgen", "run", str(request.manifest)]
    again += ["--run-dir", str(request.run_dir)] if request.run_dir else []
    again += ["--simulate"] if request.simulate else []
    return shlex.join(again)


def facts_of(request: Request, session: Session, began_at: float, ended: tuple[int, str]) -> Facts:
    """What others are told of a run that ended with an exit code, for a reason."""
    code, reason = ended
    directory = session.directory
    return Facts(
        name=session.manifest.manifest.name,
        simulated=request.simulate,
        run=str(directory.path.absolute()),
        manifest=str(request.manifest.absolute()),
        outputs=directory.place if directory.bucket else str(directory.outputs.absolute()),
        exit_code=code,
        reason=reason,
        counts=dict(session.tally.counts),
        spent_usd=session.tally.spent_usd,
        elapsed_s=session.clock.now() - began_at,
        resume=_again(request),
    )


def fallen_by(error: Exception) -> tuple[int, str]:
    """The exit code that an error leads to, and what it says."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, StoppedEarly):
        return ExitCode.STOPPED, str(error)
    return (ExitCode.USAGE, str(error)) if isinstance(error, UserError) else (ExitCode.INTERNAL, "")
