"""`batchgen status --watch`: the display of a run from another terminal, without touching it."""

from __future__ import annotations

import json
import math
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import anyio
import click
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from batchgen.app.console import say
from batchgen.app.look import snapshot_of
from batchgen.app.remaining import eta_s
from batchgen.app.status import report_of
from batchgen.core.progress.gate_words import short_words
from batchgen.core.progress.snapshot import RunSnapshot, one_line
from batchgen.errors import BatchgenError
from batchgen.observe.log_tail import tail_of
from batchgen.observe.progress import LINE_EVERY_S
from batchgen.observe.screen import Screen
from batchgen.providers.registry import SERVICE_NOTE, service_of
from batchgen.store.sqlite.status import StatusQueries
from batchgen.system.clock import SystemClock
from batchgen.system.local_time import local_time
from batchgen.system.run_directory import RunDirectory
from batchgen.system.run_holder import holder_of
from batchgen.system.signals import signals_received

LOOK_S = 1.0
_SHARE = 4.0
"""A look that takes long is rested from so many times as long: a million jobs are not read each
second."""
_ETA_EVERY_S = 10.0
"""To reckon the ETA all jobs that wait are read."""


def watch(directory: RunDirectory, *, as_json: bool) -> bool:
    """Show a run until it ends; False after Ctrl-C. Raises `StateError`."""
    if anyio.run(_until_interrupted, partial(_watch_json if as_json else _watch, directory)):
        return True
    say("not watched any more; the run is not touched by it")
    return False


async def _until_interrupted(work: Callable[[], Awaitable[None]]) -> bool:
    """Whether it came to its end. Raises what it raises, and no group of it."""
    ended, fault = False, None
    async with anyio.create_task_group() as tasks:
        await tasks.start(_cancel_when_interrupted, tasks.cancel_scope)
        try:
            await work()
            ended = True
        except (OSError, BatchgenError) as error:
            fault = error
        tasks.cancel_scope.cancel()
    if fault is not None:
        raise fault
    return ended


async def _cancel_when_interrupted(
    scope: anyio.CancelScope, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED
) -> None:
    with signals_received(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()


async def _watch(directory: RunDirectory) -> None:
    screen, shown_at, eta = Screen(sys.stdout), 0.0, _Eta()
    is_terminal = Screen.fits(sys.stdout)
    with closing(StatusQueries(directory.state, is_known=True)) as reader:
        clock = SystemClock(reader.note("clock"))
        first = process = holder_of(directory.path)
        try:
            while process is not None:
                began_at = clock.now()
                snapshot = _look(reader, directory, began_at, eta)
                if screen.is_open:
                    screen.draw(snapshot)
                elif is_terminal:
                    screen.open(snapshot)
                elif began_at - shown_at >= LINE_EVERY_S:
                    shown_at = began_at
                    click.echo(one_line(snapshot, local_time))
                await _rest(clock, began_at)
                process = holder_of(directory.path)
        finally:
            if screen.is_open:
                screen.close()
    _say_how(directory, first)


async def _watch_json(directory: RunDirectory) -> None:
    """One document a line, whenever something changed."""
    with closing(StatusQueries(directory.state, is_known=True)) as reader:
        clock, version, process = SystemClock(reader.note("clock")), -1, holder_of(directory.path)
        while process is not None:
            began_at = clock.now()
            if (now_version := reader.version()) != version:
                version = now_version
                click.echo(json.dumps(report_of(directory), ensure_ascii=False))
            await _rest(clock, began_at)
            process = holder_of(directory.path)
    click.echo(json.dumps(report_of(directory), ensure_ascii=False))


async def _rest(clock: SystemClock, began_at: float) -> None:
    took_s = clock.now() - began_at
    await clock.sleep_until(began_at + max(LOOK_S, _SHARE * took_s))


@dataclass(slots=True)
class _Eta:
    """The ETA as it was reckoned last, and when."""

    seconds: float | None = None
    at: float = -math.inf

    def renew(self, seconds: float | None, now: float) -> None:
        self.seconds, self.at = seconds, now

    def left_s(self, now: float) -> float | None:
        return None if self.seconds is None else max(0.0, self.seconds - (now - self.at))


def _look(reader: StatusQueries, directory: RunDirectory, now: float, eta: _Eta) -> RunSnapshot:
    with reader.snapshot():
        overview = reader.overview(now)
        capabilities = service_of(overview.notes.get(SERVICE_NOTE)).capabilities
        deadline_at = capabilities.deadline_at(overview.oldest_unfetched_at)
        gates = short_words(tail_of(directory.log).gates)
        snapshot = snapshot_of(reader, overview, now, deadline_at, gates)
        left = snapshot.total - snapshot.ended - snapshot.held_count
        if gates or not left:
            return snapshot
        if now - eta.at >= _ETA_EVERY_S:
            eta.renew(eta_s(reader, overview.notes, left, now), now)
        return replace(snapshot, eta_s=eta.left_s(now))


def _say_how(directory: RunDirectory, process: int | None) -> None:
    """Why there is nothing more to watch."""
    tail = tail_of(directory.log)
    if process is None:
        say("no process works on this run")
    elif tail.ended:
        say(f"the run has stopped: {tail.reason}" if tail.reason else "the run has ended")
    else:
        say(f"process {process} is gone without a word; run the manifest again, and it resumes")
