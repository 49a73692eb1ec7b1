"""Bringing home a public file whose URL a stranger named: no key, no trust, no half files.

The URL and every redirect are checked, and so is every address a name resolves to: the connection
is made to exactly the addresses that passed, so a name cannot change its mind in between. Behind a
proxy the proxy resolves names, and is trusted with that.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from batchgen.core.common.text import printable
from batchgen.core.net.decompression import is_plain
from batchgen.core.net.urls import check_media_url, escaped, place_of
from batchgen.errors import InternalError
from batchgen.outputs.answers import (
    CONTENT_RANGE,
    WITHOUT_FILE,
    Body,
    BrokenError,
    ShortError,
    is_other_part,
    network_fault,
    redirected,
    status_fault,
    validator_of,
)
from batchgen.outputs.min_speed import MinSpeedGuard
from batchgen.outputs.resolver import PublicResolver
from batchgen.ports import SaveError, SaveFault
from batchgen.system.proxies import ProxyError, environment_proxies, proxy_for
from batchgen.system.tls import client_context

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FAULTS_OF_HOSTS = frozenset({SaveFault.TRANSIENT, SaveFault.GONE, SaveFault.BAD_CONTENT})
MAX_HEADER_BYTES = 64 * 1024
"""Of one header. CDNs with policies and debug headers send longer ones than aiohttp's 8 KB."""


@dataclass(frozen=True, slots=True)
class DownloadSettings:
    """Limits of one download. Sizes in bytes, times in seconds; all of them guesses.

    Slower than `min_bytes_per_s` over a whole `pace_window_s` counts as broken off; no byte at all
    for that long too. `allow_private` is for the simulator on this machine.
    """

    max_bytes: int = 4 * 2**30
    connect_timeout_s: float = 15.0
    min_bytes_per_s: float = 1024.0
    pace_window_s: float = 30.0
    max_redirects: int = 3
    max_reconnects: int = 5
    connection_limit: int = 100
    allow_private: bool = False


class Sink(Protocol):
    """Where the bytes go, in order. Its own faults are `SaveError`s and pass through."""

    @property
    def size(self) -> int:
        """Bytes taken so far."""
        ...

    async def write(self, piece: bytes) -> None:
        """Take the next bytes."""
        ...

    async def restart(self) -> None:
        """Forget everything: the file begins anew."""
        ...

    def digest(self) -> str:
        """SHA-256 (hex) of the bytes taken so far."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """A finished download. `confirmed`: the server said where it ends, by its length or within a
    compressed stream, and it came that far.

    `twice`: the length that was told is wrong, but the same bytes came twice. `media_type` is what
    the server calls it, or empty; `host` is where it came from, as in `SaveError`.
    """

    confirmed: bool
    twice: bool = False
    media_type: str = ""
    host: str = ""


@dataclass(slots=True)
class _Transfer:
    """One file across its connections. `validator` is empty where nothing can be continued.

    `offset` is where the last answer was asked to begin, `short` size and hash of what was there
    when one ended before its length. `host` and `media_type` are of the last answer.
    """

    url: str
    validator: str = ""
    total: int | None = None
    offset: int = 0
    short: tuple[int, str] | None = None
    host: str = ""
    media_type: str = ""


class Downloader:
    """Fetches media URLs. An async context manager; it never knows the API key."""

    def __init__(self, user_agent: str, settings: DownloadSettings | None = None) -> None:
        self._user_agent = user_agent
        self._settings = settings or DownloadSettings()
        self._proxies = environment_proxies()
        self._direct: aiohttp.ClientSession | None = None
        self._proxied: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        guarded = not self._settings.allow_private
        self._direct = self._session(PublicResolver() if guarded else None)
        self._proxied = self._session(None)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for session in (self._direct, self._proxied):
            if session is not None:
                await session.close()
        self._direct = self._proxied = None

    def _session(self, resolver: AbstractResolver | None) -> aiohttp.ClientSession:
        settings = self._settings
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=settings.connection_limit, resolver=resolver, ssl=client_context()
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(
                connect=settings.connect_timeout_s, sock_read=settings.pace_window_s
            ),
            auto_decompress=False,
            read_bufsize=256 * 1024,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            trust_env=False,
        )

    async def fetch(self, url: str, sink: Sink) -> Fetched:
        """Stream the file into `sink`, going on where a broken connection left off.

        A connection that brought nothing new is the last one: waiting and trying again is the
        caller's. Raises `SaveError`, with the host where one is at fault.
        """
        transfer = _Transfer(url)
        try:
            return await self._whole(transfer, sink)
        except SaveError as error:
            if error.fault in _FAULTS_OF_HOSTS:
                error.host = transfer.host
            raise

    async def _whole(self, transfer: _Transfer, sink: Sink) -> Fetched:
        for _ in range(self._settings.max_reconnects + 1):
            size_before = sink.size
            try:
                return await self._continue(transfer, sink)
            except BrokenError as error:
                detail = printable(str(error), 200)
                if isinstance(error, ShortError) and self._came_twice(transfer, sink):
                    return Fetched(False, True, transfer.media_type, transfer.host)
            if sink.size <= size_before:
                if not (transfer.short and transfer.validator):
                    break
                transfer.validator = ""  # the rest cannot be had: the whole once more, to compare
        raise SaveError(SaveFault.TRANSIENT, detail)

    @staticmethod
    def _came_twice(transfer: _Transfer, sink: Sink) -> bool:
        """Whether an answer that is shorter than its length brought what one brought before."""
        came = (sink.size, sink.digest())
        twice = transfer.offset == 0 and came[0] > 0 and came == transfer.short
        transfer.short = came
        return twice

    async def _continue(self, transfer: _Transfer, sink: Sink) -> Fetched:
        """One connection's part of a transfer, up to its end."""
        transfer.offset = offset = sink.size if transfer.validator else 0
        headers = {"Range": f"bytes={offset}-", "If-Range": transfer.validator} if offset else {}
        sealed = False
        try:
            response = await self._open(transfer, headers)
            try:
                if await self._begin(response, transfer, sink):
                    sealed = await self._pour(response, transfer, sink)
            except BaseException:
                response.close()
                raise
            response.release()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise network_fault(error) from error
        if transfer.total is not None and transfer.total != sink.size:
            raise BrokenError(f"{sink.size} of {transfer.total} bytes arrived")
        confirmed = sealed or transfer.total is not None
        return Fetched(confirmed, False, transfer.media_type, transfer.host)

    async def _open(self, transfer: _Transfer, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """The first answer that is no redirect; each place on the way is checked."""
        url = transfer.url
        for _ in range(self._settings.max_redirects + 1):
            url = escaped(url)
            reason = check_media_url(url, allow_private=self._settings.allow_private)
            if reason:
                raise SaveError(SaveFault.FORBIDDEN_URL, f"{printable(url, 200)}: {reason}")
            transfer.host = place_of(url)
            response = await self._get(url, headers)
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or not target:
                return response
            response.close()
            url = redirected(url, target)
        limit = self._settings.max_redirects
        raise SaveError(SaveFault.FORBIDDEN_URL, f"more than {limit} redirects")

    async def _get(self, url: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        proxy = self._proxy_for(url)
        session = self._proxied if proxy else self._direct
        if session is None:
            raise InternalError("Downloader was used outside its `async with`")
        return await session.get(
            _as_written(url), headers=headers, allow_redirects=False, proxy=proxy
        )

    def _proxy_for(self, url: str) -> str | None:
        """Its proxy. At the start only that of https was looked at; plain http is rare."""
        try:
            return proxy_for(url, self._proxies)
        except ProxyError as error:
            raise SaveError(SaveFault.FORBIDDEN_URL, str(error)) from error

    async def _begin(
        self, response: aiohttp.ClientResponse, transfer: _Transfer, sink: Sink
    ) -> bool:
        """Fit the answer to what is here already; False when nothing is missing any more."""
        status, offset = response.status, transfer.offset
        span = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        begin, total = (span[1], span[3]) if span else (None, "*")
        if offset and status == 416:
            if total != str(offset):
                raise BrokenError("the server answered HTTP 416")
            transfer.total = offset
            return False
        if status == 206 and is_other_part(response, begin, offset):
            raise SaveError(SaveFault.TRANSIENT, "the server sent another part than asked for")
        if offset and status == 206:
            transfer.total = transfer.total if total == "*" else int(total)
        elif status == 200 or _brings_something(response):
            if sink.size:
                await sink.restart()
            encoded = not is_plain(response.headers.get("Content-Encoding", ""))
            told = response.content_length
            if status == 206:
                told = None if total == "*" else int(total)
            transfer.total = None if encoded else told
            transfer.validator = "" if encoded else validator_of(response)
        else:
            raise status_fault(status)
        transfer.media_type = printable(response.headers.get("Content-Type", ""), 100)
        if (transfer.total or 0) > self._settings.max_bytes:
            raise SaveError(SaveFault.TOO_LARGE, f"it has {transfer.total} bytes")
        return True

    async def _pour(
        self, response: aiohttp.ClientResponse, transfer: _Transfer, sink: Sink
    ) -> bool:
        """Stream the body, decoded if need be, under the cap and above the lowest pace.

        True when it was compressed, and said by itself that it is complete.
        """
        body = Body(response.headers.get("Content-Encoding", ""))
        pace = MinSpeedGuard(self._settings.min_bytes_per_s, self._settings.pace_window_s)
        limit = self._settings.max_bytes
        async for chunk in response.content.iter_any():
            if pace.crawls(len(chunk)):
                raise BrokenError("it came too slowly")
            try:
                for piece in body.decoded(chunk):
                    if sink.size + len(piece) > limit:
                        raise SaveError(SaveFault.TOO_LARGE, f"it outgrew {limit} bytes")
                    await sink.write(piece)
            except ValueError as error:
                raise SaveError(SaveFault.BAD_CONTENT, str(error)) from error
        if body.inflater is not None:
            if not body.inflater.ended:
                raise BrokenError("the compressed body ends early")
            return True
        if transfer.total is None and body.was_mislabelled:
            transfer.total = response.content_length
        return False


def _brings_something(response: aiohttp.ClientResponse) -> bool:
    """Whether an odd 2xx has a body. An empty one says that the file is not ready yet."""
    odd = 200 < response.status < 300 and response.status not in WITHOUT_FILE
    return odd and response.content_length != 0


def _as_written(url: str) -> URL:
    """The URL untouched: a signed one is only valid as it was written, and yarl would tidy it."""
    try:
        return URL(url, encoded=True) if url.isascii() else URL(url)
    except ValueError as error:
        reason = f"{printable(url, 200)}: it cannot be read"
        raise SaveError(SaveFault.FORBIDDEN_URL, reason) from error
