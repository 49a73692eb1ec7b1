"""`batchgen doctor`."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchgen.cli.common import print_json
from batchgen.cli.completion import RUN
from batchgen.errors import ManifestError, StateError, UserError

if TYPE_CHECKING:
    from batchgen.app.doctor.findings import Diagnosis
    from batchgen.system.run_directory import RunDirectory

_EXAMPLE = """Example:

\b
  batchgen doctor                    # key, network, credits, clock, disk, versions
  batchgen doctor runs/demo          # and the record of a run
  batchgen doctor jobs/demo.yaml --json"""


@click.command("doctor", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", required=False, type=RUN)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(run: str | None, *, as_json: bool) -> int:
    """Check what a run needs, and say what to do; RUN is a run directory or a manifest.

    Looks at the key, the way to the service, the account, the clock, the disk, the limits and the
    versions, and with RUN at its record. Costs nothing: the only call is the free one for the
    credits. Exit code 1 where anything fails; warnings leave it 0.
    """
    import anyio

    from batchgen.app.doctor.findings import exit_code_of

    directory, about = _run_of(run)
    found = anyio.run(_all, directory, about, as_json)
    code = exit_code_of(found)
    if as_json:
        print_json({"exit_code": int(code), "checks": [asdict(line) for line in found]})
    else:
        click.echo(_verdict(found))
    return code


async def _all(directory: RunDirectory, about: list[Diagnosis], quiet: bool) -> list[Diagnosis]:
    """Every check, each printed as it is made: those of the network may take a while."""
    found: list[Diagnosis] = []
    async for line in _lines(directory, about):
        found.append(line)
        if not quiet:
            _print(line)
    return found


async def _lines(directory: RunDirectory, about: list[Diagnosis]) -> AsyncIterator[Diagnosis]:
    from batchgen.app.doctor import machine, record
    from batchgen.system.clock import SystemClock

    for line in about:
        yield line
    pending_usd = 0.0
    if directory.state.exists():
        checked = record.check(directory, SystemClock().now())
        pending_usd = checked.pending_usd
        for line in checked.lines:
            yield line
    async for line in _service(pending_usd):
        yield line
    for place in filter(None, (directory.path, directory.folder)):
        for line in machine.disk(place):
            yield line
    yield machine.open_files()
    for line in machine.versions():
        yield line


async def _service(pending_usd: float) -> AsyncIterator[Diagnosis]:
    """The key, the way to the service, and what it says."""
    from batchgen.app import service
    from batchgen.app.doctor import findings
    from batchgen.app.doctor.findings import Diagnosis, Level
    from batchgen.app.doctor.network import ask, reach
    from batchgen.core.net.http import Host
    from batchgen.providers.segmind.client import origins_for
    from batchgen.system.version import installed_version

    key, base_url = service.key_of_environment(), service.base_url_of_environment()
    yield findings.key_shape(key) if key else findings.key_missing(service.KEY_VARIABLE)
    try:
        origins = origins_for(base_url)
        if base_url:
            place = origins[Host.API]
            what = f"{service.BASE_URL_VARIABLE} is set: calls go to {place}, not to Segmind"
            yield Diagnosis("service", Level.OK, what)
        reached = True
        async for line in reach(origins.values()):
            reached = reached and line.level is Level.OK
            yield line
        if not key or not reached:
            return
        heard = await ask(key, origins, f"batchgen/{installed_version()}")
    except UserError as error:
        yield _failing("network", error)
        return
    for line in heard.lines:
        yield line
    if heard.is_accepted:
        yield findings.credits_left(heard.credits_usd, pending_usd)


def _run_of(run: str | None) -> tuple[RunDirectory, list[Diagnosis]]:
    """The run directory that is meant, which need not be there yet, and what its manifest is like.

    Raises `UserError` for a RUN that is neither a directory nor a file.
    """
    from batchgen.app.doctor.record import process
    from batchgen.app.located import located
    from batchgen.system.run_directory import RunDirectory, find_run

    path = Path(run or "runs")
    if run is None:
        return RunDirectory(path), []
    if path.is_file():
        return _of_manifest(path)
    if not path.is_dir():
        raise UserError(f"there is no {run}\n    give a run directory, a manifest, or neither")
    directory = find_run(path)
    about = list(process(directory))
    try:
        return located(directory), about
    except StateError:  # the check of the record tells it better
        return directory, about


def _of_manifest(path: Path) -> tuple[RunDirectory, list[Diagnosis]]:
    from batchgen.app.doctor.findings import Diagnosis, Level
    from batchgen.app.doctor.record import process
    from batchgen.app.manifest_file import load_manifest
    from batchgen.app.outputs import default_run_directory
    from batchgen.system.run_directory import RunDirectory

    try:
        manifest = load_manifest(path, lazily=True)
    except ManifestError as error:
        what = f"{path} has {len(error.problems)} problem(s), the first: {error.problems[0].what}"
        remedy = f"`batchgen plan {path}` names all of them"
        return RunDirectory(Path("runs")), [Diagnosis("manifest", Level.FAIL, what, remedy)]
    count = len(manifest.notices)
    told = f"{path} can be run" + (f", with {count} warning(s)" if count else "")
    directory = default_run_directory(manifest, None)
    return directory, [Diagnosis("manifest", Level.OK, told), *process(directory)]


def _failing(name: str, error: Exception) -> Diagnosis:
    from batchgen.app.doctor.findings import Diagnosis, Level

    what, _, remedy = str(error).partition("\n")
    return Diagnosis(name, Level.FAIL, what, remedy.strip())


def _print(line: Diagnosis) -> None:
    click.echo(f"{line.level:<4}  {line.name:<11}  {line.what}")
    if line.remedy:
        click.echo(f"{'':19}→ {line.remedy}")


def _verdict(found: list[Diagnosis]) -> str:
    from batchgen.app.doctor.findings import Level

    counts = Counter(line.level for line in found)
    if counts[Level.FAIL]:
        return f"{counts[Level.FAIL]} to mend, {counts[Level.WARN]} to know of"
    return f"ready; {counts[Level.WARN]} to know of" if counts[Level.WARN] else "ready"
