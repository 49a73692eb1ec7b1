"""Compressed bodies decoded under a cap, so that a few kilobytes cannot become gigabytes."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SLICE_BYTES = 256 * 1024
"""How much is decoded at a time: memory stays near this, whatever the ratio."""


def is_plain(encoding: str) -> bool:
    """Whether a Content-Encoding means that the bytes are the content itself."""
    return encoding.strip().lower() in ("", "identity")


class _Decoder(Protocol):
    """One stream of one encoding."""

    @property
    def ended(self) -> bool:
        """Whether the stream said that it is complete."""
        ...

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these bytes decode to, in slices. Raises `ValueError` for damaged data."""
        ...


class _Zlib:
    """gzip or deflate."""

    def __init__(self, window_bits: int) -> None:
        self._bits = window_bits
        self._decoder: zlib._Decompress | None = None

    @property
    def ended(self) -> bool:
        return self._decoder is not None and self._decoder.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
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


class _Brotli:
    """br."""

    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()

    @property
    def ended(self) -> bool:
        return bool(self._decoder.is_finished())

    def feed(self, data: bytes) -> Iterator[bytes]:
        more = bool(data)
        while more and not self.ended:
            try:
                piece = self._decoder.process(data, output_buffer_limit=SLICE_BYTES // 2)
            except brotli.error as error:
                raise ValueError("damaged compressed data") from error
            # The rest of the input waits inside the decoder, and so may more of its output.
            data, more = b"", bool(piece) or not self._decoder.can_accept_more_data()
            if piece:
                yield piece


class _Zstd:
    """zstd: one frame or, as parallel packers write, several."""

    def __init__(self) -> None:
        self._decoder = zstd.ZstdDecompressor()

    @property
    def ended(self) -> bool:
        return self._decoder.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        more = bool(data)
        while more:
            if self._decoder.eof:
                self._decoder = zstd.ZstdDecompressor()
            try:
                piece = self._decoder.decompress(data, SLICE_BYTES)
            except zstd.ZstdError as error:
                raise ValueError("damaged compressed data") from error
            data = self._decoder.unused_data
            more = bool(data) or not (self._decoder.needs_input or self._decoder.eof)
            if piece:
                yield piece


_DECODERS: Mapping[str, Callable[[], _Decoder]] = {
    "gzip": lambda: _Zlib(16 + zlib.MAX_WBITS),
    "x-gzip": lambda: _Zlib(16 + zlib.MAX_WBITS),
    "deflate": lambda: _Zlib(0),
    "br": _Brotli,
    "zstd": _Zstd,
}


class Inflater:
    """Decodes one body in slices; the caller counts, and stops when it is enough.

    `encoding` is a Content-Encoding: gzip, deflate, br, zstd, or several of them in the order in
    which they were applied. Raises `ValueError` for damaged data and, at construction, for any
    other encoding.
    """

    def __init__(self, encoding: str) -> None:
        names = [name for part in encoding.split(",") if (name := part.strip().lower())]
        if not names or any(name not in _DECODERS for name in names):
            raise ValueError("unknown content encoding")
        self._decoders = [_DECODERS[name]() for name in reversed(names)]

    @property
    def ended(self) -> bool:
        """Whether the compressed stream said that it is complete."""
        return all(decoder.ended for decoder in self._decoders)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The content these bytes decode to, in slices of at most `SLICE_BYTES`."""
        return self._fed(data, 0)

    def _fed(self, data: bytes, number: int) -> Iterator[bytes]:
        if number == len(self._decoders):
            yield data
            return
        for piece in self._decoders[number].feed(data):
            yield from self._fed(piece, number + 1)
