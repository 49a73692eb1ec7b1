"""Minimal media without Pillow: valid, whole, different for every output, made in microseconds."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Mapping

from batchgen.providers.segmind.simulator.media.odd import ODD, TAIL
from batchgen.providers.segmind.simulator.messages import MediaRef, Reply

_SIDE_PX = 4


def tiny_media(ref: MediaRef) -> bytes:
    """The media of a reference; a picture is a 4 × 4 PNG whatever format and size are asked."""
    return MAKERS[ref.format](ref) if ref.data is None else ref.data


def is_drawn(ref: MediaRef) -> bool:
    """Whether a reference means a picture that can be drawn in its format and size."""
    return ref.data is None and ref.format in DRAWN


def answer_text(ref: MediaRef) -> str:
    """What a text model says."""
    prompt = str(ref.params.get("prompt", ""))
    return f"Simulated answer of {ref.model} (seed {ref.seed}) to: {prompt}"


def body_bytes(reply: Reply, render: Callable[[MediaRef], bytes] = tiny_media) -> bytes:
    """The bytes of a reply's body, media made by `render`."""
    return reply.body if isinstance(reply.body, bytes) else render(reply.body)


def tiny_png(name: str) -> bytes:
    """A PNG whose 16 pixels are made from a name: equal names, equal bytes."""
    pixels = hashlib.sha384(name.encode()).digest()
    row = _SIDE_PX * 3
    rows = b"".join(b"\0" + pixels[at : at + row] for at in range(0, row * _SIDE_PX, row))
    header = struct.pack(">IIBBBBB", _SIDE_PX, _SIDE_PX, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, data) for kind, data in chunks)


def tiny_mp4(name: str) -> bytes:
    """An MP4 container without a track; `name` stands in a free box."""
    brand = _mp4_box(b"ftyp", b"isom" + struct.pack(">I", 512) + b"isomiso2mp41")
    # mvhd version 0: two instants, 1000 ticks a second, no duration, normal rate and volume,
    # the identity matrix, and 1 as the next track.
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    times = struct.pack(">IIIIIIH", 0, 0, 0, 1000, 0, 0x10000, 0x0100)
    header = _mp4_box(b"mvhd", times + bytes(10) + matrix + bytes(24) + struct.pack(">I", 1))
    return brand + _mp4_box(b"free", name.encode()) + _mp4_box(b"moov", header)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _mp4_box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data) + 8) + kind + data


def _name(ref: MediaRef) -> str:
    return f"{ref.request_id}/{ref.index}"


def _named(maker: Callable[[str], bytes]) -> Callable[[MediaRef], bytes]:
    return lambda ref: maker(_name(ref))


DRAWN = ("png", "jpg", "webp")
"""The formats in which pictures are drawn."""
MAKERS: Mapping[str, Callable[[MediaRef], bytes]] = {
    **dict.fromkeys(DRAWN, lambda ref: tiny_png(_name(ref))),
    "mp4": lambda ref: tiny_mp4(_name(ref)),
    "txt": lambda ref: answer_text(ref).encode("utf-8", "replace"),
    "png+tail": lambda ref: tiny_png(_name(ref)) + TAIL,
    **{kind: _named(maker) for kind, maker in ODD.items()},
}
"""Every kind of file that the simulator makes; its extension ends at a `+`."""
