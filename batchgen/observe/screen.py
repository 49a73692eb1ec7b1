"""The lines at the foot of a terminal: a bar, and below it two lines of facts.

Drawn by tqdm into a frame that is sent as one piece, so that nothing else gets between its parts.
The cursor rests at the beginning of the first line: when the window gets narrower and the terminal
breaks the lines anew, that is still where they begin, and all of them can be wiped from there.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Never, TextIO

from tqdm import tqdm

from batchgen.core.progress.snapshot import (
    RunSnapshot,
    budget_segments,
    end_segments,
    fitted,
    job_segments,
)
from batchgen.system.local_time import local_time

LEAST_ROWS = 6
"""On fewer rows there is the bar alone."""
_END_SHARE = 0.5
"""What stands behind the bar takes at most this share of the line."""
_WIPE = "\r\x1b[J"


class _ScreenFrame:
    """A stream for tqdm that keeps what is written until it is sent."""

    def __init__(self, stream: TextIO) -> None:
        self.encoding = stream.encoding
        self._stream = stream
        self._parts: list[str] = []

    def write(self, text: str) -> int:
        """Keep it."""
        self._parts.append(text)
        return len(text)

    def flush(self) -> None:
        """Not yet: `send` does."""

    def send(self) -> None:
        """Write everything at once. Raises `OSError` or `ValueError` where nobody is there."""
        text = "".join(self._parts)
        self._parts.clear()
        self._stream.write(text)
        self._stream.flush()


class _Nowhere(io.StringIO):
    """What stderr is where a program has none."""

    def write(self, text: str) -> int:
        """Forget it."""
        return len(text)


def stream_for(stream: TextIO | None) -> TextIO:
    """Where a display goes: stderr, unless it is told another place."""
    return stream or sys.stderr or _Nowhere()


class Screen:
    """Three lines that stay at the foot while other lines go by above them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._frame = _ScreenFrame(stream)
        self._size = (0, 0)
        self._bars: list[tqdm[Never]] = []

    @staticmethod
    def fits(stream: TextIO) -> bool:
        """Whether there is a terminal that can be drawn on; some say that they have no width."""
        return stream.isatty() and os.environ.get("TERM") != "dumb" and _size_of(stream)[0] > 0

    @property
    def is_open(self) -> bool:
        """Whether the lines are there."""
        return bool(self._bars)

    def open(self, snapshot: RunSnapshot) -> None:
        """Put the lines there."""
        self._size = _size_of(self._stream)
        forms = ["{n_fmt}/{unit} |{bar}| {desc}", "{desc}", "{desc}"]
        for position, form in enumerate(forms[: 3 if self._size[1] >= LEAST_ROWS else 1]):
            self._bars.append(
                tqdm(
                    total=max(1, snapshot.total),
                    initial=snapshot.ended,
                    file=self._frame,
                    unit=str(snapshot.total),
                    ncols=self._columns,
                    position=position,
                    leave=position == 0,
                    bar_format=form,
                    delay=1e9,  # until it is refreshed: it would show nothing yet
                )
            )
        self.draw(snapshot)

    def draw(self, snapshot: RunSnapshot) -> None:
        """Show a run as it is now."""
        self._fit()
        bar, *below = self._bars
        bar.n, bar.total, bar.unit = snapshot.ended, max(1, snapshot.total), str(snapshot.total)
        count = len(f"{snapshot.ended}/{snapshot.total} ||")
        if not below:
            told = [*end_segments(snapshot), *job_segments(snapshot)]
            bar.desc = fitted(told, max(0, self._columns - count - 8))
        else:
            room = min(int(self._columns * _END_SHARE), self._columns - count - 6)
            bar.desc = fitted(end_segments(snapshot), max(0, room))
            texts = (job_segments(snapshot), budget_segments(snapshot, local_time))
            for line, segments in zip(below, texts, strict=True):
                line.desc = fitted(segments, self._columns)
        for line in self._bars:
            line.refresh(nolock=True)
        self._frame.write("\r")
        self._frame.send()

    def line(self, text: str) -> None:
        """A line of its own, above."""
        self._fit()
        self._bars[0].write(text, file=self._frame)
        self._frame.write("\r")
        self._frame.send()

    def close(self) -> None:
        """Leave the bar standing, and wipe the lines below it."""
        bars, self._bars = self._bars, []
        for bar in reversed(bars):
            bar.delay = 0
            bar.close()
        self._frame.send()

    def drop(self) -> None:
        """Nobody is there any more: forget the lines without a word."""
        for bar in self._bars:
            bar.delay = 0
            bar.close()  # into the frame, which is not sent any more
        self._bars = []

    @property
    def _columns(self) -> int:
        """One less than there are: a full line would make some terminals begin another."""
        return max(1, self._size[0] - 1)

    def _fit(self) -> None:
        """After the window changed: begin on clean ground."""
        size = _size_of(self._stream)
        if size == self._size or size[0] <= 0:
            return
        self._size = size
        self._frame.write(_WIPE)
        for bar in self._bars:
            bar.ncols, bar.nrows = self._columns, max(1, size[1])
            bar.sp = bar.status_printer(self._frame)  # which remembers how long its line was


def _size_of(stream: TextIO) -> tuple[int, int]:
    """Columns and rows; zeros where there is no terminal any more."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 0, 0
    return size.columns, size.lines
