"""What a person sees while a run works: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Self, TextIO

from batchgen.core.common.text import printable
from batchgen.core.jobs.events import Change
from batchgen.core.progress.eta import SnapshotReader
from batchgen.core.progress.gate_words import closed_line, opened_line
from batchgen.core.progress.snapshot import one_line
from batchgen.observe.screen import Screen, stream_for
from batchgen.ports import Clock, Progress
from batchgen.system.local_time import local_time

__all__ = ["LINE_EVERY_S", "FanOut", "ProgressDisplay", "local_time"]

LINE_EVERY_S = 30.0
REDRAW_S = 0.1
"""The bar is drawn at most so often: nobody reads faster, and drawing costs more than counting."""
TICK_S = 1.0
"""And at least so often: rates fall, deadlines come nearer, windows are resized."""


class ProgressDisplay:
    """A `Progress` on stderr: a bar and two lines of facts on a terminal, a status line every
    30 s without one. To be entered where a loop runs, if it is to move by itself."""

    def __init__(
        self, snapshots: SnapshotReader, clock: Clock, stream: TextIO | None = None
    ) -> None:
        self.snapshots = snapshots
        self._clock = clock
        self._stream = stream_for(stream)
        self._screen = Screen(self._stream)
        self._last_line_at = clock.now()
        self._drawn_at = 0.0
        self._redraw: asyncio.TimerHandle | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._log_lines = _LogLines(self._line)

    def __enter__(self) -> Self:
        """Show the bar, where there is a terminal, and begin to tick."""
        if Screen.fits(self._stream):
            self._guarded(lambda: self._screen.open(self.snapshots.read(self._clock.now())))
        logging.getLogger().addHandler(self._log_lines)
        self._tick_soon()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last state of the bar standing."""
        logging.getLogger().removeHandler(self._log_lines)
        if self._tick is not None:
            self._tick.cancel()
        if self._screen.is_open:
            self._show()
        if self._screen.is_open:
            self._guarded(self._screen.close)

    def changed(self, changes: Iterable[Change]) -> None:
        """Count, and show."""
        for change in changes:
            self.snapshots.tally.apply(change)
        self._show_soon()

    def said(self, name: str, text: str, fields: Mapping[str, object]) -> None:
        """A line of its own, above the bar."""
        if name == "gate_closed":
            self._line_of(closed_line(str(fields.get("gate")), text))
        elif name == "uploaded":
            size = fields.get("bytes")
            self.snapshots.tally.uploaded_count += 1
            self.snapshots.tally.uploaded_bytes += size if isinstance(size, int) else 0
            self._show_soon()
        elif name == "gate_opened":
            self._line_of(opened_line(str(fields.get("gate"))))
        else:
            self._line_of(text)

    def _line_of(self, text: str) -> None:
        if text:
            self._line(text)

    def _line(self, text: str) -> None:
        if self._screen.is_open:
            self._guarded(lambda: self._screen.line(text))
        else:
            self._guarded(lambda: print(text, file=self._stream, flush=True))

    def _guarded(self, draw: Callable[[], object]) -> None:
        """A closed terminal is no reason to stop a night's work."""
        try:
            draw()
        except (OSError, ValueError):
            self._screen.drop()

    def _tick_soon(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._tick = loop.call_later(TICK_S, self._ticked)

    def _ticked(self) -> None:
        self._tick_soon()
        self._show_soon()

    def _show_soon(self) -> None:
        """Show it now, or with what else comes once the last drawing is old enough."""
        wait_s = self._drawn_at + REDRAW_S - self._clock.now()
        if not self._screen.is_open or wait_s <= 0:
            self._show()
        elif self._redraw is None:
            self._redraw = asyncio.get_running_loop().call_later(wait_s, self._show)

    def _show(self) -> None:
        now = self._clock.now()
        if self._redraw is not None:
            self._redraw.cancel()
            self._redraw = None
        if self._screen.is_open:
            self._drawn_at = now
            self._guarded(lambda: self._screen.draw(self.snapshots.read(now)))
        elif now - self._last_line_at >= LINE_EVERY_S:
            self._last_line_at = now
            self._line(one_line(self.snapshots.read(now), local_time))


class _LogLines(logging.Handler):
    """What a library warns of, as a line above the bar: on stderr it would tear it."""

    def __init__(self, line: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = line

    def emit(self, record: logging.LogRecord) -> None:
        """One line, without a traceback."""
        self._say(printable(f"{record.name}: {record.getMessage()}"))


class FanOut:
    """Several watchers behind one `Progress`."""

    def __init__(self, *watchers: Progress) -> None:
        self._watchers = watchers

    def changed(self, changes: Iterable[Change]) -> None:
        """Pass on."""
        listed = list(changes)
        for watcher in self._watchers:
            watcher.changed(listed)

    def said(self, name: str, text: str, fields: Mapping[str, object]) -> None:
        """Pass on."""
        for watcher in self._watchers:
            watcher.said(name, text, fields)
