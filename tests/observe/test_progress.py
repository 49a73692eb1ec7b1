"""The bar on a real terminal: drawn seldom, never left behind."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import sys
import termios

import pytest

from batchgen.app.console import say
from batchgen.core.jobs.events import EventKind
from batchgen.core.jobs.job import JobState
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.progress.eta import SnapshotReader
from batchgen.core.progress.tally import Tally
from batchgen.observe.progress import ProgressDisplay
from batchgen.observe.reading import reading_display
from batchgen.system.clock import SystemClock
from tests.core.builders import event, job

JOBS = 300


@pytest.fixture
def terminal():
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        yield ours, stream
    os.close(ours)


async def test_the_bar_is_drawn_seldom_and_then_tells_the_last_change(terminal):
    ours, stream = terminal
    tally = Tally.of({JobState.PENDING.value: JOBS}, 0.0)
    with ProgressDisplay(SnapshotReader(tally), SystemClock(), stream) as display:
        for _ in range(JOBS):
            display.changed([apply(job(), event(EventKind.INTENDED))])
        shown = ""
        while f"{JOBS} running" not in shown:
            shown += (await asyncio.to_thread(os.read, ours, 65536)).decode()
    # One at the beginning, one for all that came within a tenth of a second; more where the
    # machine took longer over it.
    assert shown.count(" running") < JOBS / 10


async def test_a_program_without_stderr_has_a_display_all_the_same(monkeypatch):
    """As below pythonw, or with 2>&- around a program of its own."""
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdout", None)
    tally = Tally.of({JobState.PENDING.value: JOBS}, 0.0)
    with ProgressDisplay(SnapshotReader(tally), SystemClock()) as display:
        display.changed([apply(job(), event(EventKind.INTENDED))])
        display.said("gate_closed", "HTTP 503", {"gate": "outage"})
    with reading_display(SystemClock(), line_every_s=0.0) as tell:
        tell(5)
    say("nobody hears it")
