"""Small raw servers on the loopback that misbehave on purpose."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass
class Request:
    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class Connection:
    """One accepted connection, for a script to talk on."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: "Server"

    async def request(self):
        """The next request, or None when the client has gone."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (f.split(": ", 1) for f in fields)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        request = Request(line, headers, body, self.number)
        self.server.requests.append(request)
        return request

    async def send(self, data):
        self.writer.write(data if isinstance(data, bytes) else data.encode("latin-1"))
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def answer(self, body=b"{}", status="200 OK", headers=(), length=True):
        lines = [f"HTTP/1.1 {status}", *headers]
        if length:
            lines.append(f"Content-Length: {len(body)}")
        await self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def reset(self):
        """Close so that the peer sees a reset."""
        plug = self.writer.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def until_closed(self):
        """Wait for the peer to close."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Script = Callable[[Connection], Awaitable[None]]


@dataclass
class Server:
    """Runs one script a connection; the last script serves all further ones."""

    scripts: list[Script]
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    closed: int = 0
    port: int = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader, writer):
        number = self.connections
        self.connections += 1
        script = self.scripts[min(number, len(self.scripts) - 1)]
        try:
            await script(Connection(number, reader, writer, self))
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self.closed += 1

    async def settled(self):
        """Wait until every connection that was opened is closed again."""
        async with asyncio.timeout(30):
            while self.closed < self.connections:
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def serving(*scripts, tls=None):
    """A server at work."""
    server = Server(list(scripts))
    tasks = set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        # A task that ends cancelled would be reported as an error by asyncio's own callback.
        with contextlib.suppress(asyncio.CancelledError):
            await server._serve(reader, writer)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listener.wait_closed()


def always(**answer):
    """Answer every request of a connection the same way, keeping it alive."""

    async def script(connection):
        while await connection.request():
            await connection.answer(**answer)

    return script


def free_port():
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        return plug.getsockname()[1]
