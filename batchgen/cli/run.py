"""`batchgen run`."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.cli.common import print_json, usd

if TYPE_CHECKING:
    from batchgen.adapters.manifest_file import ManifestFile
    from batchgen.cli.session import Overrides, Session
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


@click.command("run", epilog=_EXAMPLE)
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--concurrency", type=click.IntRange(1, 10_000), help="Jobs accepted and not yet finished."
)
@click.option("--rpm", type=click.IntRange(1, 1_000_000), help="Requests a minute.")
@click.option("--max-spend", type=click.FloatRange(0), help="Most to spend, in USD.")
@click.option("--limit", type=click.IntRange(1), help="Submit at most so many jobs this time.")
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
        options["concurrency"], options["rpm"], options["max_spend"], options["limit"]
    )
    manifest = load_manifest(request.manifest)
    for notice in manifest.notices:
        click.echo(f"note: {notice}", err=True)
    return anyio.run(partial(_run, request, manifest, overrides))


async def _run(request: Request, manifest: ManifestFile, overrides: Overrides) -> int:
    from batchgen.adapters.sqlite.importer import OnChange
    from batchgen.cli import session as sessions

    directory = sessions.default_run_directory(manifest, request.run_dir)
    if not request.simulate:
        sessions.service_from_environment()  # a missing key is told before anything is made
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            sessions.opened(manifest, directory, OnChange(request.on_change or "stop"))
        )
        service = (
            await stack.enter_async_context(sessions.rehearsal(directory, request.speed))
            if request.simulate
            else sessions.service_from_environment()
        )
        await sessions.bind_service(session.state, service)
        tally = sessions.tally_of(session)
        cap = overrides.max_spend_usd or manifest.manifest.budget.max_spend
        with sessions.display_for(session, tally, cap) as display:
            end = await session.run(service, overrides, [display])
        return await _finish(request, session, tally, end)


async def _finish(request: Request, session: Session, tally: Tally, end: RunEnd) -> int:
    from batchgen.adapters.metadata import write_metadata
    from batchgen.adapters.sqlite.reader import StateReader

    reader = StateReader(session.directory.state)
    write_metadata(session.directory.outputs, reader.files(), session.manifest.manifest.name)
    reader.close()
    code = session.exit_code(end, dict(tally.counts))
    active = await session.state.active()
    if request.as_json:
        print_json(_summary(session, tally, end, int(code)))
    else:
        _print(session, tally, end, active)
    return int(code)


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


def _print(session: Session, tally: Tally, end: RunEnd, active: list[Job]) -> None:
    from batchgen.core.job import JobState

    counts = tally.counts
    parts = [f"{counts[state]} {state.value}" for state in JobState if counts[state]]
    click.echo(f"{', '.join(parts)}; {usd(tally.spent_usd)} spent")
    click.echo(f"files: {session.directory.outputs}")
    if counts[JobState.FAILED] + counts[JobState.UNKNOWN] + counts[JobState.LOST]:
        click.echo(f"reasons: batchgen status {session.directory.path} --failed")
    if end.gate is not None:
        click.echo(f"stopped: {end.gate.reason}", err=True)
        _print_running(active)
        click.echo(f"resume: batchgen run {session.manifest.path}", err=True)


def _print_running(active: list[Job]) -> None:
    from batchgen.adapters.progress import local_time
    from batchgen.core.job import JobState
    from batchgen.core.treatment import WINDOW_S

    running = [job for job in active if job.state in {JobState.SUBMITTED, JobState.FETCHING}]
    if running:
        until = local_time(min(job.sent_at for job in running) + WINDOW_S)
        click.echo(
            f"{len(running)} paid job(s) still at the service; fetch them before {until}", err=True
        )
