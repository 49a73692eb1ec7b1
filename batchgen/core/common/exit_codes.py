"""What the process says when it ends."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says when it ends."""

    COMPLETED = 0
    """Every job completed."""
    UNFINISHED = 1
    """Finished, but some jobs failed or need a decision."""
    USAGE = 2
    """Wrong usage, manifest or state file; nothing was submitted, or nothing more."""
    STOPPED = 3
    """Stopped early and resumable."""
    INTERNAL = 70
    """A bug of batchgen (EX_SOFTWARE)."""
    INTERRUPTED = 130
    """Stopped by SIGINT, resumable."""
    TERMINATED = 143
    """Stopped by SIGTERM, resumable."""
