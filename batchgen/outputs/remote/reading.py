"""Reading finished files out of a bucket, one after the other, from a thread."""

from __future__ import annotations

import io
from errno import ENOENT
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from batchgen.core.manifest.text.destination import Bucket
from batchgen.outputs.remote.faults import store_faults
from batchgen.outputs.remote.store import Store, StoreSettings, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore import GetResult
    from typing_extensions import Buffer

BLOCK_BYTES = 1024 * 1024
REREAD_COUNT = 5
"""A guess: some seconds of a store that falters, among a million objects that are read."""


class StoreFiles:
    """The objects below a bucket's prefix, as files."""

    def __init__(self, bucket: Bucket, store: Store | None = None) -> None:
        self._store = store or connect(bucket, StoreSettings(reread_count=REREAD_COUNT))

    def local(self, name: str) -> Path | None:
        """None: they are not on a disk here."""

    def open(self, name: str) -> BinaryIO:
        """See `OutputFiles.open`. The object is read as a stream: it cannot be gone back in."""
        try:
            answer = self._store.get(name)
        except FileNotFoundError as error:
            # As a disk tells it: the store's own has no number, and a page of text.
            raise FileNotFoundError(ENOENT, "there is no such object", name) from error
        return io.BufferedReader(_Stream(self._store.bucket, answer), BLOCK_BYTES)


class _Stream(io.RawIOBase):
    """The blocks of one answer as a file. A connection that breaks off is a `StoreError`."""

    def __init__(self, bucket: Bucket, answer: GetResult) -> None:
        self._bucket = bucket
        self._blocks: Iterator[Buffer] = iter(answer.stream(min_chunk_size=BLOCK_BYTES))
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill what can be filled; 0 at the end."""
        while not self._rest:
            with store_faults(self._bucket):
                block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = memoryview(block).cast("B")
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._rest))
        target[:count], self._rest = self._rest[:count], self._rest[count:]
        return count
