"""Width and height of a picture, read from its header alone."""

from __future__ import annotations

from collections.abc import Callable

from batchgen.core.media.wholeness import ReadAt

Size = tuple[int, int]
"""Width and height in pixels, as stored (an EXIF rotation is not applied)."""
Measure = Callable[[ReadAt], Size]
"""Reads the size of a picture; zeros where its header is unreadable."""

UNKNOWN: Size = (0, 0)
MAX_SEGMENTS = 4096
"""A JPEG with more segments before its frame header is no picture anyone made."""

_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG SOF0 … SOF15; the three between them are tables."""
_BARE_MARKERS = frozenset(range(0xD0, 0xD9)) | {0x01}
"""JPEG markers without a length: RST0 … RST7, SOI, TEM."""


def png_size(read_at: ReadAt) -> Size:
    """Both stand at a fixed place."""
    head = read_at(0, 24)
    if head[12:16] != b"IHDR" or len(head) < 24:
        return UNKNOWN
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def gif_size(read_at: ReadAt) -> Size:
    """Both stand at a fixed place."""
    head = read_at(0, 10)
    return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")


def webp_size(read_at: ReadAt) -> Size:
    """The first chunk is lossy (VP8), lossless (VP8L) or an extended header (VP8X)."""
    head = read_at(0, 30)
    if len(head) < 30:
        return UNKNOWN
    kind, body = head[12:16], head[20:]
    if kind == b"VP8X":
        return _plus_one(body[4:7]), _plus_one(body[7:10])
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(body[at : at + 2], "little") for at in (6, 8))
        return width & 0x3FFF, height & 0x3FFF
    return UNKNOWN


def _plus_one(field: bytes) -> int:
    return int.from_bytes(field, "little") + 1


def jpeg_size(read_at: ReadAt) -> Size:
    """Walk the segments to the frame header; metadata before it may be megabytes."""
    offset = 2
    for _ in range(MAX_SEGMENTS):
        head = read_at(offset, 9)
        if len(head) < 4 or head[0] != 0xFF:
            return UNKNOWN
        marker = head[1]
        if marker == 0xFF:
            offset += 1
        elif marker in _BARE_MARKERS:
            offset += 2
        elif marker in _FRAME_MARKERS:
            return int.from_bytes(head[7:9], "big"), int.from_bytes(head[5:7], "big")
        else:
            offset += 2 + max(2, int.from_bytes(head[2:4], "big"))
    return UNKNOWN
