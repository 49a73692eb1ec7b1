"""A run from its manifest to its end, for whoever started it: the command line or a program."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from batchgen.app import service as services
from batchgen.app.console import say
from batchgen.app.ingest import OnProgress
from batchgen.app.manifest_file import ManifestFile
from batchgen.app.options import RunOptions
from batchgen.app.outputs import default_run_directory, write_metadata
from batchgen.app.session import Session, opened, refuse_unknown_prices
from batchgen.app.stopping import Stopping
from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.jobs.job import JobState, Totals
from batchgen.core.progress.advice import storage_warning
from batchgen.core.progress.held_words import HeldModel, with_held
from batchgen.observe.progress import ProgressDisplay
from batchgen.ports import Progress
from batchgen.runner.runner import RunEnd


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended. `code` also tells of dataset files that could not be written.

    `counts` are jobs by state, without those states that no job is in; pending ones of the `held`
    models are on hold.
    """

    end: RunEnd
    code: ExitCode
    totals: Totals
    counts: Mapping[JobState, int]
    held: tuple[HeldModel, ...] = ()

    @property
    def told_counts(self) -> dict[str, int]:
        """The counts, with the jobs on hold apart from the pending ones."""
        held_count = sum(one.jobs for one in self.held)
        told = with_held({state: self.counts.get(state, 0) for state in JobState}, held_count)
        return {state: count for state, count in told.items() if count}

    @property
    def reason(self) -> str:
        """Why it stopped early; empty where it did not."""
        return self.end.gate.reason if self.end.gate else ""


class OpenRun:
    """A run whose directory is locked and whose state agrees with the manifest."""

    def __init__(
        self, session: Session, service: services.ServiceAccess, options: RunOptions
    ) -> None:
        self.session = session
        self.began_at = session.clock.now()
        """On the clock of the run."""
        self._service = service
        self._options = options

    def display(self) -> ProgressDisplay:
        """A display on stderr, to be entered around `to_the_end` and given to it."""
        session = self.session
        session.snapshots.cap_usd = self._options.cap_usd(session.manifest.manifest)
        return ProgressDisplay(session.snapshots, session.clock)

    async def to_the_end(self, watchers: list[Progress]) -> RunEnd:
        """Run until nothing is left or somebody stops it. Raises `DiskError`."""
        return await self.session.run(self._service, self._options, watchers)

    async def outcome(self, end: RunEnd) -> RunOutcome:
        """Write the dataset files, and sum up. Displays are closed by then: this may say a line.

        Raises `DiskError` where the run directory was moved meanwhile.
        """
        session = self.session
        session.state.refuse_moved()
        totals = await session.state.totals()
        counts = {JobState(state): count for state, count in totals.counts.items() if count}
        code = session.exit_code(end, counts)
        title = session.manifest.manifest.name
        if not await write_metadata(session.directory, session.state, title):
            code = max(code, ExitCode.STOPPED)
        return RunOutcome(end, code, totals, counts, await session.held())


@asynccontextmanager
async def opened_run(
    manifest: ManifestFile,
    options: RunOptions,
    stopping: Stopping | None = None,
    on_progress: OnProgress | None = None,
) -> AsyncIterator[OpenRun]:
    """Lock the run directory, and bring its state in line with the manifest.

    `stopping` says who may end the run early; by default the signals of the process do.
    `on_progress` hears how many jobs of the manifest were read. Raises `UserError` before anything
    is submitted, and `DiskError`.
    """
    # A missing key is told before anything is made.
    service = None if options.simulate else services.service_from_environment()
    name = service.name if service else services.REHEARSAL_NAME
    directory = default_run_directory(manifest, options.directory)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            opened(manifest, directory, name, options, on_progress)
        )
        if stopping is not None:
            session.stopping = stopping
        _, to_upload = await session.state.uploads()
        if options.limit is None and (warning := storage_warning(*to_upload)):
            say(f"warning: {warning}")
        if options.needs_prices(manifest.manifest):
            refuse_unknown_prices(session.state)
        if service is None:
            models = manifest.text.catalog
            rehearsal = services.rehearsal(directory, options.speed, models)
            service = await stack.enter_async_context(rehearsal)
        yield OpenRun(session, service, options)
