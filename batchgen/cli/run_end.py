"""The end of `batchgen run`: what it came to, and what to type next."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.app.console import say
from batchgen.app.summary import epilogue_of
from batchgen.cli.common import print_json
from batchgen.cli.show.summary import print_epilogue, print_failures, print_held, uploads_text
from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.common.formatting import usd
from batchgen.core.jobs.job import JobState
from batchgen.core.progress.advice import MAKE_ROOM, STATUS_PAGE, TOP_UP, advice_of
from batchgen.core.progress.held_words import documents
from batchgen.core.progress.notifications import Facts
from batchgen.core.progress.tally import duration
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.errors import StateError, StoppedEarly, UserError
from batchgen.system.local_time import local_time

if TYPE_CHECKING:
    from batchgen.app.options import RunOptions
    from batchgen.app.run import OpenRun, RunOutcome
    from batchgen.app.session import Session
    from batchgen.core.jobs.job import Job
    from batchgen.core.progress.held_words import HeldModel
    from batchgen.core.scheduling.gates.gates import Gate


_REMEDIES = {
    GateKind.KEY: "check SEGMIND_API_KEY; `batchgen doctor {}` tells whether it is accepted",
    GateKind.CREDITS: TOP_UP,
    GateKind.QUOTA: MAKE_ROOM,
    GateKind.OUTAGE: f"see {STATUS_PAGE}; `batchgen doctor {{}}` looks at the way there",
    GateKind.STORAGE: "mend that first: permissions, a file in the way, or the disk",
    GateKind.SPEND_CAP: "raise budget.max_spend in the manifest, or give --max-spend",
}
"""What a person has to do before the run can go on."""
_TOLD_BY_WORDS = frozenset(
    {GateKind.KEY, GateKind.OUTAGE, GateKind.UPLOADS, GateKind.QUOTA, GateKind.HALT}
)
"""Gates whose reason may say more about that than the gate itself."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One `batchgen run`: what is run, how, and in which form its end is told."""

    manifest: Path
    options: RunOptions
    as_json: bool


async def finish(request: RunRequest, run: OpenRun, outcome: RunOutcome) -> None:
    """Say what the run came to and what to type next."""
    session, totals, end = run.session, outcome.totals, outcome.end
    tally = session.tally
    active = await session.state.active()
    tally.spent_usd = totals.settled_usd
    uploaded, _ = await session.state.uploads()
    told = {
        **_summary(session, outcome),
        "reserved_usd": round(totals.reserved_usd, 6),
        "elapsed_s": round(session.clock.now() - run.began_at, 3),
        "uploads": {"files": uploaded[0], "bytes": uploaded[1]},
        **_epilogue(session.directory.path, _again(request)),
    }
    if request.as_json:
        print_json(told)
    else:
        _print(request, session, told)
    waiting_count = outcome.told_counts.get(JobState.PENDING, 0)
    if end.gate is not None:
        _print_stop(request, session, end.gate, active)
    elif request.options.limit and waiting_count:
        _print_rest(request, waiting_count)
    elif outcome.held:
        say(f"then go on: {_again(request)}")


def _epilogue(run: Path, again: str) -> dict[str, Any]:
    """How the run ended is so, whether or not this can be read."""
    try:
        return epilogue_of(run, again)
    except StateError as error:
        say(f"note: what it came to is not told: {error}")
        nothing = {"tried_again": {}, "tokens": {"read": 0, "written": 0}}
        return {"models": {}, "slowest": [], "texts": [], **nothing, "failures": []}


def _summary(session: Session, outcome: RunOutcome) -> dict[str, Any]:
    return {
        "run": str(session.directory.path),
        "verdict": outcome.end.verdict.value,
        "reason": outcome.reason,
        "exit_code": int(outcome.code),
        "counts": outcome.told_counts,
        "held": documents(outcome.held),
        "spent_usd": round(outcome.totals.settled_usd, 6),
        "outputs": session.directory.place,
    }


def _print(request: RunRequest, session: Session, told: dict[str, Any]) -> None:
    tally = session.tally
    parts = [f"{count} {state}" for state, count in told["counts"].items()]
    took = duration(told["elapsed_s"])
    click.echo(f"{', '.join(parts)}; {usd(tally.spent_usd)} spent; took {took}")
    print_epilogue(told)
    if told["uploads"]["files"]:
        click.echo(f"uploaded: {uploads_text(told['uploads'])}")
    click.echo(f"files: {session.directory.place}")
    print_held(told["held"])
    print_failures(told, session.directory.path, _again(request))


def _print_stop(request: RunRequest, session: Session, gate: Gate, active: list[Job]) -> None:
    say(f"stopped: {gate.reason}")
    come = [job for job in active if job.state in {JobState.SUBMITTED, JobState.FETCHING}]
    running = [job for job in come if not job.outputs]
    if running:
        oldest_at = min(job.sent_at for job in running)
        deadline = session.service.capabilities.deadline_at(oldest_at)
        until = f"; fetch them before {local_time(deadline)}" if deadline else ""
        say(f"{len(running)} paid job(s) still at the service{until}")
    if len(come) > len(running):
        finished_count = len(come) - len(running)
        say(f"{finished_count} job(s) are finished and paid for: the next run fetches their files")
    unclear_count = sum(job.state is JobState.AMBIGUOUS for job in active)
    if unclear_count:
        say(f"{unclear_count} submit(s) without an answer: the next run asks the history for them")
    advice = advice_of(gate.reason) if gate.kind in _TOLD_BY_WORDS else ""
    remedy = _REMEDIES.get(gate.kind, "").format(shlex.quote(str(request.manifest)))
    for line in dict.fromkeys(filter(None, (advice, remedy))):
        say(line)
    say(f"resume: {_again(request)}")


def _print_rest(request: RunRequest, waiting_count: int) -> None:
    """After a taste: what is left, and how to learn what that will come to."""
    say(f"--limit {request.options.limit} is reached; {waiting_count:,} jobs wait")
    run_dir = ["--run-dir", str(request.options.run_dir)] if request.options.run_dir else []
    plan = shlex.join(["batchgen", "plan", str(request.manifest), *run_dir])
    say(f"what they will come to: {plan}")
    say(f"go on: {_again(request)}")


def _again(request: RunRequest) -> str:
    again = ["batchgen", "run", str(request.manifest)]
    again += ["--run-dir", str(request.options.run_dir)] if request.options.run_dir else []
    again += ["--simulate"] if request.options.simulate else []
    return shlex.join(again)


def facts_of(
    request: RunRequest, run: OpenRun, ended: tuple[int, str], held: tuple[HeldModel, ...] = ()
) -> Facts:
    """What others are told of a run that ended with an exit code, for a reason."""
    code, reason = ended
    session, directory = run.session, run.session.directory
    return Facts(
        name=session.manifest.manifest.name,
        simulated=request.options.simulate,
        run=str(directory.path.absolute()),
        manifest=str(request.manifest.absolute()),
        outputs=directory.place if directory.bucket else str(directory.outputs.absolute()),
        exit_code=code,
        reason=reason,
        counts=dict(session.tally.counts),
        spent_usd=session.tally.spent_usd,
        elapsed_s=session.clock.now() - run.began_at,
        resume=_again(request),
        held=held,
    )


def fallen_by(error: Exception) -> tuple[int, str]:
    """The exit code that an error leads to, and what it says."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, StoppedEarly):
        return ExitCode.STOPPED, str(error)
    return (ExitCode.USAGE, str(error)) if isinstance(error, UserError) else (ExitCode.INTERNAL, "")
