"""The simulated service over real HTTP: the API on one port, the CDN on another.

    async with serve(SimulatorConfig()) as running:
        print(running.url)      # SEGMIND_BASE_URL

Real time enters through one callable, and what the service decides is made visible on sockets. No
files are kept but the journal, if one is asked for.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiohttp import web

from batchgen.core.catalog.model import Catalog
from batchgen.errors import Problem, UserError
from batchgen.providers.segmind.simulator.answers import error_reply
from batchgen.providers.segmind.simulator.config import SimulatorConfig
from batchgen.providers.segmind.simulator.fault_rules import CdnHost
from batchgen.providers.segmind.simulator.http.delivery import deliver, ranged, whole_part
from batchgen.providers.segmind.simulator.http.routes import CONTROL
from batchgen.providers.segmind.simulator.journal import Journal
from batchgen.providers.segmind.simulator.media.studio import MediaRenderer
from batchgen.providers.segmind.simulator.messages import (
    DeliveryFault,
    MediaRef,
    ReceivedRequest,
    Reply,
    Urls,
)
from batchgen.providers.segmind.simulator.service import Service

MAX_BODY_BYTES = 256 * 2**20
"""Largest request body; larger ones get 413. A guess: the service does not tell its own."""
SHUTDOWN_S = 0.5
"""How long answers under way may take when the server ends."""
_BACKLOG = 1024
_PARTIAL = 206
_WITH_MEDIA = (200, _PARTIAL)

Clock = Callable[[], float]
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Running:
    """A simulator that accepts connections. `url` is what SEGMIND_BASE_URL should be."""

    url: str
    cdn_url: str
    service: Service


def wall_clock() -> Clock:
    """Seconds since the epoch as of now, carried on by a clock that never steps."""
    offset = time.time() - time.monotonic()  # noqa: TID251  read once, at the start
    return lambda: offset + time.monotonic()


@asynccontextmanager
async def serve(  # noqa: PLR0913  two addresses, and one place each for time and memory
    config: SimulatorConfig,
    *,
    host: str = "127.0.0.1",
    api_port: int = 0,
    cdn_port: int = 0,
    journal: Path | None = None,
    clock: Clock | None = None,
    models: Catalog | None = None,
) -> AsyncIterator[Running]:
    """Run a simulator until the block ends. Port 0 takes any free one.

    With a `journal` it goes on where the last one with that file ended. `models` are those it
    knows, by default the ones that ship. Raises UserError when a
    port cannot be had, when pictures are to be drawn and Pillow is not installed, or (StateError)
    when the file is no journal.
    """
    clock = clock or wall_clock()
    async with AsyncExitStack() as stack:
        # Reads files (Pillow, the catalogue), which must not hold the loop up.
        studio = await asyncio.to_thread(MediaRenderer, config)
        stack.push_async_callback(asyncio.to_thread, studio.close)
        api_socket = stack.enter_context(_listen(host, api_port))
        cdn_socket = stack.enter_context(_listen(host, cdn_port))
        urls = Urls(_origin(api_socket), _origin(cdn_socket))
        cdn2_socket = stack.enter_context(_listen(host, 0)) if config.has_second_cdn else None
        if cdn2_socket:
            urls = replace(urls, cdn2=_origin(cdn2_socket))
        service = await asyncio.to_thread(
            Service, config, started_at=clock(), urls=urls, render=studio.render, models=models
        )
        kept = await asyncio.to_thread(Journal.resume, journal, service) if journal else None
        if kept:
            stack.push_async_callback(asyncio.to_thread, kept.close)
        doors = _Doors(service, studio, clock, kept)
        listeners = [(api_socket, doors.api), (cdn_socket, doors.cdn)]
        if cdn2_socket:
            listeners.append((cdn2_socket, doors.cdn2))
        for listener, handler in listeners:
            runner = web.ServerRunner(_server(handler, config), shutdown_timeout=SHUTDOWN_S)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.SockSite(runner, listener, backlog=_BACKLOG).start()
        yield Running(urls.api, urls.cdn, service)


@dataclass(frozen=True, slots=True)
class _Doors:
    """Hands requests to the service, and its replies back."""

    service: Service
    studio: MediaRenderer
    clock: Clock
    journal: Journal | None

    async def api(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith(CONTROL) and not _is_local(request.remote):
            return await self._send(request, error_reply(403, f"{CONTROL} is for loopback only"))
        asked = await _read(request)
        reply = self.service.handle(asked, self.clock())
        if self.journal:
            try:
                await self.journal.keep_up(self.service)
            except OSError as error:
                reply = error_reply(503, f"the simulator cannot write its journal: {error}")
        return await self._send(request, reply)

    async def cdn(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._download(request, CdnHost.CDN)

    async def cdn2(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._download(request, CdnHost.CDN2)

    async def _download(self, request: web.BaseRequest, host: CdnHost) -> web.StreamResponse:
        asked = replace(await _read(request), host=host)
        reply = self.service.cdn(asked, self.clock())
        if reply.status not in _WITH_MEDIA or not isinstance(reply.body, MediaRef):
            return await self._send(request, reply)
        body = await self.studio.render_aside(reply.body)
        if reply.status == _PARTIAL:
            return await self._send(request, whole_part(reply, body))
        delay_s = reply.delay_s
        reply, body = ranged(asked.headers, reply, body)
        if request.method == "HEAD":
            reply = replace(reply, fate=DeliveryFault.WHOLE)
        return await self._send(request, replace(reply, body=body, delay_s=delay_s))

    async def _send(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        due_at = self.clock() + reply.delay_s
        body = reply.body
        if isinstance(body, MediaRef):
            body = await self.studio.render_aside(body)
        if reply.delay_s:
            await asyncio.sleep(due_at - self.clock())
        return await deliver(request, reply, body)


async def _read(request: web.BaseRequest) -> ReceivedRequest:
    return ReceivedRequest(
        method=request.method,
        path=request.path,
        query=dict(request.query) if request.query_string else {},
        headers={name.lower(): value for name, value in request.headers.items()},
        body=await request.read() if request.body_exists else b"",
    )


def _server(handler: Handler, config: SimulatorConfig) -> web.Server:
    return web.Server(
        handler,
        request_factory=_make_request,
        handler_cancellation=True,
        keepalive_timeout=config.keepalive_s,
        access_log=None,
    )


def _make_request(
    message: Any, payload: Any, protocol: Any, writer: Any, task: Any
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY_BYTES
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        problem = Problem(
            f"the simulator cannot listen on {host} port {port}: {error.strerror or error}",
            "choose another address or port, or port 0 for any free one",
        )
        raise UserError(str(problem)) from error
    return listener


def _origin(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_local(remote: str | None) -> bool:
    """Whether a peer is this machine. A peer without an address is a Unix socket: local."""
    return remote is None or ip_address(remote.partition("%")[0]).is_loopback
