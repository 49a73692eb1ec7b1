"""A look-alike of the service that costs as little as Python can: canned answers, one process.

`python -m bench.server` prints its port on a line and serves until its standard input closes. It
answers the four calls of a job (submit, status, result, file), counts them, and can keep a rate
limit. It knows nothing of faults: `batchgen.providers.segmind.simulator` does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import struct
import sys
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.machine import pin

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Manners:
    """How the service behaves. Times in seconds, sizes in bytes; `rpm` None is no limit."""

    file_bytes: int = 100_000
    latency_s: tuple[float, float] = (0.0, 0.0)
    rpm: int | None = None


def png(tag: bytes, rest: bytes) -> bytes:
    """A PNG that differs from others by a text chunk; `rest` is all behind it."""
    return _HEAD + _chunk(b"tEXt", b"id\0" + tag) + rest


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_HEAD = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", 512, 512, 8, 2, 0, 0, 0))


def png_rest(size: int) -> bytes:
    """Picture data of about so many bytes (not of a real picture), and the end of the file."""
    return _chunk(b"IDAT", random.Random(1).randbytes(size)) + _chunk(b"IEND", b"")


@dataclass(slots=True)
class Service:
    """What is remembered: when each request is done, and what was asked."""

    manners: Manners
    origin: str = ""
    done_at: dict[bytes, float] = field(default_factory=dict)
    latency: dict[bytes, float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    files_at: list[float] = field(default_factory=list)
    calls_at: deque[float] = field(default_factory=deque)
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    rest: bytes = b""

    def answer(self, method: bytes, path: bytes) -> bytes:
        """The whole answer to a request, headers and all."""
        if path.startswith(b"/f/"):
            return self._file(path[3:-4])
        if path == b"/report":
            return self._json(self.report())
        if self._is_over_limit():
            self.counts["429"] += 1
            return b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}"
        if method == b"POST":
            return self._submit()
        if path.startswith(b"/v2/requests/"):
            name, _, tail = path[13:].partition(b"/")
            return self._status(name) if tail else self._result(name)
        self.counts["other"] += 1
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"

    def report(self) -> dict[str, object]:
        """What was asked so far, and when files went out (on the machine's monotonic clock)."""
        return {"counts": dict(self.counts), "files_at": self.files_at}

    def _is_over_limit(self) -> bool:
        limit = self.manners.rpm
        if limit is None:
            return False
        now = time.monotonic()
        while self.calls_at and self.calls_at[0] <= now - _WINDOW_S:
            self.calls_at.popleft()
        self.calls_at.append(now)
        return len(self.calls_at) > limit

    def _json(self, value: object) -> bytes:
        text = json.dumps(value).encode()
        return _OK % (len(text), text)

    def _submit(self) -> bytes:
        number = self.counts["submit"] = self.counts["submit"] + 1
        name = b"req-%08d" % number
        low, high = self.manners.latency_s
        if high:
            latency_s = self.dice.uniform(low, high)
            self.latency[name] = latency_s
            self.done_at[name] = time.monotonic() + latency_s
        at = f"{self.origin}/v2/requests/{name.decode()}"
        text = (
            f'{{"request_id": "{name.decode()}", "status": "QUEUED", "poll_url": "{at}", '
            f'"status_url": "{at}/status", "response_url": "{at}"}}'
        ).encode()
        return _OK % (len(text), text)

    def _status(self, name: bytes) -> bytes:
        self.counts["status"] += 1
        done_at = self.done_at.get(name, 0.0)
        if done_at and time.monotonic() < done_at:
            text = b'{"request_id": "%s", "status": "PROCESSING", "metrics": {}}' % name
        else:
            text = b'{"request_id": "%s", "status": "COMPLETED", "metrics": %s}' % (
                name,
                self._metrics(name),
            )
        return _OK % (len(text), text)

    def _metrics(self, name: bytes) -> bytes:
        latency_s = self.latency.get(name, 0.0)
        return b'{"inference_time": %.3f, "total_time": %.3f, "cost": 0.01}' % (
            latency_s,
            latency_s,
        )

    def _result(self, name: bytes) -> bytes:
        self.counts["result"] += 1
        text = b'{"status": "COMPLETED", "output": "%s/f/%s.png", "metrics": %s}' % (
            self.origin.encode(),
            name,
            self._metrics(name),
        )
        return _OK % (len(text), text)

    def _file(self, name: bytes) -> bytes:
        self.counts["file"] += 1
        self.files_at.append(time.monotonic())
        body = png(name, self.rest)
        return b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n%s" % (
            len(body),
            body,
        )


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as far as polite clients need it."""

    def __init__(self, answer: Callable[[bytes, bytes], bytes]) -> None:
        self._answer = answer
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = self._held[:end]
            whole = end + 4 + _body_size(head)
            if len(self._held) < whole:
                return
            self._held = self._held[whole:]
            method, path, _ = head.split(b" ", 2)
            self._transport.write(self._answer(method, path))


def _body_size(head: bytes) -> int:
    if head.startswith(b"GET"):
        return 0
    _, found, tail = head.lower().partition(b"content-length:")
    return int(tail.split(b"\r\n", 1)[0]) if found else 0


async def serve(manners: Manners) -> None:
    service = Service(manners, rest=png_rest(manners.file_bytes))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(service.answer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    service.origin = f"http://127.0.0.1:{port}"
    print(port, flush=True)
    # The launcher holds the other end: its death closes it as well.
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--file-bytes", type=int, default=100_000)
    parser.add_argument("--latency", type=float, nargs=2, default=(0.0, 0.0))
    parser.add_argument("--rpm", type=int)
    parser.add_argument("--core", type=int)
    options = parser.parse_args()
    if options.core is not None:
        pin(options.core)
    low, high = options.latency
    asyncio.run(serve(Manners(options.file_bytes, (low, high), options.rpm)))


if __name__ == "__main__":
    main()
