"""The service over real HTTP: what a raw client sees of every fate, ranges, journal, ports."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from io import BytesIO
from urllib.parse import urlsplit

import aiohttp
import pytest

from batchgen.errors import StateError, UserError
from batchgen.simulator import Place, SimulatorConfig, tiny_media
from batchgen.simulator.server import serve
from tests.simulator.callers import KEY

SUBMIT = "/v2/flux-kontext-pro"
PROMPT = b'{"prompt": "a cup"}'


def config(**settings):
    return SimulatorConfig.model_validate({"pictures": "tiny", "latency_s": 0, **settings})


async def raw(url, method="GET", path="/", body=b"", headers=()):
    """Everything a server sends to one request until it closes the connection."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    lines = [f"{method} {path} HTTP/1.1", "host: simulator", f"content-length: {len(body)}"]
    lines += ["content-type: application/json", *headers, "", ""]
    writer.write("\r\n".join(lines).encode() + body)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b"reset"
    finally:
        writer.close()


async def submit_raw(running):
    return await raw(running.url, "POST", SUBMIT, PROMPT, [f"x-api-key: {KEY}"])


def split(answer):
    """Head and body of a raw answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return lines[0], dict(line.lower().split(": ", 1) for line in lines[1:]), body


@asynccontextmanager
async def client(running):
    async with aiohttp.ClientSession(headers={"x-api-key": KEY}) as session:

        async def call(method, path, **more):
            async with session.request(method, running.url + path, **more) as answer:
                return answer.status, json.loads(await answer.read())

        yield call


async def finished(running):
    """The URL of a picture."""
    async with client(running) as call:
        _, body = await call("POST", SUBMIT, json={"prompt": "a cup"})
        _, body = await call("GET", f"/v2/requests/{body['request_id']}")
        return body["output"]


async def download(url, headers=None, method="GET"):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.read()


async def test_a_job_over_http_and_its_date():
    async with serve(config()) as running, client(running) as call:
        status, submitted = await call("POST", SUBMIT, json={"prompt": "a cup"})
        assert status == 200
        assert submitted["status_url"].startswith(running.url)
        path = submitted["status_url"].removeprefix(running.url)
        assert (await call("GET", path))[1]["status"] == "COMPLETED"
        url = (await call("GET", path.removesuffix("/status")))[1]["output"]
        assert url.startswith(running.cdn_url)
        status, headers, data = await download(url)
        (bill,) = running.service.ledger.bills
        ref = running.service.media(url.removeprefix(running.cdn_url), bill.finished_at)
        assert (status, data) == (200, tiny_media(ref))
        assert headers["Content-Type"] == "image/png"
        assert headers["Content-Length"] == str(len(data))
        assert headers["Date"].endswith("GMT")


async def test_queries_are_decoded():
    async with serve(config(history_lag_s=0)) as running, client(running) as call:
        await call("POST", SUBMIT, json={"prompt": "a cup"})
        path = "/inference-request/request-history?per_page=1&model_name=flux%2Dkontext"
        status, body = await call("GET", path)
        assert (status, body["total"], body["per_page"]) == (200, 1, 1)


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
async def test_a_drop_closes_without_a_byte(kind):
    faults = [{"where": "submit", "kind": kind}]
    async with serve(config(faults=faults)) as running:
        assert await submit_raw(running) == b""
        assert len(running.service.ledger.bills) == (kind == "drop_after")


async def test_a_cut_promises_more_than_it_sends():
    async with serve(config(faults=[{"where": "submit", "kind": "cut"}])) as running:
        line, headers, body = split(await submit_raw(running))
        assert line == "HTTP/1.1 200 OK"
        assert len(body) == int(headers["content-length"]) // 2
        assert len(running.service.ledger.bills) == 1


async def test_a_silent_cut_looks_whole_to_every_client():
    async with serve(config(faults=[{"where": "submit", "kind": "cut_silently"}])) as running:
        _, headers, body = split(await submit_raw(running))
        assert "content-length" not in headers
        assert "transfer-encoding" not in headers
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)
        async with (
            aiohttp.ClientSession(headers={"x-api-key": KEY}) as session,
            session.post(running.url + SUBMIT, json={"prompt": "x"}) as answer,
        ):
            assert len(await answer.read()) > 50


async def test_a_stall_sends_headers_and_then_nothing():
    async with serve(config(faults=[{"where": "submit", "kind": "stall"}])) as running:
        parts = urlsplit(running.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head = f"POST {SUBMIT} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(PROMPT)}\r\n\r\n"
        writer.write(head.encode() + PROMPT)
        seen = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: " in seen
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
        writer.close()
        assert len(running.service.ledger.bills) == 1


async def test_garbage_arrives_whole_as_a_200():
    async with serve(config(faults=[{"where": "submit", "kind": "garbled"}])) as running:
        url = running.url + SUBMIT
        async with (
            aiohttp.ClientSession(headers={"x-api-key": KEY}) as session,
            session.post(url, json={"prompt": "x"}) as answer,
        ):
            data = await answer.read()
            assert answer.status == 200
        with pytest.raises(ValueError, match="decode"):
            json.loads(data)


async def test_a_drip_comes_in_small_pieces():
    async with serve(config(faults=[{"where": "cdn", "kind": "drip"}])) as running:
        url = await finished(running)
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            first = await answer.content.readany()
            assert len(first) < int(answer.headers["Content-Length"])


@pytest.mark.parametrize("kind", ["cut", "cut_silently"])
async def test_downloads_can_be_short_with_and_without_length(kind):
    async with serve(config(faults=[{"where": "cdn", "kind": kind, "count": 1}])) as running:
        url = await finished(running)
        answer = await raw(running.cdn_url, path=urlsplit(url).path)
        _, headers, part = split(answer)
        _, _, whole = await download(url)
        assert part == whole[: len(whole) // 2]
        assert ("content-length" in headers) == (kind == "cut")


async def test_slow_answers_and_v1_latencies_take_their_time():
    slow = {"where": "credits", "kind": "slow", "delay_s": 0.15}
    async with serve(config(faults=[slow], latency_s=0.2)) as running, client(running) as call:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await call("GET", "/v1/get-user-credits")
        assert loop.time() - began >= 0.14
        began = loop.time()
        assert (await call("POST", "/v1/flux-pro", json={"prompt": "x"}))[0] == 200
        assert loop.time() - began >= 0.15


@pytest.mark.parametrize(
    ("asked", "status", "part", "content_range"),
    [
        ({"range": "bytes=10-19"}, 206, slice(10, 20), "bytes 10-19/120"),
        ({"range": "bytes=100-"}, 206, slice(100, 120), "bytes 100-119/120"),
        ({"range": "bytes=100-999"}, 206, slice(100, 120), "bytes 100-119/120"),
        ({"range": "bytes=-5"}, 206, slice(115, 120), "bytes 115-119/120"),
        ({"range": "bytes=120-"}, 416, slice(0, 0), "bytes */120"),
        ({"range": "bytes=9-3"}, 416, slice(0, 0), "bytes */120"),
        ({"range": "bytes=-0"}, 416, slice(0, 0), "bytes */120"),
        ({"range": "bytes=-"}, 200, slice(0, 120), None),
        ({"range": "lines=1-2"}, 200, slice(0, 120), None),
        ({"range": "bytes=0-1,5-6"}, 200, slice(0, 120), None),
        ({"range": "bytes=10-", "if-range": '"old"'}, 200, slice(0, 120), None),
    ],
)
async def test_ranges(asked, status, part, content_range):
    async with serve(config()) as running:
        url = await finished(running)
        _, headers, whole = await download(url)
        assert (len(whole), headers["Accept-Ranges"]) == (120, "bytes")
        seen_status, seen_headers, data = await download(url, asked)
        assert (seen_status, data) == (status, whole[part])
        assert seen_headers.get("Content-Range") == content_range
        same = {"range": "bytes=10-", "if-range": headers["Etag"]}
        assert (await download(url, same))[2] == whole[10:]


async def test_head_tells_the_length_and_sends_nothing():
    async with serve(config()) as running:
        url = await finished(running)
        status, headers, data = await download(url, method="HEAD")
        assert (status, headers["Content-Length"], data) == (200, "120", b"")


async def test_a_key_at_the_cdn_is_refused_and_counted():
    async with serve(config()) as running:
        url = await finished(running)
        assert (await download(url, {"x-api-key": KEY}))[0] == 400
        assert running.service.ledger.leaked_key_count == 1


async def test_uploads_are_served():
    async with serve(config()) as running, client(running) as call:
        big = "data:image/png;base64," + "A" * 4_000_000
        data = BytesIO(json.dumps({"data_urls": [big]}).encode())
        headers = {"content-type": "application/json"}
        _, body = await call("POST", "/upload-asset", data=data, headers=headers)
        status, _, data = await download(body["file_urls"][0])
        assert (status, data) == (200, bytes(3_000_000))


async def test_idle_connections_are_closed_after_the_keepalive():
    async with serve(config(keepalive_s=0.1)) as running:
        headers = [f"x-api-key: {KEY}"]
        answer = await raw(running.url, path="/v1/get-user-credits", headers=headers)
        assert answer.startswith(b"HTTP/1.1 200")


async def test_a_journal_brings_accepted_jobs_back(tmp_path):
    journal = tmp_path / "deep" / "journal.jsonl"
    made = []
    for _ in range(2):
        async with serve(config(), journal=journal) as running, client(running) as call:
            for number in range(3):
                _, body = await call("POST", SUBMIT, json={"prompt": str(number)})
                made.append(body["request_id"])
            for request_id in made:
                assert (await call("GET", f"/v2/requests/{request_id}"))[0] == 200
    assert len(set(made)) == 6
    assert len(journal.read_text().splitlines()) == 6
    with journal.open("a") as file:
        file.write('{"request_id": "half a li')
    async with serve(config(), journal=journal) as running:
        assert [bill.request_id for bill in running.service.ledger.bills] == made
    assert len(journal.read_text().splitlines()) == 6


async def test_a_journal_is_written_before_the_answer(tmp_path):
    journal = tmp_path / "journal.jsonl"
    async with serve(config(), journal=journal) as running, client(running) as call:
        for count in range(1, 4):
            await call("POST", SUBMIT, json={"prompt": "x"})
            assert len(journal.read_text().splitlines()) == count


@pytest.mark.parametrize("text", ["nonsense\n", "[1]\n", '{"a": 1}\n', "7\n"])
async def test_a_file_that_is_no_journal_is_refused(tmp_path, text):
    journal = tmp_path / "journal.jsonl"
    journal.write_text(text)
    with pytest.raises(StateError, match=r"journal\.jsonl: the simulator's journal"):
        async with serve(config(), journal=journal):
            pass
    assert journal.read_text() == text


async def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port}"):
            async with serve(config(), cdn_port=port):
                pass


async def test_time_comes_from_the_clock_that_is_given():
    now = [1_900_000_000.0]
    settings = config(latency_s=30)
    async with serve(settings, clock=lambda: now[0]) as running, client(running) as call:
        _, body = await call("POST", SUBMIT, json={"prompt": "x"})
        path = f"/v2/requests/{body['request_id']}/status"
        assert (await call("GET", path))[1]["status"] == "PROCESSING"
        now[0] += 60
        assert (await call("GET", path))[1]["status"] == "COMPLETED"


async def test_the_control_room_is_open_to_loopback():
    async with serve(config()) as running:
        status, _, data = await download(running.url + "/_simulator/ledger")
        assert (status, json.loads(data)["bills"]) == (200, [])


async def test_many_clients_at_once_are_all_counted():
    async with serve(config(workers=200)) as running, client(running) as call:

        async def job(number):
            _, body = await call("POST", SUBMIT, json={"prompt": str(number)})
            return (await call("GET", f"/v2/requests/{body['request_id']}"))[1]["output"]

        urls = await asyncio.gather(*(job(number) for number in range(100)))
        ledger = running.service.ledger
        assert len(set(urls)) == len(ledger.bills) == ledger.count(Place.RESULT, 200) == 100
