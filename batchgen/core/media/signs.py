"""How formats are told from their first bytes, by the specifications of each.

A sign is something true for the beginning of such a file. Most are magic numbers; those of text
formats are the words such a file must begin with.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Sign = Callable[[bytes], object]
"""Something true for the first bytes of a file of the format."""

_ZIP = b"PK\x03\x04"
_TS_BYTES = 188
"""Length of a packet of an MPEG transport stream."""


def sign(pattern: bytes) -> Sign:
    """A sign by a pattern that the file begins with."""
    return re.compile(pattern, re.DOTALL).match


def zip_of(*extensions: bytes) -> Sign:
    """A ZIP whose first entry is such a file, as formats that are packed demand."""

    def check(head: bytes) -> bool:
        length = int.from_bytes(head[26:28], "little")
        return head.startswith(_ZIP) and head[30 : 30 + length].lower().endswith(extensions)

    return check


def zip_with(entry: bytes) -> Sign:
    """A ZIP with such an entry among its first ones."""
    return lambda head: head.startswith(_ZIP) and entry in head


def transport_stream(head: bytes) -> bool:
    """MPEG-TS: packets that all begin with the same byte."""
    starts = head[::_TS_BYTES]
    return len(starts) > 2 and set(starts) == {0x47}


RATES = bytes(b for b in range(256) if b & 0xF0 != 0xF0 and b & 0x0C != 0x0C)
"""What may follow in a frame of MPEG audio: a bit rate and a sampling rate that there are."""

MP3 = sign(rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb][" + re.escape(RATES) + rb"].")
SVG = sign(rb"(\xef\xbb\xbf)?\s*(<svg|(<\?xml|<!--|<!DOCTYPE svg).*<svg)")
_LINE = rb"[^\r\n]*\r?\n"
_NUMBERS = rb"(?:[ \t]+-?\d[\d.eE+-]*){3,}"
OBJ = sign(rb"(?:(?:#|(?:mtllib|usemtl|o|g|s)[ \t])" + _LINE + rb"|\s)*v" + _NUMBERS + rb"\s*\n")
"""Wavefront: comments and names, and then a vertex."""
STL = sign(rb"\s*solid\b" + _LINE + rb"\s*facet\s+normal\b")
GLTF = sign(rb"\s*\{.*\"asset\"\s*:\s*\{[^{}]*\"version\"\s*:\s*\"")
SRT = sign(rb"(\xef\xbb\xbf)?\s*\d+[ \t]*\r?\n\d+:\d\d:\d\d[,.]\d+ +--> +\d+:\d\d:\d\d[,.]\d+")
DAE = sign(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<COLLADA\b")
