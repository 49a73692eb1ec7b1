"""What a person sees while a run works: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Never, Self, TextIO

from tqdm import tqdm

from batchgen.core.event import Change
from batchgen.core.job import JobState
from batchgen.core.summary import Tally, duration
from batchgen.ports import Clock, Progress

LINE_EVERY_S = 30.0
REDRAW_S = 0.1
"""The bar is drawn at most so often: nobody reads faster, and drawing costs more than counting."""
_GATE_WORDS = {
    "key": "the API key is refused",
    "credits": "no credits: nothing more is submitted",
    "outage": "the service does not answer; waiting for it",
    "disk": "the disk is full; waiting for space",
    "halt": "stopping",
    "time": "nothing more is submitted, what is paid for is collected",
    "manifest": "nothing more is submitted; what is paid for is brought home",
    "stop": "stopping: nothing new is submitted; once more to leave at once",
}


class ProgressDisplay:
    """A `Progress` on stderr: a tqdm bar on a terminal, a status line every 30 s without one."""

    def __init__(
        self, tally: Tally, clock: Clock, cap_usd: float | None, stream: TextIO | None = None
    ) -> None:
        self._tally = tally
        self._clock = clock
        self._cap_usd = cap_usd
        self._stream = stream or sys.stderr
        self._bar: tqdm[Never] | None = None
        self._last_line_at = clock.now()
        self._drawn_at = 0.0
        self._redraw: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        """Show the bar, where there is a terminal."""
        if self._stream.isatty() and _columns(self._stream):
            self._bar = tqdm(
                total=self._tally.total,
                initial=self._tally.ended,
                file=self._stream,
                unit=self._tally.total_text,
                dynamic_ncols=True,
                bar_format="{n_fmt}/{unit} |{bar}| {desc}",
            )
            self._show()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last state standing."""
        if self._bar is not None:
            self._show()
        if self._bar is not None:
            self._bar.close()

    def changed(self, changes: Iterable[Change]) -> None:
        """Count, and show."""
        for change in changes:
            self._tally.take_in(change)
        self._show_soon()

    def said(self, name: str, text: str, fields: Mapping[str, object]) -> None:
        """A line of its own, above the bar."""
        if name == "gate_closed":
            words = _GATE_WORDS.get(str(fields.get("gate")), str(fields.get("gate")))
            self._line(f"{words} ({text})" if text else words)
        elif name == "gate_opened":
            self._line(f"going on ({fields.get('gate')})")
        elif text:
            self._line(text)

    def _line(self, text: str) -> None:
        try:
            if self._bar is not None:
                self._bar.write(text, file=self._stream)
            else:
                print(text, file=self._stream, flush=True)
        except (OSError, ValueError):
            self._lose_terminal()

    def _lose_terminal(self) -> None:
        """A closed terminal is no reason to stop a night's work."""
        if self._bar is not None:
            self._bar.disable = True  # else it would write its last line when it is collected
            self._bar = None

    def _show_soon(self) -> None:
        """Show it now, or with what else comes once the last drawing is old enough."""
        wait_s = self._drawn_at + REDRAW_S - self._clock.now()
        if self._bar is None or wait_s <= 0:
            self._show()
        elif self._redraw is None:
            self._redraw = asyncio.get_running_loop().call_later(wait_s, self._show)

    def _show(self) -> None:
        now = self._clock.now()
        if self._redraw is not None:
            self._redraw.cancel()
            self._redraw = None
        if self._bar is not None:
            self._drawn_at = now
            self._bar.n = self._tally.ended
            self._bar.total = self._tally.total
            self._bar.unit = self._tally.total_text
            self._bar.set_description_str(self.text(now), refresh=False)
            try:
                self._bar.refresh()
            except (OSError, ValueError):
                self._lose_terminal()
        elif now - self._last_line_at >= LINE_EVERY_S:
            self._last_line_at = now
            self._line(f"{self._tally.ended}/{self._tally.total_text} {self.text(now)}")

    def text(self, now: float) -> str:
        """States, calls a minute, money, time."""
        tally = self._tally
        counts = tally.counts
        parts = [f"{counts[JobState.DONE]} done, {tally.in_flight} running"]
        fetching = counts[JobState.FETCHING] + counts[JobState.RECOVERING]
        if fetching:
            parts.append(f"{fetching} fetching")
        parts += [
            f"{counts[state]} {state.value}"
            for state in (JobState.FAILED, JobState.UNKNOWN, JobState.LOST)
            if counts[state]
        ]
        submits, polls = tally.per_minute("submits", now), tally.per_minute("polls", now)
        parts.append(f"{submits} submits + {polls} polls/min")
        money = f"${tally.spent_usd:.2f}"
        parts.append(money if self._cap_usd is None else f"{money}/${self._cap_usd:.2f}")
        eta_s = tally.eta_s(now)
        if eta_s is not None and tally.ended < tally.total:
            parts.append(f"ETA {duration(eta_s)}")
        return ", ".join(parts)


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


def _columns(stream: TextIO) -> int:
    """The width of a terminal; some say 0, and no bar fits into that."""
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except OSError:
        return 0


def local_time(at: float) -> str:
    """An instant on the reader's clock: `07:41:05`."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")
