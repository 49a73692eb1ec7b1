"""One run from its batch to its summary: what `batchgen run` puts together, without a terminal."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from batchgen.adapters.manifest_file import ManifestFile, load_manifest
from batchgen.api.batch import Batch
from batchgen.api.landing import Landing
from batchgen.api.options import Settings
from batchgen.api.result import Summary
from batchgen.cli import service as services
from batchgen.cli import session as sessions
from batchgen.cli.places import default_run_directory, write_metadata
from batchgen.core.exit_code import ExitCode
from batchgen.core.job import JobState
from batchgen.ports import Progress
from batchgen.runner.runner import RunEnd, Runner

Source = str | os.PathLike[str] | Batch
"""A manifest by its path, or a batch."""


class Requested:
    """The code that opened a run as the one who ends it (`cli.stopping.Stopping`)."""

    def __init__(self) -> None:
        self._reason = ""
        self._stop = asyncio.Event()
        self._abandon = asyncio.Event()

    def stop(self, reason: str) -> None:
        """Submit nothing more, wait for POSTs under way, then end. The first reason counts."""
        self._reason = self._reason or reason
        self._stop.set()

    def abandon(self) -> None:
        """Do not wait for POSTs either: the next run finds out what became of them."""
        self._stop.set()
        self._abandon.set()

    async def watch(self, runner: Runner) -> None:
        """See `Stopping.watch`."""
        await self._stop.wait()
        runner.stop(self._reason)
        await self._abandon.wait()
        runner.abandon()

    @property
    def exit_code(self) -> ExitCode:
        """See `Stopping.exit_code`."""
        return ExitCode.INTERRUPTED


def load(source: Source, settings: Settings) -> ManifestFile:
    """The manifest, its sample checked. Raises `ManifestError`."""
    if isinstance(source, Batch):
        return source.loaded(settings.directory)
    return load_manifest(Path(source), run_dir=settings.directory)


class Engine:
    """Runs a manifest once, in one task."""

    def __init__(self, manifest: ManifestFile, settings: Settings) -> None:
        self.manifest = manifest
        self.directory = default_run_directory(manifest, settings.directory)
        self.settings = settings
        self.landing = Landing()
        self.requested = Requested()
        self.opened_at = 0.0
        """On the clock of the run."""

    async def run(self, opened: Callable[[], None]) -> Summary:
        """Open the run directory, say so, and run to the end or until it is `requested`.

        Raises `UserError` before anything runs, or at its end for a later row that cannot be; and
        `DiskError`.
        """
        settings, overrides = self.settings, self.settings.overrides
        # A missing key is told before anything is made.
        service = None if settings.simulate else services.service_from_environment()
        name = service.name if service else services.REHEARSAL_NAME
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(
                sessions.opened(self.manifest, self.directory, name, settings.changed)
            )
            session.stopping = self.requested
            if overrides.needs_prices(self.manifest):
                sessions.refuse_unknown_prices(session.state)
            if service is None:
                rehearsal = services.rehearsal(self.directory, settings.speed)
                service = await stack.enter_async_context(rehearsal)
            self.opened_at = session.clock.now()
            opened()
            watchers: list[Progress] = [self.landing]
            if settings.progress:
                display = sessions.display_for(session, overrides.cap_usd(self.manifest))
                watchers.append(stack.enter_context(display))
            end = await session.run(service, overrides, watchers)
            summary = await self._summary(session, end)
            if session.fault is not None:
                raise session.fault
            return summary

    async def _summary(self, session: sessions.Session, end: RunEnd) -> Summary:
        totals = await session.state.totals()
        counts = {JobState(state): count for state, count in totals.counts.items() if count}
        code = session.exit_code(end, counts)
        if not await write_metadata(session):
            code = max(code, ExitCode.STOPPED)
        return Summary(
            run=self.directory.path,
            verdict=end.verdict.value,
            reason=end.gate.reason if end.gate else "",
            exit_code=code,
            counts={state.value: count for state, count in counts.items()},
            spent_usd=round(totals.settled_usd, 6),
            outputs=self.directory.place,
            notices=(*self.manifest.notices, *session.supply.later_notices),
            more_jobs_to_come=session.tally.awaiting,
            directory=self.directory,
        )
