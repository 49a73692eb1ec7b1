"""Checks whether a file is complete, one for each way in which a format lets one tell.

Meant against truncation, not against damage inside. What stands behind the end of a complete file
is no fault of it: padding, notes of cameras, the film of a motion photo. Safe on hostile bytes: a
check reads a bounded number of them and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

ReadAt = Callable[[int, int], bytes]
"""`read_at(offset, count)`: that many bytes of the file from there, fewer at its end."""
WholeCheck = Callable[[int, ReadAt], bool]
"""Whether a file of so many bytes is complete."""

CUT = "by its own structure it ends early"
"""What to say of a file that is not."""

TAIL_BYTES = 65_535 + 22
"""How much of a file's end is looked at: the closing mark of a ZIP may have a comment behind it."""
MAX_BOXES = 100_000
"""A fragmented film of hours has some thousands of top-level boxes."""
MAX_CHUNKS = 1_000_000
"""Of a PNG or MIDI: writers make them of 8 KB and more."""
MAX_SEGMENTS = 10_000
"""Of a JPEG: a progressive one has some dozens."""
MAX_SUB_BLOCKS = 4_000_000
"""Of a GIF, each with up to 255 bytes."""
_BLOCK_BYTES = 64 * 1024
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
"""A JPEG marker that ends a scan; the others belong to its bytes."""
_SOS, _EOI = 0xDA, 0xD9
_BARE_MARKERS = frozenset(range(0xD0, 0xD9)) | {0x01}
"""JPEG markers without a length: RST0 … RST7, SOI, TEM."""


def of_bytes(data: bytes) -> ReadAt:
    """How to read what is in memory."""
    return lambda offset, count: data[offset : offset + count]


def jpeg_end(size: int, read_at: ReadAt) -> bool:
    """From marker to marker up to the end mark of the picture itself.

    That of a thumbnail stands inside a segment, and is passed by with it.
    """
    offset, has_scan = 2, False
    for _ in range(MAX_SEGMENTS):
        offset = _next_marker(offset, size, read_at)
        head = read_at(offset, 4)
        if len(head) < 2:
            return False
        if head[1] == _EOI:
            return has_scan
        if head[1] == _SOS:
            # Within a scan the end mark means the end: mostly it is the very end of the file.
            if _tail(size, read_at).rstrip(b"\0").endswith(b"\xff\xd9"):
                return True
            has_scan = True
        offset += 2 if head[1] in _BARE_MARKERS else 2 + max(2, int.from_bytes(head[2:4], "big"))
    return False


def _next_marker(offset: int, size: int, read_at: ReadAt) -> int:
    count = 64
    while offset < size - 1:
        block = read_at(offset, count)
        found = _MARKER.search(block)
        if found:
            return offset + found.start()
        offset += max(1, len(block) - 1)
        count = min(2 * count, _BLOCK_BYTES)
    return size


def png_end(size: int, read_at: ReadAt) -> bool:
    """From chunk to chunk up to the one that ends the picture."""
    offset = 8
    for _ in range(MAX_CHUNKS):
        head = read_at(offset, 8)
        offset += 12 + int.from_bytes(head[:4], "big")
        if len(head) < 8 or offset > size:
            return False
        if head[4:] == b"IEND":
            return True
    return False


def has_png_end(size: int, read_at: ReadAt) -> bool:
    """Whether the last chunk of a PNG stands at the very end: one read, where `png_end` needs one a
    chunk. It tells that nothing is missing there."""
    return read_at(max(0, size - 12), 12) == b"\0\0\0\0IEND\xaeB`\x82"


def gif_end(size: int, read_at: ReadAt) -> bool:
    """From block to block up to the trailer."""
    read = _buffered(read_at)
    offset, left = 13 + _color_table(read(10, 1)), MAX_SUB_BLOCKS
    while offset < size and left:
        kind = read(offset, 1)
        if kind == b"\x3b":
            return True
        if kind == b"\x21":
            offset += 2
        elif kind == b"\x2c":
            offset += 11 + _color_table(read(offset + 9, 1))
        else:
            return False
        while offset < size and left and (count := read(offset, 1)[0]):
            offset, left = offset + 1 + count, left - 1
        offset, left = offset + 1, max(0, left - 1)
    return False


def _color_table(flags: bytes) -> int:
    """Bytes of the colors that follow, as the flags before them say."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _buffered(read_at: ReadAt) -> ReadAt:
    """For many small reads, one after the other."""
    start, block = 0, b""

    def read(offset: int, count: int) -> bytes:
        nonlocal start, block
        if not start <= offset <= start + len(block) - count:
            start, block = offset, read_at(offset, _BLOCK_BYTES)
        return block[offset - start : offset - start + count]

    return read


def midi_end(size: int, read_at: ReadAt) -> bool:
    """As many tracks as the header tells."""
    head = read_at(0, 14)
    tracks, offset = int.from_bytes(head[10:12], "big"), 8 + int.from_bytes(head[4:8], "big")
    while tracks:
        chunk = read_at(offset, 8)
        offset += 8 + int.from_bytes(chunk[4:8], "big")
        if len(chunk) < 8 or offset > size:
            return False
        tracks -= chunk[:4] == b"MTrk"
    return len(head) == 14


def triangles(size: int, read_at: ReadAt) -> bool:
    """A binary STL has no sign but this: its length is exactly that of the triangles it counts."""
    count = int.from_bytes(read_at(80, 4), "little")
    return count > 0 and size == 84 + 50 * count


def end_holds(mark: bytes) -> WholeCheck:
    """A check for a mark somewhere near the end."""

    def check(size: int, read_at: ReadAt) -> bool:
        return mark in _tail(size, read_at)

    return check


def length_at(offset: int) -> WholeCheck:
    """A check for a length of 4 bytes that stands at an offset."""

    def check(size: int, read_at: ReadAt) -> bool:
        return int.from_bytes(read_at(offset, 4), "little") <= size

    return check


def zip_end(size: int, read_at: ReadAt) -> bool:
    """The closing record has 22 bytes and then a comment, whose length are its last two."""
    _, found, rest = _tail(size, read_at).rpartition(b"PK\x05\x06")
    return bool(found) and 18 + int.from_bytes(rest[16:18], "little") <= len(rest)


def riff_length(size: int, read_at: ReadAt) -> bool:
    """RIFF tells its length; one that was written as a stream tells 0 or the highest number."""
    head = read_at(0, 12)
    declared = int.from_bytes(head[4:8], "little")
    if head[8:12] in (b"WAVE", b"AVI ") and declared in (0, 0xFFFFFFFF):
        return True
    return 4 <= declared <= size - 8


def form_length(size: int, read_at: ReadAt) -> bool:
    """The older relative of RIFF, with the bytes of its length the other way round."""
    return 4 <= int.from_bytes(read_at(4, 4), "big") <= size - 8


def boxes_with(*wanted: bytes) -> WholeCheck:
    """A check for boxes as in ISO base media: those at the top fill the file, and one of these is
    among them."""
    return partial(_has_boxes, frozenset(wanted))


def _has_boxes(wanted: frozenset[bytes], size: int, read_at: ReadAt) -> bool:
    offset, kinds = 0, set[bytes]()
    for _ in range(MAX_BOXES):
        if offset == size:
            return bool(kinds & wanted)
        header = read_at(offset, 16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - offset
        if len(header) < 8 or length < 8 or offset + length > size:
            return False
        kinds.add(header[4:8])
        offset += length
    return False


def jxl_end(size: int, read_at: ReadAt) -> bool:
    """In boxes one can tell; a bare codestream, which begins with FF 0A, does not say."""
    return read_at(0, 2) == b"\xff\n" or _has_boxes(frozenset({b"jxlc", b"jxlp"}), size, read_at)


def json_end(size: int, read_at: ReadAt) -> bool:
    """The brace that closes an object."""
    return _tail(size, read_at).rstrip(b" \t\r\n\0").endswith(b"}")


def _tail(size: int, read_at: ReadAt) -> bytes:
    start = max(0, size - TAIL_BYTES)
    return read_at(start, size - start)
