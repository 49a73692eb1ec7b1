"""One run put together: manifest, state, service, outputs, board and runner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import anyio

from batchgen import __version__, catalog
from batchgen.adapters.binding import bind
from batchgen.adapters.clock import SystemClock
from batchgen.adapters.downloads import Downloader, DownloadSettings
from batchgen.adapters.inputs import InputReader
from batchgen.adapters.manifest_file import ManifestFile
from batchgen.adapters.progress import FanOut, ProgressDisplay
from batchgen.adapters.run_directory import RunDirectory
from batchgen.adapters.run_log import RunLog
from batchgen.adapters.segmind import SegmindApi, origins_for
from batchgen.adapters.sqlite.faults import typed_errors
from batchgen.adapters.sqlite.importer import OnChange
from batchgen.adapters.sqlite.state import SqliteState
from batchgen.cli.places import opened_outputs, set_aside
from batchgen.cli.service import Service
from batchgen.cli.stopping import Signals, Stopping, interruptible
from batchgen.cli.supply import Supply, paid_change, unknown_prices
from batchgen.core.board import Board
from batchgen.core.budget import Rates
from batchgen.core.exit_code import ExitCode
from batchgen.core.gates import Gates, Patience
from batchgen.core.gauges import Gauges
from batchgen.core.job import JobState, Totals
from batchgen.core.learned import LATENCIES_NOTE, PRICES_NOTE, prices_of
from batchgen.core.limits import Limits, OnExpired, RateScope, WhenAbsent
from batchgen.core.money import Money
from batchgen.core.polling import DEFAULT_LATENCY_S, Latencies
from batchgen.core.settings import SETTINGS_NOTE, settings_text
from batchgen.core.summary import Tally
from batchgen.core.verdict import exit_code
from batchgen.errors import DiskError, StateError, UserError
from batchgen.ports import Ports, Progress
from batchgen.runner.runner import RunEnd, Runner

USER_AGENT = f"batchgen/{__version__}"


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line puts over the manifest's budget; None leaves it."""

    concurrency: int | None = None
    requests_per_minute: int | None = None
    max_spend_usd: float | None = None
    limit: int | None = None
    patience_s: float | None = None
    allow_unknown_price: bool = False

    def cap_usd(self, manifest: ManifestFile) -> float | None:
        """The most to spend: this run's word, else the manifest's; None is no cap."""
        of_manifest = manifest.manifest.budget.max_spend
        return of_manifest if self.max_spend_usd is None else self.max_spend_usd

    def settings(self, manifest: ManifestFile) -> str:
        """The note of how the run is set."""
        return settings_text(
            manifest.manifest,
            concurrency=self.concurrency,
            requests_per_minute=self.requests_per_minute,
            max_spend=self.max_spend_usd,
        )

    def needs_prices(self, manifest: ManifestFile) -> bool:
        """Whether a cap is to be kept over jobs whose price is known, every one."""
        return self.cap_usd(manifest) is not None and not self.allow_unknown_price

    def patience(self, *, remote: bool = False) -> Patience:
        """How long to wait at gates: the usual, or what the user has time for.

        An object store comes back like the service does, and not like space on a disk.
        """
        usual = Patience()
        if remote:
            usual = replace(usual, disk_s=usual.outage_s)
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
    supply: Supply
    totals: Totals
    clock: SystemClock
    tally: Tally
    run_id: str = ""
    """Its name in the marker beside outputs that are not in the run directory."""
    stopping: Stopping = field(default_factory=Signals)
    fault: UserError | DiskError | None = None
    """Why not all jobs of the manifest came into the state."""
    gauges: Gauges = field(init=False)
    """What displays read."""

    def __post_init__(self) -> None:
        """They show what the tally counts, and what the board holds once there is one."""
        self.gauges = Gauges(self.tally)

    async def run(self, service: Service, overrides: Overrides, watchers: list[Progress]) -> RunEnd:
        """Run to the end, or until `stopping` ends it. Raises `DiskError`."""
        board = self.gauges.board = await self._board(overrides, service.speed)
        await self.state.record((), {SETTINGS_NOTE: overrides.settings(self.manifest)})
        async with AsyncExitStack() as stack:
            log = stack.enter_context(RunLog(self.directory.log, self.clock))
            api = await stack.enter_async_context(
                SegmindApi(service.key, origins_for(service.base_url), USER_AGENT)
            )
            settings = DownloadSettings(allow_private=service.local)
            downloader = await stack.enter_async_context(Downloader(USER_AGENT, settings))
            staged = await self.state.staged_names()
            outputs = await stack.enter_async_context(
                opened_outputs(self.directory, self.run_id, downloader, staged)
            )
            ports = Ports(
                api,
                self.state,
                outputs,
                self.clock,
                FanOut(log, *watchers),
                InputReader(self.manifest.path.parent),
            )
            log.said("run_started", "", {"jobs": sum(self.totals.counts.values())})
            with_prices = overrides.needs_prices(self.manifest)
            runner = Runner(board, ports)
            end = await self._accompanied(runner, with_prices=with_prices)
            log.said("run_ended", end.gate.reason if end.gate else "", {"verdict": end.verdict})
            return end

    async def _accompanied(self, runner: Runner, *, with_prices: bool) -> RunEnd:
        """The run, with what goes on beside it: who may end it, and jobs that still come."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.stopping.watch, runner)
            if self.supply.under_way:
                self.tally.awaiting = True
                runner.restock(awaiting=True)
                tasks.start_soon(partial(self._feed, runner, with_prices=with_prices))
            try:
                return await runner.run()
            finally:
                tasks.cancel_scope.cancel()
        raise AssertionError("unreachable")

    async def _feed(self, runner: Runner, *, with_prices: bool) -> None:
        """Bring the rest of the manifest; where that fails, what is paid for is still collected."""

        def tell(new_count: int) -> None:
            self.tally.add(new_count)
            runner.restock(awaiting=True)

        try:
            await self.supply.feed(tell, with_prices=with_prices)
        except (UserError, DiskError) as error:
            self.fault = error
            runner.drain("not all jobs of the manifest could be taken in")
        else:
            runner.restock(awaiting=False)
        self.tally.awaiting = False

    async def _board(self, overrides: Overrides, speed: float) -> Board:
        budget = self.manifest.manifest.budget
        rpm = overrides.requests_per_minute or budget.requests_per_minute
        cap = overrides.cap_usd(self.manifest)
        of_models = {m: own.requests_per_minute for m, own in budget.models.items()}
        own_rates = {model: limit for model, limit in of_models.items() if limit is not None}
        rates = Rates.restore(rpm, own_rates, await self.state.note("rate"), self.clock.now())
        money = Money.of(cap, self.totals, await self.state.active())
        money.allow_unknown = overrides.allow_unknown_price
        limits = _limits(self.manifest, overrides)
        if budget.max_duration is not None:
            limits = replace(limits, ends_at=self.clock.now() + budget.max_duration)
        board = Board(
            limits=limits,
            rates=rates,
            money=money,
            gates=Gates(overrides.patience(remote=self.directory.bucket is not None)),
            latencies=Latencies(
                {
                    model.slug: model.latency_s / speed
                    for model in catalog.load()
                    if model.latency_s
                },
                DEFAULT_LATENCY_S / speed,
            ),
            quota=overrides.limit,
            wants_credits=True,
        )
        board.recall(await self.state.note(LATENCIES_NOTE), await self.state.note(PRICES_NOTE))
        return board

    def exit_code(self, end: RunEnd, counts: dict[JobState, int]) -> ExitCode:
        """The exit code of this run; who ended it may have one of their own."""
        if isinstance(self.fault, UserError):
            return ExitCode.USAGE
        code = exit_code(end.verdict, end.gate, counts)
        return self.stopping.exit_code if code is ExitCode.INTERRUPTED else code


def _limits(manifest: ManifestFile, overrides: Overrides) -> Limits:
    model = manifest.manifest
    return Limits(
        concurrency=overrides.concurrency or model.budget.concurrency,
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
            run_id = await bind(state.ledger, directory)
            clock = SystemClock(state.ledger.note("clock"))
            supply = Supply(manifest, state)
            with interruptible():
                imported = supply.begin(on_change, clock.now())
        if imported.paid or imported.busy:
            raise UserError(paid_change(imported))
        await set_aside(directory, imported.replaced)
        await state.record((), {"clock": clock.anchor()})
        totals = await state.totals()
        tally = Tally.of(totals.counts, totals.settled_usd)
        yield Session(manifest, directory, state, supply, totals, clock, tally, run_id)


def refuse_unknown_prices(state: SqliteState) -> None:
    """A cap can only be kept over jobs whose price is known. Raises `UserError`."""
    with typed_errors():
        learned = prices_of({PRICES_NOTE: state.ledger.note(PRICES_NOTE) or "{}"})
        models = [model for model in state.ledger.unpriced_models() if model not in learned]
    if models:
        raise unknown_prices(models)


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


def display_for(session: Session, cap_usd: float | None) -> ProgressDisplay:
    """The display of a run on stderr."""
    session.gauges.cap_usd = cap_usd
    return ProgressDisplay(session.gauges, session.clock)
