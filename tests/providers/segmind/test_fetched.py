"""Fetching what the service publishes of its models, from servers that do as they like."""

from __future__ import annotations

import gzip
import json

import pytest

from batchgen.errors import UserError
from batchgen.providers.segmind.catalog.fetched import MAX_LIST_BYTES, fetch, sources_of
from tests.helpers.servers import free_port, serving

LIST = json.dumps({"any": [{"slug": "a"}]}).encode()
LLMS = b"| slug | cost |\n|---|---|\n| a | $0.05 |\n"


def answering(listed=None, llms=None):
    """A script that answers both, each as it is told; the other one is as usual."""

    async def script(connection):
        while request := await connection.request():
            told, usual = (llms, LLMS) if "/llms.txt" in request.line else (listed, LIST)
            await connection.answer(**(told or {"body": usual}))

    return script


async def test_both_sources_without_a_key(monkeypatch):
    monkeypatch.setenv("SEGMIND_API_KEY", "SG_0123456789abcdef")
    async with serving(answering()) as server:
        published = await fetch(server.url, "batchgen/test")
        await server.settled()
    assert published.faults == ()
    assert [list(listing.models) for listing in published.listings] == [["a"], ["a"]]
    assert {request.line for request in server.requests} == {
        "GET /inference-model-information/list?segmind_model=True HTTP/1.1",
        "GET /llms.txt HTTP/1.1",
    }
    for request in server.requests:
        assert "x-api-key" not in request.headers
        assert "authorization" not in request.headers
        assert "SG_" not in str(request.headers)


def test_the_addresses_of_the_service():
    assert [source.url for source in sources_of(None)] == [
        "https://api.spotprod.segmind.com/inference-model-information/list?segmind_model=True",
        "https://www.segmind.com/llms.txt",
    ]
    with pytest.raises(UserError, match="SEGMIND_BASE_URL"):
        sources_of("https://x.test/a/path")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"body": b"<html>"}, "not JSON"),
        ({"body": b"{}", "status": "404 Not Found"}, "HTTP 404"),
        ({"body": b"", "headers": ("Location: /away",), "status": "302 Found"}, ""),
        ({"body": LIST, "headers": (f"Content-Length: {MAX_LIST_BYTES + 1}",), "length": False},
         "at most"),
        ({"body": gzip.compress(b" " * (MAX_LIST_BYTES + 1)),
          "headers": ("Content-Encoding: gzip",)}, "more than"),
        ({"body": gzip.compress(LIST)[:20], "headers": ("Content-Encoding: gzip",)}, "early"),
    ],
    ids=["html", "404", "redirect", "huge", "bomb", "cut"],
)  # fmt: skip
async def test_one_that_cannot_be_read_keeps_nobody_from_the_other(answer, reason):
    async with serving(answering(listed=answer)) as server:
        published = await fetch(server.url, "batchgen/test")
        await server.settled()
    (listing,) = published.listings
    assert listing.models["a"].price_usd == 0.05
    (fault,) = published.faults
    assert "/inference-model-information/list" in fault
    assert reason in fault


async def test_a_compressed_list_is_read():
    packed = {"body": gzip.compress(LIST), "headers": ("Content-Encoding: gzip",)}
    async with serving(answering(listed=packed)) as server:
        assert (await fetch(server.url, "batchgen/test")).faults == ()


async def test_a_server_that_says_nothing_and_one_that_is_not_there():
    async def silent(connection):
        await connection.request()
        await connection.until_closed()

    async with serving(silent) as server:
        published = await fetch(server.url, "batchgen/test", timeout_s=0.2)
    assert (published.listings, len(published.faults)) == ((), 2)
    assert all(fault.endswith("no answer in time") for fault in published.faults)
    published = await fetch(f"http://127.0.0.1:{free_port()}", "batchgen/test")
    assert len(published.faults) == 2
