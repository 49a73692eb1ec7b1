"""One run from its batch to its summary: what `batchgen run` puts together, without a terminal."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from batchgen.api.batch import Batch
from batchgen.api.options import Settings
from batchgen.api.result import Summary
from batchgen.api.results_stream import ResultsStream
from batchgen.app.manifest_file import ManifestFile, load_manifest
from batchgen.app.outputs import default_run_directory
from batchgen.app.run import RunOutcome, opened_run
from batchgen.core.common.exit_codes import ExitCode
from batchgen.ports import Progress
from batchgen.runner.runner import Runner

Source = str | os.PathLike[str] | Batch
"""A manifest by its path, or a batch."""


class Requested:
    """The code that opened a run as the one who ends it (`app.stopping.Stopping`)."""

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
    """The manifest, its first jobs checked. Raises `ManifestError`."""
    if isinstance(source, Batch):
        return source.loaded(settings.directory)
    return load_manifest(Path(source), run_dir=settings.directory)


class Engine:
    """Runs a manifest once, in one task."""

    def __init__(self, manifest: ManifestFile, settings: Settings) -> None:
        self.manifest = manifest
        self.directory = default_run_directory(manifest, settings.directory)
        self.settings = settings
        self.landing = ResultsStream()
        self.requested = Requested()
        self.opened_at = 0.0
        """On the clock of the run."""

    async def run(self, opened: Callable[[], None]) -> Summary:
        """Open the run directory, say so, and run to the end or until it is `requested`.

        Raises `UserError` before anything is submitted, and `DiskError`.
        """
        async with AsyncExitStack() as stack:
            run = await stack.enter_async_context(
                opened_run(self.manifest, self.settings, self.requested)
            )
            self.opened_at = run.began_at
            opened()
            watchers: list[Progress] = [self.landing]
            if self.settings.progress:
                watchers.append(stack.enter_context(run.display()))
            end = await run.to_the_end(watchers)
            return self._summary(await run.outcome(end))

    def _summary(self, outcome: RunOutcome) -> Summary:
        return Summary(
            run=self.directory.path,
            verdict=outcome.end.verdict.value,
            reason=outcome.reason,
            exit_code=outcome.code,
            counts=outcome.told_counts,
            held=outcome.held,
            spent_usd=round(outcome.totals.settled_usd, 6),
            outputs=self.directory.place,
            notices=self.manifest.notices,
            directory=self.directory,
        )
