"""A download on its way to disk, before anything is known of it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import aiofiles
import aiofiles.os
import anyio

from batchgen.outputs.delivery import Package
from batchgen.outputs.downloads import Fetched
from batchgen.ports import SaveOrder
from batchgen.system.durable import disk_faults, start_sync

if TYPE_CHECKING:
    from hashlib import _Hash

    from aiofiles.threadpool.binary import AsyncBufferedIOBase

BLOCK_BYTES = 4 * 1024 * 1024
"""What is handed to a thread at a time, so that most pictures are handed over once. Smaller blocks
cost more in hand-offs than in writing."""


class DownloadPart:
    """One download on its way: the last bytes in memory, all before them in a part file."""

    def __init__(self, folder: int, name: str) -> None:
        """`folder` is an open descriptor and must stay open until the part is gone."""
        self._folder = folder
        self._name = name
        self._held: list[bytes] = []
        self._held_count = 0
        self._size = 0
        self._opening: asyncio.Future[AsyncBufferedIOBase] | None = None
        self._digest: _Hash = hashlib.sha256()

    @property
    def size(self) -> int:
        """Bytes taken so far."""
        return self._size

    async def write(self, piece: bytes) -> None:
        """Take the next bytes; a full block goes to the file."""
        self._held.append(piece)
        self._held_count += len(piece)
        self._size += len(piece)
        if self._held_count >= BLOCK_BYTES:
            await self._flush()

    async def _flush(self) -> None:
        pieces = self._take_held()
        if self._opening is None:
            self._opening = asyncio.ensure_future(
                aiofiles.open(self._name, "xb", opener=self._open)
            )
        with disk_faults(self._name):
            # Shielded: a cancelled opening would leave a file that nobody closes.
            file = await asyncio.shield(self._opening)
            await file.writelines(pieces)
            settled = partial(self._settle, file.fileno(), pieces)
            await asyncio.get_running_loop().run_in_executor(None, settled)

    def _settle(self, descriptor: int, pieces: Sequence[bytes]) -> None:
        """Hash what was written, and let the disk begin with it while the rest is on its way."""
        start_sync(descriptor)
        for piece in pieces:
            self._digest.update(piece)

    def _open(self, path: str, flags: int) -> int:
        return os.open(path, flags | os.O_NOFOLLOW, 0o600, dir_fd=self._folder)

    def _take_held(self) -> tuple[bytes, ...]:
        pieces, self._held, self._held_count = tuple(self._held), [], 0
        return pieces

    async def restart(self) -> None:
        """Forget everything: the file begins anew."""
        self._take_held()
        self._size = 0
        self._digest = hashlib.sha256()
        if self._opening is not None:
            with disk_faults(self._name):
                file = await self._opening
                await file.seek(0)
                await file.truncate()

    def digest(self) -> str:
        """SHA-256 (hex) of the bytes taken so far."""
        made = self._digest.copy()
        for piece in self._held:
            made.update(piece)
        return made.hexdigest()

    async def packed(self, order: SaveOrder, fetched: Fetched) -> Package:
        """Hand everything over; the part file, if there is one, is closed."""
        if self._opening is not None:
            with disk_faults(self._name):
                file = await self._opening
                await file.close()
        rest, written = self._take_held(), self._opening is not None
        return Package(order, self._name, rest, written, fetched, digest=self._digest)

    async def discard(self) -> None:
        """Leave nothing behind, even while being cancelled."""
        if self._opening is None:
            return
        with anyio.CancelScope(shield=True):
            # Closing flushes, and may fail like writing did; what cannot be removed now, the next
            # start removes.
            with contextlib.suppress(OSError):
                file = await self._opening
                await file.close()
            with contextlib.suppress(OSError):
                await aiofiles.os.unlink(self._name, dir_fd=self._folder)


class HashOnly:
    """Takes a download in order to compare it with another one, and keeps nothing of it."""

    def __init__(self) -> None:
        self._digest: _Hash = hashlib.sha256()
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes taken so far."""
        return self._size

    async def write(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._digest.update(piece)
        self._size += len(piece)

    async def restart(self) -> None:
        """Forget everything: the file begins anew."""
        self._digest = hashlib.sha256()
        self._size = 0

    def digest(self) -> str:
        """SHA-256 (hex) of the bytes taken so far."""
        return self._digest.hexdigest()
