"""A run as it moves: its state looked at about once a second, for all pages that are open.

Every change has a number. A page says which it has seen last, and is given what came after: so
nothing is kept for each page, and a slow one simply gets more at once.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from types import TracebackType
from typing import Any, Self, TypeVar

from batchgen.errors import BatchgenError, InternalError
from batchgen.ports import OutputFiles
from batchgen.store.sqlite.page import PageQueries
from batchgen.system.run_directory import RunDirectory
from batchgen.system.version import installed_version
from batchgen.web.looker import SHARE, ChangePoller, Changes
from batchgen.web.page import data_block
from batchgen.web.summary import Titled

LOOK_S = 1.0
"""Between two looks at the state."""
MOST_ROWS = 10_000
"""Jobs a page is given, the newest."""
_JOBS_A_BLOCK = 500

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Watched:
    """The run that a feed is of: its directory, what it is called, its files, and the clock.

    `complain` takes what is wrong, once it is, for whoever started it.
    """

    directory: RunDirectory
    run: Titled
    files: OutputFiles
    now: Callable[[], float]
    complain: Callable[[str], None]
    most: int = MOST_ROWS


class Feed:
    """What the pages of one run show, kept up to date until the block ends.

    Raises `StateError` at its begin where the state cannot be read. Later on such trouble is told
    (`Watched.complain`, `trouble`), and looking goes on.
    """

    def __init__(self, watched: Watched) -> None:
        self.summary: dict[str, Any] = {}
        self.trouble = ""
        self._watched = watched
        self._charts: dict[str, Any] = {}
        self._charts_number = 0
        self._rows: dict[int, tuple[int, dict[str, Any]]] = {}
        self._number = 0
        self._instance = secrets.token_hex(4)
        self._moved = asyncio.Event()
        self._closed = False
        self._looker: ChangePoller | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed")
        self._finding = ThreadPoolExecutor(max_workers=1, thread_name_prefix="find")
        self._gallery: PageQueries | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Look for the first time."""
        watched = self._watched
        try:
            self._looker = await self._threaded(
                lambda: ChangePoller(watched.directory, watched.run, watched.files, watched.most)
            )
            await self.look()
        except BaseException:
            await self._let_go()
            raise
        self._task = asyncio.create_task(self._keep_looking())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Look once more, so that open pages show how it ended; then let go."""
        try:
            if self._task is not None:
                self._task.cancel()
                with suppress(asyncio.CancelledError):
                    await self._task
            with suppress(BatchgenError):
                await self.look(at_last=True)
        finally:
            self._closed = True
            self._tell()
            await self._let_go()

    @property
    def mark(self) -> str:
        """What a page names to be given what comes after this moment."""
        return self.mark_of(self._number)

    def mark_of(self, number: int) -> str:
        """The mark of a number."""
        return f"{self._instance}-{number}"

    def number_of(self, mark: str) -> int | None:
        """The number in a mark; None where it is not of this feed."""
        instance, _, number = mark.partition("-")
        known = instance == self._instance and number.isascii() and number.isdigit()
        return int(number) if known and len(number) < 19 else None

    def blocks(self) -> Iterator[str]:
        """The data that a page begins with, as of this moment; any thread may take it."""
        run = {
            "live": True,
            "batchgen": installed_version(),
            "links": "outputs/",
            "since": self.mark,
            "summary": self.summary,
            "charts": self._charts,
        }
        rows = [row for _, row in self._rows.values()]
        starts = range(0, len(rows), _JOBS_A_BLOCK)
        return chain(
            (data_block(name, value) for name, value in [("run", run)]),
            (
                data_block(f"jobs-{number}", rows[start : start + _JOBS_A_BLOCK])
                for number, start in enumerate(starts)
            ),
        )

    async def news(self, after: int) -> tuple[int, dict[str, Any]] | None:
        """The number of the last change and what changed after a number, once something has.

        None when the feed has ended.
        """
        while self._number <= after:
            if self._closed:
                return None
            await self._moved.wait()
        rows = [row for number, row in self._rows.values() if number > after]
        charts = {"charts": self._charts} if self._charts_number > after else {}
        return self._number, {"summary": self.summary, "jobs": rows, **charts}

    async def file(self, name: str) -> tuple[str, str] | None:
        """The media type and the SHA-256 of a finished file; None for a name that none has."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._finding, self._find, name)

    async def look(self, *, at_last: bool = False) -> None:
        """Look at the state now. Raises `StateError`."""
        looker = self._open_looker()
        found = await self._threaded(lambda: looker.look(self._watched.now(), at_last=at_last))
        self._keep(found)

    def _keep(self, found: Changes) -> None:
        if not found.is_anything:
            return
        self._number += 1
        for row in found.rows:
            self._rows[row["key"]] = (self._number, row)
        if len(self._rows) > self._watched.most * 2:
            newest = sorted(self._rows, key=lambda key: -self._rows[key][1].get("changed_at", 0.0))
            self._rows = {key: self._rows[key] for key in newest[: self._watched.most]}
        if found.summary is not None:
            self.summary = found.summary
        if found.charts is not None:
            self._charts, self._charts_number = found.charts, self._number
        self._tell()

    def _find(self, name: str) -> tuple[str, str] | None:
        """In a thread of its own, which does not wait for a long look."""
        if self._gallery is None:
            self._gallery = PageQueries(self._watched.directory.state, is_known=True)
        return self._gallery.file(name)

    async def _keep_looking(self) -> None:
        looker = self._open_looker()
        while True:
            await asyncio.sleep(max(LOOK_S, looker.took_s / SHARE))
            try:
                await self.look()
                self.trouble = ""
            except (BatchgenError, OSError) as error:
                if self.trouble != str(error):
                    self.trouble = str(error)
                    self._watched.complain(f"the page stands still: {error}")

    def _tell(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _open_looker(self) -> ChangePoller:
        if self._looker is None:
            raise InternalError("the feed is not open")
        return self._looker

    async def _threaded(self, ask: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, ask)

    async def _let_go(self) -> None:
        looker, self._looker = self._looker, None
        if looker is not None:
            await self._threaded(looker.close)
        if self._gallery is not None:
            await asyncio.get_running_loop().run_in_executor(self._finding, self._gallery.close)
        self._thread.shutdown()
        self._finding.shutdown()
