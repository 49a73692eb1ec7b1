"""`batchgen run`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.app.console import say
from batchgen.core.common.exit_codes import ExitCode
from batchgen.system.streams import leave

if TYPE_CHECKING:
    from batchgen.app.manifest_file import ManifestFile
    from batchgen.cli.run_end import RunRequest

_EXAMPLE = """Example:

\b
  batchgen run jobs/demo.yaml --simulate      # free: a local look-alike of the service
  batchgen run jobs/demo.yaml --limit 3       # a taste before the meal
  batchgen run jobs/demo.yaml                 # the same command resumes"""


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
    help="Longest wait at an outage, for files that cannot be fetched, or at a full disk. Default: "
    "30 s for a service that was never reached, 2 h for one that was, 4 h for files, 60 s for a "
    "disk.",
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
@click.option(
    "--adopt",
    is_flag=True,
    help="Go on from a state.db that is older than what was done with it (a backup, a copy): jobs "
    "of which files, run.log or the account's history tell that they were sent are set aside.",
)
@click.option(
    "--no-notify", is_flag=True, help="Send no messages and run no on_finish command this time."
)
@click.option("--serve", is_flag=True, help="Show the run on a live page, on this machine only.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON document.")
def command(**options: Any) -> int:
    """Run MANIFEST; run again, it resumes where it stopped.

    The key comes from SEGMIND_API_KEY. Results go to stdout, progress and errors to stderr.
    """
    import anyio

    from batchgen.app.manifest_file import load_manifest
    from batchgen.app.options import RunOptions
    from batchgen.cli.run_end import RunRequest

    names = {field.name for field in fields(RunOptions)}
    request = RunRequest(
        options["manifest"],
        RunOptions(**{name: value for name, value in options.items() if name in names}),
        options["as_json"],
    )
    manifest = load_manifest(request.manifest, run_dir=request.options.directory)
    work = partial(_run, request, manifest, notify=not options["no_notify"], serve=options["serve"])
    return anyio.run(_left_when_stopped, work)


async def _left_when_stopped(work: Callable[[], Awaitable[int]]) -> int:
    """A run, and after a signal the end of the process: all is recorded, closed and told.

    A thread may still wait for a name server, half a minute long; Python would wait for the thread,
    and whoever sent the signal kills after ten seconds.
    """
    code = await work()
    if code in {ExitCode.INTERRUPTED, ExitCode.TERMINATED}:
        leave(code)
    return code


async def _run(request: RunRequest, manifest: ManifestFile, *, notify: bool, serve: bool) -> int:
    from batchgen.app.notifications import telling_of
    from batchgen.app.outputs import default_run_directory
    from batchgen.app.run import opened_run
    from batchgen.cli.live_page import serve_page
    from batchgen.cli.run_end import facts_of, fallen_by, finish
    from batchgen.cli.show.slips import ask_about_slips
    from batchgen.observe.reading import reading_display
    from batchgen.system.clock import SystemClock

    directory = default_run_directory(manifest, request.options.directory)
    telling = telling_of(manifest, directory, simulated=request.options.simulate, silent=not notify)
    async with telling as told, AsyncExitStack() as stack:
        with reading_display(SystemClock()) as on_progress:
            opening = opened_run(manifest, request.options, on_progress=on_progress)
            run = await stack.enter_async_context(opening)
        for notice in manifest.notices:
            say(f"note: {notice}")
        if not request.options.simulate:
            ask_about_slips(manifest, directory)
        if serve:
            await stack.enter_async_context(serve_page(directory, run.session.clock))
        with run.display() as display:
            try:
                end = await run.to_the_end(told.watch(display))
            except Exception as error:
                told.facts = facts_of(request, run, fallen_by(error))
                raise
        outcome = await run.outcome(end)
        await finish(request, run, outcome)
        told.facts = facts_of(request, run, (outcome.code, outcome.reason), outcome.held)
        return outcome.code
    raise AssertionError("unreachable")
