"""Bringing home a public file whose URL a stranger named: no key, no trust, no half files.

The URL and every redirect are checked, and so is every address a name resolves to: the connection
is made to exactly the addresses that passed, so a name cannot change its mind in between. Behind a
proxy the proxy resolves names, and is trusted with that.
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from batchgen.core.common.text import printable
from batchgen.core.net.decompression import Inflater, is_plain
from batchgen.core.net.urls import check_media_url
from batchgen.errors import InternalError
from batchgen.outputs.min_speed import MinSpeedGuard
from batchgen.outputs.resolver import NotPublicError, PublicResolver
from batchgen.ports import SaveError, SaveFault
from batchgen.system.proxies import environment_proxies, proxy_for, without_passwords

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 416, 421, 425, 429})
"""Statuses, besides 5xx and the odd 2xx, after which the same URL may bring the file later."""
_CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18})")


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


@dataclass(frozen=True, slots=True)
class Fetched:
    """A finished download. `confirmed`: the server told a length, and that many bytes came."""

    confirmed: bool


class _BrokenError(Exception):
    """The connection broke off or crawled; what came so far may be continued."""


@dataclass(slots=True)
class _Transfer:
    """One file across its connections. `validator` is empty where nothing can be continued."""

    url: str
    validator: str = ""
    total: int | None = None


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
            connector=aiohttp.TCPConnector(limit=settings.connection_limit, resolver=resolver),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(
                connect=settings.connect_timeout_s, sock_read=settings.pace_window_s
            ),
            auto_decompress=False,
            read_bufsize=256 * 1024,
            trust_env=False,
        )

    async def fetch(self, url: str, sink: Sink) -> Fetched:
        """Stream the file into `sink`, going on where a broken connection left off.

        A connection that brought nothing new is the last one: waiting and trying again is the
        caller's. Raises `SaveError`.
        """
        transfer = _Transfer(url)
        for _ in range(self._settings.max_reconnects + 1):
            size_before = sink.size
            try:
                return await self._continue(transfer, sink)
            except _BrokenError as error:
                detail = printable(str(error), 200)
                if sink.size <= size_before:
                    break
        raise SaveError(SaveFault.TRANSIENT, detail)

    async def _continue(self, transfer: _Transfer, sink: Sink) -> Fetched:
        """One connection's part of a transfer, up to its end."""
        offset = sink.size if transfer.validator else 0
        headers = {"Range": f"bytes={offset}-", "If-Range": transfer.validator} if offset else {}
        try:
            response = await self._open(transfer.url, headers)
            try:
                if await self._begin(response, transfer, sink, offset):
                    await self._pour(response, sink)
            except BaseException:
                response.close()
                raise
            response.release()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _network_fault(error) from error
        if transfer.total is not None and transfer.total != sink.size:
            raise _BrokenError(f"{sink.size} of {transfer.total} bytes arrived")
        return Fetched(confirmed=transfer.total is not None)

    async def _open(self, url: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """The first answer that is no redirect; each place on the way is checked."""
        for _ in range(self._settings.max_redirects + 1):
            reason = check_media_url(url, allow_private=self._settings.allow_private)
            if reason:
                raise SaveError(SaveFault.FORBIDDEN_URL, f"{printable(url, 200)}: {reason}")
            proxy = proxy_for(url, self._proxies)
            session = self._proxied if proxy else self._direct
            if session is None:
                raise InternalError("Downloader was used outside its `async with`")
            response = await session.get(
                _as_written(url), headers=headers, allow_redirects=False, proxy=proxy
            )
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or not target:
                return response
            response.close()
            url = _redirected(url, target)
        limit = self._settings.max_redirects
        raise SaveError(SaveFault.FORBIDDEN_URL, f"more than {limit} redirects")

    async def _begin(
        self, response: aiohttp.ClientResponse, transfer: _Transfer, sink: Sink, offset: int
    ) -> bool:
        """Fit the answer to what is here already; False when nothing is missing any more."""
        whole_range = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if offset and response.status == 416 and whole_range and int(whole_range[3]) == offset:
            transfer.total = offset
            return False
        if offset and response.status == 206:
            if not whole_range or whole_range[1] != str(offset):
                raise SaveError(SaveFault.TRANSIENT, "the server sent another part than asked for")
            transfer.total = int(whole_range[3])
        elif response.status == 200:
            if sink.size:
                await sink.restart()
            encoded = not is_plain(response.headers.get("Content-Encoding", ""))
            transfer.total = None if encoded else response.content_length
            transfer.validator = "" if encoded else _validator(response)
        else:
            raise _status_fault(response.status)
        if (transfer.total or 0) > self._settings.max_bytes:
            raise SaveError(SaveFault.TOO_LARGE, f"it has {transfer.total} bytes")
        return True

    async def _pour(self, response: aiohttp.ClientResponse, sink: Sink) -> None:
        """Stream the body, decoded if need be, under the cap and above the lowest pace."""
        inflater = _inflater(response)
        pace = MinSpeedGuard(self._settings.min_bytes_per_s, self._settings.pace_window_s)
        async for chunk in response.content.iter_any():
            if pace.crawls(len(chunk)):
                raise _BrokenError("it came too slowly")
            try:
                for piece in inflater.feed(chunk) if inflater else (chunk,):
                    if sink.size + len(piece) > self._settings.max_bytes:
                        limit = self._settings.max_bytes
                        raise SaveError(SaveFault.TOO_LARGE, f"it outgrew {limit} bytes")
                    await sink.write(piece)
            except ValueError as error:
                raise SaveError(SaveFault.BAD_CONTENT, str(error)) from error
        if inflater and not inflater.ended:
            raise _BrokenError("the compressed body ends early")


def _as_written(url: str) -> URL:
    """The URL untouched: a signed one is only valid as it was written, and yarl would tidy it."""
    try:
        return URL(url, encoded=True) if url.isascii() else URL(url)
    except ValueError as error:
        reason = f"{printable(url, 200)}: it cannot be read"
        raise SaveError(SaveFault.FORBIDDEN_URL, reason) from error


def _redirected(url: str, target: str) -> str:
    try:
        joined = urljoin(url, target)
        downgraded = urlsplit(url).scheme == "https" and urlsplit(joined).scheme == "http"
    except ValueError as error:
        raise SaveError(SaveFault.FORBIDDEN_URL, "it redirects to something unreadable") from error
    if downgraded:
        raise SaveError(SaveFault.FORBIDDEN_URL, "it redirects from https to plain http")
    return joined


def _validator(response: aiohttp.ClientResponse) -> str:
    """What proves later that the file is still the same: a strong ETag, or its date."""
    if response.headers.get("Accept-Ranges", "").strip().lower() == "none":
        return ""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _inflater(response: aiohttp.ClientResponse) -> Inflater | None:
    encoding = response.headers.get("Content-Encoding", "")
    if is_plain(encoding):
        return None
    try:
        return Inflater(encoding)
    except ValueError as error:
        detail = f"compressed as {printable(encoding, 40)!r} without being asked to"
        raise SaveError(SaveFault.BAD_CONTENT, detail) from error


def _status_fault(status: int) -> SaveError:
    passing = status < 300 or status in _PASSING or status >= 500
    fault = SaveFault.TRANSIENT if passing else SaveFault.GONE
    return SaveError(fault, f"the server answered HTTP {status}")


def _network_fault(error: Exception) -> SaveError | _BrokenError:
    """What a network exception means: a refused address, no descriptors left, or a broken line."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    detail = printable(without_passwords(str(cause) or type(cause).__name__), 200)
    if isinstance(cause, NotPublicError):
        return SaveError(SaveFault.FORBIDDEN_URL, detail)
    if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
        return SaveError(SaveFault.TOO_MANY_FILES, detail)
    if isinstance(error, aiohttp.InvalidURL):
        return SaveError(SaveFault.FORBIDDEN_URL, detail)
    return _BrokenError(detail)
