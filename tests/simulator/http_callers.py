"""Talking to a simulator over real HTTP, politely and by hand."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp

from batchgen.providers.segmind.simulator import SimulatorConfig
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
