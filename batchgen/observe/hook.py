"""The command of `on_finish`: told what the run came to, bounded, and never the run's affair."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchgen.system.children import Child, run_child

_STDERR = 2


@dataclass(frozen=True, slots=True)
class Hook:
    """A command, the folder it runs in, and the seconds it may take."""

    words: Sequence[str]
    folder: Path
    timeout_s: float


async def run_hook(hook: Hook, facts: Mapping[str, str]) -> str | None:
    """Run it; what went wrong, or None.

    It has our environment and the facts. What it prints goes to our stderr: stdout carries
    results.
    """
    shown = " ".join(hook.words)[:200]
    env = {**os.environ, **facts}
    child = Child(hook.words, env, hook.timeout_s, hook.folder, stdout=_STDERR, stderr=_STDERR)
    try:
        code, _ = await run_child(child)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return f"on_finish could not be started: {shown}: {reason}"
    if code is None:
        return f"on_finish was ended after {hook.timeout_s:g} s: {shown}"
    return f"on_finish ended with exit code {code}: {shown}" if code else None
