"""One run put together: manifest, state, service, outputs, board and runner."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

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
from batchgen.adapters.sqlite.ledger import typed_errors
from batchgen.adapters.sqlite.state import SqliteState
from batchgen.cli.service import Service
from batchgen.core.board import Board, Limits, OnExpired, RateScope, WhenAbsent
from batchgen.core.budget import Money, RateWindow
from batchgen.core.exit_code import ExitCode
from batchgen.core.gates import Gates, Patience
from batchgen.core.job import JobState, Totals
from batchgen.core.polling import DEFAULT_LATENCY_S, Latencies
from batchgen.core.summary import Tally
from batchgen.core.verdict import exit_code
from batchgen.errors import StateError, UserError
from batchgen.ports import Ports, Progress
from batchgen.runner.runner import RunEnd, Runner

USER_AGENT = f"batchgen/{version('batchgen')}"


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line puts over the manifest's budget; None leaves it."""

    concurrency: int | None = None
    requests_per_minute: int | None = None
    max_spend_usd: float | None = None
    limit: int | None = None
    patience_s: float | None = None

    def cap_usd(self, manifest: ManifestFile) -> float | None:
        """The most to spend: this run's word, else the manifest's; None is no cap."""
        of_manifest = manifest.manifest.budget.max_spend
        return of_manifest if self.max_spend_usd is None else self.max_spend_usd

    def patience(self) -> Patience:
        """How long to wait at gates: the usual, or what the user has time for."""
        usual = Patience()
        if self.patience_s is None:
            return usual
        return replace(
            usual,
            outage_s=self.patience_s,
            first_contact_s=self.patience_s,
            disk_s=self.patience_s,
        )


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
        cap = overrides.cap_usd(self.manifest)
        rate = RateWindow.restore(rpm, await self.state.note("rate"), self.clock.now())
        return Board(
            limits=_limits(self.manifest, overrides),
            rate=rate,
            money=Money.of(cap, self.totals, await self.state.active()),
            gates=Gates(overrides.patience()),
            latencies=Latencies(
                {
                    model.slug: model.latency_s / speed
                    for model in catalog.load()
                    if model.latency_s
                },
                DEFAULT_LATENCY_S / speed,
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
    manifest: ManifestFile,
    directory: RunDirectory,
    service_name: str,
    on_change: OnChange = OnChange.STOP,
) -> AsyncIterator[Session]:
    """Open (or make) the run directory and bring the state in line with the manifest.

    Raises `UserError` (locked, foreign or damaged state; another service's; paid jobs changed)
    before anything runs, and `DiskError`.
    """
    directory.refuse_lost_state()
    directory.create()
    with SqliteState(directory.state) as state:
        with typed_errors():
            _bind_service(state, service_name)
            clock = SystemClock(state.ledger.note("clock"))
            imported = import_jobs(state.ledger, manifest.jobs(), on_change, clock.now())
        if imported.paid or imported.busy:
            raise UserError(_paid_change(imported))
        directory.set_aside(imported.replaced)
        await state.record((), {"clock": clock.anchor()})
        yield Session(manifest, directory, state, imported, await state.totals(), clock)


def refuse_unknown_prices(state: SqliteState) -> None:
    """A cap can only be kept over jobs whose price is known. Raises `UserError`."""
    with typed_errors():
        models = state.ledger.unpriced_models()
    if models:
        raise UserError(
            f"a cap on spending needs a price for every job; none is known for {', '.join(models)}."
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


def _bind_service(state: SqliteState, name: str) -> None:
    """Write down which service a run belongs to, and refuse another one.

    A rehearsal's request_ids mean nothing to the real service, and its bills are not money.
    """
    known = state.ledger.note("service")
    if known is None:
        state.ledger.record((), {"service": name})
    elif known != name:
        raise StateError(
            f"{state.path.parent} belongs to {known}, not to {name}; "
            "choose another directory with --run-dir"
        )


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
