"""Where a file ends: what stands behind does not count, and what is missing does."""

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from batchgen.core.media.formats import BY_EXTENSION, FORMATS, is_whole, kind_of, sniff
from tests.core.media.test_formats import box, picture, reader, riff


def animation():
    frames = [Image.new("P", (9, 7), number) for number in range(4)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], loop=0)
    return out.getvalue()


def noise(form, **options):
    out = io.BytesIO()
    Image.effect_noise((300, 300), 90).convert("RGB").save(out, form, **options)
    return out.getvalue()


def with_thumbnail(data, thumbnail):
    """A JPEG with another one inside a segment, as cameras write it."""
    segment = b"Exif\0\0" + thumbnail
    return data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment + data[2:]


def chunk(kind, payload=b""):
    crc = zlib.crc32(kind + payload)
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", crc)


JPEG = noise("JPEG")
THUMBNAIL = picture("JPEG")
WITH_END = {
    "jpg": noise("JPEG"),
    "progressive": noise("JPEG", progressive=True),
    "restarts": noise("JPEG", restart_marker_rows=1),
    "thumbnail": with_thumbnail(JPEG, THUMBNAIL),
    "png": noise("PNG"),
    "gif": noise("GIF"),
    "animation": animation(),
    "webp": noise("WEBP"),
    "wav": riff(b"WAVE"),
    "avi": riff(b"AVI "),
}
TRAILERS = {
    "nothing": b"",
    "zeros": b"\0" * 5000,
    "spaces": b" \r\n" * 9,
    "ff": b"\xff" * 999,
    "a film": box(b"ftyp", b"mp42") + box(b"mdat", b"\xff\xd8\xff\xe0" * 9000),
    "a broken picture": JPEG[: len(JPEG) // 2],
    "samsung": b"SEFH\x6a\0\0\0SEFT",
    "much": bytes(range(256)) * 2000,
}


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("name", WITH_END)
def test_what_stands_behind_the_end_is_no_fault(name, trailer):
    data = WITH_END[name]
    kind = sniff(data)
    for whole in (data + TRAILERS[trailer], data + TRAILERS[trailer] + b"x"):
        assert is_whole(kind, len(whole), reader(whole))


@pytest.mark.parametrize("name", WITH_END)
def test_every_cut_is_noticed(name):
    data = WITH_END[name]
    kind = sniff(data)
    step = max(1, len(data) // 500)
    for end in [*range(30, len(data) - 1, step), len(data) - 1]:
        cut = data[:end]
        assert not is_whole(kind, end, reader(cut)), end
        if end < len(data) - 12 and name not in {"webp", "wav", "avi"}:
            padded = cut + b"\0" * 7
            assert not is_whole(kind, len(padded), reader(padded)), end


def test_a_thumbnail_is_not_the_picture():
    data = with_thumbnail(JPEG, THUMBNAIL)
    jpg = BY_EXTENSION["jpg"]
    end = 12 + len(THUMBNAIL)
    for cut in (data[:end], data[: end + 300], data[: len(data) // 2]):
        assert THUMBNAIL in cut
        assert not is_whole(jpg, len(cut), reader(cut))
    assert not is_whole(jpg, 4, reader(b"\xff\xd8\xff\xd9"))


def test_a_png_ends_with_its_own_last_chunk():
    png = BY_EXTENSION["png"]
    inner = chunk(b"eXIf", picture("PNG"))
    data = picture("PNG")[:33] + inner + picture("PNG")[33:]
    assert is_whole(png, len(data), reader(data))
    cut = data[: 33 + len(inner)]
    assert not is_whole(png, len(cut), reader(cut))


def packed(*names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name in names:
            file.writestr(name, b"x" * 30)
    return out.getvalue()


STL = bytes(80) + struct.pack("<I", 3) + bytes(range(150))
MIDI = b"MThd\0\0\0\x06\0\1\0\2\0\x60" + (b"MTrk\0\0\0\x04" + b"\0\xff\x2f\0") * 2
TS = (b"G" + b"p" * 187) * 30
JXL = b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"ftyp", b"jxl ") + box(b"jxlc", b"c" * 40)
GLTF = b'{"scene": 0, "asset": {"generator": "x", "version": "2.0"}, "meshes": []}\n'
KINDS = {
    "obj": [
        b"# made by x\nmtllib a.mtl\no cube\nv 1.0 -2.5e-3 3\nv 0 0 0\nf 1 2 3\n",
        b"v -1 2 3 0.5 0.5 0.5\r\n",
        b"\n\ng a\ns off\n v 1 2 3\n",
    ],
    "ply": [b"ply\nformat ascii 1.0\n", b"ply\r\ncomment x\r\nformat binary_little_endian 1.0\r\n"],
    "stl": [STL, b"solid" + STL[5:], b"solid a b\n  facet normal 0 0 1\nendfacet\nendsolid a b\n"],
    "gltf": [GLTF],
    "glb": [b"glTF" + struct.pack("<II", 2, 40) + b"j" * 28],
    "fbx": [b"Kaydara FBX Binary  \0\x1a\0", b"; FBX 7.7.0 project file\n"],
    "usdz": [packed("scene.usdc", "a.png"), packed("a b/Scene.USDA")],
    "usd": [b"PXR-USDC\0\x08", b"#usda 1.0\n"],
    "3mf": [packed("[Content_Types].xml", "_rels/.rels", "3D/3dmodel.model")],
    "dae": [b'<?xml version="1.0"?>\n<COLLADA xmlns="x"></COLLADA>\n'],
    "avi": [riff(b"AVI "), b"RIFF\0\0\0\0AVI LIST"],
    "3gp": [box(b"ftyp", b"3gp5") + box(b"moov"), box(b"ftyp", b"3g2a") + box(b"moov")],
    "ts": [TS],
    "mpg": [b"\0\0\x01\xba\x44\0", b"\0\0\x01\xb3\x14\0"],
    "flv": [b"FLV\x01\x05\0\0\0\x09"],
    "wmv": [b"0&\xb2u\x8ef\xcf\x11\xa6\xd9"],
    "aiff": [b"FORM" + struct.pack(">I", 24) + b"AIFF" + b"x" * 20],
    "mid": [MIDI],
    "amr": [b"#!AMR\n"],
    "caf": [b"caff\0\x01\0\0"],
    "wav": [b"RF64\xff\xff\xff\xffWAVEds64"],
    "m4a": [box(b"ftyp", b"M4B ") + box(b"moov")],
    "jxl": [JXL, b"\xff\x0a\xfa\x7f"],
    "jp2": [b"\0\0\0\x0cjP  \r\n\x87\n" + box(b"ftyp", b"jp2 ") + box(b"jp2c", b"x")],
    "exr": [b"\x76\x2f\x31\x01\x02\0\0\0"],
    "hdr": [b"#?RADIANCE\n", b"#?RGBE\n"],
    "psd": [b"8BPS\0\x01"],
    "srt": [b"1\r\n00:00:01,000 --> 00:00:02,500\r\nHi\r\n",
            b"\xef\xbb\xbf7\n0:00:01.0 --> 0:00:02.5\n"],
    "vtt": [b"WEBVTT\n\n00:01.000 --> 00:04.000\nHi\n", b"\xef\xbb\xbfWEBVTT - title\n", b"WEBVTT"],
    "ass": [b"[Script Info]\nTitle: x\n"],
    "npz": [packed("arr_0.npy")],
    "npy": [b"\x93NUMPY\x01\0"],
    "zip": [packed("a.png", "b.png")],
    "tar": [b"a" * 257 + b"ustar\0"],
    "gz": [b"\x1f\x8b\x08\0"],
    "zst": [b"\x28\xb5\x2f\xfd\0"],
}  # fmt: skip


@pytest.mark.parametrize(("extension", "data"), [(e, d) for e in KINDS for d in KINDS[e]])
def test_kinds_are_told_from_their_bytes(extension, data):
    assert kind_of(len(data), reader(data)) == BY_EXTENSION[extension]
    assert is_whole(BY_EXTENSION[extension], len(data), reader(data))


@pytest.mark.parametrize(
    ("extension", "data", "missing"),
    [
        ("stl", b"solid a\nfacet normal 0 0 1\nendfacet\n", 0),
        ("mid", MIDI, 1),
        ("mid", MIDI, 12),
        ("jxl", JXL, 1),
        ("gltf", GLTF, 2),
        ("aiff", KINDS["aiff"][0], 1),
        ("usdz", KINDS["usdz"][0], 5),
        ("3gp", KINDS["3gp"][0], 8),
    ],
)
def test_cuts_of_other_kinds_are_noticed(extension, data, missing):
    cut = data[: len(data) - missing]
    assert not is_whole(BY_EXTENSION[extension], len(cut), reader(cut))


def test_a_length_that_only_nearly_fits_is_no_model():
    for data in (STL[:-1], STL + b"\0", bytes(84), b"\0" * 80):
        assert kind_of(len(data), reader(data)) is None


SIGNED = [bytes([b]) for b in range(256)] + [d[:60] for ds in KINDS.values() for d in ds]


@given(st.sampled_from(SIGNED), st.binary(max_size=200))
def test_hostile_bytes_never_raise(beginning, rest):
    data = beginning + rest
    for kind in FORMATS:
        assert isinstance(is_whole(kind, len(data), reader(data)), bool)
    kind_of(len(data), reader(data))
