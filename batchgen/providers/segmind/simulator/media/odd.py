"""Minimal files of kinds that a check of files may know little of, different for every name."""

from __future__ import annotations

import base64
import io
import json
import struct
import zipfile
from collections.abc import Callable, Mapping

TAIL = b"\n<metadata>what a camera wrote behind the end</metadata>\n"
"""Bytes behind the end of a file, as cameras and editors leave them."""
_TS_PACKET_BYTES = 188
_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP////////////////////////////////////////////////////////////"
    "//////////////////////////wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAAAAAAAAAA"
    "AAAAAAD/2gAIAQEAAD8AP//Z"
)
"""8 × 8 grey pixels."""
_GIF = base64.b64decode("R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=")
"""One white pixel."""


def tiny_jpeg(name: str) -> bytes:
    """A JPEG with a name as its comment."""
    return _JPEG[:2] + b"\xff\xfe" + struct.pack(">H", len(name) + 2) + name.encode() + _JPEG[2:]


def tiny_gif(name: str) -> bytes:
    """A GIF with a name as its comment."""
    return _GIF[:-1] + b"!\xfe" + bytes([len(name)]) + name.encode() + b"\0;"


def tiny_wav(name: str) -> bytes:
    """A WAV of no sound, with a name in a chunk of its own."""
    form = struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)
    return _riff(b"WAVE", (b"fmt ", form), (b"note", name.encode()), (b"data", b""))


def _riff(kind: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + kind + body


def _avi(name: str) -> bytes:
    return _riff(b"AVI ", (b"LIST", b"hdrlavih" + struct.pack("<I", 56) + bytes(56)),
                 (b"JUNK", name.encode()), (b"LIST", b"movi"))  # fmt: skip


def _aiff(name: str) -> bytes:
    common = struct.pack(">hIh", 1, 0, 8) + b"\x40\x0b\xfa" + bytes(7)
    chunks = ((b"COMM", common), (b"NAME", name.encode()), (b"SSND", bytes(8)))
    body = b"".join(
        kind + struct.pack(">I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks
    )
    return b"FORM" + struct.pack(">I", len(body) + 4) + b"AIFF" + body


def _jxl(name: str) -> bytes:
    boxes = ((b"JXL ", b"\r\n\x87\n"), (b"ftyp", b"jxl \0\0\0\0jxl "), (b"jxlc", b"\xff\x0a"))
    named = (*boxes, (b"xml ", f"<name>{name}</name>".encode()))
    return b"".join(struct.pack(">I", len(data) + 8) + kind + data for kind, data in named)


def _midi(name: str) -> bytes:
    track = b"\0\xff\x03" + bytes([len(name)]) + name.encode() + b"\0\xff\x2f\0"
    head = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96)
    return head + b"MTrk" + struct.pack(">I", len(track)) + track


def _ts(name: str) -> bytes:
    """Two empty packets of an MPEG transport stream."""
    packet = (b"\x47\x1f\xff\x10" + name.encode()).ljust(_TS_PACKET_BYTES, b"\xff")
    return packet * 2


def _usdz(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("model.usda"), f'#usda 1.0\n(doc = "{name}")\n')
    return out.getvalue()


def _ply(name: str) -> bytes:
    axes = "".join(f"property float {axis}\n" for axis in "xyz")
    head = f"ply\nformat ascii 1.0\ncomment {name}\nelement vertex 1\n{axes}end_header\n"
    return f"{head}0 0 0\n".encode()


def _stl(name: str) -> bytes:
    loop = "outer loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop"
    return f"solid {name}\nfacet normal 0 0 1\n{loop}\nendfacet\nendsolid {name}\n".encode()


def _mp4_without_index(name: str) -> bytes:
    """What a recorder leaves that was broken off: the pictures, and no `moov` box."""
    boxes = ((b"ftyp", b"isom\0\0\2\0isomiso2mp41"), (b"mdat", name.encode()))
    return b"".join(struct.pack(">I", len(data) + 8) + kind + data for kind, data in boxes)


ODD: Mapping[str, Callable[[str], bytes]] = {
    "obj": lambda name: f"# {name}\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n".encode(),
    "ply": _ply,
    "stl": _stl,
    "gltf": lambda name: json.dumps({"asset": {"version": "2.0", "generator": name}}).encode(),
    "usdz": _usdz,
    "avi": _avi,
    "ts": _ts,
    "mp4+without-index": _mp4_without_index,
    "aiff": _aiff,
    "mid": _midi,
    "wav": tiny_wav,
    "wav+tail": lambda name: tiny_wav(name) + TAIL,
    "jxl": _jxl,
    "jpg+tail": lambda name: tiny_jpeg(name) + TAIL,
    "gif+tail": lambda name: tiny_gif(name) + TAIL,
    "srt": lambda name: f"1\n00:00:00,000 --> 00:00:01,000\n{name}\n".encode(),
    "vtt": lambda name: f"WEBVTT\n\n00:00.000 --> 00:01.000\n{name}\n".encode(),
    "bin": lambda name: b"\x93\x07\x01" + name.encode(),
}
"""By extension; behind a `+` stands what is odd about the file."""

TYPES: Mapping[str, str] = {
    "obj": "model/obj",
    "ply": "application/octet-stream",
    "stl": "model/stl",
    "gltf": "model/gltf+json",
    "usdz": "model/vnd.usdz+zip",
    "avi": "video/x-msvideo",
    "ts": "video/mp2t",
    "aiff": "audio/aiff",
    "mid": "audio/midi",
    "jxl": "image/jxl",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
}
"""The content types under which they are served, where `core.media` does not know them."""
