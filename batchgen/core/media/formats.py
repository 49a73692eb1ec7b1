"""The registry of media: one row a format, one row a family. All other tables are made from it.

Names, URLs and declared types are hearsay: what a file is, is told from its bytes. Offsets and
magic numbers are those of the formats' own specifications (`signs`). HTML and JSON, the usual error
pages, are never media.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from batchgen.core.media.signs import (
    DAE,
    GLTF,
    MP3,
    OBJ,
    SRT,
    STL,
    SVG,
    Sign,
    sign,
    transport_stream,
    zip_of,
    zip_with,
)
from batchgen.core.media.wholeness import (
    ReadAt,
    WholeCheck,
    boxes_with,
    end_holds,
    form_length,
    gif_end,
    jpeg_end,
    json_end,
    jxl_end,
    length_at,
    midi_end,
    png_end,
    riff_length,
    triangles,
    zip_end,
)

SNIFF_BYTES = 4096
"""How much of a file's beginning `sniff` looks at."""


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
    without `measure` it has no width and height. `told_by_length`: a file of that length is one,
    whatever it begins with, and whole. `is_row` says that a file with its extension, in
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
    told_by_length: WholeCheck | None = None

    @property
    def extensions(self) -> tuple[str, ...]:
        """All that files of the format may have."""
        return (self.extension, *self.aliases)


_BOXES = boxes_with(b"moov", b"moof", b"meta")
_BOM = rb"(\xef\xbb\xbf)?"

# fmt: off
FORMATS: tuple[MediaType, ...] = (
    MediaType("png", "image/png", IMAGE, sign(rb"\x89PNG\r\n\x1a\n"), png_end, png_size,
              preview=Preview.THUMBNAIL, is_row=True, is_loaded=True),
    MediaType("jpg", "image/jpeg", IMAGE, sign(rb"\xff\xd8\xff"), jpeg_end,
              jpeg_size, ("jpeg",), Preview.THUMBNAIL, is_row=True, is_loaded=True),
    MediaType("webp", "image/webp", IMAGE, sign(rb"RIFF.{4}WEBP"), riff_length, webp_size,
              preview=Preview.THUMBNAIL, is_row=True, is_loaded=True),
    MediaType("gif", "image/gif", IMAGE, sign(rb"GIF8[79]a"), gif_end, gif_size,
              preview=Preview.THUMBNAIL, is_row=True, is_loaded=True),
    MediaType("tiff", "image/tiff", IMAGE, sign(rb"II\*\0|MM\0\*"), aliases=("tif",),
              preview=Preview.THUMBNAIL, is_row=True, is_loaded=True),
    MediaType("bmp", "image/bmp", IMAGE, sign(rb"BM.{4}\0{4}"), length_at(2),
              preview=Preview.THUMBNAIL, is_row=True, is_loaded=True),
    MediaType("avif", "image/avif", IMAGE, sign(rb".{4}ftypavi[fs]"), _BOXES,
              preview=Preview.THUMBNAIL, is_row=True),
    MediaType("heic", "image/heic", IMAGE, sign(rb".{4}ftyp(hei[cmsx]|hev[cx]|mif1|msf1)"), _BOXES,
              aliases=("heif",), preview=Preview.PICTURE, is_row=True),
    MediaType("jxl", "image/jxl", IMAGE, sign(rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\n"), jxl_end,
              preview=Preview.PICTURE),
    MediaType("jp2", "image/jp2", IMAGE, sign(rb"\0\0\0\x0cjP  \r\n\x87\n"), boxes_with(b"jp2c")),
    MediaType("svg", "image/svg+xml", IMAGE, SVG, end_holds(b"</svg>"), preview=Preview.DRAWING),
    MediaType("psd", "image/vnd.adobe.photoshop", IMAGE, sign(rb"8BPS\0[\1\2]")),
    MediaType("exr", "image/x-exr", IMAGE, sign(rb"\x76\x2f\x31\x01")),
    MediaType("hdr", "image/vnd.radiance", IMAGE, sign(rb"#\?R(ADIANC|GB)E?\n")),
    MediaType("m4a", "audio/mp4", AUDIO, sign(rb".{4}ftypM4[AB] "), _BOXES, aliases=("m4b",),
              preview=Preview.SOUND, is_row=True),
    MediaType("mov", "video/quicktime", VIDEO, sign(rb".{4}ftypqt  "), _BOXES,
              preview=Preview.FILM, is_row=True, is_loaded=True),
    MediaType("3gp", "video/3gpp", VIDEO, sign(rb".{4}ftyp3g[2egprs]"), _BOXES, aliases=("3g2",)),
    MediaType("mp4", "video/mp4", VIDEO, sign(rb".{4}ftyp"), _BOXES, aliases=("m4v",),
              preview=Preview.FILM, is_row=True, is_loaded=True),
    MediaType("mkv", "video/x-matroska", VIDEO, sign(rb"\x1aE\xdf\xa3.{0,52}matroska"),
              preview=Preview.FILM, is_row=True, is_loaded=True),
    MediaType("webm", "video/webm", VIDEO, sign(rb"\x1aE\xdf\xa3"),
              preview=Preview.FILM, is_row=True),
    MediaType("avi", "video/x-msvideo", VIDEO, sign(rb"RIFF.{4}AVI "), riff_length, is_row=True),
    MediaType("mpg", "video/mpeg", VIDEO, sign(rb"\0\0\x01[\xba\xb3]"), aliases=("mpeg",)),
    MediaType("ts", "video/mp2t", VIDEO, transport_stream),
    MediaType("flv", "video/x-flv", VIDEO, sign(rb"FLV\x01")),
    MediaType("wmv", "video/x-ms-wmv", VIDEO, sign(rb"0&\xb2u\x8ef\xcf\x11"), aliases=("wma",)),
    MediaType("mp3", "audio/mpeg", AUDIO, MP3,
              preview=Preview.SOUND, is_row=True, is_loaded=True),
    MediaType("aac", "audio/aac", AUDIO, sign(rb"\xff[\xf0\xf1\xf8\xf9]..|ADIF"),
              preview=Preview.SOUND, is_row=True),
    MediaType("wav", "audio/wav", AUDIO, sign(rb"(RIFF|RF64).{4}WAVE"), riff_length,
              preview=Preview.SOUND, is_row=True, is_loaded=True),
    MediaType("ogg", "audio/ogg", AUDIO, sign(rb"OggS"), aliases=("opus",),
              preview=Preview.SOUND, is_row=True, is_loaded=True),
    MediaType("flac", "audio/flac", AUDIO, sign(rb"fLaC"),
              preview=Preview.SOUND, is_row=True, is_loaded=True),
    MediaType("aiff", "audio/aiff", AUDIO, sign(rb"FORM.{4}AIF[FC]"), form_length,
              aliases=("aif", "aifc")),
    MediaType("mid", "audio/midi", AUDIO, sign(rb"MThd\0\0\0\x06"), midi_end, aliases=("midi",)),
    MediaType("amr", "audio/amr", AUDIO, sign(rb"#!AMR")),
    MediaType("caf", "audio/x-caf", AUDIO, sign(rb"caff\0\x01")),
    MediaType("glb", "model/gltf-binary", MODEL, sign(rb"glTF"), length_at(8)),
    MediaType("gltf", "model/gltf+json", MODEL, GLTF, json_end),
    MediaType("obj", "model/obj", MODEL, OBJ),
    MediaType("ply", "model/ply", MODEL, sign(rb"ply\r?\n(comment[^\n]*\n)*format ")),
    MediaType("stl", "model/stl", MODEL, STL, end_holds(b"endsolid"), told_by_length=triangles),
    MediaType("fbx", "model/fbx", MODEL, sign(rb"Kaydara FBX Binary  \0|; FBX \d")),
    MediaType("dae", "model/vnd.collada+xml", MODEL, DAE, end_holds(b"</COLLADA>")),
    MediaType("usdz", "model/vnd.usdz+zip", MODEL, zip_of(b".usd", b".usda", b".usdc"), zip_end),
    MediaType("usd", "model/vnd.usd", MODEL, sign(rb"PXR-USDC|#usda "), aliases=("usda", "usdc")),
    MediaType("3mf", "model/3mf", MODEL, zip_with(b"3D/3dmodel.model"), zip_end),
    MediaType("blend", "model/x-blender", MODEL, sign(rb"BLENDER[-_v\d]")),
    MediaType("drc", "model/x-draco", MODEL, sign(rb"DRACO")),
    MediaType("vtt", "text/vtt", TEXT, sign(_BOM + rb"WEBVTT(\s|$)"), preview=Preview.TEXT),
    MediaType("srt", "application/x-subrip", TEXT, SRT, preview=Preview.TEXT),
    MediaType("ass", "text/x-ssa", TEXT, sign(_BOM + rb"\[Script Info\]"), aliases=("ssa",),
              preview=Preview.TEXT),
    MediaType("npz", "application/x-npz", FILE, zip_of(b".npy"), zip_end),
    MediaType("npy", "application/x-npy", FILE, sign(rb"\x93NUMPY")),
    MediaType("zip", "application/zip", FILE, sign(rb"PK\x03\x04"), zip_end),
    MediaType("tar", "application/x-tar", FILE, sign(rb".{257}ustar")),
    MediaType("gz", "application/gzip", FILE, sign(rb"\x1f\x8b\x08")),
    MediaType("zst", "application/zstd", FILE, sign(rb"\x28\xb5\x2f\xfd")),
    MediaType("7z", "application/x-7z-compressed", FILE, sign(rb"7z\xbc\xaf\x27\x1c")),
    MediaType("pdf", "application/pdf", FILE, sign(rb"%PDF-"), end_holds(b"%%EOF")),
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


def kind_of(size: int, read_at: ReadAt) -> MediaType | None:
    """The format of a whole file of `size` bytes; None for text and for the unknown."""
    by_length = (each for each in FORMATS if each.told_by_length)
    return sniff(read_at(0, SNIFF_BYTES)) or next(
        (each for each in by_length if each.told_by_length and each.told_by_length(size, read_at)),
        None,
    )


def is_whole(media_type: MediaType, size: int, read_at: ReadAt) -> bool:
    """Whether a file of `size` bytes is complete, as far as its format lets one tell."""
    if media_type.told_by_length and media_type.told_by_length(size, read_at):
        return True
    return size > 0 and (media_type.whole is None or media_type.whole(size, read_at))


def dimensions(media_type: MediaType, read_at: ReadAt) -> Size:
    """Width and height of a PNG, JPEG, WebP or GIF; (0, 0) for others and where unreadable."""
    size = media_type.measure(read_at) if media_type.measure else UNKNOWN
    return size if all(size) else UNKNOWN
