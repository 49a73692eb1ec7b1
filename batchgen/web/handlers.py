"""What a request is answered with. Everything passes the guard first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from aiohttp import web

from batchgen.errors import BatchgenError
from batchgen.web.feed import Feed, Watched
from batchgen.web.guard import AccessRefusal, Guard, PageRequest
from batchgen.web.outputs import is_inside, send_output
from batchgen.web.page import as_json, page, policy
from batchgen.web.thumbnails import PICTURES, Thumbnails, Wanted

HEARTBEAT_S = 15.0
"""An open stream says so often that it is alive: proxies and phones give up silent ones."""
MOST_STREAMS = 64
"""Pages that may listen at once."""
_THREADS = 4
_KEPT = "private, max-age=31536000, immutable"
"""Of what stands under an address that names its content."""
_HEADERS = {
    "Server": "batchgen",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_REFUSALS = {
    AccessRefusal.METHOD: (405, "Only GET and HEAD."),
    AccessRefusal.HOST: (421, "This server is not called that. Open it by the address it printed."),
    AccessRefusal.ORIGIN: (403, "Other web pages may not look in here."),
    AccessRefusal.TOKEN: (
        401,
        "Open the whole address that `batchgen serve` printed, token included.",
    ),
}
_OPENED = """<!doctype html><html lang="en"><meta charset="utf-8"><title>batchgen</title>
<meta http-equiv="refresh" content="0; url=./"><p><a href="./">Open the run</a></p></html>"""
"""Follows a token. A redirect would not do: a Strict cookie is not sent along one from afar."""

_NO_METRICS = """/metrics needs the library prometheus-client, which is not installed.
    python -m pip install prometheus-client
Then start the page again.
"""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of the metrics: the text format of Prometheus."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Handlers:
    """The addresses of one served run."""

    def __init__(
        self, feed: Feed, watched: Watched, thumbnails: Thumbnails, guard: Guard, cookie: str
    ) -> None:
        self._feed, self._watched, self._thumbnails = feed, watched, thumbnails
        self._guard, self._cookie = guard, cookie
        self._scrape = _scraper(feed)
        self._stream_count = 0
        # Not those of the loop: beside a run, its files must not wait for thumbnails.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="pages")

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(cancel_futures=True)

    def application(self) -> web.Application:
        """The application of aiohttp that answers."""
        application = web.Application(middlewares=[self._guarded])
        application.on_response_prepare.append(_add_headers)
        application.add_routes(
            [
                web.get("/", self._page),
                web.get("/events", self._events),
                web.get("/thumbnails/{name:.+}", self._thumbnail),
                web.get("/outputs/{name:.+}", self._output),
                web.get("/metrics", self._metrics),
                web.get("/healthz", self._health),
            ]
        )
        return application

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = PageRequest(
            request.method,
            request.path,
            {name.lower(): value for name, value in request.headers.items()},
            request.query.get("token", "") if request.path == "/" else "",
            request.cookies.get(self._cookie, ""),
        )
        refusal = self._guard.refusal(asked)
        if refusal is AccessRefusal.TOKEN and request.path == "/healthz":
            refusal = None  # whoever watches over it needs no token, and learns nothing else
        if refusal is not None:
            status, said = _REFUSALS[refusal]
            return web.Response(status=status, text=f"{said}\n")
        try:
            return await handler(request)
        except BatchgenError:
            # What exactly is told to whoever started the server: it may name places outside.
            return web.Response(status=503, text="The run cannot be read just now.\n")

    async def _page(self, request: web.Request) -> web.Response:
        token = request.query.get("token", "")
        if self._guard.is_key(token):
            opened = web.Response(text=_OPENED, content_type="text/html")
            opened.set_cookie(self._cookie, token, httponly=True, samesite="Strict", path="/")
            return opened
        title = str(self._feed.summary["name"])
        pieces = page(title, self._feed.blocks(), live=True)
        text = await asyncio.get_running_loop().run_in_executor(self._threads, "".join, pieces)
        response = web.Response(text=text, content_type="text/html")
        response.headers["Content-Security-Policy"] = f"{policy(live=True)}; frame-ancestors 'none'"
        response.enable_compression()
        return response

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self._stream_count >= MOST_STREAMS:
            raise web.HTTPServiceUnavailable(text="Too many pages are open.\n")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        self._stream_count += 1
        try:
            await self._stream(request, response)
        except ConnectionResetError:
            pass  # the page was closed
        finally:
            self._stream_count -= 1
        return response

    async def _stream(self, request: web.Request, response: web.StreamResponse) -> None:
        """What came after the page's mark, and what comes, until either side ends it."""
        mark = request.headers.get("Last-Event-ID") or request.query.get("since", "")
        after = self._feed.number_of(mark)
        await response.write(b"retry: 2000\n\n")
        if after is None:
            await response.write(b"event: reset\ndata:\n\n")
            return
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    told = await self._feed.news(after)
            except TimeoutError:
                await response.write(b": still here\n\n")
                continue
            if told is None:
                return
            after, news = told
            await response.write(_event(self._feed.mark_of(after), news))

    async def _thumbnail(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        known = await self._feed.file(name)
        inside = known is not None and await is_inside(self._watched, name)
        if known is None or known[0] not in PICTURES or not inside:
            raise web.HTTPNotFound(text="There is no such picture.\n")
        wanted = Wanted(name, known[1])
        loop = asyncio.get_running_loop()
        made = await loop.run_in_executor(self._threads, self._thumbnails.one, wanted)
        if made is None:
            return web.Response(status=204)  # the tile goes without; that is no error to tell
        return web.Response(body=made, content_type="image/webp", headers={"Cache-Control": _KEPT})

    async def _output(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        known = await self._feed.file(name)
        if known is None:
            raise web.HTTPNotFound(text="There is no such output.\n")
        return await send_output(request, self._watched, name, known[0])

    async def _metrics(self, _request: web.Request) -> web.Response:
        if self._scrape is None:
            raise web.HTTPNotImplemented(text=_NO_METRICS)
        return web.Response(body=self._scrape(), headers={"Content-Type": CONTENT_TYPE})

    async def _health(self, _request: web.Request) -> web.Response:
        good = not self._feed.trouble
        return web.Response(text="ok\n" if good else "trouble\n", status=200 if good else 503)


def _scraper(feed: Feed) -> Callable[[], bytes] | None:
    """What answers a scrape; None where the library of Prometheus is not installed."""
    try:
        from batchgen.web.metrics import exposition, registry_of  # noqa: PLC0415  an extra
    except ImportError:
        return None
    return partial(exposition, registry_of(lambda: feed.summary))


def _event(mark: str, news: dict[str, Any]) -> bytes:
    # JSON has no line breaks outside of texts, and escapes them inside: it is one line of data.
    return f"event: news\nid: {mark}\ndata: {as_json(news)}\n\n".encode()


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = _HEADERS["Server"]
