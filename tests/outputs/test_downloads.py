import asyncio
import errno
import gzip
import resource

import anyio
import pytest

from batchgen.errors import InternalError
from batchgen.outputs.answers import redirected
from batchgen.ports import SaveError, SaveFault
from tests.helpers.downloading import DATA, Memory, downloader, fault_of, fetch, sends
from tests.helpers.servers import always, free_port, serving


def ranges(data=DATA, etag='ETag: "v1"', status="206 Partial Content", start=None):
    """Answer a Range with the rest."""

    async def script(connection):
        request = await connection.request()
        asked = int(request.headers["range"].removeprefix("bytes=").rstrip("-"))
        begin = asked if start is None else start
        span = f"Content-Range: bytes {begin}-{len(data) - 1}/{len(data)}"
        await connection.answer(data[begin:], status=status, headers=(etag, span))

    return script


def shifted():
    """Answer a Range with as many bytes as asked for, but from another place."""

    async def script(connection):
        await connection.request()
        span = f"Content-Range: bytes 2999-{len(DATA) - 2}/{len(DATA)}"
        await connection.answer(DATA[2999:-1], status="206 X", headers=(span,))

    return script


def first_part(count, *headers):
    """Promise everything, send some of it, and reset or close."""
    lines = "".join(f"{header}\r\n" for header in headers)
    head = f"HTTP/1.1 200 OK\r\n{lines}Content-Length: {len(DATA)}\r\n\r\n"
    return sends(head, DATA[:count])


async def test_a_plain_download():
    fetched, sink, server = await fetch(always(body=DATA), path="/a%2Fb.png?Sig=a%2Fb%3D&x=[1]#f")
    assert (fetched.confirmed, sink.data) == (True, DATA)
    request = server.requests[0]
    assert request.line == "GET /a%2Fb.png?Sig=a%2Fb%3D&x=[1] HTTP/1.1"
    assert request.headers["accept-encoding"] == "identity"
    assert set(request.headers) == {"host", "user-agent", "accept-encoding", "accept"}


async def test_without_a_length_nothing_is_confirmed():
    fetched, sink, _ = await fetch(sends("HTTP/1.1 200 OK\r\n\r\n", DATA))
    assert (fetched.confirmed, sink.data) == (False, DATA)
    chunked = sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    fetched, sink, _ = await fetch(chunked)
    assert (fetched.confirmed, sink.data) == (False, b"abc")


@pytest.mark.parametrize("header", ['ETag: "v1"', "Last-Modified: Sat, 21 Nov 2026 08:00:00 GMT"])
async def test_a_broken_download_goes_on_where_it_was(header):
    _, sink, server = await fetch(first_part(3000, header), ranges(etag=header))
    assert (sink.data, sink.restarts) == (DATA, 0)
    asked = server.requests[1].headers
    assert asked["range"] == "bytes=3000-"
    assert asked["if-range"] == header.split(": ", 1)[1]


@pytest.mark.parametrize("headers", [(), ('ETag: W/"v1"',), ('ETag: "v1"', "Accept-Ranges: none")])
async def test_without_a_proof_of_sameness_it_begins_anew(headers):
    _, sink, server = await fetch(first_part(3000, *headers), always(body=DATA))
    assert (sink.data, sink.restarts) == (DATA, 1)
    assert "range" not in server.requests[1].headers


async def test_a_200_to_a_range_begins_anew():
    _, sink, server = await fetch(first_part(3000, 'ETag: "v1"'), always(body=DATA[::-1]))
    assert (sink.data, sink.restarts) == (DATA[::-1], 1)
    assert server.requests[1].headers["range"] == "bytes=3000-"


async def test_a_416_at_the_end_means_that_all_is_here():
    async def no_more(connection):
        await connection.request()
        await connection.answer(
            status="416 X", headers=(f"Content-Range: bytes */{len(DATA)}",), body=b""
        )

    long = f'HTTP/1.1 200 OK\r\nETag: "v1"\r\nContent-Length: {len(DATA) + 1}\r\n\r\n'
    fetched, sink, _ = await fetch(sends(long, DATA), no_more)
    assert (fetched.confirmed, sink.data) == (True, DATA)


@pytest.mark.parametrize(
    "second",
    [
        ranges(start=0),
        ranges(start=2999),
        shifted(),
        always(status="206 Partial Content", body=DATA[3000:]),
        always(status="206 X", body=b"", headers=("Content-Range: bytes */10240",)),
    ],
)
async def test_a_wrong_part_is_never_joined(second):
    fault, _ = await fault_of(first_part(3000, 'ETag: "v1"'), second)
    assert fault is SaveFault.TRANSIENT


async def test_a_416_elsewhere_brings_nothing():
    fault, _ = await fault_of(first_part(3000, 'ETag: "v1"'), always(status="416 X"))
    assert fault is SaveFault.TRANSIENT


async def test_a_server_that_serves_smaller_parts_than_asked_for():
    async def portion(connection):
        request = await connection.request()
        begin = int(request.headers["range"].removeprefix("bytes=").rstrip("-"))
        span = f"Content-Range: bytes {begin}-{begin + 2999}/{len(DATA)}"
        await connection.answer(DATA[begin : begin + 3000], status="206 X", headers=(span,))

    fetched, sink, server = await fetch(first_part(3000, 'ETag: "v1"'), portion)
    assert (fetched.confirmed, sink.data, server.connections) == (True, DATA, 4)


async def test_a_connection_that_brings_nothing_is_the_last():
    fault, server = await fault_of(first_part(0))
    assert (fault, server.connections) == (SaveFault.TRANSIENT, 1)


async def test_reconnects_are_bounded():
    async def one_more_byte(connection):
        request = await connection.request()
        begin = int(request.headers["range"].removeprefix("bytes=").rstrip("-"))
        span = f"Content-Range: bytes {begin}-{len(DATA) - 1}/{len(DATA)}"
        head = f"HTTP/1.1 206 X\r\n{span}\r\nContent-Length: {len(DATA) - begin}\r\n\r\n"
        await connection.send(head.encode() + DATA[begin : begin + 1])

    fault, server = await fault_of(first_part(10, 'ETag: "v1"'), one_more_byte, max_reconnects=4)
    assert (fault, server.connections) == (SaveFault.TRANSIENT, 5)


TRUNCATED = {
    "chunks without an end": sends(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    ),
    "gzip without an end": sends(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(DATA)[:-9]
    ),
}


@pytest.mark.parametrize("name", TRUNCATED)
async def test_truncation_is_noticed(name):
    fault, _ = await fault_of(TRUNCATED[name])
    assert fault is SaveFault.TRANSIENT


async def test_a_stalled_download():
    began = 'HTTP/1.1 200 OK\r\nETag: "v1"\r\nContent-Length: 9\r\n\r\nabc'
    for script in (sends(stall=True), sends(began, stall=True)):
        fault, _ = await fault_of(script, pace_window_s=0.1)
        assert fault is SaveFault.TRANSIENT


async def test_a_dripping_download():
    async def drip(connection):
        await connection.request()
        await connection.send("HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(30):
            await connection.send(b"x")
            await asyncio.sleep(0.03)

    fault, _ = await fault_of(drip, pace_window_s=0.5, min_bytes_per_s=1000, max_reconnects=0)
    assert fault is SaveFault.TRANSIENT
    slow_is_fine = await fetch(drip, pace_window_s=0.5, min_bytes_per_s=1)
    assert slow_is_fine[1].data == b"x" * 30


OVERSIZED = {
    "by its length": sends("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", stall=True),
    "by its bytes": sends("HTTP/1.1 200 OK\r\n\r\n", b"x" * 1200, stall=True),
    "as a bomb": sends(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
        gzip.compress(b"\0" * 5_000_000),
        stall=True,
    ),
}


@pytest.mark.parametrize("name", OVERSIZED)
async def test_the_cap(name):
    fault, _ = await fault_of(OVERSIZED[name], max_bytes=1000)
    assert fault is SaveFault.TOO_LARGE


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("403 X", SaveFault.GONE),
        ("404 X", SaveFault.GONE),
        ("410 X", SaveFault.GONE),
        ("400 X", SaveFault.GONE),
        ("304 X", SaveFault.GONE),
        ("302 X", SaveFault.GONE),
        ("202 X", SaveFault.TRANSIENT),
        ("429 X", SaveFault.TRANSIENT),
        ("500 X", SaveFault.TRANSIENT),
        ("504 X", SaveFault.TRANSIENT),
    ],
)
async def test_statuses(status, expected):
    fault, server = await fault_of(always(status=status, body=b""))
    assert (fault, len(server.requests)) == (expected, 1)


def redirect(target, status="302 Found"):
    return always(status=status, headers=(f"Location: {target}", "Set-Cookie: a=b"), body=b"")


@pytest.mark.parametrize("status", ["301 X", "302 X", "303 X", "307 X", "308 X"])
async def test_redirects_are_followed(status):
    async with serving(always(body=DATA)) as elsewhere:
        _, sink, _ = await fetch(redirect(f"{elsewhere.url}/y", status))
    assert sink.data == DATA
    assert elsewhere.requests[0].line == "GET /y HTTP/1.1"
    assert "cookie" not in elsewhere.requests[0].headers


async def test_redirects_may_be_relative_and_are_counted():
    count = 0

    async def hop(connection):
        nonlocal count
        await connection.request()
        if count == 3:
            await connection.answer(DATA)
            return
        count += 1
        await connection.answer(status="302 X", headers=(f"Location: ./{count}",), body=b"")

    _, sink, server = await fetch(hop)
    assert sink.data == DATA
    assert [request.line.split()[1] for request in server.requests] == ["/x.png", "/1", "/2", "/3"]
    fault, server = await fault_of(redirect("/again"))
    assert (fault, len(server.requests)) == (SaveFault.FORBIDDEN_URL, 4)


HOSTILE = [
    "file:///etc/passwd",
    "ftp://example.com/x",
    "http://u:p@example.com/x",
    "http://[::1/x",
    "//",
    "gopher://127.0.0.1:70/_x",
]


@pytest.mark.parametrize("target", HOSTILE)
async def test_hostile_redirects(target):
    fault, _ = await fault_of(redirect(target))
    assert fault is SaveFault.FORBIDDEN_URL


@pytest.mark.parametrize("url", ["file:///etc/passwd", "", "http://a b/", "https://[v1.a/x"])
async def test_hostile_urls(url):
    async with downloader() as client:
        with pytest.raises(SaveError) as caught:
            await client.fetch(url, Memory())
    assert caught.value.fault is SaveFault.FORBIDDEN_URL


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
async def test_private_addresses_are_never_connected_to(host):
    async with serving(always(body=DATA)) as server, downloader(allow_private=False) as client:
        for _ in range(2):  # the second time from the resolver's cache
            with pytest.raises(SaveError) as caught:
                await client.fetch(f"http://{host}:{server.port}/x", Memory())
            assert caught.value.fault is SaveFault.FORBIDDEN_URL
    assert server.connections == 0


async def test_refused_and_unknown_are_transient():
    async with downloader() as client:
        for url in (f"http://127.0.0.1:{free_port()}/x", "http://no-such-host.invalid/x"):
            with pytest.raises(SaveError) as caught:
                await client.fetch(url, Memory())
            assert caught.value.fault is SaveFault.TRANSIENT


async def test_no_descriptors_left():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with serving(always(body=DATA)) as server, downloader() as client:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(SaveError) as caught:
                await client.fetch(f"{server.url}/x", Memory())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.fault is SaveFault.TOO_MANY_FILES


async def test_a_fault_of_the_sink_passes_through():
    class Full(Memory):
        async def write(self, piece):
            raise SaveError(SaveFault.DISK_FULL, "full") from OSError(errno.ENOSPC, "full")

    async with serving(always(body=DATA)) as server, downloader() as client:
        with pytest.raises(SaveError) as caught:
            await client.fetch(f"{server.url}/x", Full())
    assert caught.value.fault is SaveFault.DISK_FULL


async def test_a_cancelled_download_leaves_nothing_behind():
    script = sends("HTTP/1.1 200 OK\r\n\r\nabc", stall=True)
    async with serving(script) as server, downloader() as client:
        before = asyncio.all_tasks()
        with anyio.move_on_after(0.1) as scope:
            await client.fetch(f"{server.url}/x", Memory())
        assert scope.cancelled_caught
        await server.settled()
        assert asyncio.all_tasks() <= before


async def test_outside_its_context_it_does_nothing():
    with pytest.raises(InternalError, match="async with"):
        await downloader().fetch("http://127.0.0.1:1/x", Memory())


@pytest.mark.parametrize(
    ("url", "target", "expected"),
    [
        ("https://a.example/x/y", "z?q", "https://a.example/x/z?q"),
        ("https://a.example/x", "//b.example/z", "https://b.example/z"),
        ("http://a.example/x", "https://b.example/z", "https://b.example/z"),
        ("https://a.example/x", "http://a.example/x", None),
        ("https://a.example/x", "http://[", None),
    ],
)
def test_where_a_redirect_leads(url, target, expected):
    if expected:
        assert redirected(url, target) == expected
        return
    with pytest.raises(SaveError) as caught:
        redirected(url, target)
    assert caught.value.fault is SaveFault.FORBIDDEN_URL


async def test_a_proxy_that_cannot_be_used_is_a_fault_of_that_file(monkeypatch):
    """At the start only the proxy of https is looked at."""
    for name in ("all_proxy", "https_proxy", "no_proxy", "ALL_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1080")
    async with downloader(allow_private=False) as fetching:
        with pytest.raises(SaveError, match="HTTP_PROXY names the proxy for cdn") as caught:
            await fetching.fetch("http://cdn.example/x.png", Memory())
    assert caught.value.fault is SaveFault.FORBIDDEN_URL
