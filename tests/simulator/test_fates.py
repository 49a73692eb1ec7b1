"""What a raw client sees of every fate an answer can have."""

import asyncio
import json
from urllib.parse import urlsplit

import aiohttp
import pytest

from batchgen.providers.segmind.simulator.brotli import stored
from batchgen.providers.segmind.simulator.http.server import serve
from tests.simulator.callers import KEY
from tests.simulator.http_callers import (
    PROMPT,
    SUBMIT,
    client,
    config,
    download,
    finished,
    raw,
    split,
    submit_raw,
)

CLOSE = "connection: close"


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
async def test_a_drop_brings_no_byte(kind):
    faults = [{"where": "submit", "kind": kind}]
    async with serve(config(faults=faults)) as running:
        assert await submit_raw(running) == (b"reset" if kind == "drop_before" else b"")
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


async def test_a_body_can_be_longer_than_its_length():
    async with serve(config(faults=[{"where": "cdn", "kind": "wrong_length"}])) as running:
        path = urlsplit(await finished(running)).path
        _, headers, body = split(await raw(running.cdn_url, path=path))
        assert int(headers["content-length"]) == len(body) // 2


async def test_all_of_a_file_can_come_as_a_part():
    async with serve(config(faults=[{"where": "cdn", "kind": "partial"}])) as running:
        url = await finished(running)
        status, headers, data = await download(url)
        assert (status, data[:4]) == (206, b"\x89PNG")
        assert headers["Content-Range"] == f"bytes 0-{len(data) - 1}/{len(data)}"


@pytest.mark.parametrize(
    ("body", "packed"),
    [
        (b"", b"\x06"),
        # Unpacked by another implementation once (`brotliDecompressSync` of Node).
        (b"cup", b"\x20\x00\x10cup\x03"),
        (b"x" * 65537, b"\xf0\xff\x1f" + b"x" * 65536 + b"\x00\x00\x08x\x03"),
    ],
)
async def test_an_answer_can_come_in_brotli(body, packed):
    assert stored(body) == packed
    answer = {"where": "any", "kind": "answer", "body": body.decode(), "count": 1}
    faults = [answer, {"where": "credits", "kind": "brotli"}]
    async with serve(config(faults=faults)) as running:
        asked = {"path": "/v1/get-user-credits", "headers": [f"x-api-key: {KEY}", CLOSE]}
        plain, squeezed = [await raw(running.url, **asked) for _ in range(2)]
    assert split(plain)[2] == body
    _, headers, data = split(squeezed)
    assert headers["content-encoding"] == "br"
    assert int(headers["content-length"]) == len(data)
    assert data.endswith(b"\x03")


@pytest.mark.parametrize("status", [204, 403, 444, 460, 499, 520])
async def test_answers_of_middlemen_arrive_as_they_are_told(status):
    told = {"status": status, "headers": {"X-Cache": "no"}, "header_bytes": 9000}
    faults = [{"where": "any", "kind": "answer", **told, "body": "<h1>no</h1>"}]
    async with serve(config(faults=faults)) as running:
        line, headers, body = split(await raw(running.url, headers=[CLOSE]))
        assert line.split()[1] == str(status)
        assert (headers["x-cache"], len(headers["x-padding"])) == ("no", 9000)
        assert body == (b"" if status == 204 else b"<h1>no</h1>")
        assert running.service.ledger.bills == []


async def test_slow_answers_and_v1_latencies_take_their_time():
    slow = {"where": "credits", "kind": "slow", "delay_s": 0.15}
    as_json = {"flux-pro": {"shape": "images"}}
    made = config(faults=[slow], latency_s=0.2, models=as_json)
    async with serve(made) as running, client(running) as call:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await call("GET", "/v1/get-user-credits")
        assert loop.time() - began >= 0.14
        began = loop.time()
        assert (await call("POST", "/v1/flux-pro", json={"prompt": "x"}))[0] == 200
        assert loop.time() - began >= 0.15
