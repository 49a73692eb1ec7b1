"""`batchgen run`."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.cli.common import say

if TYPE_CHECKING:
    from batchgen.adapters.manifest_file import ManifestFile
    from batchgen.adapters.run_directory import RunDirectory
    from batchgen.cli.service import Service
    from batchgen.cli.session import Overrides
    from batchgen.cli.telling import Telling

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
    limit: int | None = None
    notify: bool = True
    serve: bool = False


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

    from batchgen.adapters.manifest_file import load_manifest
    from batchgen.cli.session import Overrides

    request = Request(
        options["manifest"],
        options["run_dir"],
        options["simulate"],
        options["speed"],
        options["on_change"],
        options["as_json"],
        options["limit"],
        not options["no_notify"],
        options["serve"],
    )
    overrides = Overrides(
        options["concurrency"],
        options["rpm"],
        options["max_spend"],
        options["limit"],
        options["patience"],
        options["allow_unknown_price"],
    )
    manifest = load_manifest(request.manifest, run_dir=request.run_dir)
    for notice in manifest.notices:
        say(f"note: {notice}")
    return anyio.run(partial(_run, request, manifest, overrides))


async def _run(request: Request, manifest: ManifestFile, overrides: Overrides) -> int:
    from batchgen.cli import service as services
    from batchgen.cli.places import default_run_directory
    from batchgen.cli.telling import telling_of

    directory = default_run_directory(manifest, request.run_dir)
    # A missing key is told before anything is made.
    service = None if request.simulate else services.service_from_environment()
    telling = telling_of(manifest, directory, simulated=request.simulate, silent=not request.notify)
    async with telling as told, AsyncExitStack() as stack:
        opening = _Opening(request, overrides, service, told)
        return await _worked(opening, manifest, directory, stack)
    raise AssertionError("unreachable")


@dataclass(frozen=True, slots=True)
class _Opening:
    """What one run is begun with."""

    request: Request
    overrides: Overrides
    service: Service | None
    told: Telling


async def _worked(
    opening: _Opening, manifest: ManifestFile, directory: RunDirectory, stack: AsyncExitStack
) -> int:
    from batchgen.adapters.sqlite.importer import OnChange
    from batchgen.cli import service as services
    from batchgen.cli import session as sessions
    from batchgen.cli.beside import page_beside
    from batchgen.cli.run_end import facts_of, fallen_by, finish

    request, overrides, service = opening.request, opening.overrides, opening.service
    name = service.name if service else services.REHEARSAL_NAME
    session = await stack.enter_async_context(
        sessions.opened(manifest, directory, name, OnChange(request.on_change or "stop"))
    )
    began_at = session.clock.now()
    if overrides.needs_prices(manifest):
        sessions.refuse_unknown_prices(session.state)
    if service is None:
        rehearsal = services.rehearsal(directory, request.speed)
        service = await stack.enter_async_context(rehearsal)
    if request.serve:
        await stack.enter_async_context(page_beside(directory, session.clock))
    with sessions.display_for(session, overrides.cap_usd(manifest)) as display:
        try:
            end = await session.run(service, overrides, opening.told.watch(display))
        except Exception as error:
            opening.told.facts = facts_of(request, session, began_at, fallen_by(error))
            raise
    code = await finish(request, session, end, began_at)
    reason = str(session.fault or (end.gate.reason if end.gate else ""))
    opening.told.facts = facts_of(request, session, began_at, (code, reason))
    if session.fault is not None:
        # Told last: what was collected before stands above it.
        raise session.fault
    return code
