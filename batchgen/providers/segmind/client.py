"""The `Api` port over aiohttp: one call out, one answer or one exactly named fault back.

Nothing is retried, redirected or remembered (cookies). Money hangs on `NetFault.NOT_SENT`: it is
claimed only for faults raised while there was no connection yet.

- The connect timeout covers queueing, DNS, TCP and TLS, and is always shorter than the whole
  call's, so the whole call's can only run out when the request may have left.
- aiohttp repeats idempotent requests whose reused connection broke (`_retry_connection` in
  `ClientSession._request`); POST is not among them, and `_break_once` switches it off for the
  rest, because a repeated GET would be missing from the request budget.
- A POST takes a reused connection only within `post_keepalive_s` of its last use. Servers close
  idle connections without asking (commonly after 5 s or more), and a POST that meets the closing
  is ambiguous.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from batchgen.core.common.text import printable
from batchgen.core.net.http import Answer, Call, Host
from batchgen.core.net.urls import check_origin, origin
from batchgen.errors import InternalError, NetFault, TransportError, UserError
from batchgen.providers.segmind.bodies import CutError, TooLargeError, read_body
from batchgen.providers.segmind.origins import DEFAULT_ORIGINS
from batchgen.system.proxies import environment_proxies, proxy_for, without_passwords
from batchgen.system.tls import client_context, tls_fault

STREAMED_BODY_BYTES = 2**20
"""Longer bodies (uploads) are streamed; aiohttp warns of longer ones in one piece."""
MAX_HEADER_BYTES = 64 * 1024
"""Of one header of an answer. aiohttp's own limit is 8,190, which some cookies and policies of
middlemen outgrow; the answer would be lost, and with it what was paid for."""
REDACTED = "***"
MAX_DETAIL_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class ApiTiming:
    """How long things may take when talking to the service, in seconds.

    `connect_timeout_s` covers everything before the request leaves. `post_keepalive_s` is how long
    a connection may idle and still carry a POST: 1 s is a fifth of the common server limit, and
    spares busy runs a TLS handshake per submit. `get_keepalive_s` only stays below that limit.
    """

    connect_timeout_s: float = 15.0
    post_keepalive_s: float = 1.0
    get_keepalive_s: float = 4.0


def origins_for(base_url: str | None) -> Mapping[Host, str]:
    """Where each role of the service lives: Segmind's own origins, or one that replaces them all.

    Raises `UserError` for a base URL that is more than an origin or would send the key unencrypted.
    """
    if not base_url:
        return DEFAULT_ORIGINS
    reason = check_origin(base_url)
    if reason:
        # The text itself is not shown: it may carry a password.
        raise UserError(
            f"the base URL of the service cannot be used: {reason}; set SEGMIND_BASE_URL to an "
            "origin such as https://api.segmind.com or http://127.0.0.1:8000"
        )
    return dict.fromkeys(Host, origin(base_url))


class _BrokenOffError(aiohttp.ClientError):
    """A connection that broke under a request, in a form that aiohttp does not repeat."""


_NEVER_SENT = (
    aiohttp.ClientConnectorError,  # DNS, refused, unreachable, TLS, no way to the proxy
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,  # the proxy refused to CONNECT
    aiohttp.InvalidURL,
)
_BROKEN = (aiohttp.ClientError, OSError, TimeoutError, CutError)


async def _break_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Turn the faults that aiohttp would answer with a second request into one it raises."""
    try:
        return await handler(request)
    except _NEVER_SENT:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _BrokenOffError(str(error) or type(error).__name__) from error


@dataclass(slots=True)
class _Progress:
    """How much of an answer came before a fault."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


class SegmindApi:
    """The service over HTTP. An async context manager; one instance a run."""

    def __init__(
        self,
        api_key: str,
        origins: Mapping[Host, str],
        user_agent: str,
        connection_limit: int = 100,
        timing: ApiTiming | None = None,
    ) -> None:
        """`connection_limit` counts POSTs and GETs each for itself.

        Raises `UserError` for a key that cannot be a header, an origin it may not go to, and for
        proxies and certificates of the environment that cannot be used.
        """
        if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise UserError(
                "the API key is empty or holds characters no key has; "
                "copy it again from the Segmind console into SEGMIND_API_KEY"
            )
        for place in origins.values():
            reason = check_origin(place)
            if reason:
                raise UserError(f"the API key cannot be sent to {printable(place, 200)}: {reason}")
        self._key = api_key
        self._origins = {host: origin(place) for host, place in origins.items()}
        proxies = environment_proxies()
        self._proxies = {host: proxy_for(place, proxies) for host, place in self._origins.items()}
        is_tls = any(place.startswith("https:") for place in self._origins.values())
        self._tls = client_context() if is_tls else True
        self._timing = timing or ApiTiming()
        self._connection_limit = connection_limit
        self._user_agent = user_agent
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    def __repr__(self) -> str:
        return f"<SegmindApi {self._origins.get(Host.API, '')}, key {REDACTED}>"

    async def __aenter__(self) -> Self:
        self._sessions = {
            True: self._session(self._timing.post_keepalive_s),
            False: self._session(self._timing.get_keepalive_s),
        }
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions = {}

    def _session(self, keepalive_s: float) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connection_limit, keepalive_timeout=keepalive_s, ssl=self._tls
            ),
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            cookie_jar=aiohttp.DummyCookieJar(),
            # The key is not among these: aiohttp sends a session's headers to the proxy as well.
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "gzip"},
            auto_decompress=False,
            middlewares=(_break_once,),
            trust_env=False,
        )

    async def call(self, call: Call) -> Answer:
        """Send one call, once, and bring its whole answer, whatever its status.

        A compressed body is decoded, whatever was asked for; one in an unknown encoding is handed
        over as it came. The key is blotted out wherever the service echoes it. Raises
        `TransportError`.
        """
        outcome = await self._outcome(call)
        if isinstance(outcome, TransportError):
            # Raised here and not where it arose: a chain of causes would hold the request's
            # headers, and the key with them.
            raise outcome
        return outcome

    async def _outcome(self, call: Call) -> Answer | TransportError:
        progress = _Progress()
        try:
            async with asyncio.timeout(call.timeout_s):
                return await self._exchange(call, progress)
        except _NEVER_SENT as error:
            return self._fault(NetFault.NOT_SENT, error, progress)
        except TooLargeError as error:
            return self._fault(NetFault.TOO_LARGE, error, progress)
        except _BROKEN as error:
            fault = NetFault.CUT if progress.status else NetFault.LOST
            return self._fault(fault, error, progress)

    def _fault(self, fault: NetFault, error: Exception, progress: _Progress) -> TransportError:
        text = str(error) or ("no answer in time" if isinstance(error, TimeoutError) else "")
        if told := tls_fault(error):
            text = f"{getattr(error, 'host', '')}: {told}"
        said = without_passwords(self._blot(text or type(error).__name__))
        detail = printable(said, MAX_DETAIL_CHARACTERS)
        return TransportError(fault, detail, progress.status, progress.headers)

    def _blot(self, text: str) -> str:
        return text.replace(self._key, REDACTED)

    async def _exchange(self, call: Call, progress: _Progress) -> Answer:
        is_post = call.method not in ("GET", "HEAD")
        session = self._sessions.get(is_post)
        if session is None:
            raise InternalError("SegmindApi was called outside its `async with`")
        connect_s = min(self._timing.connect_timeout_s, call.timeout_s / 2)
        headers = {"x-api-key": self._key}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        response = await session.request(
            call.method,
            self._url(call),
            data=_payload(call.body),
            headers=headers,
            allow_redirects=False,
            proxy=self._proxies[call.host],
            # No rounding up to whole seconds: it could push this past the whole call's limit.
            timeout=aiohttp.ClientTimeout(connect=connect_s, ceil_threshold=call.timeout_s),
        )
        try:
            self._take_headers(response, progress)
            body = await read_body(response, call.max_bytes)
        except BaseException:
            response.close()  # the connection too: what is left on it is of no use
            raise
        response.release()
        return Answer(progress.status, progress.headers, self._blot_bytes(body))

    def _take_headers(self, response: aiohttp.ClientResponse, progress: _Progress) -> None:
        if response.status < 200:
            raise CutError(f"the service answered HTTP {response.status} and no more")
        headers = {name.lower(): value for name, value in response.headers.items()}
        if self._key in "\n".join(headers.values()):
            headers = {name: self._blot(value) for name, value in headers.items()}
        progress.headers = headers
        progress.status = response.status

    def _blot_bytes(self, body: bytes) -> bytes:
        key = self._key.encode()
        return body.replace(key, REDACTED.encode()) if key in body else body

    def _url(self, call: Call) -> URL:
        """The URL exactly as written: yarl would fold `..` and decode what was escaped."""
        path = call.path
        if not (path.startswith("/") and path.isascii() and path.isprintable()) or " " in path:
            raise InternalError(f"not a request path: {path!r}")
        query = f"?{urlencode(call.query)}" if call.query else ""
        return URL(f"{self._origins[call.host]}{path}{query}", encoded=True)


def _payload(text: str | None) -> bytes | io.BytesIO | None:
    """A body as aiohttp wants it: a long one as a stream, so that it goes out piece by piece."""
    if text is None:
        return None
    data = text.encode()
    return data if len(data) <= STREAMED_BODY_BYTES else io.BytesIO(data)
