"""Downloads into memory, from small servers that misbehave on purpose."""

import hashlib

import pytest

from batchgen.outputs.downloads import Downloader, DownloadSettings
from batchgen.ports import SaveError
from tests.helpers.servers import serving

DATA = bytes(range(256)) * 40


class Memory:
    """A sink that remembers."""

    def __init__(self):
        self.data = b""
        self.restarts = 0

    @property
    def size(self):
        return len(self.data)

    async def write(self, piece):
        self.data += piece

    async def restart(self):
        self.data = b""
        self.restarts += 1

    def digest(self):
        return hashlib.sha256(self.data).hexdigest()


def downloader(**settings):
    return Downloader("batchgen/test", DownloadSettings(**{"allow_private": True, **settings}))


async def fetch(*scripts, path="/x.png", **settings):
    """What a download brings, and the server's record."""
    sink = Memory()
    async with serving(*scripts) as server, downloader(**settings) as client:
        fetched = await client.fetch(server.url + path, sink)
    return fetched, sink, server


async def fault_of(*scripts, **settings):
    async with serving(*scripts) as server, downloader(**settings) as client:
        with pytest.raises(SaveError) as caught:
            await client.fetch(f"{server.url}/x.png", Memory())
    return caught.value.fault, server


def sends(*parts, stall=False):
    async def script(connection):
        await connection.request()
        for part in parts:
            await connection.send(part)
        if stall:
            await connection.until_closed()

    return script
