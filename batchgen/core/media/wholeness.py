"""Checks whether a file is complete, one for each way in which a format lets one tell.

Meant against truncation, not against damage inside. Zero padding behind the end is accepted: some
encoders write it. Safe on hostile bytes: a check reads a bounded number of them and never raises.
"""

from __future__ import annotations

from collections.abc import Callable

ReadAt = Callable[[int, int], bytes]
"""`read_at(offset, count)`: that many bytes of the file from there, fewer at its end."""
WholeCheck = Callable[[int, ReadAt], bool]
"""Whether a file of so many bytes is complete."""

TAIL_BYTES = 65_535 + 22
"""How much of a file's end is looked at: the closing mark of a ZIP may have a comment behind it."""
MAX_BOXES = 100_000
"""A fragmented film of hours has some thousands of top-level boxes."""


def ends_with(mark: bytes) -> WholeCheck:
    """A check for a mark at the very end."""

    def check(size: int, read_at: ReadAt) -> bool:
        return _tail(size, read_at).rstrip(b"\0").endswith(mark)

    return check


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
    """RIFF tells its length; a WAV written as a stream tells 0 or the highest number instead."""
    head = read_at(0, 12)
    declared = int.from_bytes(head[4:8], "little")
    if head[8:12] == b"WAVE" and declared in (0, 0xFFFFFFFF):
        return True
    return 4 <= declared <= size - 8


def boxes(size: int, read_at: ReadAt) -> bool:
    """ISO base media: the top-level boxes fill the file, and the index is among them."""
    offset, kinds = 0, set[bytes]()
    for _ in range(MAX_BOXES):
        if offset == size:
            return bool(kinds & {b"moov", b"moof", b"meta"})
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


def _tail(size: int, read_at: ReadAt) -> bytes:
    start = max(0, size - TAIL_BYTES)
    return read_at(start, size - start)
