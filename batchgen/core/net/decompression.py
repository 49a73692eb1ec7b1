"""Compressed bodies decoded under a cap, so that a few kilobytes cannot become gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

SLICE_BYTES = 256 * 1024
"""How much is decoded at a time: memory stays near this, whatever the ratio."""

_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": 0}


def is_plain(encoding: str) -> bool:
    """Whether a Content-Encoding means that the bytes are the content itself."""
    return encoding.strip().lower() in ("", "identity")


class Inflater:
    """Decodes one gzip or deflate body in slices; the caller counts, and stops when it is enough.

    Raises `ValueError` for damaged data and, at construction, for any other encoding.
    """

    def __init__(self, encoding: str) -> None:
        name = encoding.strip().lower()
        if name not in _WINDOW_BITS:
            raise ValueError("unknown content encoding")
        self._bits = _WINDOW_BITS[name]
        self._decoder: zlib._Decompress | None = None

    @property
    def ended(self) -> bool:
        """Whether the compressed stream said that it is complete."""
        return self._decoder is not None and self._decoder.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The content these bytes decode to, in slices of at most `SLICE_BYTES`."""
        if self._decoder is None and data:
            self._decoder = zlib.decompressobj(self._bits or _deflate_bits(data))
        more = bool(data)
        # Members behind the first are dropped: no server sends them as one body.
        while more and self._decoder is not None and not self._decoder.eof:
            try:
                piece = self._decoder.decompress(data, SLICE_BYTES)
            except zlib.error as error:
                raise ValueError("damaged compressed data") from error
            data = self._decoder.unconsumed_tail
            # A full slice may leave content inside the decoder with all input consumed.
            more = bool(data) or len(piece) == SLICE_BYTES
            if piece:
                yield piece


def _deflate_bits(data: bytes) -> int:
    """`deflate` means zlib-wrapped data, yet some servers send it bare."""
    return zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS
