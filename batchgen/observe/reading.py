"""How far the reading of a large manifest is: a line on a terminal, one now and then elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Never, TextIO

from tqdm import tqdm

from batchgen.observe.screen import Screen, stream_for
from batchgen.ports import Clock


@contextmanager
def reading_display(
    clock: Clock,
    stream: TextIO | None = None,
    *,
    show_after_s: float = 1.0,
    redraw_s: float = 0.1,
    line_every_s: float = 10.0,
) -> Iterator[Callable[[int], None]]:
    """Gives what is told the number of jobs read so far, and shows it on stderr.

    Most manifests are read within `show_after_s`; of these nothing is shown.
    """
    shown = stream_for(stream)
    if not Screen.fits(shown):
        yield _ReadingLines(shown, clock, line_every_s).tell
        return
    bar: tqdm[Never] = tqdm(
        desc="reading the manifest",
        unit=" jobs",
        file=shown,
        leave=False,
        delay=show_after_s,
        mininterval=redraw_s,
        bar_format="{desc}: {n:,}{unit}, {elapsed}",
    )
    with bar:
        yield lambda count: _guarded(lambda: bar.update(count - bar.n))


class _ReadingLines:
    """For a log: no bar, a line every `every_s`."""

    def __init__(self, stream: TextIO, clock: Clock, every_s: float) -> None:
        self._stream = stream
        self._clock = clock
        self._every_s = every_s
        self._said_at = clock.now()

    def tell(self, count: int) -> None:
        """So many jobs were read."""
        now = self._clock.now()
        if now - self._said_at >= self._every_s:
            self._said_at = now
            text = f"reading the manifest: {count:,} jobs"
            _guarded(lambda: print(text, file=self._stream, flush=True))


def _guarded(draw: Callable[[], object]) -> None:
    """A closed terminal is no reason to stop."""
    try:
        draw()
    except (OSError, ValueError):
        return
