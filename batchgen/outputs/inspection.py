"""Looking into a file: what it is, whether it is whole, how big its picture is."""

from __future__ import annotations

import os
from dataclasses import dataclass

from batchgen.core.media.formats import SNIFF_BYTES, MediaType, dimensions, is_whole, sniff
from batchgen.core.media.texts import is_html, text_kind
from batchgen.core.media.wholeness import ReadAt
from batchgen.ports import SaveError, SaveFault

MAX_TEXT_BYTES = 64 * 2**20
"""Longer texts are not taken for text: all of it is read to tell. A guess."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """A whole file of a known kind. `size` in bytes; width and height in pixels or 0."""

    media_type: MediaType
    size: int
    width: int
    height: int


def of_file(descriptor: int) -> ReadAt:
    """How to read an open file."""
    return lambda offset, count: os.pread(descriptor, count, offset)


def of_bytes(data: bytes) -> ReadAt:
    """How to read what is in memory."""
    return lambda offset, count: data[offset : offset + count]


def inspect(size: int, read_at: ReadAt, declared: str, *, ours: bool, confirmed: bool) -> Inspected:
    """What a file of `size` bytes is.

    `declared` is the type the service announced, or empty. `ours`: the bytes came inside an answer
    of the service itself and not from a web server with error pages. `confirmed`: all bytes came,
    so that a file which ends early was broken before. Raises `SaveError` when the bytes are no
    whole file of a known kind.
    """
    if size == 0:
        raise SaveError(SaveFault.BAD_CONTENT, "it is empty")
    head = read_at(0, SNIFF_BYTES)
    media_type = sniff(head)
    if media_type is None:
        # Text is an output only where the service announced text: else it is an error page.
        if not _announces_text(declared) or (is_html(head) and not ours):
            raise _unknown(head, size)
        return Inspected(_text_kind(head, size, read_at), size, 0, 0)
    if not is_whole(media_type, size, read_at):
        fault = SaveFault.BAD_CONTENT if confirmed else SaveFault.TRANSIENT
        raise SaveError(fault, f"the {media_type.extension} ends early, after {size} bytes")
    return Inspected(media_type, size, *dimensions(media_type, read_at))


def _announces_text(declared: str) -> bool:
    name = declared.partition(";")[0].strip().lower()
    return name.startswith("text/") or name == "application/json"


def _text_kind(head: bytes, size: int, read_at: ReadAt) -> MediaType:
    kind = text_kind(read_at(0, size)) if size <= MAX_TEXT_BYTES else None
    if kind is None:
        raise _unknown(head, size)
    return kind


def _unknown(head: bytes, size: int) -> SaveError:
    what = "a web page" if is_html(head) else "not a kind of media known here"
    return SaveError(SaveFault.BAD_CONTENT, f"it is {what} ({size} bytes)")
