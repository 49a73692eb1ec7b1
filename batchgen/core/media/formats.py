"""What bytes are: kind, wholeness and size of a media file, told from the bytes alone.

Names, URLs and declared types are hearsay. Offsets and magic numbers are those of the formats'
own specifications. Everything here is safe on hostile bytes: it reads a bounded number of them and
never raises over what they say. HTML and JSON, the usual error pages, are never media.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

SNIFF_BYTES = 4096
"""How much of a file's beginning `sniff` looks at."""
TAIL_BYTES = 65_535 + 22
"""How much of its end is looked at for a closing mark: a ZIP's may have a comment behind it."""
MIN_BASE64_CHARACTERS = 64
"""Shorter texts are words that happen to be base64, never media."""

ReadAt = Callable[[int, int], bytes]
"""`read_at(offset, count)`: that many bytes of the file from there, fewer at its end."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """A kind of file: its extension without dot, and its MIME type."""

    extension: str
    mime: str


PNG = MediaType("png", "image/png")
JPEG = MediaType("jpg", "image/jpeg")
WEBP = MediaType("webp", "image/webp")
GIF = MediaType("gif", "image/gif")
BMP = MediaType("bmp", "image/bmp")
TIFF = MediaType("tiff", "image/tiff")
AVIF = MediaType("avif", "image/avif")
HEIC = MediaType("heic", "image/heic")
SVG = MediaType("svg", "image/svg+xml")
MP4 = MediaType("mp4", "video/mp4")
MOV = MediaType("mov", "video/quicktime")
M4A = MediaType("m4a", "audio/mp4")
WEBM = MediaType("webm", "video/webm")
MKV = MediaType("mkv", "video/x-matroska")
MP3 = MediaType("mp3", "audio/mpeg")
AAC = MediaType("aac", "audio/aac")
WAV = MediaType("wav", "audio/wav")
OGG = MediaType("ogg", "audio/ogg")
FLAC = MediaType("flac", "audio/flac")
GLB = MediaType("glb", "model/gltf-binary")
ZIP = MediaType("zip", "application/zip")
PDF = MediaType("pdf", "application/pdf")
TEXT = MediaType("txt", "text/plain")
JSON = MediaType("json", "application/json")

_MAGIC: tuple[tuple[bytes, MediaType], ...] = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
    (b"ID3", MP3),
    (b"OggS", OGG),
    (b"fLaC", FLAC),
    (b"glTF", GLB),
    (b"PK\x03\x04", ZIP),
    (b"%PDF-", PDF),
)
_BRANDS = {
    b"avif": AVIF,
    b"avis": AVIF,
    b"heic": HEIC,
    b"heix": HEIC,
    b"mif1": HEIC,
    b"qt  ": MOV,
    b"M4A ": M4A,
}
_HTML_MARKS = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script")


def sniff(head: bytes) -> MediaType | None:
    """The kind of media a file with this beginning is; None for text and for the unknown.

    12 bytes are enough for all but Matroska and SVG; up to `SNIFF_BYTES` are looked at.
    """
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if head[:4] == b"RIFF":
        return {b"WEBP": WEBP, b"WAVE": WAV}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], MP4)
    if head[:4] == b"\x1aE\xdf\xa3":
        return MKV if b"matroska" in head[:64] else WEBM
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return BMP
    return _sniff_frames(head) or (SVG if _is_svg(head[:SNIFF_BYTES]) else None)


def _sniff_frames(head: bytes) -> MediaType | None:
    """MPEG audio without a container begins with a frame: 11 set bits, then version and layer."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    layer = head[1] & 0x06
    if layer == 0:
        return AAC if head[1] & 0xF6 == 0xF0 else None
    known = head[1] & 0x18 != 0x08 and head[2] & 0xF0 != 0xF0 and head[2] & 0x0C != 0x0C
    return MP3 if layer == 0x02 and known else None


def _is_svg(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<svg"):
        return True
    return text.startswith((b"<?xml", b"<!--", b"<!DOCTYPE svg")) and b"<svg" in text


def is_html(head: bytes) -> bool:
    """Whether a file with this beginning is a web page, such as a gateway's error page."""
    text = head[:SNIFF_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return text.startswith(_HTML_MARKS) or (text.startswith(b"<") and b"<html" in text)


def text_kind(data: bytes) -> MediaType | None:
    """TEXT or JSON for what a text model answered (JSON: objects and lists); None for binary."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    if text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return TEXT
        return JSON
    return TEXT


def is_whole(media_type: MediaType, size: int, read_at: ReadAt) -> bool:
    """Whether a file is complete, as far as its format lets one tell; True where it does not.

    `size` in bytes. Meant against truncation, not against damage inside. Zero padding behind the
    end is accepted: some encoders write it.
    """
    check = _WHOLE.get(media_type)
    return size > 0 and (check is None or check(size, read_at))


def _tail(size: int, read_at: ReadAt, count: int) -> bytes:
    start = max(0, size - count)
    return read_at(start, size - start)


def _ends_with(mark: bytes) -> Callable[[int, ReadAt], bool]:
    def check(size: int, read_at: ReadAt) -> bool:
        return _tail(size, read_at, TAIL_BYTES).rstrip(b"\0").endswith(mark)

    return check


def _end_holds(mark: bytes) -> Callable[[int, ReadAt], bool]:
    def check(size: int, read_at: ReadAt) -> bool:
        return mark in _tail(size, read_at, TAIL_BYTES)

    return check


def _whole_zip(size: int, read_at: ReadAt) -> bool:
    """The closing record has 22 bytes and then a comment, whose length are its last two."""
    _, found, rest = _tail(size, read_at, TAIL_BYTES).rpartition(b"PK\x05\x06")
    return bool(found) and 18 + int.from_bytes(rest[16:18], "little") <= len(rest)


def _whole_riff(size: int, read_at: ReadAt) -> bool:
    """RIFF tells its length; a WAV written as a stream tells 0 or the highest number instead."""
    head = read_at(0, 12)
    declared = int.from_bytes(head[4:8], "little")
    if head[8:12] == b"WAVE" and declared in (0, 0xFFFFFFFF):
        return True
    return 4 <= declared <= size - 8


def _whole_length_at(offset: int) -> Callable[[int, ReadAt], bool]:
    def check(size: int, read_at: ReadAt) -> bool:
        return int.from_bytes(read_at(offset, 4), "little") <= size

    return check


MAX_BOXES = 100_000
"""A fragmented film of hours has some thousands of top-level boxes."""


def _whole_boxes(size: int, read_at: ReadAt) -> bool:
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


_WHOLE: dict[MediaType, Callable[[int, ReadAt], bool]] = {
    PNG: _ends_with(b"\0\0\0\0IEND\xaeB`\x82"),
    JPEG: _ends_with(b"\xff\xd9"),
    GIF: _ends_with(b"\x3b"),
    SVG: _end_holds(b"</svg>"),
    PDF: _end_holds(b"%%EOF"),
    ZIP: _whole_zip,
    WEBP: _whole_riff,
    WAV: _whole_riff,
    BMP: _whole_length_at(2),
    GLB: _whole_length_at(8),
    MP4: _whole_boxes,
    MOV: _whole_boxes,
    M4A: _whole_boxes,
    AVIF: _whole_boxes,
    HEIC: _whole_boxes,
}


def decode_data_uri(text: str) -> tuple[str, bytes] | None:
    """MIME type and bytes of a `data:` URI; None unless it is well-formed and holds media.

    The type is the declared one in lower case without parameters, or what the bytes are.
    """
    head, comma, payload = text.partition(",")
    if not comma or head[:5].lower() != "data:":
        return None
    declared, *parameters = head[5:].strip().lower().split(";")
    if parameters and parameters[-1].strip() == "base64":
        data = _decode_base64(payload)
    elif payload.isascii():
        data = unquote_to_bytes(payload)
    else:
        return None
    found = sniff(data) if data else None
    return (declared.strip() or found.mime, data) if data and found else None


def decode_base64_media(text: str) -> bytes | None:
    """The bytes of a text that is nothing but the base64 of media; None for any other text."""
    if len(text) < MIN_BASE64_CHARACTERS:
        return None
    # The beginning decides cheaply: most texts that come here are prose.
    head = _decode_base64(text[:SNIFF_BYTES] if len(text) > SNIFF_BYTES else text)
    if not head or sniff(head) is None:
        return None
    return head if len(text) <= SNIFF_BYTES else _decode_base64(text)


def _decode_base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
