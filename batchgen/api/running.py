"""Runs as Python programs see them: `async with`, `async for`, and the blocking form."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from anyio import to_thread

from batchgen.api.batch import Batch
from batchgen.api.engine import Engine, Source, load
from batchgen.api.options import Options, Settings
from batchgen.api.result import PAGE, Result, Results, Summary, result_of
from batchgen.app.located import located
from batchgen.app.manifest_file import read_manifest
from batchgen.errors import BatchgenError, Problem
from batchgen.system.run_directory import RunDirectory, default_directory, find_run


class Run:
    """One run, opened by `batchgen.open`. Works while it is open, whether somebody reads or not.

    `async for` gives each job once it has ended and its record is durable, in the order in which
    they end; when nothing is left to do, the loop ends. Leaving the `async with` before that stops
    the run as one Ctrl-C stops `batchgen run`: nothing more is submitted, the answers of POSTs
    under way are waited for and recorded, and the same code resumes. Being cancelled once more
    meanwhile leaves at once.
    """

    def __init__(self, source: Source, settings: Settings) -> None:
        self._source = source
        self._settings = settings
        self._engine: Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()
        self._reading = asyncio.Lock()
        self._page: deque[Result] = deque()
        self._replayed_key = 0 if settings.replay else -1
        self._stop_reason = ""
        self._summary: Summary | None = None
        self._fault: BaseException | None = None
        self._told = False

    # Opening and leaving

    async def __aenter__(self) -> Self:
        """Read and check the batch, lock and open the run directory, and begin.

        Raises `ManifestError` and other `UserError`s, and `DiskError`; nothing was submitted then.
        """
        if self._task is not None:
            raise RuntimeError("a run is opened once; call batchgen.open again")
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._work(), name="batchgen run")
        try:
            await self._opened.wait()
        except BaseException:
            await self._leave("left while it was opened")
            raise
        if self._fault is not None and self._task.done():
            self._raise_fault()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End, if it has not ended. Raises what ended the run, if nobody heard of it yet."""
        reason = "left early" if error is None else f"left early by {type(error).__name__}"
        await self._leave(reason)
        if error is None and self._fault is not None and not self._told:
            self._raise_fault()

    async def _leave(self, reason: str) -> None:
        task = self._task
        if task is None or task.done():
            return
        self.stop(reason)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if self._engine is not None:
                self._engine.requested.abandon()
            await asyncio.shield(task)
            raise

    def stop(self, reason: str = "stop was called") -> None:
        """Submit nothing more and end; results that still come are handed on. From any thread."""
        self._stop_reason = self._stop_reason or reason
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ask)

    def _ask(self) -> None:
        if self._engine is not None:
            self._engine.requested.stop(self._stop_reason)

    async def _work(self) -> None:
        """The whole run, in one task: whoever opens a lock or a scope closes it."""
        try:
            manifest = await to_thread.run_sync(load, self._source, self._settings)
            self._engine = Engine(manifest, self._settings)
            if self._stop_reason:
                self._ask()
            self._summary = await self._engine.run(self._opened.set)
        except BaseException as error:  # kept, and raised where somebody hears it
            self._fault = _innermost(error)
            if isinstance(self._fault, BatchgenError):
                self._fault.speak_python()
            if not isinstance(error, Exception | BaseExceptionGroup):
                raise
        finally:
            self._opened.set()
            if self._engine is not None:
                self._engine.landing.wake()

    def _raise_fault(self) -> None:
        self._told = True
        raise self._fault or RuntimeError("there is no fault")

    # Results

    def __aiter__(self) -> Self:
        """Results as they land."""
        return self

    async def __anext__(self) -> Result:
        """The next result; every one is given once, whoever asks.

        Raises what ended the run (such as a full disk) behind the last result.
        """
        engine, task = self._open_engine()
        async with self._reading:
            while not self._page:
                ended = task.done()  # before looking: what lands until then is not missed
                await self._fill(engine)
                if self._page:
                    break
                if ended:
                    if self._fault is not None and not self._told:
                        self._raise_fault()
                    raise StopAsyncIteration
                await engine.landing.news()
            return self._page.popleft()

    async def _fill(self, engine: Engine) -> None:
        """Read a page of results from the state, if there are any to be handed on."""
        if self._replayed_key >= 0:
            page = await to_thread.run_sync(self.results.page, self._replayed_key, engine.opened_at)
            self._replayed_key = page[-1].key if page else -1
            self._page.extend(result_of(job, engine.directory) for job in page)
            if page:
                return
        keys = list(engine.landing.first(PAGE))
        if keys:
            self._page.extend(await to_thread.run_sync(self.results.of, keys))
            engine.landing.drop(len(keys))

    async def wait(self) -> Summary:
        """Wait for the end, whether results were read or not. Raises what ended the run."""
        _, task = self._open_engine()
        await asyncio.shield(task)
        if self._summary is None:
            self._raise_fault()
        return self.summary

    # What can be asked

    @property
    def directory(self) -> Path:
        """The run directory."""
        return self._open_engine()[0].directory.path

    @property
    def notices(self) -> tuple[Problem, ...]:
        """Warnings about the batch; nothing keeps it from running."""
        return self._open_engine()[0].manifest.notices

    @property
    def results(self) -> Results:
        """All jobs that have ended by now, those of earlier runs included."""
        return Results(self._open_engine()[0].directory)

    @property
    def summary(self) -> Summary:
        """How it ended. Raises `RuntimeError` before that."""
        if self._summary is None:
            raise RuntimeError("the run has not ended: `await run.wait()`, or read its results")
        return self._summary

    def _open_engine(self) -> tuple[Engine, asyncio.Task[None]]:
        if self._engine is None or self._task is None:
            raise RuntimeError("the run is not open: use `async with batchgen.open(…) as run`")
        return self._engine, self._task


def _innermost(error: BaseException) -> BaseException:
    """Task groups wrap what ends them."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def open_run(source: Source, **options: Unpack[Options]) -> Run:
    """A run of a manifest or a `Batch`, to be used by `async with`; resumes what is there.

    The key comes from SEGMIND_API_KEY, as it does for `batchgen run`. Raises `UserError` for
    options that cannot be; all else is told when it is entered.
    """
    return Run(source, Settings(**options))


def run(source: Source, **options: Unpack[Options]) -> Summary:
    """Run a manifest or a `Batch` to its end and say how it went; resumes what is there.

    Failed jobs raise nothing: look at `Summary.ok`. Raises `UserError` before anything is
    submitted, and `DiskError`. Ctrl-C stops as leaving the `async with` does, then raises
    `KeyboardInterrupt`.

    Where an event loop already runs (a notebook), the run has a loop and a thread of its own, and
    the caller's loop waits: in a program that does more than that, use `batchgen.open`.
    """
    settings = Settings(**options)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_to_the_end(Run(source, settings)))
    return _in_thread(source, settings)


async def _to_the_end(opened: Run) -> Summary:
    async with opened:
        return await opened.wait()


def _in_thread(source: Source, settings: Settings) -> Summary:
    """The same in another thread; whoever interrupts this one stops that."""
    opened = Run(source, settings)
    with ThreadPoolExecutor(1, "batchgen") as pool:
        future = pool.submit(asyncio.run, _to_the_end(opened))
        try:
            return future.result()
        except KeyboardInterrupt:
            opened.stop("interrupted")
            raise


def results(run: Source, *, run_dir: str | os.PathLike[str] | None = None) -> Results:
    """The results of a run: by its directory, its manifest or its batch. Needs no key.

    Raises `UserError` where nothing was run.
    """
    if run_dir is not None:
        return _results(RunDirectory(Path(run_dir)))
    if isinstance(run, Batch):
        return _results(default_directory(run.name))
    path = Path(run)
    if path.is_file():
        return _results(default_directory(read_manifest(path)[0].name))
    return _results(RunDirectory(path))


def _results(directory: RunDirectory) -> Results:
    try:
        return Results(located(find_run(directory.path)))
    except BatchgenError as error:
        error.speak_python()
        raise
