"""A .zst file as the bytes in it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PIECE_BYTES = 1024
"""What is unpacked at a time: at worst 4 bytes become 128 KiB, so a piece stays below 32 MiB."""


class ZstFile(io.RawIOBase):
    """Frames one after another. Raises `EOFError` where the last one is not complete, and `OSError`
    for what is none.

    The reader of the library takes a file that was cut for one that ends there, and rows would be
    missing without a word.
    """

    def __init__(self, path: Path) -> None:
        """Raises `ImportError` without the library, `OSError` without the file."""
        import zstandard  # noqa: PLC0415  an extra, and only for files of this kind

        self._error = zstandard.ZstdError
        self._unpacker = zstandard.ZstdDecompressor()
        self._frame = self._unpacker.decompressobj()
        self._is_inside = False
        self._packed = b""
        self._unpacked = memoryview(b"")
        self._file = path.open("rb")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer as far as bytes are at hand; 0 at the end."""
        while not self._unpacked:
            if not self._unpack():
                return 0
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._unpacked))
        target[:count] = self._unpacked[:count]
        self._unpacked = self._unpacked[count:]
        return count

    def _unpack(self) -> bool:
        """The next piece; whether there was one."""
        packed = self._packed or self._file.read(_PIECE_BYTES)
        if not packed:
            if self._is_inside:
                raise EOFError("the last frame of the file is not complete")
            return False
        try:
            self._unpacked = memoryview(self._frame.decompress(packed))
        except self._error as error:
            raise OSError(str(error)) from error
        self._is_inside = not self._frame.eof
        self._packed = b""
        if self._frame.eof:
            self._packed = self._frame.unused_data
            self._frame = self._unpacker.decompressobj()
        return True

    def close(self) -> None:
        """Close the file below as well."""
        self._file.close()
        super().close()
