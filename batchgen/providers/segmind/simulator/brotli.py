"""Brotli (RFC 7932) without compression: enough for a server that sends it unasked."""

from __future__ import annotations

_PIECE_BYTES = 2**16
_LAST_AND_EMPTY = 3


def stored(body: bytes) -> bytes:
    """The body as a stream of stored pieces, behind the smallest header there is."""
    packed = bytearray()
    window_bits = 1  # a single 0, before the first piece only
    for at in range(0, len(body), _PIECE_BYTES):
        piece = body[at : at + _PIECE_BYTES]
        # Bit by bit: not the last one (0), its length in four nibbles (00), the length, stored (1).
        head = (len(piece) - 1) << 3 | 1 << 19
        packed += (head << window_bits).to_bytes(3, "little") + piece
        window_bits = 0
    packed.append(_LAST_AND_EMPTY << window_bits)
    return bytes(packed)
