"""One owner per run directory: `flock` on a file of its own."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from batchgen.errors import RUN_DIR, RunLockedError, StateError

_RECORDING = b"recording\n"


class RunLock:
    """Held while a process works on a run directory; the kernel lets go when it dies.

    A file beside the database, because SQLite closes and opens its own. The descriptor is not
    inherited (Python opens with O_CLOEXEC), so that a child never keeps a dead run locked. The
    holder's process id stands in the file, for the message; behind it a mark while records may
    stand in the write-ahead log alone. `was_recording` says that a holder died meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.was_recording = False
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Take the lock at once or raise: `RunLockedError` with the holder's process id, or
        `StateError` where the file cannot be had."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StateError(
                f"{self.path} cannot be opened: {error.strerror or error}; "
                "mend the permissions of the run directory or choose another with ",
                RUN_DIR,
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            words = os.pread(descriptor, 64, 0).decode("ascii", "replace").split()
            holder = words[0] if words else ""
            os.close(descriptor)
            if error.errno not in {errno.EWOULDBLOCK, errno.EAGAIN}:
                raise
            raise RunLockedError(
                f"{self.path.parent} is in use by process {holder or 'unknown'}; "
                "wait for it, or stop it, before starting another run there"
            ) from None
        try:
            self.was_recording = _RECORDING in os.pread(descriptor, 64, 0)
            # Written before anything is cut off: a full disk must not take the mark away.
            name = f"{os.getpid()}\n".encode()
            os.pwrite(descriptor, name, 0)
            os.ftruncate(descriptor, len(name))
        except OSError as error:
            os.close(descriptor)
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        self._descriptor = descriptor
        return self

    def mark_recording(self) -> None:
        """From now on, an end that is not clean shows."""
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode() + _RECORDING, 0)

    def mark_merged(self) -> None:
        """Nothing stands in the log alone; durable, since the log is deleted next."""
        os.ftruncate(self._descriptor, len(f"{os.getpid()}\n"))
        os.fsync(self._descriptor)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go; the file stays, because removing it could unlock a second holder's path.

        After an exception the mark stays as well.
        """
        if exc_type is None:
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = -1
