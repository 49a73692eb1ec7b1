"""Odd answers that bring the whole file all the same, and those that only look so."""

import gzip
import zlib

import brotli
import pytest

from batchgen.ports import SaveError, SaveFault
from tests.helpers.downloading import DATA, Memory, downloader, fault_of, fetch, sends
from tests.helpers.servers import always, free_port, serving
from tests.outputs.test_downloads import first_part, ranges, redirect

try:
    from compression import zstd
except ImportError:
    from backports import zstd

END = len(DATA) - 1


# ------------------------------------------------------------------ 206 and other statuses


@pytest.mark.parametrize(
    ("headers", "confirmed"),
    [
        ((f"Content-Range: bytes 0-{END}/{len(DATA)}",), True),
        ((f"Content-Range: bytes 0-{END}/*",), False),
        (("Content-Range: nonsense",), False),
        ((), False),
    ],
)
async def test_a_206_from_the_beginning_on_brings_the_file(headers, confirmed):
    """Without a total, the length of the answer is that of a part: it confirms nothing."""
    fetched, sink, server = await fetch(always(status="206 X", body=DATA, headers=headers))
    assert (fetched.confirmed, sink.data) == (confirmed, DATA)
    assert "range" not in server.requests[0].headers


def portion(*headers):
    """The first 3000 bytes, as a part of the file."""
    span = f"Content-Range: bytes 0-2999/{len(DATA)}"

    async def script(connection):
        await connection.request()
        await connection.answer(DATA[:3000], status="206 X", headers=(span, *headers))

    return script


async def test_a_part_is_never_the_whole_however_often_it_comes():
    fault, server = await fault_of(portion())
    assert (fault, server.connections) == (SaveFault.TRANSIENT, 2)


async def test_a_206_with_the_first_part_only_is_gone_on_with():
    fetched, sink, server = await fetch(portion('ETag: "v1"'), ranges())
    assert (fetched.confirmed, sink.data) == (True, DATA)
    assert server.requests[1].headers["range"] == "bytes=3000-"


async def test_a_rest_without_a_total_ends_where_the_first_answer_said():
    async def rest(connection):
        await connection.request()
        span = f"Content-Range: bytes 3000-{END}/*"
        await connection.answer(DATA[3000:], status="206 X", headers=(span,))

    fetched, sink, _ = await fetch(first_part(3000, 'ETag: "v1"'), rest)
    assert (fetched.confirmed, sink.data) == (True, DATA)


@pytest.mark.parametrize(
    "headers",
    [
        (f"Content-Range: bytes 1-{END}/{len(DATA)}",),
        (f"Content-Range: bytes 1-{END}/*",),
        ("Content-Type: multipart/byteranges; boundary=x",),
    ],
)
async def test_a_206_of_something_else_is_never_taken(headers):
    fault, _ = await fault_of(always(status="206 X", body=DATA[1:], headers=headers))
    assert fault is SaveFault.TRANSIENT


@pytest.mark.parametrize("status", ["201 X", "202 X", "203 X", "226 X", "299 X"])
async def test_an_odd_success_with_a_body_brings_the_file(status):
    fetched, sink, _ = await fetch(always(status=status, body=DATA))
    assert (fetched.confirmed, sink.data) == (True, DATA)


@pytest.mark.parametrize("name", ["X-Trace", "Content-Security-Policy", "Set-Cookie"])
async def test_headers_may_be_long(name):
    fetched, sink, _ = await fetch(always(body=DATA, headers=(f"{name}: {'a' * 64_000}",)))
    assert (fetched.confirmed, sink.data) == (True, DATA)


async def test_a_redirect_may_have_a_long_header_and_spaces():
    async with serving(always(body=DATA)) as elsewhere:
        target = redirect(f"{elsewhere.url}/a b.png", f"302 X\r\nX-Policy: {'b' * 30_000}")
        _, sink, _ = await fetch(target)
    assert sink.data == DATA
    assert elsewhere.requests[0].line == "GET /a%20b.png HTTP/1.1"


# ------------------------------------------------------------------ encodings nobody asked for


PACKED = {
    "gzip": gzip.compress(DATA),
    "GZIP": gzip.compress(DATA),
    "deflate": zlib.compress(DATA),
    "br": brotli.compress(DATA),
    "zstd": zstd.compress(DATA),
    "gzip, br": brotli.compress(gzip.compress(DATA)),
}


@pytest.mark.parametrize("encoding", PACKED)
async def test_a_body_compressed_unasked_is_unpacked(encoding):
    body, header = PACKED[encoding], f"Content-Encoding: {encoding}"
    fetched, sink, _ = await fetch(always(body=body, headers=(header,)))
    assert (fetched.confirmed, sink.data) == (True, DATA), "the stream says where it ends"
    chunked = f"HTTP/1.1 200 OK\r\n{header}\r\nTransfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n"
    fetched, sink, _ = await fetch(sends(chunked, body, "\r\n0\r\n\r\n"))
    assert (fetched.confirmed, sink.data) == (True, DATA)


@pytest.mark.parametrize("encoding", PACKED)
async def test_a_compressed_body_that_ends_early_is_broken(encoding):
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n\r\n"
    fault, _ = await fault_of(sends(head, PACKED[encoding][:-2]))
    assert fault is SaveFault.TRANSIENT


@pytest.mark.parametrize("encoding", ["aws-chunked", "utf-8", "gzip", "br", "zstd", "base64"])
async def test_an_encoding_that_was_never_applied(encoding):
    body = b"\x89PNG\r\n\x1a\n" + DATA
    header = f"Content-Encoding: {encoding}"
    fetched, sink, _ = await fetch(always(body=body, headers=(header,)))
    assert (fetched.confirmed, sink.data) == (True, body)


async def test_damage_behind_a_good_beginning_is_refused():
    body = gzip.compress(bytes(range(256)) * 9000, 0)
    body = body[:1_000_000] + b"\xff" * 500 + body[1_000_500:]
    fault, _ = await fault_of(always(body=body, headers=("Content-Encoding: gzip",)))
    assert fault is SaveFault.BAD_CONTENT


# ------------------------------------------------------------------ lengths that are wrong


@pytest.mark.parametrize("headers", [(), ('ETag: "v1"',)])
async def test_a_length_that_is_wrong_twice_in_the_same_way(headers):
    """With a validator the rest is asked for first, and then the whole once more."""
    fetched, sink, _ = await fetch(first_part(3000, *headers))
    assert (fetched.confirmed, fetched.twice, sink.data) == (False, True, DATA[:3000])


async def test_two_short_answers_that_differ_are_broken():
    other = sends(f"HTTP/1.1 200 OK\r\nContent-Length: {len(DATA)}\r\n\r\n", DATA[1:3001])
    fault, server = await fault_of(first_part(3000), other)
    assert (fault, server.connections) == (SaveFault.TRANSIENT, 2)
    shorter = first_part(2999)
    fault, server = await fault_of(first_part(3000), shorter)
    assert (fault, server.connections) == (SaveFault.TRANSIENT, 2)


async def test_a_short_answer_once_is_a_broken_transfer():
    fault, _ = await fault_of(first_part(3000), always(status="503 X", body=b""))
    assert fault is SaveFault.TRANSIENT
    fault, _ = await fault_of(first_part(3000, 'ETag: "v1"'), always(status="503 X", body=b""))
    assert fault is SaveFault.TRANSIENT


# ------------------------------------------------------------------ addresses, and whose fault


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/a b.png", "/a%20b.png"),
        ("/größe/a|b.png?q=x y", "/gr%C3%B6%C3%9Fe/a%7Cb.png?q=x%20y"),
        ('/<a>"b"{c}^`\\.png', "/%3Ca%3E%22b%22%7Bc%7D%5E%60%5C.png"),
        ("/a%20b%2Fc.png?Sig=a%2Fb+c%3D&x=[1]~'()*!", None),
    ],
)
async def test_only_what_has_to_be_is_escaped(path, asked):
    _, sink, server = await fetch(always(body=DATA), path=path)
    assert sink.data == DATA
    assert server.requests[0].line == f"GET {asked or path} HTTP/1.1"


async def test_a_scheme_is_read_without_case():
    async with serving(always(body=DATA)) as server, downloader() as client:
        sink = Memory()
        await client.fetch(f" HTTP{server.url.removeprefix('http')}/x\n", sink)
    assert sink.data == DATA


@pytest.mark.parametrize("scheme", ["ftp", "s3", "GS", "file", "javascript"])
async def test_any_other_scheme_is_named(scheme):
    async with downloader() as client:
        with pytest.raises(SaveError, match=f"not over {scheme.lower()}$") as caught:
            await client.fetch(f"{scheme}://bucket/x.png", Memory())
    assert (caught.value.fault, caught.value.host) == (SaveFault.FORBIDDEN_URL, "")


@pytest.mark.parametrize("address", ["/x.png", "//cdn.example/x.png", "cdn.example/x.png", "x y"])
async def test_an_address_that_is_not_whole_is_named_so(address):
    async with downloader() as client:
        with pytest.raises(SaveError, match="not a whole address") as caught:
            await client.fetch(address, Memory())
    assert caught.value.fault is SaveFault.FORBIDDEN_URL


async def host_of(*scripts, sink=None, **settings):
    async with serving(*scripts) as server, downloader(**settings) as client:
        with pytest.raises(SaveError) as caught:
            await client.fetch(f"{server.url}/x.png", sink or Memory())
    return caught.value.host, f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    "script",
    [
        always(status="503 X"),
        always(status="404 X"),
        first_part(0),
        always(status="206 X", headers=("Content-Range: bytes 5-9/10",)),
    ],
)
async def test_a_fault_names_its_host(script):
    said, true = await host_of(script)
    assert said == true


async def test_after_a_redirect_the_last_host_is_named():
    async with serving(always(status="503 X")) as elsewhere:
        said, _ = await host_of(redirect(f"{elsewhere.url}/y"))
        assert said == f"127.0.0.1:{elsewhere.port}"
    port = free_port()
    said, _ = await host_of(redirect(f"http://127.0.0.1:{port}/y"))
    assert said == f"127.0.0.1:{port}"


class Full(Memory):
    async def write(self, piece):
        raise SaveError(SaveFault.DISK_FULL, "full")


@pytest.mark.parametrize(
    ("script", "options"),
    [
        (always(body=DATA), {"sink": Full()}),
        (always(body=DATA), {"max_bytes": 100}),
        (redirect("ftp://example.com/x"), {}),
    ],
)
async def test_where_no_host_is_at_fault_none_is_named(script, options):
    said, _ = await host_of(script, **options)
    assert said == ""


async def test_a_download_knows_its_host_and_what_it_was_called():
    fetched, _, server = await fetch(always(body=DATA, headers=("Content-Type: model/obj; v=1",)))
    assert (fetched.host, fetched.media_type) == (f"127.0.0.1:{server.port}", "model/obj; v=1")
