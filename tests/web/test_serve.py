"""`batchgen serve` over real HTTP: what it gives, and that hostile requests get nothing."""

import asyncio
import hashlib
import json
import os
import signal
import socket
import sys
import urllib.request
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image

from batchgen.errors import UserError
from batchgen.outputs.reading import FolderFiles
from batchgen.system.clock import SystemClock
from batchgen.web.feed import Watched
from batchgen.web.outputs import send_output
from batchgen.web.server import ServeSettings, needs_token, serving
from batchgen.web.summary import titled
from tests.cli.processes import until
from tests.web.conftest import small_run
from tests.web.made import LATER_AT, File, Made, picture

TOKEN = "correct-horse-battery"
SECRET = "the words of a file outside"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with traps in it: links that lead outside, and names that try to."""
    run = small_run(tmp_path_factory.mktemp("served") / "runs/told")
    (run.path.parent / "secret.txt").write_text(SECRET)
    run.add(
        Made("link", files=(File("link.txt", b"", "text/plain"),)),
        Made("folder", files=(File("folder/secret.txt", b"", "text/plain"),)),
        Made("up", files=(File("here.txt", b"", "text/plain"),)),
    )
    (run.path.parent / "outside.png").write_bytes(picture(5, (64, 64)))
    run.add(Made("linked", files=(File("linked.png", b""),)))
    outputs = run.directory.outputs
    (outputs / "linked.png").unlink()
    (outputs / "linked.png").symlink_to(run.path.parent / "outside.png")
    (outputs / "link.txt").unlink()
    (outputs / "link.txt").symlink_to(run.path.parent / "secret.txt")
    (outputs / "folder/secret.txt").unlink()
    (outputs / "folder").rmdir()
    (outputs / "folder").symlink_to(run.path.parent)
    (outputs / ".hidden").write_text(SECRET)
    (outputs / "stranger.txt").write_text(SECRET)
    (run.path / "run.log").write_text(SECRET)
    (run.path / ".staging").mkdir()
    (run.path / ".staging/part").write_text(SECRET)
    return run


@asynccontextmanager
async def opened(run, token="", host="127.0.0.1"):
    settings = ServeSettings(pytest.fail, host, 0, token)
    async with (
        serving(run.directory, settings, SystemClock()) as address,
        aiohttp.ClientSession() as session,
    ):
        port = address.split(":")[2].partition("/")[0]
        yield session, f"http://127.0.0.1:{port}", address


async def raw(url, head):
    """A request written by hand: what no well-behaved client would send. Returns all bytes."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.encode("latin-1"))
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    return answer


HOSTILE_PATHS = [
    "/outputs/../state.db", "/outputs/%2e%2e/state.db", "/outputs/..%2fstate.db",
    "/outputs/%252e%252e/state.db", "/outputs//state.db", "/outputs/./../run.log",
    "/outputs/.hidden", "/outputs/stranger.txt", "/outputs/metadata.jsonl", "/outputs/README.md",
    "/outputs/link.txt", "/outputs/folder/secret.txt", "/outputs/", "/outputs",
    "/outputs/words.txt%00.png", "/outputs/..\\state.db", "/outputs/%5c..%5cstate.db",
    "/outputs/C:/windows", "/outputs//etc/passwd", "/thumbnails/../state.db",
    "/thumbnails/words.txt", "/thumbnails/drawing.svg", "/thumbnails/link.txt",
    "/thumbnails/linked.png", "/outputs/linked.png",
    "/state.db", "/run.log", "/.staging/part", "/.thumbnails.db", "/../secret.txt", "/%2e%2e/",
    "/assets/page.js", "/report.html", "//evil.example/", "/" + "a" * 4000,
]  # fmt: skip


async def test_nothing_outside_of_the_outputs_is_given(run):
    async with opened(run) as (_, url, _address):
        for path in HOSTILE_PATHS:
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            answer = await raw(url, head)
            assert answer.split()[1] in {b"404", b"400"}, (path, answer[:200])
            assert SECRET.encode() not in answer, path
            assert b"SQLite" not in answer, path
            assert str(run.path).encode() not in answer, path
            assert b"Python" not in answer, path


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("POST / HTTP/1.1", "Host: 127.0.0.1\r\nContent-Length: 0", 405),
        ("OPTIONS * HTTP/1.1", "Host: 127.0.0.1", 405),
        ("TRACE / HTTP/1.1", "Host: 127.0.0.1", 405),
        ("GET / HTTP/1.1", "Host: evil.example", 421),
        ("GET / HTTP/1.0", "X: no host", 421),
        ("GET /outputs/words.txt HTTP/1.1", "Host: 127.0.0.1\r\nOrigin: http://evil.example", 403),
        ("GET /events HTTP/1.1", "Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site", 403),
        ("GET http://evil.example/ HTTP/1.1", "Host: evil.example", 421),
        ("GET / HTTP/9.9", "Host: 127.0.0.1", 400),
        ("no request at all", "", 400),
    ],
)
async def test_requests_that_no_page_of_ours_sends(run, line, headers, status):
    async with opened(run) as (_, url, _address):
        answer = await raw(url, f"{line}\r\n{headers}\r\nConnection: close\r\n\r\n")
        assert answer.split()[1] == str(status).encode(), answer[:200]
        assert b"lighthouse" not in answer
        assert b"poem" not in answer


async def test_without_the_token_nobody_gets_anything(run):
    async with opened(run, TOKEN, "0.0.0.0") as (session, url, address):
        assert address.endswith(f"/?token={TOKEN}")
        for path in ("/", "/?token=wrong", "/events", "/metrics", "/outputs/words.txt", "/nothing",
                     "/thumbnails/pair~1.png", f"/metrics?token={TOKEN}"):  # fmt: skip
            async with session.get(url + path) as answer:
                assert answer.status == 401, path
                assert "serve" in await answer.text()
        async with session.get(f"{url}/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        async with session.get(f"{url}/metrics", headers=bearer) as answer:
            assert answer.status == 200


async def test_the_token_in_the_address_becomes_a_cookie(run):
    async with opened(run, TOKEN, "0.0.0.0") as (_, url, _address):
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            async with session.get(f"{url}/?token={TOKEN}") as answer:
                cookie = answer.headers["Set-Cookie"]
                assert "HttpOnly" in cookie
                assert "SameSite=Strict" in cookie
                assert TOKEN not in await answer.text()
            async with session.get(f"{url}/") as answer:
                text = await answer.text()
                assert answer.status == 200
                assert "lighthouse" in text
                assert TOKEN not in text


def test_only_this_machine_needs_no_token():
    assert [needs_token(host) for host in ("127.0.0.1", "localhost", "::1")] == [False] * 3
    assert [needs_token(host) for host in ("0.0.0.0", "::", "192.168.0.9", "mill")] == [True] * 4


async def test_every_answer_carries_its_armour(run):
    async with opened(run) as (session, url, _):
        for path in ("/", "/nothing", "/outputs/words.txt", "/outputs/film.mp4", "/metrics",
                     "/outputs/drawing.svg", "/thumbnails/pair~1.png", "/healthz"):  # fmt: skip
            async with session.get(url + path) as answer:
                headers = answer.headers
                assert headers["X-Content-Type-Options"] == "nosniff", path
                assert headers["X-Frame-Options"] == "DENY", path
                assert headers["Referrer-Policy"] == "no-referrer", path
                assert headers["Server"] == "batchgen", path
                assert "default-src 'none'" in headers["Content-Security-Policy"], path
                assert "unsafe" not in headers["Content-Security-Policy"].replace(
                    "style-src 'unsafe-inline'", "" if path.startswith("/outputs/film") else "un"
                ), path


async def test_outputs_come_whole_and_in_ranges(run):
    film = (run.directory.outputs / "film.mp4").read_bytes()
    async with opened(run) as (session, url, _):
        async with session.get(f"{url}/outputs/film.mp4") as answer:
            assert (await answer.read(), answer.content_type) == (film, "video/mp4")
        part = {"Range": "bytes=4-7"}
        async with session.get(f"{url}/outputs/film.mp4", headers=part) as answer:
            assert (answer.status, await answer.read()) == (206, b"ftyp")
        async with session.head(f"{url}/outputs/film.mp4") as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        async with session.get(f"{url}/outputs/words.txt") as answer:
            assert answer.content_type == "text/plain"
        async with session.get(f"{url}/thumbnails/flux-pro/dawn-00000.png") as answer:
            assert answer.content_type == "image/webp"
            assert "immutable" in answer.headers["Cache-Control"]
            (run.path / "small.webp").write_bytes(await answer.read())
        with Image.open(run.path / "small.webp") as small:
            assert small.size == (96, 72)


async def test_metrics_agree_with_the_state(run):
    async with opened(run) as (session, url, _), session.get(f"{url}/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        told = dict(
            line.rsplit(" ", 1) for line in (await answer.text()).splitlines() if line[:1] != "#"
        )
    assert float(told['batchgen_jobs{run="told",state="pending"}']) == 1
    assert float(told['batchgen_jobs{run="told",state="lost"}']) == 1
    assert float(told['batchgen_max_spend_usd{run="told"}']) == 20
    names = {name.partition("{")[0] for name in told}
    assert {"batchgen_spent_usd", "batchgen_submits_total", "batchgen_polls",
            "batchgen_output_bytes"} <= names  # fmt: skip
    assert not [name for name in names if name.startswith(("python", "process"))]


async def test_without_its_library_the_metrics_say_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "batchgen.web.metrics", raising=False)
    async with opened(run) as (session, url, _):
        async with session.get(f"{url}/metrics") as answer:
            assert answer.status == 501
            assert "python -m pip install prometheus-client" in await answer.text()
        async with session.get(f"{url}/healthz") as answer:
            assert answer.status == 200


class Stream:
    """An open stream of events, and the events that came along it."""

    def __init__(self, answer):
        self.answer = answer

    async def next(self):
        event = {}
        while True:
            line = (await asyncio.wait_for(self.answer.content.readline(), 20)).decode()
            if line == "":
                return None
            if line == "\n" and "data" in event:
                return event
            name, _, value = line.strip().partition(":")
            event[name] = value.strip()


async def test_a_page_is_told_exactly_what_came_after_its_mark(tmp_path):
    run = small_run(tmp_path / "runs/told")
    async with opened(run) as (session, url, _):
        async with session.get(url) as answer:
            text = await answer.text()
        block = text.partition('id="run">')[2].partition("</script>")[0]
        since = json.loads(block)["since"]
        async with session.get(f"{url}/events?since={since}") as answer:
            stream = Stream(answer)
            run.finish("under-way", LATER_AT, File("u.png", picture(1, (9, 9)), size=(9, 9)))
            event = await stream.next()
            assert event["event"] == "news"
            news = json.loads(event["data"])
            assert [row["id"] for row in news["jobs"]] == ["under-way"]
            assert news["jobs"][0]["files"][0]["name"] == "u.png"
            assert news["summary"]["counts"]["submitted"] == 0
        again = {"Last-Event-ID": event["id"]}
        run.add(Made("late", state="pending"))
        async with session.get(f"{url}/events?since={since}", headers=again) as answer:
            news = json.loads((await Stream(answer).next())["data"])
            assert [row["id"] for row in news["jobs"]] == ["late"]
        for strange in ("", "x", "0-0", since + "0" * 30, "é-1"):
            async with session.get(f"{url}/events", params={"since": strange}) as answer:
                assert (await Stream(answer).next())["event"] == "reset", strange


async def test_the_last_word_reaches_an_open_page(tmp_path):
    run = small_run(tmp_path / "runs/told")
    session = aiohttp.ClientSession()
    async with session:
        async with opened(run) as (_, url, _address):
            async with session.get(url) as answer:
                since = (await answer.text()).partition('"since":"')[2].partition('"')[0]
            answer = await session.get(f"{url}/events?since={since}")
            run.finish("under-way", LATER_AT)
        event = await Stream(answer).next()
        assert [row["id"] for row in json.loads(event["data"])["jobs"]] == ["under-way"]
        assert await Stream(answer).next() is None


# The command


def test_the_command_serves_until_it_is_interrupted(place):
    run = small_run(place.path / "runs/told")
    before = hashlib.sha256(run.directory.state.read_bytes()).hexdigest()
    with place.start("serve", "runs/told", "--port", 0) as running:
        address = running.process.stdout.readline().decode()
        assert address.startswith("http://127.0.0.1:")
        running.send(signal.SIGINT)
        ended = running.end()
    assert (ended.code, ended.out) == (0, "")
    assert hashlib.sha256(run.directory.state.read_bytes()).hexdigest() == before


def test_writers_that_come_and_go_do_not_blind_it(place):
    """Whoever closes a file drops the locks its process has on it. A reader that opened the state
    a second time would be left with a log that the next writer deletes, and see nothing more."""
    run = small_run(place.path / "runs/told")
    with place.start("serve", "runs/told", "--port", 0) as running:
        url = running.process.stdout.readline().decode().strip()

        def read(path):
            with urllib.request.urlopen(url + path, timeout=20) as answer:
                return answer.read().decode()

        for waiting in (2, 3, 4):
            read("outputs/words.txt")
            run.add(Made(f"late-{waiting}", state="pending"))
            until(lambda n=waiting: f'state="pending"}} {n}.0' in read("metrics"), within_s=20)
        running.send(signal.SIGTERM)
        assert running.end().code == 0


def test_a_taken_port_is_told(place):
    small_run(place.path / "runs/told")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = place.inside("serve", "runs/told", "--port", port)
    assert ended.code == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in ended.err
    assert "--port" in ended.err


def test_a_token_that_is_too_short_is_refused(place):
    small_run(place.path / "runs/told")
    place.env["BATCHGEN_SERVE_TOKEN"] = "short"
    ended = place.inside("serve", "runs/told", "--host", "0.0.0.0")
    assert ended.code == 2
    assert "at least 16 plain characters" in ended.err


async def test_a_state_that_cannot_be_read_is_told(tmp_path):
    run = small_run(tmp_path / "runs/told")
    os.truncate(run.directory.state, 200)
    with pytest.raises(UserError):
        async with serving(run.directory, ServeSettings(pytest.fail), SystemClock()):
            pass


class Elsewhere(FolderFiles):
    """Finished files that are not on a disk here, as those in a bucket."""

    def local(self, _name):
        return None


async def test_files_that_are_elsewhere_are_passed_on(run):
    files = Elsewhere(run.directory.outputs)
    watched = Watched(run.directory, titled(run.path), files, SystemClock().now, pytest.fail)

    async def handler(request):
        return await send_output(request, watched, request.match_info["name"], "video/mp4")

    application = web.Application()
    application.add_routes([web.get("/{name}", handler)])
    async with TestClient(TestServer(application)) as client:
        async with client.get("/film.mp4") as answer:
            assert await answer.read() == (run.directory.outputs / "film.mp4").read_bytes()
        async with client.head("/film.mp4") as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        async with client.get("/nothing.mp4") as answer:
            assert answer.status == 404
