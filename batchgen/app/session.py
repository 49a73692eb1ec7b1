"""One run put together: manifest, state, service, outputs, scheduler and runner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio

from batchgen.app.binding import bind
from batchgen.app.console import say
from batchgen.app.ingest import OnProgress, import_manifest, paid_change, unknown_prices
from batchgen.app.manifest_file import ManifestFile
from batchgen.app.older_ledger.adoption import Adoption, LedgerDoubts
from batchgen.app.older_ledger.evidence import newer_facts, older, refuse_older
from batchgen.app.options import RunOptions
from batchgen.app.outputs import opened_outputs, set_aside
from batchgen.app.service import ServiceAccess
from batchgen.app.stopping import Signals, Stopping, interruptible
from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.forecast.run_settings import SETTINGS_NOTE
from batchgen.core.jobs.job import JobState, Totals
from batchgen.core.jobs.policies import Limits, OnExpired, RateScope, WhenAbsent
from batchgen.core.progress.eta import SnapshotReader
from batchgen.core.progress.tally import Tally
from batchgen.core.scheduling.completion import exit_code
from batchgen.core.scheduling.gates.gates import Gates
from batchgen.core.scheduling.latency import DEFAULT_LATENCY_S, Latencies
from batchgen.core.scheduling.learned import CLOCKS_NOTE, LATENCIES_NOTE, PRICES_NOTE, prices_of
from batchgen.core.scheduling.prefetch import Prefetch
from batchgen.core.scheduling.rate_limit import Rates
from batchgen.core.scheduling.spending import Money
from batchgen.core.scheduling.state import SchedulerState
from batchgen.errors import RUN_DIR, StateError
from batchgen.observe.progress import FanOut
from batchgen.observe.run_log import RunLog
from batchgen.outputs.downloads import Downloader, DownloadSettings
from batchgen.ports import Ports, Progress
from batchgen.providers.registry import SERVICE_NOTE, KnownService, service_of
from batchgen.runner.runner import RunEnd, Runner
from batchgen.sources.input_files import InputReader
from batchgen.store.base import Importer
from batchgen.store.sqlite.older import ADOPTED_NOTE, RECORDED_NOTE
from batchgen.store.sqlite.state import SqliteState
from batchgen.system.clock import SystemClock
from batchgen.system.run_directory import RunDirectory
from batchgen.system.version import installed_version
from batchgen.system.whereabouts import WHEREABOUTS_NOTE, Whereabouts

USER_AGENT = f"batchgen/{installed_version()}"


@dataclass(slots=True)
class Session:
    """An opened run: ready to be run once."""

    manifest: ManifestFile
    directory: RunDirectory
    state: SqliteState
    service: KnownService
    totals: Totals
    clock: SystemClock
    tally: Tally
    run_id: str = ""
    """Its name in the marker beside outputs that are not in the run directory."""
    doubts: LedgerDoubts = field(default_factory=LedgerDoubts)
    stopping: Stopping = field(default_factory=Signals)
    snapshots: SnapshotReader = field(init=False)
    """What displays read."""

    def __post_init__(self) -> None:
        """They show what the tally counts, and what the scheduler holds once there is one."""
        self.snapshots = SnapshotReader(self.tally)

    async def run(
        self, service: ServiceAccess, options: RunOptions, watchers: list[Progress]
    ) -> RunEnd:
        """Run to the end, or until `stopping` ends it. Raises `DiskError`, and `StoppedEarly` where
        it cannot be told whether another copy of this state paid for its jobs."""
        await self.state.record((), {SETTINGS_NOTE: options.settings(self.manifest.manifest)})
        async with AsyncExitStack() as stack:
            log = stack.enter_context(RunLog(self.directory.log, self.clock))
            api = await stack.enter_async_context(
                self.service.open_api(service.key, service.base_url, USER_AGENT)
            )
            settings = DownloadSettings(allow_private=service.local)
            downloader = await stack.enter_async_context(Downloader(USER_AGENT, settings))
            staged = await self.state.staged_names()
            outputs = await stack.enter_async_context(
                opened_outputs(self.directory, self.run_id, downloader, staged)
            )
            ports = Ports(
                api,
                self.service.provider,
                self.state,
                outputs,
                self.clock,
                FanOut(log, *watchers),
                InputReader(self.manifest.path.parent),
            )
            log.said("run_started", "", {"jobs": sum(self.totals.counts.values())})
            await self._adopt(ports, options)
            scheduler = self.snapshots.scheduler = await self._board(options, service.speed)
            end = await self._watched(Runner(scheduler, ports))
            log.said("run_ended", end.gate.reason if end.gate else "", {"verdict": end.verdict})
            return end

    async def _watched(self, runner: Runner) -> RunEnd:
        """The run, while `stopping` listens for who may end it."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.stopping.watch, runner)
            try:
                return await runner.run()
            finally:
                tasks.cancel_scope.cancel()
        raise AssertionError("unreachable")

    async def _adopt(self, ports: Ports, options: RunOptions) -> None:
        """Look for what the state may not know; then it is where it is, and knows it."""
        if self.doubts and self.totals.counts.get(JobState.PENDING):
            rates = await self._rates(options)
            count = await Adoption(ports, rates, self.doubts).hold_sent()
            await self.state.record((), {"rate": rates.snapshot(self.clock.now())})
            self.totals = await self.state.totals()
            if count:
                say(
                    f"note: {count:,} job(s) were sent before, and this state did not know: they "
                    f"are set aside; `batchgen retry {self.directory.path} --unknown` looks for "
                    "their results"
                )
        notes = Whereabouts.of(self.directory.state).dump()
        if self.doubts.adopt:
            notes[ADOPTED_NOTE] = repr(self.clock.now())
        await self.state.record((), notes)

    async def _rates(self, options: RunOptions) -> Rates:
        budget = self.manifest.manifest.budget
        rpm = options.rpm or budget.requests_per_minute
        of_models = {m: own.requests_per_minute for m, own in budget.models.items()}
        own_rates = {model: limit for model, limit in of_models.items() if limit is not None}
        return Rates.restore(rpm, own_rates, await self.state.note("rate"), self.clock.now())

    async def _board(self, options: RunOptions, speed: float) -> SchedulerState:
        budget = self.manifest.manifest.budget
        cap = options.cap_usd(self.manifest.manifest)
        rates = await self._rates(options)
        money = Money.of(cap, self.totals, await self.state.active())
        money.allow_unknown = options.allow_unknown_price
        limits = _limits(self.manifest, options)
        if budget.max_duration is not None:
            limits = replace(limits, ends_at=self.clock.now() + budget.max_duration)
        scheduler = SchedulerState(
            limits=limits,
            rates=rates,
            capabilities=self.service.capabilities,
            money=money,
            gates=Gates(options.gate_patience(remote=self.directory.bucket is not None)),
            latencies=Latencies(
                {
                    model.slug: model.latency_s / speed
                    for model in self.service.load_catalog()
                    if model.latency_s
                },
                DEFAULT_LATENCY_S / speed,
            ),
            prefetch=Prefetch(options.limit),
            wants_credits=self.service.capabilities.has_credits,
            media_models={model.slug for model in self.service.load_catalog() if model.makes_media},
        )
        scheduler.load(await self.state.note(LATENCIES_NOTE), await self.state.note(PRICES_NOTE))
        scheduler.clocks.load(await self.state.note(CLOCKS_NOTE), self.clock.now())
        return scheduler

    def exit_code(self, end: RunEnd, counts: dict[JobState, int]) -> ExitCode:
        """The exit code of this run; who ended it may have one of their own."""
        code = exit_code(end.verdict, end.gate, counts)
        return self.stopping.exit_code if code is ExitCode.INTERRUPTED else code


def _limits(manifest: ManifestFile, options: RunOptions) -> Limits:
    model = manifest.manifest
    return Limits(
        concurrency=options.concurrency or model.budget.concurrency,
        rate_scope=RateScope(model.budget.rate_limit_scope),
        max_attempts=model.retry.max_attempts,
        on_expired=OnExpired(model.reconcile.on_expired),
        when_absent=WhenAbsent(model.reconcile.when_absent),
        settle_s=model.reconcile.settle,
        models={
            slug: own.concurrency
            for slug, own in model.budget.models.items()
            if own.concurrency is not None
        },
    )


@asynccontextmanager
async def opened(
    manifest: ManifestFile,
    directory: RunDirectory,
    service_name: str,
    options: RunOptions,
    on_progress: OnProgress | None = None,
) -> AsyncIterator[Session]:
    """Open (or make) the run directory and bring the state in line with the manifest.

    `on_progress` hears how far that is. Raises `UserError` (locked, foreign or damaged state;
    another service's; one that is older than what was done with it, unless it is adopted; paid
    jobs changed) before anything runs, and `DiskError`.
    """
    directory.refuse_lost_state()
    if not options.adopt and not directory.state.exists():
        refuse_older(directory)
    directory.create()
    with SqliteState(directory.state) as state:
        importer = state.importer
        doubts = _doubts(directory, importer, adopt=options.adopt)
        _bind_service(importer, directory, service_name)
        run_id = await bind(importer, directory)
        clock = SystemClock(importer.note("clock"))
        with interruptible():
            imported = import_manifest(
                manifest, importer, options.changed, clock.now(), on_progress
            )
        if imported.paid or imported.busy:
            raise paid_change(imported)
        await set_aside(directory, imported.replaced)
        notes = {"clock": clock.anchor()}
        if importer.note(RECORDED_NOTE) is None:
            notes[RECORDED_NOTE] = repr(clock.now())
        await state.record((), notes)
        await state.checkpoint()
        totals = await state.totals()
        service = service_of(service_name)
        retention_s = service.capabilities.retention_s
        tally = Tally.of(totals.counts, totals.settled_usd, retention_s)
        yield Session(manifest, directory, state, service, totals, clock, tally, run_id, doubts)


def _doubts(directory: RunDirectory, importer: Importer, *, adopt: bool) -> LedgerDoubts:
    """What the state may not know. Raises `StateError` for one that is older, and not adopted."""
    newer = newer_facts(directory, whole=adopt)
    if newer and not adopt:
        raise older(directory, newer)
    standing = Whereabouts.of(directory.state).since(importer.note(WHEREABOUTS_NOTE))
    recorded_at = importer.note(RECORDED_NOTE)
    return LedgerDoubts(standing, newer, adopt, float(recorded_at) if recorded_at else None)


def refuse_unknown_prices(state: SqliteState) -> None:
    """A cap can only be kept over jobs whose price is known. Raises `UserError`."""
    importer = state.importer
    learned = prices_of({PRICES_NOTE: importer.note(PRICES_NOTE) or "{}"})
    models = [model for model in importer.unpriced_models() if model not in learned]
    if models:
        raise unknown_prices(models)


def _bind_service(importer: Importer, directory: RunDirectory, name: str) -> None:
    """Write down which service a run belongs to, and refuse another one.

    A rehearsal's request_ids mean nothing to the real service, and its bills are not money.
    """
    known = importer.note(SERVICE_NOTE)
    if known is None:
        importer.write_notes({SERVICE_NOTE: name})
    elif known != name:
        raise StateError(
            f"{directory.path} belongs to {known}, not to {name}; choose another directory with ",
            RUN_DIR,
        )
