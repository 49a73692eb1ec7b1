"""A file that takes up space, to be given up when a full disk would cost something paid for."""

from __future__ import annotations

import os
from pathlib import Path

BALLAST_BYTES = 4 * 2**20
"""Room for some thousand acknowledgements in the write-ahead log."""


class Ballast:
    """One file of `BALLAST_BYTES`, really allocated."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lay(self) -> bool:
        """Have it on the disk; False when there is no room for it."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                if size < BALLAST_BYTES:
                    # Written, not only sized: a sparse file would reserve nothing. A disk that
                    # fills up takes a part first, and refuses only the rest.
                    while size < BALLAST_BYTES:
                        size += os.pwrite(descriptor, bytes(BALLAST_BYTES - size), size)
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            self.drop()
            return False
        return True

    def drop(self) -> bool:
        """Give its space back; False when there was none."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
