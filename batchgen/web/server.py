"""`batchgen serve`: the page of a run, live, over HTTP. It reads and sends, and changes nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from batchgen.core.net.urls import is_loopback_host
from batchgen.errors import UserError
from batchgen.outputs.reading import open_outputs
from batchgen.ports import Clock
from batchgen.system.run_directory import RunDirectory
from batchgen.web.feed import MOST_ROWS, Feed, Watched
from batchgen.web.guard import Guard
from batchgen.web.handlers import Handlers
from batchgen.web.summary import titled
from batchgen.web.thumbnails import Thumbnails

SHUTDOWN_S = 1.0
"""How long answers under way may take when the server ends."""


class PortTakenError(UserError):
    """Nobody can listen on this address and port, or somebody already does."""


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Where to listen (port 0 takes any free one), and the token; empty where none is needed.

    `complain` takes what goes wrong later on.
    """

    complain: Callable[[str], None]
    host: str = "127.0.0.1"
    port: int = 0
    token: str = ""
    most: int = MOST_ROWS


@asynccontextmanager
async def serving(
    directory: RunDirectory, settings: ServeSettings, clock: Clock
) -> AsyncIterator[str]:
    """Serve a run until the block ends; yields the address to open, with the token if there is one.

    Raises `UserError` where the state cannot be read, and `PortTakenError`.
    """
    files = open_outputs(directory)
    run = titled(directory.path)
    watched = Watched(directory, run, files, clock.now, settings.complain, settings.most)
    guard = Guard(settings.host, settings.token, frozenset({socket.gethostname().lower()}))
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_listen(settings.host, settings.port))
        port = listener.getsockname()[1]
        thumbnails = await asyncio.to_thread(Thumbnails, files, directory.thumbnails)
        stack.push_async_callback(asyncio.to_thread, thumbnails.close)
        feed = Feed(watched)
        handlers = Handlers(feed, watched, thumbnails, guard, f"batchgen-{port}")
        stack.callback(handlers.close)
        runner = web.AppRunner(
            handlers.application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=SHUTDOWN_S,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        # Entered last and left first: open pages are told how it ended before they are let go.
        await stack.enter_async_context(feed)
        await web.SockSite(runner, listener).start()
        yield _address(settings, port)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise PortTakenError(
            f"cannot listen on {host} port {port}: {error.strerror or error}\n"
            "    Choose another address with --host or port with --port; port 0 takes any free one"
        ) from error


def _address(settings: ServeSettings, port: int) -> str:
    host = settings.host
    if host in {"0.0.0.0", "::"}:  # noqa: S104  compared with, not bound to
        host = _own_address()
    shown = f"[{host}]" if ":" in host else host
    query = f"?token={settings.token}" if settings.token else ""
    return f"http://{shown}:{port}/{query}"


def _own_address() -> str:
    """The address by which others in the network reach this machine, as far as it can be told."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Of datagrams this sends nothing: it only asks which way they would go.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def needs_token(host: str) -> bool:
    """Whether others than this machine can reach a server that is bound to a host."""
    return not is_loopback_host(host)
