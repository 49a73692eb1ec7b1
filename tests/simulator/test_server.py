"""The service over real HTTP: jobs, ranges, ports, clocks, many clients."""

import asyncio
import json
import socket
from io import BytesIO

import pytest

from batchgen.errors import UserError
from batchgen.providers.segmind.simulator import Endpoint, tiny_media
from batchgen.providers.segmind.simulator.http.server import _is_local, serve
from tests.simulator.callers import KEY
from tests.simulator.http_callers import (
    SUBMIT,
    client,
    config,
    download,
    finished,
    raw,
)


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


@pytest.mark.parametrize(
    ("remote", "local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        (None, True),
        ("10.0.0.7", False),
        ("fe80::1%eth0", False),
    ],
)
def test_loopback_is_told_from_the_rest(remote, local):
    assert _is_local(remote) == local


async def test_many_clients_at_once_are_all_counted():
    async with serve(config(workers=200)) as running, client(running) as call:

        async def job(number):
            _, body = await call("POST", SUBMIT, json={"prompt": str(number)})
            return (await call("GET", f"/v2/requests/{body['request_id']}"))[1]["output"]

        urls = await asyncio.gather(*(job(number) for number in range(100)))
        ledger = running.service.ledger
        assert len(set(urls)) == len(ledger.bills) == ledger.count(Endpoint.RESULT, 200) == 100
