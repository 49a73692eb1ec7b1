"""One run put together: manifest, state, service, outputs, board and runner."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from batchgen import catalog
from batchgen.adapters.clock import SystemClock
from batchgen.adapters.downloads import Downloader, DownloadSettings
from batchgen.adapters.files import FileOutputs
from batchgen.adapters.manifest_file import ManifestFile
from batchgen.adapters.progress import FanOut, ProgressDisplay
from batchgen.adapters.run_directory import RunDirectory
from batchgen.adapters.run_log import RunLog
from batchgen.adapters.segmind import SegmindApi, origins_for
from batchgen.adapters.sqlite.importer import Imported, OnChange, import_jobs
from batchgen.adapters.sqlite.state import SqliteState
from batchgen.core.board import Board, Limits, OnExpired, RateScope, WhenAbsent
from batchgen.core.budget import Money, RateWindow
from batchgen.core.exit_code import ExitCode
from batchgen.core.job import JobState, Totals
from batchgen.core.polling import Latencies
from batchgen.core.summary import Tally
from batchgen.core.verdict import exit_code
from batchgen.errors import StateError, UserError
from batchgen.ports import Ports, Progress
from batchgen.runner.runner import RunEnd, Runner

if TYPE_CHECKING:
    from batchgen.simulator import SimulatorConfig

KEY_VARIABLE = "SEGMIND_API_KEY"
BASE_URL_VARIABLE = "SEGMIND_BASE_URL"
USER_AGENT = f"batchgen/{version('batchgen')}"
REHEARSAL_KEY = "SG_0000000000000000"


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line puts over the manifest's budget; None leaves it."""

    concurrency: int | None = None
    requests_per_minute: int | None = None
    max_spend_usd: float | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """Where a run's calls go. `name` is written into the state, so that runs do not mix."""

    key: str
    base_url: str | None
    name: str
    local: bool
    speed: float = 1.0
    """How many times faster than real models it generates; only a rehearsal knows."""


@dataclass(slots=True)
class Session:
    """An opened run: ready to be run once."""

    manifest: ManifestFile
    directory: RunDirectory
    state: SqliteState
    imported: Imported
    totals: Totals
    clock: SystemClock
    signal_number: int = 0

    async def run(self, service: Service, overrides: Overrides, watchers: list[Progress]) -> RunEnd:
        """Run to the end, obeying signals. Raises `DiskError`."""
        board = await self._board(overrides, service.speed)
        async with AsyncExitStack() as stack:
            log = stack.enter_context(RunLog(self.directory.log, self.clock))
            api = await stack.enter_async_context(
                SegmindApi(service.key, origins_for(service.base_url), USER_AGENT)
            )
            settings = DownloadSettings(allow_private=service.local)
            downloader = await stack.enter_async_context(Downloader(USER_AGENT, settings))
            files = FileOutputs(self.directory.outputs, self.directory.staging, downloader)
            outputs = await stack.enter_async_context(files)
            await outputs.remove_orphans(await self.state.staged_names())
            ports = Ports(api, self.state, outputs, self.clock, FanOut(log, *watchers))
            log.said("run_started", "", {"jobs": sum(self.totals.counts.values())})
            end = await self._obeying_signals(Runner(board, ports))
            log.said("run_ended", end.gate.reason if end.gate else "", {"verdict": end.verdict})
            return end

    async def _obeying_signals(self, runner: Runner) -> RunEnd:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_signals, runner)
            try:
                return await runner.run()
            finally:
                tasks.cancel_scope.cancel()
        raise AssertionError("unreachable")

    async def _watch_signals(self, runner: Runner) -> None:
        """The first signal stops submits and waits for POSTs; the second leaves at once."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async for number in signals:
                if self.signal_number:
                    runner.abandon()
                else:
                    self.signal_number = number
                    runner.stop(f"{signal.Signals(number).name} received")

    async def _board(self, overrides: Overrides, speed: float) -> Board:
        budget = self.manifest.manifest.budget
        rpm = overrides.requests_per_minute or budget.requests_per_minute
        cap = budget.max_spend if overrides.max_spend_usd is None else overrides.max_spend_usd
        rate = RateWindow.restore(rpm, await self.state.note("rate"), self.clock.now())
        return Board(
            limits=_limits(self.manifest, overrides),
            rate=rate,
            money=Money.of(cap, self.totals, await self.state.active()),
            latencies=Latencies(
                {model.slug: model.latency_s / speed for model in catalog.load() if model.latency_s}
            ),
            quota=overrides.limit,
        )

    def exit_code(self, end: RunEnd, counts: dict[JobState, int]) -> ExitCode:
        """The exit code of this run; signals have codes of their own."""
        code = exit_code(end.verdict, end.gate, counts)
        if code is ExitCode.INTERRUPTED and self.signal_number != signal.SIGINT:
            return ExitCode.TERMINATED
        return code


def _limits(manifest: ManifestFile, overrides: Overrides) -> Limits:
    model = manifest.manifest
    return Limits(
        concurrency=overrides.concurrency or model.budget.concurrency,
        rate_scope=RateScope(model.budget.rate_limit_scope),
        max_attempts=model.retry.max_attempts,
        on_expired=OnExpired(model.reconcile.on_expired),
        when_absent=WhenAbsent(model.reconcile.when_absent),
        settle_s=model.reconcile.settle,
    )


@asynccontextmanager
async def opened(
    manifest: ManifestFile, directory: RunDirectory, on_change: OnChange = OnChange.STOP
) -> AsyncIterator[Session]:
    """Open (or make) the run directory and bring the state in line with the manifest.

    Raises `UserError` (locked, foreign or damaged state; paid jobs changed) before anything runs.
    """
    directory.create()
    with SqliteState(directory.state) as state:
        clock = SystemClock(state.ledger.note("clock"))
        imported = import_jobs(state.ledger, manifest.jobs(), on_change, clock.now())
        if imported.paid or imported.busy:
            raise UserError(_paid_change(imported))
        directory.set_aside(imported.replaced)
        if manifest.manifest.budget.max_spend is not None:
            _refuse_unknown_prices(state)
        await state.record((), {"clock": clock.anchor()})
        yield Session(manifest, directory, state, imported, await state.totals(), clock)


def _refuse_unknown_prices(state: SqliteState) -> None:
    """A cap can only be kept over jobs whose price is known."""
    models = state.ledger.unpriced_models()
    if models:
        raise UserError(
            f"budget.max_spend needs a price for every job; none is known for {', '.join(models)}."
            "\n    Set `price:` (USD a job) on these jobs or under `defaults`."
        )


def _paid_change(imported: Imported) -> str:
    named = imported.paid or imported.busy
    more = imported.paid_count - len(named)
    names = ", ".join(named) + (f" and {more} more" if more else "")
    if imported.busy:
        return (
            f"{imported.paid_count} changed job(s) are still under way: {names}.\n"
            "    Run once with --on-change keep to collect them, then with --on-change rerun."
        )
    return (
        f"{imported.paid_count} job(s) were changed in the manifest after they were submitted: "
        f"{names}.\n    --on-change keep leaves them as they were paid for; --on-change rerun "
        "generates (and pays for) them anew."
    )


def service_from_environment() -> Service:
    """The real service, or the one `SEGMIND_BASE_URL` names. Raises `UserError` without a key."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        raise UserError(
            f"{KEY_VARIABLE} is not set.\n    export {KEY_VARIABLE}=SG_… (from the Segmind "
            "console), or rehearse for free with --simulate"
        )
    base_url = os.environ.get(BASE_URL_VARIABLE, "").strip() or None
    if base_url is None:
        return Service(key, None, "segmind", local=False)
    from urllib.parse import urlsplit

    from batchgen.core.urls import is_loopback_host

    host = urlsplit(base_url).hostname or base_url
    return Service(key, base_url, f"host {host}", local=is_loopback_host(host))


async def bind_service(state: SqliteState, service: Service) -> None:
    """Write down which service a run belongs to, and refuse another one.

    A rehearsal's request_ids mean nothing to the real service, and its bills are not money.
    """
    known = await state.note("service")
    if known is None:
        await state.record((), {"service": service.name})
    elif known != service.name:
        raise StateError(
            f"{state.path.parent} belongs to {known}, not to {service.name}; "
            "choose another directory with --run-dir"
        )


@asynccontextmanager
async def rehearsal(directory: RunDirectory, speed: float) -> AsyncIterator[Service]:
    """A simulator inside this process, which remembers its requests from run to run."""
    from batchgen.simulator import SimulatorConfig
    from batchgen.simulator.server import serve

    config: SimulatorConfig = SimulatorConfig(speed=speed)
    async with serve(config, journal=directory.rehearsal) as running:
        yield Service(REHEARSAL_KEY, running.url, "the simulator", local=True, speed=speed)


def default_run_directory(manifest: ManifestFile, run_dir: Path | None) -> RunDirectory:
    """`--run-dir`, or `runs/<name>` below the current directory."""
    from batchgen.adapters.run_directory import default_directory

    return RunDirectory(run_dir) if run_dir else default_directory(manifest.manifest.name)


def tally_of(session: Session) -> Tally:
    """A tally that begins where the state stands."""
    return Tally.of(session.totals.counts, session.totals.settled_usd)


def display_for(session: Session, tally: Tally, cap_usd: float | None) -> ProgressDisplay:
    """The display of a run on stderr."""
    return ProgressDisplay(tally, session.clock, cap_usd)
