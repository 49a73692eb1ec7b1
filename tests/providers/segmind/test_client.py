import asyncio
import gzip
import shutil
import ssl
import subprocess
import traceback
import zlib
from functools import partial

import brotli
import pytest
import zstandard

from batchgen.core.net.http import Call, Host
from batchgen.errors import InternalError, NetFault, TransportError, UserError
from batchgen.ports import SaveError
from batchgen.providers.segmind.client import ApiTiming, SegmindApi, origins_for
from batchgen.providers.segmind.origins import DEFAULT_ORIGINS
from batchgen.system.proxies import proxy_for, without_passwords
from tests.helpers.downloading import Memory, downloader
from tests.helpers.servers import always, free_port, serving

KEY = "SG_0123456789abcdef"
GET = Call("GET", "/v2/requests/r1/status", timeout_s=5.0)
POST = Call("POST", "/v2/flux", body='{"a":1}', timeout_s=5.0)


def api_for(server_or_url, **timing):
    url = server_or_url if isinstance(server_or_url, str) else server_or_url.url
    return SegmindApi(KEY, origins_for(url), "batchgen/test", timing=ApiTiming(**timing))


async def fault_of(script, call=POST, **timing):
    """The fault a call ends in against one script, and the server's record."""
    async with serving(script) as server:
        async with api_for(server, **timing) as api:
            with pytest.raises(TransportError) as caught:
                await api.call(call)
        await server.settled()
    return caught.value, server


async def test_a_call_is_sent_as_it_is():
    script = always(body=b'{"ok": 1}', headers=("X-Cost: 0.04", "Set-Cookie: a=b"))
    query = (("page", "1"), ("model name", "a&b/ü"))
    async with serving(script) as server, api_for(server) as api:
        answer = await api.call(Call("GET", "/v2/requests/a%2F..%2Fb", query=query))
        await api.call(Call("POST", "/v2/x", host=Host.UPLOAD, body='{"p":"ü"}'))
    assert (answer.status, answer.json(), answer.headers["x-cost"]) == (200, {"ok": 1}, "0.04")
    get, post = server.requests
    assert get.line == "GET /v2/requests/a%2F..%2Fb?page=1&model+name=a%26b%2F%C3%BC HTTP/1.1"
    assert get.headers["x-api-key"] == KEY
    assert get.headers["user-agent"] == "batchgen/test"
    assert "content-type" not in get.headers
    assert post.body == '{"p":"ü"}'.encode()
    assert post.headers["content-type"] == "application/json"
    assert "cookie" not in post.headers


@pytest.mark.parametrize("status", ["404 Not Found", "422 X", "500 X", "405 X"])
async def test_error_statuses_are_answers(status):
    async with serving(always(body=b"<html>", status=status)) as server, api_for(server) as api:
        answer = await api.call(POST)
    assert (answer.status, answer.body) == (int(status[:3]), b"<html>")


async def test_a_redirect_is_an_answer_and_the_key_stays():
    async with serving(always()) as elsewhere:
        header = f"Location: {elsewhere.url}/v2/flux"
        script = always(status="307 Temporary Redirect", headers=(header,))
        async with serving(script) as server, api_for(server) as api:
            for call in (GET, POST):
                assert (await api.call(call)).status == 307
    assert len(server.requests) == 2
    assert elsewhere.connections == 0


@pytest.mark.parametrize("call", [GET, POST])
async def test_refused_is_not_sent(call):
    async with api_for(f"http://127.0.0.1:{free_port()}") as api:
        with pytest.raises(TransportError) as caught:
            await api.call(call)
    assert caught.value.fault is NetFault.NOT_SENT


async def test_unknown_names_are_not_sent():
    async with api_for("https://no-such-host.invalid") as api:
        with pytest.raises(TransportError) as caught:
            await api.call(POST)
    assert caught.value.fault is NetFault.NOT_SENT


async def test_failed_tls_is_not_sent():
    async def no_tls(connection):
        await connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await connection.until_closed()

    async with serving(no_tls) as server, api_for(server.url.replace("http:", "https:")) as api:
        with pytest.raises(TransportError) as caught:
            await api.call(POST)
    assert caught.value.fault is NetFault.NOT_SENT
    assert not server.requests


async def test_a_stalled_handshake_is_not_sent():
    async def mute(connection):
        await connection.until_closed()

    async with serving(mute) as server:
        url = server.url.replace("http:", "https:")
        async with api_for(url, connect_timeout_s=0.1) as api:
            with pytest.raises(TransportError) as caught:
                await api.call(POST)
    assert caught.value.fault is NetFault.NOT_SENT


async def test_the_connect_limit_is_below_the_limit_of_the_call():
    async def mute(connection):
        await connection.until_closed()

    async with serving(mute) as server, api_for(server.url.replace("http:", "https:")) as api:
        with pytest.raises(TransportError) as caught:
            await api.call(Call("POST", "/v2/x", body="{}", timeout_s=0.2))
    assert caught.value.fault is NetFault.NOT_SENT


async def test_waiting_for_a_free_connection_is_not_sent():
    async def hold(connection):
        await connection.request()
        await connection.until_closed()

    async with serving(hold) as server:
        timing = ApiTiming(connect_timeout_s=0.5)
        origins = origins_for(server.url)
        async with SegmindApi(KEY, origins, "x", connection_limit=1, timing=timing) as api:
            first = asyncio.create_task(api.call(POST))
            async with asyncio.timeout(30):
                while not server.requests:
                    await asyncio.sleep(0.005)
            with pytest.raises(TransportError) as caught:
                await api.call(POST)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
    assert caught.value.fault is NetFault.NOT_SENT
    assert len(server.requests) == 1


async def reset_at_once(connection):
    connection.reset()


async def reset_after_request(connection):
    await connection.request()
    connection.reset()


async def close_after_request(connection):
    await connection.request()


async def never_answer(connection):
    await connection.request()
    await connection.until_closed()


async def nonsense(connection):
    await connection.request()
    await connection.send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")


async def half_a_head(connection):
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Le")


async def switch(connection):
    await connection.request()
    await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
    await connection.until_closed()


async def huge_header(connection):
    await connection.request()
    await connection.answer(headers=(f"X-Huge: {'a' * 200_000}",))


async def endless_headers(connection):
    await connection.request()
    await connection.send("HTTP/1.1 200 OK\r\n")
    for _ in range(200):
        await connection.send(f"X-A: {'a' * 4000}\r\n" * 50)


LOST = [
    reset_at_once,
    reset_after_request,
    close_after_request,
    never_answer,
    nonsense,
    half_a_head,
    switch,
    huge_header,
    endless_headers,
]


@pytest.mark.parametrize("script", LOST, ids=lambda script: script.__name__)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_lost_answers(script, method):
    limit_s = 0.3 if script is never_answer else 5.0
    call = Call(method, "/v2/x", body="{}" if method == "POST" else None, timeout_s=limit_s)
    error, server = await fault_of(script, call)
    assert error.fault is NetFault.LOST
    assert error.status == 0
    assert error.detail
    assert server.connections == 1, "nothing is ever sent twice"


HEAD = "HTTP/1.1 200 OK\r\nX-Request-Id: r7\r\n"


def sends(*parts, stall=False):
    async def script(connection):
        await connection.request()
        for part in parts:
            await connection.send(part)
        if stall:
            await connection.until_closed()

    return script


PACKED = gzip.compress(b"x" * 1000)
GZIP_HEAD = f"{HEAD}Content-Encoding: gzip\r\n"
CUT = {
    "short of its length": sends(f"{HEAD}Content-Length: 50\r\n\r\nabc"),
    "stalled after its headers": sends(f"{HEAD}Content-Length: 50\r\n\r\n", stall=True),
    "stalled in its body": sends(f"{HEAD}Content-Length: 50\r\n\r\nabc", stall=True),
    "chunks without an end": sends(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
    "cut within a chunk": sends(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n9\r\nabc"),
    "damaged gzip": sends(f"{GZIP_HEAD}Content-Length: 3\r\n\r\nabc"),
    "gzip without an end": sends(f"{GZIP_HEAD}\r\n", PACKED[:-9]),
}


@pytest.mark.parametrize("name", CUT)
async def test_cut_answers(name):
    error, server = await fault_of(CUT[name], Call("POST", "/v2/x", body="{}", timeout_s=1.0))
    assert error.fault is NetFault.CUT
    assert (error.status, error.headers["x-request-id"]) == (200, "r7")
    assert server.connections == 1


async def test_nonsense_behind_the_headers():
    broken = sends(f"{HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc")
    error, _ = await fault_of(broken)
    # Which of the two depends on whether headers and nonsense come in one packet.
    assert error.fault in {NetFault.LOST, NetFault.CUT}


LARGE = {
    "by its length": sends(f"{HEAD}Content-Length: 999999999\r\n\r\n", stall=True),
    "by its bytes": sends(f"{HEAD}\r\n", b"x" * 1100, stall=True),
    "in chunks": sends(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n", b"500\r\n" + b"x" * 1280),
    "as a bomb": sends(f"{GZIP_HEAD}\r\n", gzip.compress(b"\0" * 5_000_000), stall=True),
}


@pytest.mark.parametrize("name", LARGE)
async def test_bodies_over_the_cap(name):
    error, _ = await fault_of(LARGE[name], Call("GET", "/x", timeout_s=5.0, max_bytes=1000))
    assert error.fault is NetFault.TOO_LARGE
    assert (error.status, error.headers["x-request-id"]) == (200, "r7")


async def test_whole_bodies_of_every_framing():
    chunks = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    packed = gzip.compress(b"abcde")
    scripts = [
        sends(f"{HEAD}\r\nabcde"),
        sends(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n", chunks),
        sends(f"{GZIP_HEAD}Content-Length: {len(packed)}\r\nConnection: close\r\n\r\n", packed),
        sends("HTTP/1.1 100 Continue\r\n\r\n", f"{HEAD}Content-Length: 5\r\n\r\nabcde"),
    ]
    for script in scripts:
        async with serving(script) as server, api_for(server) as api:
            assert (await api.call(GET)).body == b"abcde"


async def test_an_encoding_nobody_asked_for_is_handed_over():
    script = always(body=b"??", headers=("Content-Encoding: compress",))
    async with serving(script) as server, api_for(server) as api:
        assert (await api.call(GET)).body == b"??"
    assert server.requests[0].headers["accept-encoding"] == "gzip"


async def one_answer_then_close_on_the_next(connection):
    await connection.request()
    await connection.answer()
    await connection.request()
    connection.reset()


async def test_gets_reuse_a_connection_and_are_not_repeated_by_the_library():
    async with serving(one_answer_then_close_on_the_next) as server, api_for(server) as api:
        await api.call(GET)
        with pytest.raises(TransportError) as caught:
            await api.call(GET)
    assert caught.value.fault is NetFault.LOST
    assert [request.connection for request in server.requests] == [0, 0]


async def test_posts_never_ride_on_a_connection_that_idled():
    async def closes_idle_ones(connection):
        await connection.request()
        await connection.answer()
        if await connection.request():  # too late: a server that gave up on idling
            connection.reset()

    async with serving(closes_idle_ones) as server, api_for(server, post_keepalive_s=0.05) as api:
        for _ in range(4):
            assert (await api.call(POST)).status == 200
            await asyncio.sleep(0.06)
    assert [request.connection for request in server.requests] == [0, 1, 2, 3]


async def test_posts_in_quick_succession_share_a_connection():
    async with serving(always()) as server, api_for(server) as api:
        for call in (POST, POST, GET, GET):
            await api.call(call)
    assert [request.connection for request in server.requests] == [0, 0, 1, 1]


async def test_an_early_answer_to_a_big_post():
    async def early(connection):
        await connection.reader.readuntil(b"\r\n\r\n")
        await connection.answer(body=b"too big", status="413 X", headers=("Connection: close",))
        await connection.until_closed()

    big = Call("POST", "/v2/x", body="x" * 8_000_000, timeout_s=5.0)
    async with serving(early) as server, api_for(server) as api:
        assert (await api.call(big)).status == 413
        others = asyncio.all_tasks() - {asyncio.current_task()}
        writers = [task for task in others if "write_bytes" in repr(task)]
        await asyncio.gather(*writers, return_exceptions=True)
        await server.settled()


@pytest.mark.parametrize("stall_after", ["", f"{HEAD}Content-Length: 9\r\n\r\nabc"])
async def test_a_cancelled_call_leaves_nothing_behind(stall_after):
    async def stalls(connection):
        await connection.request()
        await connection.send(stall_after)
        await connection.until_closed()

    async with serving(stalls) as server, api_for(server) as api:
        before = asyncio.all_tasks()
        for asked, call in enumerate((GET, POST)):
            task = asyncio.create_task(api.call(call))
            async with asyncio.timeout(30):
                while len(server.requests) == asked:
                    await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)  # for what is answered before it stalls
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
        await server.settled()
        assert asyncio.all_tasks() <= before
    assert server.connections == 2


async def test_the_key_is_blotted_out_of_everything_that_comes_back():
    body = f'{{"error": "key {KEY} is bad"}}'.encode()
    script = always(body=body, status="401 X", headers=(f"X-Echo: {KEY}",))
    async with serving(script) as server, api_for(server) as api:
        answer = await api.call(GET)
        assert KEY not in f"{api!r} {api}"
    assert answer.object() == {"error": "key *** is bad"}
    assert answer.headers["x-echo"] == "***"


async def test_the_key_and_control_codes_are_in_no_error():
    head = f"HTTP/1.1 200 OK\r\nX-{KEY} \x1b[31m: {KEY}\r\n\r\n"
    error, _ = await fault_of(sends(head.encode()))
    shown = "".join(traceback.format_exception(error)) + repr(error) + error.detail
    assert error.fault is NetFault.LOST
    assert KEY not in shown
    assert "\x1b" not in error.detail
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize("key", ["", "SG_\nx", "SG x", "schlüssel", "SG_\x1b[0m"])
def test_keys_that_cannot_be(key):
    with pytest.raises(UserError) as caught:
        SegmindApi(key, DEFAULT_ORIGINS, "x")
    assert not key or key not in str(caught.value)


def test_origins():
    assert origins_for(None) == origins_for("") == DEFAULT_ORIGINS
    assert set(origins_for("http://127.0.0.1:8000/").values()) == {"http://127.0.0.1:8000"}
    assert set(origins_for("http://127.0.0.1:8000/")) == set(Host)


@pytest.mark.parametrize(
    "url", ["http://example.com", "https://u:geheim@a.b", "nonsense", "https://a.b/c", "ftp://a"]
)
def test_base_urls_that_are_refused(url):
    with pytest.raises(UserError, match="SEGMIND_BASE_URL") as caught:
        origins_for(url)
    assert "geheim" not in str(caught.value)
    with pytest.raises(UserError):
        SegmindApi(KEY, {Host.API: url}, "x")


@pytest.mark.parametrize("path", ["v2/x", "/v2/a b", "/v2/ü", "/x HTTP/1.1\r\nHost: evil"])
async def test_paths_that_are_none(path):
    async with api_for("http://127.0.0.1:1") as api:
        with pytest.raises(InternalError):
            await api.call(Call("GET", path))


async def test_outside_its_context_it_does_nothing():
    with pytest.raises(InternalError, match="async with"):
        await api_for("http://127.0.0.1:1").call(GET)


@pytest.fixture
def environment(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch.setenv


def test_proxies(environment):
    url = "https://api.segmind.com/v2"
    assert proxy_for(url) is None
    environment("HTTPS_PROXY", "proxy.example:3128")
    assert proxy_for(url) == "http://proxy.example:3128"
    assert proxy_for("http://cdn.example/x") is None
    assert proxy_for("https://127.0.0.1:8000") is None
    environment("NO_PROXY", "example.org, .segmind.com")
    assert proxy_for(url) is None
    assert proxy_for("https://notsegmind.com") == "http://proxy.example:3128"
    environment("NO_PROXY", "*")
    assert proxy_for(url) is None
    environment("NO_PROXY", "")
    assert proxy_for(url, {}) is None, "what is given is not looked up again"
    assert proxy_for(url, {"all": "http://other.example"}) == "http://other.example"
    environment("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(UserError, match="socks5"):
        proxy_for(url)


async def refuse_connect(connection):
    await connection.request()
    await connection.answer(status="407 Proxy Authentication Required")


async def test_the_proxy_sees_no_key_and_its_refusal_is_not_sent(environment):
    async with serving(refuse_connect) as proxy:
        environment("HTTPS_PROXY", proxy.url.replace("//", "//user:geheim@"))
        async with api_for("https://api.example.invalid") as api:
            with pytest.raises(TransportError) as caught:
                await api.call(POST)
    assert caught.value.fault is NetFault.NOT_SENT
    assert [request.line for request in proxy.requests] == [
        "CONNECT api.example.invalid:443 HTTP/1.1"
    ]
    assert KEY not in repr(proxy.requests)
    assert "geheim" not in str(caught.value)
    assert without_passwords("via http://u:p@h:1/ failed") == "via http://***@h:1/ failed"


NEEDS_OPENSSL = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="needs openssl to make a certificate"
)
TRUSTING = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture
def certificates(tmp_path, monkeypatch):
    """What a server of its own authority speaks TLS with; nobody trusts it yet."""
    for name in TRUSTING:
        monkeypatch.delenv(name, raising=False)
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost"
    command = ["openssl", *options.split(), "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", tmp_path / "key", "-out", tmp_path / "cert"]
    subprocess.run([*command, *files], check=True, stderr=subprocess.DEVNULL)
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(tmp_path / "cert", folder / "cert.pem")
    subprocess.run(["openssl", "rehash", folder], check=True)
    return tmp_path


def over_tls(certificates):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "cert", certificates / "key")
    return serving(always(), tls=context)


def named(server):
    return server.url.replace("http://127.0.0.1", "https://localhost")


@NEEDS_OPENSSL
async def test_an_untrusted_certificate_gets_no_byte(certificates):
    async with over_tls(certificates) as server:
        with pytest.raises(TransportError, match="self-signed certificate") as caught:
            async with api_for(named(server)) as api:
                await api.call(POST)
    assert caught.value.fault is NetFault.NOT_SENT
    assert "set SSL_CERT_FILE" in str(caught.value), "what to do"
    assert not server.requests


@NEEDS_OPENSSL
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("SSL_CERT_FILE", "cert"),
        ("SSL_CERT_DIR", "folder"),
        ("REQUESTS_CA_BUNDLE", "cert"),
        ("REQUESTS_CA_BUNDLE", "folder"),
        ("CURL_CA_BUNDLE", "cert"),
    ],
)
async def test_a_certificate_that_the_environment_trusts(certificates, monkeypatch, name, place):
    monkeypatch.setenv(name, str(certificates / place))
    async with over_tls(certificates) as server, api_for(named(server)) as api:
        assert (await api.call(POST)).status == 200
        sink = Memory()
        async with downloader() as client:
            await client.fetch(f"{named(server)}/x.png", sink)
    assert sink.data == b"{}"


@NEEDS_OPENSSL
async def test_an_untrusted_certificate_of_the_cdn_is_told_as_such(certificates):
    async with over_tls(certificates) as server, downloader() as client:
        with pytest.raises(SaveError, match="set SSL_CERT_FILE"):
            await client.fetch(f"{named(server)}/x.png", Memory())


@NEEDS_OPENSSL
async def test_a_certificate_of_another_host_is_no_matter_of_trust(certificates, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "cert"))
    async with over_tls(certificates) as server:
        by_address = api_for(server.url.replace("http:", "https:"))
        with pytest.raises(TransportError, match="mismatch") as caught:
            async with by_address as api:
                await api.call(POST)
    assert "SSL_CERT_FILE" not in str(caught.value)


@pytest.mark.parametrize("name", TRUSTING)
def test_certificates_that_are_not_there(tmp_path, monkeypatch, name):
    """OpenSSL would pass over them, and then trust nobody."""
    monkeypatch.setenv(name, str(tmp_path / "gone.pem"))
    with pytest.raises(UserError, match=f"{name}.*gone.pem"):
        api_for("https://localhost:1")
    api_for("http://127.0.0.1:1")


def test_one_folder_of_a_list_is_enough(tmp_path, monkeypatch):
    """OpenSSL passes over folders that are not there, and lists name those of several systems."""
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'gone'}:{tmp_path}")
    api_for("https://localhost:1")


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_file_without_a_certificate(tmp_path, monkeypatch, name):
    (tmp_path / "empty.pem").write_text("nothing")
    monkeypatch.setenv(name, str(tmp_path / "empty.pem"))
    with pytest.raises(UserError, match=f"{name}.*no certificate"):
        api_for("https://localhost:1")


@pytest.mark.parametrize("size", [8_191, 64_000])
async def test_long_headers_lose_no_answer(size):
    header = f"Content-Security-Policy: {'x' * size}"
    async with serving(always(headers=(header,))) as server, api_for(server) as api:
        for call in (GET, POST):
            assert len((await api.call(call)).headers["content-security-policy"]) == size


PACKERS = {
    # At its usual quality it works for seconds on many megabytes.
    "br": partial(brotli.compress, quality=3),
    "zstd": zstandard.compress,
    "deflate": zlib.compress,
    "gzip": gzip.compress,
    "GZIP": gzip.compress,
}


@pytest.mark.parametrize("encoding", PACKERS)
async def test_encodings_that_nobody_asked_for_are_decoded(encoding):
    packed = PACKERS[encoding](b'{"request_id": "r1"}' * 999)
    script = always(body=packed, headers=(f"Content-Encoding: {encoding}",))
    async with serving(script) as server, api_for(server) as api:
        assert (await api.call(POST)).body == b'{"request_id": "r1"}' * 999


@pytest.mark.parametrize("encoding", ["br", "zstd"])
async def test_a_bomb_in_any_encoding_is_put_away(encoding):
    packed = PACKERS[encoding](bytes(200_000_000))
    script = always(body=packed, headers=(f"Content-Encoding: {encoding}",))
    fault, _ = await fault_of(script)
    assert fault.fault is NetFault.TOO_LARGE
