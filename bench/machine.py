"""The machine a figure was taken on, and its cores."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def pin(core: int) -> None:
    """Keep this process, and all it starts, on one core, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def cores() -> list[int]:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def client_core() -> int:
    """Where what is measured runs."""
    return cores()[0]


def server_core() -> int:
    """Where the service runs: beside what is measured, if there are two."""
    return cores()[-1]


def machine() -> str:
    """One line: cores, processor, kernel, Python."""
    return (
        f"{len(cores())} cores, {_processor()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
