"""Files that nobody here can vouch for: kept where surely all of them came, and said to be so."""

import asyncio
import hashlib
import io
import struct

import pytest
from PIL import Image

from batchgen.core.jobs.job import Output
from batchgen.outputs.downloads import Downloader, DownloadSettings
from batchgen.outputs.inspection import Claims, hearsay
from batchgen.outputs.local import FileOutputs
from batchgen.outputs.part import BLOCK_BYTES
from batchgen.ports import SaveError, SaveFault, SaveOrder
from tests.helpers.servers import always, serving


def picture(form="PNG", size=(37, 21)):
    out = io.BytesIO()
    Image.effect_noise(size, 90).convert("RGB").save(out, form)
    return out.getvalue()


PNG, JPEG = picture(), picture("JPEG")
UNKNOWN = bytes(range(256)) * 40
LONG = UNKNOWN * 500
HTML = b"<!DOCTYPE html><html>busy</html>"
MP4 = (
    struct.pack(">I8s", 16, b"ftypmp42") + bytes(4) + struct.pack(">I4s", 108, b"mdat") + bytes(100)
)


def told(body, *headers, status="200 OK"):
    """With a length."""
    return always(body=body, headers=headers, status=status)


def one_answer(head, *parts):
    async def script(connection):
        await connection.request()
        for part in (head, *parts):
            await connection.send(part)

    return script


def closed(body):
    """Without a length: it ends where the connection does."""
    return one_answer("HTTP/1.1 200 OK\r\n\r\n", body)


def chunked(body):
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return one_answer(head, f"{len(body):x}\r\n", body, "\r\n0\r\n\r\n")


def cut(body, length):
    """A length that is not reached."""
    return one_answer(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n", body)


async def save(folder, *scripts, path="/x", media_type="", staged=None):
    """The saved file or the fault, and the server."""
    async with (
        serving(*scripts) as server,
        Downloader("x", DownloadSettings(allow_private=True)) as downloader,
        FileOutputs(folder, None, downloader) as outputs,
    ):
        output = Output(0, server.url + path, "", media_type)
        if staged is not None:
            output = Output(0, "", await outputs.stage("job", 0, staged), media_type)
        try:
            return await outputs.save(SaveOrder("job", "a", output)), server
        except SaveError as error:
            return error, server
        finally:
            left = list((folder / ".part").glob("*.part"))
            assert staged is not None or not left, "no part survives"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "outputs"


# ------------------------------------------------------------------ kept, verified or not


KEPT = {
    "a kind that is known": (told(PNG), PNG, "a.png", True),
    "a motion photo": (told(JPEG + MP4), JPEG + MP4, "a.jpg", True),
    "a png with spaces behind": (told(PNG + b" \n" * 99), PNG + b" \n" * 99, "a.png", True),
    "a trailer of another length": (chunked(PNG + b"x"), PNG + b"x", "a.png", True),
    "unknown": (told(UNKNOWN), UNKNOWN, "a.bin", False),
    "unknown and long": (told(LONG), LONG, "a.bin", False),
    "unknown, in chunks": (chunked(UNKNOWN), UNKNOWN, "a.bin", False),
    "unknown and long, in chunks": (chunked(LONG), LONG, "a.bin", False),
    "unknown, up to the close": (closed(UNKNOWN), UNKNOWN, "a.bin", False),
    "unknown, as a part without total": (
        told(UNKNOWN, f"Content-Range: bytes 0-{len(UNKNOWN) - 1}/*", status="206 X"),
        UNKNOWN, "a.bin", False,
    ),
    "unknown, its length wrong": (cut(UNKNOWN, 99_999), UNKNOWN, "a.bin", False),
    "known, its length wrong": (cut(PNG, 99_999), PNG, "a.png", True),
    "film without index": (told(MP4), MP4, "a.mp4", False),
    "film without index, in chunks": (chunked(MP4), MP4, "a.mp4", False),
    "half a picture": (told(JPEG[:900]), JPEG[:900], "a.jpg", False),
    "a text of any kind": (told(b"a,b\n1,2\n"), b"a,b\n1,2\n", "a.txt", False),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
async def test_what_is_kept(folder, name):
    script, data, called, verified = KEPT[name]
    saved, server = await save(folder, script)
    assert (saved.name, saved.verified) == (called, verified)
    assert (folder / saved.name).read_bytes() == data
    assert (saved.size, saved.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    twice = (
        (not verified and "chunks" in name) or "wrong" in name or "close" in name or "part" in name
    )
    assert len(server.requests) == 1 + twice


@pytest.mark.parametrize("data", [UNKNOWN, LONG])
async def test_a_long_one_stands_in_a_part_meanwhile(folder, data):
    assert (len(data) > BLOCK_BYTES) == (data is LONG)
    async with (
        serving(chunked(data)) as server,
        Downloader("x", DownloadSettings(allow_private=True)) as downloader,
        FileOutputs(folder, None, downloader) as outputs,
    ):
        orders = [SaveOrder("j", f"m/{n}", Output(0, f"{server.url}/{n}.xyz")) for n in range(4)]
        saved = await asyncio.gather(*(outputs.save(order) for order in orders))
    assert {(folder / each.name).read_bytes() for each in saved} == {data}
    assert sorted(each.name for each in saved) == [f"m/{n}.xyz" for n in range(4)]


# ------------------------------------------------------------------ refused


REFUSED = {
    "nothing": ((told(b""),), SaveFault.BAD_CONTENT),
    "blanks": ((told(b" \r\n"),), SaveFault.BAD_CONTENT),
    "zeros": ((told(bytes(999)),), SaveFault.BAD_CONTENT),
    "a web page": ((told(HTML, "Content-Type: image/png"),), SaveFault.BAD_CONTENT),
    "a web page in chunks": ((chunked(HTML),), SaveFault.BAD_CONTENT),
    "JSON": ((told(b'{"error": 1}'),), SaveFault.BAD_CONTENT),
    "an error of a store": ((told(b"<Error><Code>x</Code></Error>"),), SaveFault.BAD_CONTENT),
    "other bytes the second time": ((chunked(UNKNOWN), chunked(LONG)), SaveFault.TRANSIENT),
    "half a picture, then the whole": ((chunked(JPEG[:900]), chunked(JPEG)), SaveFault.TRANSIENT),
    "half a picture by a wrong length": ((cut(JPEG[:900], 5000),), SaveFault.TRANSIENT),
    "half a film, then gone": ((chunked(MP4), told(b"", status="404 X")), SaveFault.GONE),
    "unknown, then busy": ((chunked(UNKNOWN), told(b"", status="503 X")), SaveFault.TRANSIENT),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_and_whose_fault_it_is(folder, name):
    scripts, fault = REFUSED[name]
    error, server = await save(folder, *scripts)
    assert isinstance(error, SaveError), error
    assert (error.fault, error.host) == (fault, f"127.0.0.1:{server.port}")
    assert list(folder.rglob("*.*")) == []


async def test_an_address_that_works_but_once(folder):
    saved, server = await save(folder, chunked(LONG), told(b"", status="403 X"), path="/a.ply2")
    assert (saved.name, saved.verified, len(server.requests)) == ("a.ply2", False, 2)
    assert (folder / saved.name).read_bytes() == LONG


@pytest.mark.parametrize("path", ["/x.png", "/x.MP4?sig=1", "/a%2Fb.jpg"])
@pytest.mark.parametrize("body", [b"upstream connect error", b'{"detail": "gone"}'])
async def test_words_where_a_picture_was_to_come_are_an_error(folder, path, body):
    error, _ = await save(folder, told(body), path=path)
    assert error.fault is SaveFault.BAD_CONTENT
    error, _ = await save(folder, told(body), path="/x", media_type="image/webp")
    assert error.fault is SaveFault.BAD_CONTENT


@pytest.mark.parametrize(
    ("path", "media_type", "name"),
    [("/pose.json", "", "a.json"), ("/x.geojson", "", "a.geojson"), ("/x", "text/plain", "a.json")],
)
async def test_json_that_was_to_come(folder, path, media_type, name):
    saved, _ = await save(folder, told(b'{"points": [1]}'), path=path, media_type=media_type)
    assert (saved.name, saved.verified) == (name, True)


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("declared", "called", "address", "extension"),
    [
        ("", "", "", "bin"),
        ("", "text/csv; charset=utf-8", "https://c/x.dat", "csv"),
        ("application/x-shar", "text/csv", "", "shar"),
        ("", "application/octet-stream", "https://c/a/b.SPLAT?x=1.png#y.z", "splat"),
        ("", "text/plain", "https://c/x.lrc", "lrc"),
        ("", "model/obj", "https://c/x", "obj"),
        ("", "nonsense", "https://c/x.tga", "tga"),
        ("", "image/png", "https://c/x.png", "bin"),
        ("", "video/mp4", "https://c/x.spz", "spz"),
        ("", "", "https://c/x.tooooolong", "bin"),
        ("", "", "https://c/x.a%2fb", "bin"),
        ("", "", "https://c/x.%00", "bin"),
        ("", "", "https://c/x.é", "bin"),
        ("", "", "https://c/.hidden/x", "bin"),
        ("", "", "https://c/x.", "bin"),
        ("", "text/html", "https://c/x.php", "bin"),
        ("", "", "https://c/metadata.jsonl", "bin"),
        ("", "text/markdown", "https://c/README.md", "bin"),
        ("", "", "https://c/x.part", "bin"),
        ("", "", "https://[", "bin"),
    ],
)
def test_the_extension_of_what_nobody_knows(declared, called, address, extension):
    """Never one that a reader would open on trust, nor one of our own files among the outputs."""
    kind = hearsay(Claims(declared, called, address))
    assert kind.extension == extension
    assert kind.mime in {"application/octet-stream", "model/obj"}


async def test_the_content_goes_before_all_hearsay(folder):
    saved, _ = await save(
        folder, told(b"ply\nformat ascii 1.0\n", "Content-Type: text/csv"), path="/x.png"
    )
    assert (saved.name, saved.media_type, saved.verified) == ("a.ply", "model/ply", True)


# ------------------------------------------------------------------ inside an answer


@pytest.mark.parametrize(
    ("data", "media_type", "name", "verified"),
    [
        (UNKNOWN, "model/vnd.foo", "a.bin", False),
        (UNKNOWN, "application/x-shar", "a.shar", False),
        (JPEG[:900], "image/jpeg", "a.jpg", False),
        (b"1\n00:00:01,000 --> 00:00:02,000\nHi\n", "text/plain", "a.srt", True),
        (PNG + b"tail", "", "a.png", True),
    ],
)
async def test_bytes_that_came_inside_an_answer(folder, data, media_type, name, verified):
    saved, _ = await save(folder, told(b""), staged=data, media_type=media_type)
    assert (saved.name, saved.verified) == (name, verified)
    # Delivered, and then the process died before saying so: it is found again.
    again, _ = await save_again(folder, data, media_type)
    assert (again.name, again.verified, again.sha256) == (name, verified, saved.sha256)


async def save_again(folder, data, media_type):
    async with FileOutputs(folder, None, None) as outputs:
        staged = await outputs.stage("job", 0, data)
        (folder / ".part" / staged).unlink()
        return await outputs.save(SaveOrder("job", "a", Output(0, "", staged, media_type))), staged
