"""One owner per run directory: `flock` on a file of its own."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from batchgen.errors import RunLockedError


class RunLock:
    """Held while a process works on a run directory; the kernel lets go when it dies.

    A file beside the database, because SQLite closes and opens its own. The descriptor is not
    inherited (Python opens with O_CLOEXEC), so that a child never keeps a dead run locked. The
    holder's process id stands in the file, for the message.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Take the lock at once or raise `RunLockedError` with the holder's process id."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            if error.errno not in {errno.EWOULDBLOCK, errno.EAGAIN}:
                raise
            raise RunLockedError(
                f"{self.path.parent} is in use by process {holder or 'unknown'}; "
                "wait for it, or stop it, before starting another run there"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go; the file stays, because removing it could unlock a second holder's path."""
        os.close(self._descriptor)
        self._descriptor = -1
