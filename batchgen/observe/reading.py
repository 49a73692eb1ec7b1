"""How far the reading of a large manifest is: a line on a terminal, one now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Never, TextIO

from tqdm import tqdm

from batchgen.observe.screen import Screen

SHOW_AFTER_S = 1.0
"""Most manifests are read before anybody could read that they are."""
LINE_EVERY_S = 10.0
REDRAW_S = 0.1


@contextmanager
def reading_display(stream: TextIO | None = None) -> Iterator[Callable[[int], None]]:
    """Gives what is told the number of jobs read so far, and shows it on stderr."""
    shown = stream or sys.stderr
    if not Screen.fits(shown):
        yield _ReadingLines(shown).tell
        return
    bar: tqdm[Never] = tqdm(
        desc="reading the manifest",
        unit=" jobs",
        file=shown,
        leave=False,
        delay=SHOW_AFTER_S,
        mininterval=REDRAW_S,
        bar_format="{desc}: {n:,}{unit}, {rate_noinv_fmt}",
    )
    with bar:
        yield lambda count: _guarded(lambda: bar.update(count - bar.n))


class _ReadingLines:
    """For a log: no bar, a line every `LINE_EVERY_S`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._said_at = time.monotonic()

    def tell(self, count: int) -> None:
        """So many jobs were read."""
        now = time.monotonic()
        if now - self._said_at >= LINE_EVERY_S:
            self._said_at = now
            text = f"reading the manifest: {count:,} jobs"
            _guarded(lambda: print(text, file=self._stream, flush=True))


def _guarded(draw: Callable[[], object]) -> None:
    """A closed terminal is no reason to stop."""
    try:
        draw()
    except (OSError, ValueError):
        return
