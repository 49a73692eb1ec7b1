"""`batchgen run`."""

from __future__ import annotations

import shlex
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.cli.common import print_json, say, silence, usd
from batchgen.core.exit_code import ExitCode

if TYPE_CHECKING:
    from batchgen.adapters.manifest_file import ManifestFile
    from batchgen.cli.session import Overrides, Session
    from batchgen.core.gates import Gate
    from batchgen.core.job import Job
    from batchgen.core.summary import Tally
    from batchgen.runner.runner import RunEnd

_EXAMPLE = """Example:

\b
  batchgen run jobs/demo.yaml --simulate      # free: a local look-alike of the service
  batchgen run jobs/demo.yaml --limit 3       # a taste before the meal
  batchgen run jobs/demo.yaml                 # the same command resumes"""


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of one `run`."""

    manifest: Path
    run_dir: Path | None
    simulate: bool
    speed: float
    on_change: str | None
    as_json: bool


@click.command("run", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--concurrency", type=click.IntRange(1, 10_000), help="Jobs accepted and not yet finished."
)
@click.option("--rpm", type=click.IntRange(1, 1_000_000), help="Requests a minute.")
@click.option("--max-spend", type=click.FloatRange(0), help="Most to spend, in USD.")
@click.option(
    "--allow-unknown-price",
    is_flag=True,
    help="Under a cap, run models of unknown price as well: one job of each goes first and tells "
    "what the others will cost. The cap may be overshot by what such a first job costs.",
)
@click.option("--limit", type=click.IntRange(1), help="Submit at most so many jobs this time.")
@click.option(
    "--patience",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Longest wait at an outage or a full disk. Default: 30 s for a service that was never "
    "reached, 2 h for one that was, 60 s for a disk.",
)
@click.option("--run-dir", type=click.Path(path_type=Path), help="Default: runs/<name>.")
@click.option("--simulate", is_flag=True, help="Rehearse on a local look-alike; costs nothing.")
@click.option(
    "--speed",
    type=click.FloatRange(0.01, 10_000),
    default=10.0,
    show_default=True,
    help="With --simulate: how many times faster than real models the look-alike generates.",
)
@click.option(
    "--on-change",
    type=click.Choice(["keep", "rerun"]),
    default=None,
    help="Jobs changed in the manifest after they were paid for: keep them, or pay anew.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON document.")
def command(**options: Any) -> int:
    """Run MANIFEST; run again, it resumes where it stopped.

    The key comes from SEGMIND_API_KEY. Results go to stdout, progress and errors to stderr.
    """
    import anyio

    from batchgen.adapters.manifest_file import load_manifest
    from batchgen.cli.session import Overrides

    request = Request(
        options["manifest"],
        options["run_dir"],
        options["simulate"],
        options["speed"],
        options["on_change"],
        options["as_json"],
    )
    overrides = Overrides(
        options["concurrency"],
        options["rpm"],
        options["max_spend"],
        options["limit"],
        options["patience"],
        options["allow_unknown_price"],
    )
    manifest = load_manifest(request.manifest)
    for notice in manifest.notices:
        say(f"note: {notice}")
    return anyio.run(partial(_run, request, manifest, overrides))


async def _run(request: Request, manifest: ManifestFile, overrides: Overrides) -> int:
    from batchgen.adapters.sqlite.importer import OnChange
    from batchgen.cli import service as services
    from batchgen.cli import session as sessions

    directory = sessions.default_run_directory(manifest, request.run_dir)
    # A missing key is told before anything is made.
    service = None if request.simulate else services.service_from_environment()
    name = service.name if service else services.REHEARSAL_NAME
    cap_usd = overrides.cap_usd(manifest)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            sessions.opened(manifest, directory, name, OnChange(request.on_change or "stop"))
        )
        if overrides.needs_prices(manifest):
            sessions.refuse_unknown_prices(session.state)
        if service is None:
            rehearsal = services.rehearsal(directory, request.speed)
            service = await stack.enter_async_context(rehearsal)
        with sessions.display_for(session, cap_usd) as display:
            end = await session.run(service, overrides, [display])
        code = await _finish(request, session, end)
        if session.fault is not None:
            # Told last: what was collected before stands above it.
            raise session.fault
        return code


async def _finish(request: Request, session: Session, end: RunEnd) -> int:
    from batchgen.core.ending import Verdict

    tally = session.tally
    code = session.exit_code(end, dict(tally.counts))
    if not _write_metadata(session):
        code = max(code, ExitCode.STOPPED)
    active = await session.state.active()
    try:
        if request.as_json:
            print_json(_summary(session, tally, end, int(code)))
        else:
            _print(session, tally)
    except BrokenPipeError:
        # Nobody reads on; how the run ended is still so.
        silence(sys.stdout)
    for notice in session.supply.later_notices:
        say(f"note: {notice}")
    if tally.awaiting and end.verdict is Verdict.COMPLETE:
        say("the manifest was not read to its end; the next run goes on with it")
    if end.gate is not None:
        _print_stop(request, end.gate, active)
    return int(code)


def _write_metadata(session: Session) -> bool:
    """Whether the dataset files are written; what they hold is in the state all the same."""
    from batchgen.adapters.metadata import write_metadata
    from batchgen.adapters.sqlite.reader import StateReader

    reader = StateReader(session.directory.state)
    try:
        write_metadata(session.directory.outputs, reader.files(), session.manifest.manifest.name)
    except OSError as error:
        say(
            f"outputs/metadata.jsonl cannot be written: {error.strerror or error}; "
            "run again once that is mended, nothing is paid for again"
        )
        return False
    finally:
        reader.close()
    return True


def _summary(session: Session, tally: Tally, end: RunEnd, code: int) -> dict[str, Any]:
    return {
        "run": str(session.directory.path),
        "verdict": end.verdict.value,
        "reason": end.gate.reason if end.gate else "",
        "exit_code": code,
        "counts": {state.value: count for state, count in tally.counts.items() if count},
        "spent_usd": round(tally.spent_usd, 6),
        "outputs": str(session.directory.outputs),
    }


def _print(session: Session, tally: Tally) -> None:
    from batchgen.core.job import JobState

    counts = tally.counts
    parts = [f"{counts[state]} {state.value}" for state in JobState if counts[state]]
    click.echo(f"{', '.join(parts)}; {usd(tally.spent_usd)} spent")
    click.echo(f"files: {session.directory.outputs}")
    if counts[JobState.FAILED] + counts[JobState.UNKNOWN] + counts[JobState.LOST]:
        click.echo(f"reasons: batchgen status {session.directory.path} --failed")


def _print_stop(request: Request, gate: Gate, active: list[Job]) -> None:
    from batchgen.adapters.progress import local_time
    from batchgen.core.job import JobState
    from batchgen.core.treatment import WINDOW_S

    say(f"stopped: {gate.reason}")
    running = [job for job in active if job.state in {JobState.SUBMITTED, JobState.FETCHING}]
    if running:
        until = local_time(min(job.sent_at for job in running) + WINDOW_S)
        say(f"{len(running)} paid job(s) still at the service; fetch them before {until}")
    again = ["batchgen", "run", str(request.manifest)]
    again += ["--run-dir", str(request.run_dir)] if request.run_dir else []
    again += ["--simulate"] if request.simulate else []
    say(f"resume: {shlex.join(again)}")
