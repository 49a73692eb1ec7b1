"""Other programs: started without a terminal's signals, waited for within bounds, never left."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE

import anyio
from anyio.abc import Process

GRACE_S = 2.0
"""From the request to end to the kill."""
_MOST_OUTPUT = 65_536


@dataclass(frozen=True, slots=True)
class Child:
    """What to start. Its standard output goes to `stdout`: a descriptor, or to us."""

    words: Sequence[str]
    env: Mapping[str, str]
    timeout_s: float
    cwd: Path | None = None
    stdin: bytes = b""
    stdout: int = PIPE
    stderr: int = DEVNULL


async def run_child(child: Child) -> tuple[int | None, bytes]:
    """Its exit code, None when it took too long and was ended; and what it wrote to us.

    Raises `OSError` where it cannot be started. A session of its own: Ctrl-C is for us, and what
    it started itself ends with it.
    """
    process = await anyio.open_process(
        list(child.words),
        stdin=PIPE if child.stdin else DEVNULL,
        stdout=child.stdout,
        stderr=child.stderr,
        cwd=child.cwd,
        env=dict(child.env),
        start_new_session=True,
    )
    out = b""
    try:
        with anyio.move_on_after(child.timeout_s):
            out = await _conversation(process, child.stdin)
            await process.wait()
        ended = process.returncode
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)
    return ended, out


async def _conversation(process: Process, stdin: bytes) -> bytes:
    if process.stdin is not None:
        # OSError: older versions of anyio pass on what the pipe says.
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            await process.stdin.send(stdin)
        await process.stdin.aclose()
    out = b""
    if process.stdout is not None:
        async for piece in process.stdout:
            out = (out + piece)[:_MOST_OUTPUT]
    return out


async def _end(process: Process) -> None:
    """Ask the whole session of a child to end, then make it end."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            break
        _signal(process.pid, number)
        with anyio.move_on_after(GRACE_S):
            await process.wait()
    await process.aclose()


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
