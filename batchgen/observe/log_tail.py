"""The end of a `run.log`: what holds a run back just now, and how its last process ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchgen.core.common.timestamps import instant_of
from batchgen.core.progress.log_events import JOB_PREFIX, LogEvent

TAIL_BYTES = 65_536
"""While a gate is closed little happens: it is not far from the end."""


@dataclass(frozen=True, slots=True)
class LogTail:
    """The gates that are closed, by their names; and of the last process, if it said so, that it
    ended, and why before its time (else empty)."""

    gates: tuple[str, ...] = ()
    ended: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LoggedJob:
    """A line about a job: it was written once the event was recorded. `request_id` may be empty;
    `attempt` numbers the POST that it is about, 0 where it tells none."""

    id: str
    request_id: str
    at: float
    attempt: int = 0


def logged_jobs(path: Path, *, whole: bool = False) -> Iterator[LoggedJob]:
    """The lines about jobs, of the `whole` log or of its end, the earliest first."""
    for line in _lines(path, whole=whole):
        if str(line.get("event")).startswith(JOB_PREFIX):
            at = instant_of(str(line.get("at", "")))
            attempt = line.get("attempt")
            yield LoggedJob(
                str(line.get("id", "")),
                str(line.get("request_id", "")),
                at or 0.0,
                attempt if type(attempt) is int else 0,
            )


def tail_of(path: Path) -> LogTail:
    """Read the end of a log; nothing is known where there is none."""
    gates: dict[str, None] = {}
    ended, reason = False, ""
    for line in _lines(path):
        name = line.get("event")
        if name in {LogEvent.RUN_STARTED, LogEvent.RUN_ENDED}:
            gates, ended = {}, name == LogEvent.RUN_ENDED
            reason = str(line.get("text", "")) if ended else ""
        elif name == LogEvent.GATE_CLOSED:
            gates[str(line.get("gate"))] = None
        elif name == LogEvent.GATE_OPENED:
            gates.pop(str(line.get("gate")), None)
    return LogTail(tuple(gates), ended, reason)


def _lines(path: Path, *, whole: bool = False) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            file.seek(0 if whole else max(0, file.seek(0, 2) - TAIL_BYTES))
            for line in file:
                try:
                    value = json.loads(line)
                except ValueError:
                    continue  # the first one may be cut, and so may the last
                if isinstance(value, dict):
                    yield value
    except OSError:
        return
