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
from batchgen.app.older_ledger.adoption import Adoption
from batchgen.app.older_ledger.doubts import BEGUN_NOTE, LedgerDoubts, doubts_about, touched_at
from batchgen.app.older_ledger.evidence import refuse_older
from batchgen.app.options import RunOptions
from batchgen.app.outputs import opened_outputs, set_aside
from batchgen.app.service import ServiceAccess
from batchgen.app.stopping import Signals, Stopping, interruptible
from batchgen.core.catalog.kinds import known_kinds
from batchgen.core.catalog.model import latency_guesses
from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.forecast.run_settings import SETTINGS_NOTE, rate_limits_of
from batchgen.core.jobs.job import JobState, Totals
from batchgen.core.jobs.policies import Limits, OnExpired, PollWith, RateScope, WhenAbsent
from batchgen.core.progress.eta import SnapshotReader
from batchgen.core.progress.held_words import HeldModel, in_words
from batchgen.core.progress.tally import Tally
from batchgen.core.scheduling.completion import exit_code
from batchgen.core.scheduling.gates.gates import GateKind, Gates
from batchgen.core.scheduling.gates.holds import HELD_NOTE, dump
from batchgen.core.scheduling.latency import DEFAULT_LATENCY_S, Latencies
from batchgen.core.scheduling.learned import (
    CLOCKS_NOTE,
    LESSON_NOTES,
    PRICES_NOTE,
    account_of,
    prices_of,
)
from batchgen.core.scheduling.prefetch import Prefetch
from batchgen.core.scheduling.rates.rates import Rates
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
from batchgen.system.whereabouts import Whereabouts

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
    ends_at: float | None = field(init=False, default=None)
    """When it is to be over, with everything it paid for collected."""

    def __post_init__(self) -> None:
        """They show what the tally counts, and what the scheduler holds once there is one."""
        self.snapshots = SnapshotReader(self.tally)

    async def run(
        self, service: ServiceAccess, options: RunOptions, watchers: list[Progress]
    ) -> RunEnd:
        """Run to the end, or until `stopping` ends it. Raises `DiskError`, and `StoppedEarly` where
        it cannot be told whether another copy of this state paid for its jobs."""
        await self.state.record((), {SETTINGS_NOTE: options.settings(self.manifest.manifest)})
        most_s = self.manifest.manifest.budget.max_duration
        self.ends_at = None if most_s is None else self.clock.now() + most_s
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
            end = await self._adopt(ports, options, service.speed)
            if end is None:
                end = await self._work(ports, await self._board(options, service.speed))
            for one in await self.held():
                log.said("jobs_held", one.text, {"model": one.model, "jobs": one.jobs})
            log.said("run_ended", end.gate.reason if end.gate else "", {"verdict": end.verdict})
            return end

    async def _work(self, ports: Ports, scheduler: SchedulerState) -> RunEnd:
        """The run, while `stopping` listens for who may end it."""
        self.snapshots.scheduler = scheduler
        runner = Runner(scheduler, ports)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.stopping.watch, runner)
            try:
                return await runner.run()
            finally:
                tasks.cancel_scope.cancel()
        raise AssertionError("unreachable")

    async def _adopt(self, ports: Ports, options: RunOptions, speed: float) -> RunEnd | None:
        """Look for what the state may not know; then it is where it is, and knows it.

        The end of a run that ended while it waited for that.
        """
        if self.doubts and self.totals.counts.get(JobState.PENDING):
            settle_s = self.manifest.manifest.reconcile.settle
            adoption = Adoption(ports, self.doubts, settle_s)
            count = await self._look(adoption, options)
            while adoption.due_at and self.totals.counts.get(JobState.PENDING):
                end = await self._wait(ports, adoption, options, speed)
                if end is not None:
                    return end
                count += await self._look(adoption, options)
            if count:
                say(
                    f"note: {count:,} job(s) were sent before, and this state did not know: they "
                    f"are set aside; `batchgen retry {self.directory.path} --unknown` looks for "
                    "their results"
                )
        notes = {**Whereabouts.of(self.directory.state).dump(), BEGUN_NOTE: ""}
        if self.doubts.adopt:
            notes[ADOPTED_NOTE] = repr(self.clock.now())
        await self.state.record((), notes)
        return None

    async def _look(self, adoption: Adoption, options: RunOptions) -> int:
        count = await adoption.hold_sent(await self._rates(options))
        self.totals = await self.state.totals()
        return count

    async def _wait(
        self, ports: Ports, adoption: Adoption, options: RunOptions, speed: float
    ) -> RunEnd | None:
        """Bring home what is paid for and submit nothing, until it has to be looked once more; the
        end of a run that ended for another reason."""
        scheduler = await self._board(options, speed, submits=False)
        now = self.clock.now()
        scheduler.gates.wait(adoption.reason(), now, adoption.due_at or now)
        end = await self._work(ports, scheduler)
        self.totals = await self.state.totals()
        if end.gate is None or end.gate.kind is not GateKind.OLDER:
            return end
        ports.progress.said("gate_opened", "", {"gate": str(GateKind.OLDER)})
        return None

    async def _rates(self, options: RunOptions) -> Rates:
        budget = self.manifest.manifest.budget
        if options.rpm is not None:
            budget = budget.model_copy(update={"requests_per_minute": options.rpm})
        note, known = await self.state.note("rate"), account_of(await self._lessons())
        return Rates.restore(rate_limits_of(budget), note, self.clock.now(), known.get("rates"))

    async def _lessons(self) -> dict[str, str]:
        """What earlier runs learned."""
        noted = [(name, await self.state.note(name)) for name in LESSON_NOTES]
        return {name: text for name, text in noted if text is not None}

    async def _board(
        self, options: RunOptions, speed: float, *, submits: bool = True
    ) -> SchedulerState:
        """What the scheduler begins with. Credits are of interest to whoever `submits`."""
        cap, catalog = options.cap_usd(self.manifest.manifest), self.manifest.text.catalog
        rates = await self._rates(options)
        money = Money.of(cap, self.totals, await self.state.active())
        money.allow_unknown = options.allow_unknown_price
        limits = replace(_limits(self.manifest, options), ends_at=self.ends_at)
        scheduler = SchedulerState(
            limits=limits,
            rates=rates,
            capabilities=self.service.capabilities,
            money=money,
            gates=Gates(options.gate_patience(remote=self.directory.bucket is not None)),
            latencies=Latencies(latency_guesses(catalog, speed), DEFAULT_LATENCY_S / speed),
            prefetch=Prefetch(options.limit),
            wants_credits=submits and self.service.capabilities.has_credits,
            kinds=known_kinds(catalog),
        )
        scheduler.load(await self._lessons())
        note = self.state.note
        scheduler.gates.refusals.recall(await note(HELD_NOTE))
        clocks, carries_on = await self.state.note(CLOCKS_NOTE), self.clock.carries_on
        scheduler.clocks.load(clocks, self.clock.now(), carries_on=carries_on)
        return scheduler

    async def held(self) -> tuple[HeldModel, ...]:
        """The models whose jobs are on hold, in words."""
        slugs = self.manifest.text.catalog.slugs
        return in_words(await self.state.held(), slugs, self.manifest.path.name)

    def exit_code(self, end: RunEnd, counts: dict[JobState, int]) -> ExitCode:
        """The exit code of this run; who ended it may have one of their own."""
        code = exit_code(end.verdict, end.gate, counts)
        return self.stopping.exit_code if code is ExitCode.INTERRUPTED else code


def _limits(manifest: ManifestFile, options: RunOptions) -> Limits:
    model = manifest.manifest
    return Limits(
        concurrency=options.concurrency or model.budget.concurrency,
        rate_scope=RateScope(model.budget.rate_limit_scope),
        poll_with=PollWith(model.budget.poll_with),
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
    touched = touched_at(directory)
    with SqliteState(directory.state) as state:
        importer = state.importer
        clock = SystemClock(importer.note("clock"))
        doubts = doubts_about(directory, importer, clock, touched, adopt=options.adopt)
        _bind_service(importer, directory, service_name)
        run_id = await bind(importer, directory)
        with interruptible():
            imported = import_manifest(
                manifest, importer, options.changed, clock.now(), on_progress
            )
        if imported.paid or imported.busy:
            raise paid_change(imported)
        await set_aside(directory, imported.replaced)
        # Without models that the manifest has no jobs of any more.
        held = {one.model: one.hold for one in await state.held()}
        notes = {"clock": clock.anchor(), HELD_NOTE: dump(held)}
        if importer.note(RECORDED_NOTE) is None:
            notes[RECORDED_NOTE] = repr(clock.now())
        await state.record((), notes)
        await state.checkpoint()
        totals = await state.totals()
        service = service_of(service_name)
        retention_s = service.capabilities.retention_s
        tally = Tally.of(totals.counts, totals.settled_usd, retention_s)
        yield Session(manifest, directory, state, service, totals, clock, tally, run_id, doubts)


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
