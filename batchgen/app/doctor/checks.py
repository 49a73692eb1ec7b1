"""The checks of `batchgen doctor`, in their order."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from batchgen.app import service
from batchgen.app.doctor import findings, machine, record
from batchgen.app.doctor.findings import Diagnosis, Level
from batchgen.app.doctor.network import ask, reach, way_of_files
from batchgen.app.located import located
from batchgen.app.manifest_file import load_manifest
from batchgen.app.outputs import default_run_directory
from batchgen.core.net.http import Host
from batchgen.core.net.urls import is_loopback_host
from batchgen.errors import ManifestError, StateError, UserError
from batchgen.providers.segmind.client import origins_for
from batchgen.store.sqlite.schema import is_begun
from batchgen.system.clock import SystemClock
from batchgen.system.run_directory import RunDirectory, find_run
from batchgen.system.version import installed_version


class TellLines(Protocol):
    """Takes lines as they are made: those of the network may take a while."""

    def __call__(self, *lines: Diagnosis) -> None:
        """Some more lines."""
        ...


async def examine(run: str | None, tell: TellLines) -> None:
    """Tell a line for every check. Raises `UserError` for a `run` that is no directory or file."""
    directory, about = _run_of(run)
    tell(*about)
    pending_usd = 0.0
    if is_begun(directory.state):
        checked = record.check(directory, SystemClock().now())
        pending_usd = checked.pending_usd
        tell(*checked.lines)
    try:
        await _service(pending_usd, tell)
    except UserError as error:
        what, _, remedy = str(error).partition("\n")
        tell(Diagnosis("network", Level.FAIL, what, remedy.strip()))
    for place in filter(None, (directory.path, directory.folder)):
        tell(*machine.disk(place))
    tell(machine.open_files(), *machine.versions())


async def _service(pending_usd: float, tell: TellLines) -> None:
    """The key, the way to the service, and what it says. Raises `UserError`."""
    key, base_url = service.key_of_environment(), service.base_url_of_environment()
    tell(findings.key_shape(service.KEY_VARIABLE, key))
    origins = origins_for(base_url)
    if base_url:
        place = origins[Host.API]
        what = f"{service.BASE_URL_VARIABLE} is set: calls go to {place}, not to Segmind"
        tell(Diagnosis("service", Level.OK, what))
    is_reached = True
    for origin in dict.fromkeys(origins.values()):
        line = await reach(origin)
        is_reached = is_reached and line.level is Level.OK
        tell(line)
    files = way_of_files(local=is_loopback_host(urlsplit(base_url or "").hostname or ""))
    if files is not None:
        tell(files)
    if key and is_reached:
        tell(*await ask(key, origins, f"batchgen/{installed_version()}", pending_usd))


def _run_of(run: str | None) -> tuple[RunDirectory, list[Diagnosis]]:
    """The run directory that is meant, which need not be there yet, and what its manifest is like.

    Raises `UserError` for a RUN that is neither a directory nor a file.
    """
    path = Path(run or "runs")
    if run is None:
        return RunDirectory(path), []
    if path.is_file():
        return _of_manifest(path)
    if not path.is_dir():
        raise UserError(f"there is no {run}\n    give a run directory, a manifest, or neither")
    directory = find_run(path)
    about = list(record.process(directory))
    try:
        return located(directory), about
    except StateError:  # the check of the record tells it better
        return directory, about


def _of_manifest(path: Path) -> tuple[RunDirectory, list[Diagnosis]]:
    try:
        manifest = load_manifest(path, lazily=True)
    except ManifestError as error:
        what = f"{path} has {len(error.problems)} problem(s), the first: {error.problems[0].what}"
        remedy = f"`batchgen plan {path}` names all of them"
        return RunDirectory(Path("runs")), [Diagnosis("manifest", Level.FAIL, what, remedy)]
    count = len(manifest.notices)
    told = f"{path} can be run" + (f", with {count} warning(s)" if count else "")
    directory = default_run_directory(manifest, None)
    return directory, [Diagnosis("manifest", Level.OK, told), *record.process(directory)]
