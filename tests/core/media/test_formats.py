import base64
import gzip
import io
import struct
import zlib

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from batchgen.core.media.formats import (
    BY_EXTENSION,
    FAMILIES,
    FORMATS,
    SNIFF_BYTES,
    dimensions,
    is_whole,
    sniff,
)
from batchgen.core.media.texts import decode_base64_media, decode_data_uri, is_html, text_kind
from batchgen.core.net.decompression import SLICE_BYTES, Inflater, is_plain

try:
    from compression import zstd
except ImportError:
    from backports import zstd


def picture(form, size=(37, 21), **options):
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, 40)).save(out, form, **options)
    return out.getvalue()


def reader(data):
    return lambda offset, count: data[offset : offset + count]


def box(kind, payload=b""):
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def riff(kind, payload=b"x" * 20):
    return b"RIFF" + struct.pack("<I", 4 + len(payload)) + kind + payload


MP4 = box(b"ftyp", b"isom\0\0\0\0") + box(b"moov", b"m" * 50) + box(b"mdat", b"d" * 500)
BIG_BOX = struct.pack(">I4sQ", 1, b"mdat", 16 + 100) + b"d" * 100
GLB = b"glTF" + struct.pack("<II", 2, 40) + b"j" * 28
BMP = picture("BMP")

PICTURES = [
    (BY_EXTENSION["png"], picture("PNG")),
    (BY_EXTENSION["jpg"], picture("JPEG")),
    (BY_EXTENSION["jpg"], picture("JPEG", progressive=True)),
    (BY_EXTENSION["jpg"], picture("JPEG", icc_profile=b"p" * 200_000, comment=b"c" * 60_000)),
    (BY_EXTENSION["webp"], picture("WEBP")),
    (BY_EXTENSION["webp"], picture("WEBP", lossless=True)),
    (BY_EXTENSION["webp"], picture("WEBP", icc_profile=b"p" * 50)),
    (BY_EXTENSION["gif"], picture("GIF")),
]
OTHERS = [
    (BY_EXTENSION["bmp"], BMP),
    (BY_EXTENSION["avif"], box(b"ftyp", b"avif\0\0\0\0") + box(b"meta", b"x") + box(b"mdat", b"d")),
    (BY_EXTENSION["mp4"], MP4),
    (BY_EXTENSION["mp4"], box(b"ftyp", b"iso5") + box(b"moof") + BIG_BOX),
    (
        BY_EXTENSION["mp4"],
        box(b"ftyp", b"iso5") + box(b"moov") + struct.pack(">I4s", 0, b"mdat") + b"rest",
    ),
    (BY_EXTENSION["mov"], box(b"ftyp", b"qt  ") + box(b"moov")),
    (BY_EXTENSION["wav"], riff(b"WAVE")),
    (BY_EXTENSION["glb"], GLB),
    (BY_EXTENSION["zip"], b"PK\x03\x04" + b"x" * 30 + b"PK\x05\x06" + b"\0" * 18),
    (BY_EXTENSION["pdf"], b"%PDF-1.7\nstuff\n%%EOF\n"),
    (
        BY_EXTENSION["svg"],
        b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>\n',
    ),
]


def test_every_extension_and_mime_type_stands_for_one_format():
    for names in (
        [extension for each in FORMATS for extension in each.extensions],
        [each.mime for each in FORMATS],
        [key for family in FAMILIES.values() for key in family.body_keys],
    ):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(("kind", "data"), PICTURES + OTHERS)
def test_whole_files(kind, data):
    assert sniff(data[:SNIFF_BYTES]) == kind
    assert is_whole(kind, len(data), reader(data))


@pytest.mark.parametrize(("kind", "data"), PICTURES + OTHERS)
@pytest.mark.parametrize("missing", [1, 3, "half"])
def test_truncation_is_noticed(kind, data, missing):
    if data.endswith(b"rest") or kind in (BY_EXTENSION["pdf"], BY_EXTENSION["svg"]):
        missing = len(data) - 10  # these may lose their last bytes and be whole still
    cut = data[: len(data) // 2] if missing == "half" else data[:-missing]
    assert not is_whole(kind, len(cut), reader(cut))


@pytest.mark.parametrize(("kind", "data"), PICTURES)
def test_dimensions_and_padding(kind, data):
    assert dimensions(kind, reader(data)) == (37, 21)
    padded = data + b"\0" * 100
    assert is_whole(kind, len(padded), reader(padded))


def test_video_without_its_index_is_not_whole():
    cut = box(b"ftyp", b"isom") + box(b"mdat", b"d" * 500)
    assert not is_whole(BY_EXTENSION["mp4"], len(cut), reader(cut))


def test_a_streamed_wav_tells_no_length():
    data = b"RIFF\xff\xff\xff\xffWAVE" + b"x" * 50
    assert is_whole(BY_EXTENSION["wav"], len(data), reader(data))


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"ID3\x04\0\0", BY_EXTENSION["mp3"]),
        (b"\xff\xfb\x90\x64", BY_EXTENSION["mp3"]),
        (b"\xff\xf1\x50\x80", BY_EXTENSION["aac"]),
        (b"OggS\0\x02", BY_EXTENSION["ogg"]),
        (b"fLaC\0\0", BY_EXTENSION["flac"]),
        (b"II*\0\x08\0", BY_EXTENSION["tiff"]),
        (b"MM\0*\0\0", BY_EXTENSION["tiff"]),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", BY_EXTENSION["webm"]),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x88matroska", BY_EXTENSION["mkv"]),
        (b"\0\0\0\x18ftypheic", BY_EXTENSION["heic"]),
        (b"\0\0\0\x18ftypM4A ", BY_EXTENSION["m4a"]),
        (b"\xef\xbb\xbf\n<svg width='1'/>", BY_EXTENSION["svg"]),
    ],
)
def test_sniffing_other_beginnings(head, kind):
    assert sniff(head) == kind


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"<!DOCTYPE html><html><svg></svg></html>",
        b"<html><body>502 Bad Gateway</body></html>",
        b'{"error": "not found"}',
        b"plain words",
        b"BMW is a car",
        b"RIFFxxxxACON",
        b"# Notes\nv 2 is out\n",
        b"solid ground\nis not a model",
        b"1\n00:00 is midnight",
        b"ply me with questions",
        b'{"assets": {"version": 2}}',
        b"G" * 188 * 2,
        b"\xff\xff\xff\xff",
        b"\xff",
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    ],
)
def test_what_is_no_media(head):
    assert sniff(head) is None


@pytest.mark.parametrize(
    ("head", "html"),
    [
        (b"<!DOCTYPE HTML><p>", True),
        (b"\xef\xbb\xbf  <html lang='en'>", True),
        (b"<!-- c --><html>", True),
        (b"words about <html>", False),
        (b"<svg>", False),
        (b"{}", False),
    ],
)
def test_web_pages(head, html):
    assert is_html(head) is html


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"a": [1]}', BY_EXTENSION["json"]),
        (b" [1, 2]", BY_EXTENSION["json"]),
        (b"{not json}", BY_EXTENSION["txt"]),
        (b"[" * 100_000, BY_EXTENSION["txt"]),
        ("straße".encode(), BY_EXTENSION["txt"]),
        (b'"quoted"', BY_EXTENSION["txt"]),
        (b"\xff\xfe", None),
        (b"a\0b", None),
    ],
)
def test_text_kinds(data, kind):
    assert text_kind(data) == kind


PNG = picture("PNG")
BASE64 = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"data:image/png;base64,{BASE64}", ("image/png", PNG)),
        (f"DATA:Image/PNG;name=x.png;Base64,{BASE64}", ("image/png", PNG)),
        (f"data:;base64,{BASE64}", ("image/png", PNG)),
        ("data:image/svg+xml,%3Csvg%3E%3C/svg%3E", ("image/svg+xml", b"<svg></svg>")),
        ("data:image/png;base64,", None),
        ("data:image/png;base64", None),
        (f"data:image/png;base64,{BASE64}!", None),
        (f"data:image/png;base64,{BASE64[:-1]}", None),
        ("data:image/png;base64,aGVsbG8=", None),
        ("data:text/html,<html></html>", None),
        ("data:text/plain,hello", None),
        (f"image/png;base64,{BASE64}", None),
        ("data:image/svg+xml,<svg>é</svg>", None),
    ],
)
def test_data_uris(text, expected):
    assert decode_data_uri(text) == expected


@pytest.mark.parametrize("data", [PNG, picture("PNG", (300, 300)) + b"\0" * 20_000])
def test_bare_base64(data):
    assert decode_base64_media(base64.b64encode(data).decode()) == data


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "A" * 200,
        BASE64[:40],
        BASE64[:-1],
        BASE64 + "é",
        f"{BASE64[:80]}\n{BASE64[80:]}",
    ],
)
def test_texts_that_are_no_bare_base64(text):
    assert decode_base64_media(text) is None


KINDS = sorted({kind for kind, _ in PICTURES + OTHERS}, key=lambda kind: kind.mime)
BEGINNINGS = st.sampled_from([data[:40] for _, data in PICTURES + OTHERS] + [b""])


@given(BEGINNINGS, st.binary(max_size=300), st.sampled_from(KINDS))
def test_hostile_bytes_never_raise(beginning, rest, kind):
    data = beginning + rest
    assert isinstance(is_whole(kind, len(data), reader(data)), bool)
    width, height = dimensions(kind, reader(data))
    assert (width > 0) == (height > 0)
    found = sniff(data)
    assert found is None or found.extension


@given(st.text(max_size=300))
def test_hostile_texts_never_raise(text):
    for value in (text, f"data:{text}", f"data:image/png;base64,{text}"):
        assert decode_data_uri(value) is None or sniff(decode_data_uri(value)[1])
        assert decode_base64_media(value) is None


def inflated(encoding, data, step):
    inflater = Inflater(encoding)
    pieces = [
        piece
        for start in range(0, len(data), step)
        for piece in inflater.feed(data[start : start + step])
    ]
    return b"".join(pieces), inflater.ended


def bare(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("Deflate ", bare),
    "br": ("br", brotli.compress),
    "zstd": ("ZSTD", zstd.compress),
    "two": ("gzip, br", lambda data: brotli.compress(gzip.compress(data))),
}


@pytest.mark.parametrize("packer", PACKERS)
@given(data=st.binary(max_size=2000), step=st.integers(1, 500), times=st.sampled_from([1, 700]))
def test_inflating_gives_back_what_was_packed(packer, data, step, times):
    encoding, pack = PACKERS[packer]
    packed = pack(data * times)
    assert inflated(encoding, packed, step) == (data * times, True)
    assert inflated(encoding, packed[:-1], step)[1] is False


@pytest.mark.parametrize("size", [SLICE_BYTES - 1, SLICE_BYTES, SLICE_BYTES + 1, SLICE_BYTES * 40])
@pytest.mark.parametrize("packer", PACKERS)
def test_a_bomb_comes_in_slices(packer, size):
    encoding, pack = PACKERS[packer]
    inflater = Inflater(encoding)
    slices = [len(piece) for piece in inflater.feed(pack(b"\0" * size))]
    assert sum(slices) == size
    assert max(slices) <= SLICE_BYTES
    assert inflater.ended


@pytest.mark.parametrize("data", [b"not gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\0" + b"\xff" * 50])
def test_damaged_data(data):
    for encoding in ("gzip", "br", "zstd", "gzip, zstd"):
        with pytest.raises(ValueError, match="damaged"):
            list(Inflater(encoding).feed(data))


def test_zstd_of_several_frames():
    assert inflated("zstd", zstd.compress(b"a") + zstd.compress(b"b"), 3) == (b"ab", True)
    assert inflated("zstd", zstd.compress(b"a") + zstd.compress(b"b")[:-1], 3)[1] is False


def test_encodings():
    assert is_plain("")
    assert is_plain(" Identity")
    assert not is_plain("gzip")
    for encoding in ("compress", "gzip, rot13", ","):
        with pytest.raises(ValueError, match="unknown"):
            Inflater(encoding)
    assert inflated("gzip", gzip.compress(b"a") + b"junk", 5) == (b"a", True)
    assert list(Inflater("gzip").feed(b"")) == []
