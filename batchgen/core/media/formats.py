"""The registry of media: one row a format, one row a family. All other tables are made from it.

Names, URLs and declared types are hearsay: what a file is, is told from its bytes. Offsets and
magic numbers are those of the formats' own specifications. HTML and JSON, the usual error pages,
are never media.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from batchgen.core.media.dimensions import (
    UNKNOWN,
    Measure,
    Size,
    gif_size,
    jpeg_size,
    png_size,
    webp_size,
)
from batchgen.core.media.wholeness import (
    ReadAt,
    WholeCheck,
    boxes,
    end_holds,
    ends_with,
    length_at,
    riff_length,
    zip_end,
)

SNIFF_BYTES = 4096
"""How much of a file's beginning `sniff` looks at."""

Sign = Callable[[bytes], object]
"""Something true for the first bytes of a file of the format."""


class Preview(StrEnum):
    """How a page shows a file."""

    THUMBNAIL = "thumbnail"
    """A small picture, which Pillow can make; the whole one at full size."""
    PICTURE = "picture"
    """A picture at full size, by browsers that know the format."""
    DRAWING = "drawing"
    """The same, but never as a page of its own: it may hold scripts."""
    FILM = "film"
    """A player for films."""
    SOUND = "sound"
    """A player for sounds."""
    TEXT = "text"
    """Its first words; the whole file as plain text."""
    NONE = "none"
    """Its family and size; the file can be saved."""


@dataclass(frozen=True, slots=True)
class Family:
    """Formats of one kind of thing. `name` is also the name of their column in a dataset.

    `word` is what a page calls such a file. `body_keys` are the keys of a final body that may hold
    such files. A parameter with one of `parameter_words` in its name takes no other files.
    `feature` is the type of `datasets` that opens them. `typical_bytes` is a guess at what a job
    leaves on the disk where none was finished yet; one finished job is worth more.
    """

    name: str
    word: str
    body_keys: tuple[str, ...] = ()
    parameter_words: frozenset[str] = frozenset()
    feature: str = ""
    typical_bytes: float = 5e6


IMAGE = Family(
    "image",
    "Picture",
    ("images", "image"),
    frozenset({"image", "images", "img", "mask", "photo", "picture"}),
    feature="Image",
    typical_bytes=2e6,  # a megapixel as PNG is 1 to 2 MB
)
VIDEO = Family(
    "video",
    "Film",
    ("videos", "video"),
    frozenset({"video", "videos", "clip"}),
    feature="Video",
)
AUDIO = Family(
    "audio",
    "Sound",
    ("audios", "audio"),
    frozenset({"audio", "voice", "speech", "song", "music"}),
    feature="Audio",
)
MODEL = Family("model", "3D model")
TEXT = Family("text", "Text", typical_bytes=2e6)  # pages that say text return pictures as well
FILE = Family("file", "File", ("files", "file"))
"""All else, files of several families, and what a model makes that nobody knows: maybe films."""

FAMILIES: Mapping[str, Family] = {
    family.name: family for family in (IMAGE, VIDEO, AUDIO, MODEL, TEXT, FILE)
}
"""Every family by its name; their keys of a body are looked at in this order."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """A format. `extension` and `aliases` have no dot; files are saved under the first.

    Without a `sign` it is never told from bytes; without `whole` any length counts as whole;
    without `measure` it has no width and height. `is_row` says that a file with its extension, in
    a folder that jobs are made from, is a row. `is_loaded` says that loaders of datasets open it.
    """

    extension: str
    mime: str
    family: Family
    sign: Sign | None = None
    whole: WholeCheck | None = None
    measure: Measure | None = None
    aliases: tuple[str, ...] = ()
    preview: Preview = Preview.NONE
    is_row: bool = False
    is_loaded: bool = False

    @property
    def extensions(self) -> tuple[str, ...]:
        """All that files of the format may have."""
        return (self.extension, *self.aliases)


def _sign(pattern: bytes) -> Sign:
    return re.compile(pattern, re.DOTALL).match


_RATES = bytes(b for b in range(256) if b & 0xF0 != 0xF0 and b & 0x0C != 0x0C)
"""What may follow in a frame of MPEG audio: a bit rate and a sampling rate that there are."""

# fmt: off
FORMATS: tuple[MediaType, ...] = (
    MediaType("png", "image/png", IMAGE, _sign(rb"\x89PNG\r\n\x1a\n"),
              ends_with(b"\0\0\0\0IEND\xaeB`\x82"), png_size,
              preview=Preview.THUMBNAIL, is_row=True, is_loaded=True),
    MediaType("jpg", "image/jpeg", IMAGE, _sign(rb"\xff\xd8\xff"), ends_with(b"\xff\xd9"),
              jpeg_size, ("jpeg",), Preview.THUMBNAIL, is_row=True, is_loaded=True),
    MediaType("webp", "image/webp", IMAGE, _sign(rb"RIFF.{4}WEBP"), riff_length, webp_size,
              preview=Preview.THUMBNAIL, is_row=True, is_loaded=True),
    MediaType("gif", "image/gif", IMAGE, _sign(rb"GIF8[79]a"), ends_with(b"\x3b"), gif_size,
              preview=Preview.THUMBNAIL, is_row=True, is_loaded=True),
    MediaType("tiff", "image/tiff", IMAGE, _sign(rb"II\*\0|MM\0\*"), aliases=("tif",),
              preview=Preview.THUMBNAIL, is_row=True, is_loaded=True),
    MediaType("bmp", "image/bmp", IMAGE, _sign(rb"BM.{4}\0{4}"), length_at(2),
              preview=Preview.THUMBNAIL, is_row=True, is_loaded=True),
    MediaType("avif", "image/avif", IMAGE, _sign(rb".{4}ftypavi[fs]"), boxes,
              preview=Preview.THUMBNAIL, is_row=True),
    MediaType("heic", "image/heic", IMAGE, _sign(rb".{4}ftyp(hei[cx]|mif1)"), boxes,
              aliases=("heif",), preview=Preview.PICTURE, is_row=True),
    MediaType("svg", "image/svg+xml", IMAGE,
              _sign(rb"(\xef\xbb\xbf)?\s*(<svg|(<\?xml|<!--|<!DOCTYPE svg).*<svg)"),
              end_holds(b"</svg>"), preview=Preview.DRAWING),
    MediaType("m4a", "audio/mp4", AUDIO, _sign(rb".{4}ftypM4A "), boxes,
              preview=Preview.SOUND, is_row=True),
    MediaType("mov", "video/quicktime", VIDEO, _sign(rb".{4}ftypqt  "), boxes,
              preview=Preview.FILM, is_row=True, is_loaded=True),
    MediaType("mp4", "video/mp4", VIDEO, _sign(rb".{4}ftyp"), boxes, aliases=("m4v",),
              preview=Preview.FILM, is_row=True, is_loaded=True),
    MediaType("mkv", "video/x-matroska", VIDEO, _sign(rb"\x1aE\xdf\xa3.{0,52}matroska"),
              preview=Preview.FILM, is_row=True, is_loaded=True),
    MediaType("webm", "video/webm", VIDEO, _sign(rb"\x1aE\xdf\xa3"),
              preview=Preview.FILM, is_row=True),
    MediaType("avi", "video/x-msvideo", VIDEO, is_row=True),
    MediaType("mp3", "audio/mpeg", AUDIO,
              _sign(rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb][" + re.escape(_RATES) + rb"]."),
              preview=Preview.SOUND, is_row=True, is_loaded=True),
    MediaType("aac", "audio/aac", AUDIO, _sign(rb"\xff[\xf0\xf1\xf8\xf9].."),
              preview=Preview.SOUND, is_row=True),
    MediaType("wav", "audio/wav", AUDIO, _sign(rb"RIFF.{4}WAVE"), riff_length,
              preview=Preview.SOUND, is_row=True, is_loaded=True),
    MediaType("ogg", "audio/ogg", AUDIO, _sign(rb"OggS"), aliases=("opus",),
              preview=Preview.SOUND, is_row=True, is_loaded=True),
    MediaType("flac", "audio/flac", AUDIO, _sign(rb"fLaC"),
              preview=Preview.SOUND, is_row=True, is_loaded=True),
    MediaType("glb", "model/gltf-binary", MODEL, _sign(rb"glTF"), length_at(8)),
    MediaType("zip", "application/zip", FILE, _sign(rb"PK\x03\x04"), zip_end),
    MediaType("pdf", "application/pdf", FILE, _sign(rb"%PDF-"), end_holds(b"%%EOF")),
    MediaType("txt", "text/plain", TEXT, preview=Preview.TEXT),
    MediaType("json", "application/json", FILE, preview=Preview.TEXT),
)
# fmt: on
"""Every format. The first one whose sign fits is the format of a file."""

BY_EXTENSION: Mapping[str, MediaType] = {each.extension: each for each in FORMATS}
"""By the extension under which files are saved; aliases are not among them."""
BY_MIME: Mapping[str, MediaType] = {each.mime: each for each in FORMATS}


def mimes_shown(*previews: Preview) -> frozenset[str]:
    """The MIME types that a page shows in one of these ways."""
    return frozenset(each.mime for each in FORMATS if each.preview in previews)


def sniff(head: bytes) -> MediaType | None:
    """The format of a file with this beginning; None for text and for the unknown.

    12 bytes are enough for all but Matroska and SVG; up to `SNIFF_BYTES` are looked at.
    """
    head = head[:SNIFF_BYTES]
    return next((each for each in FORMATS if each.sign and each.sign(head)), None)


def is_whole(media_type: MediaType, size: int, read_at: ReadAt) -> bool:
    """Whether a file of `size` bytes is complete, as far as its format lets one tell."""
    return size > 0 and (media_type.whole is None or media_type.whole(size, read_at))


def dimensions(media_type: MediaType, read_at: ReadAt) -> Size:
    """Width and height of a PNG, JPEG, WebP or GIF; (0, 0) for others and where unreadable."""
    size = media_type.measure(read_at) if media_type.measure else UNKNOWN
    return size if all(size) else UNKNOWN
