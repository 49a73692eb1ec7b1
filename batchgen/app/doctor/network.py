"""Whether the service can be reached, step by step, and what it says to the key: one free GET."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

from batchgen.app.doctor import findings
from batchgen.app.doctor.findings import Diagnosis, Level
from batchgen.core.common.text import printable
from batchgen.core.common.timestamps import instant_of
from batchgen.core.jobs.outcomes import Signal
from batchgen.core.net.http import Answer, Host
from batchgen.core.net.urls import is_loopback_host
from batchgen.errors import TransportError
from batchgen.providers.segmind.client import SegmindApi
from batchgen.providers.segmind.errors import signal_of
from batchgen.providers.segmind.receipts import read_credits
from batchgen.providers.segmind.requests import credits_call
from batchgen.system.clock import SystemClock
from batchgen.system.proxies import proxy_for, without_passwords

STEP_S = 10.0
"""Longest wait for each step."""

_PROXY = "behind a proxy: export HTTPS_PROXY=http://proxy:port"


class _StepError(Exception):
    """A step that failed; the text says how, `remedy` what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class _Way:
    """Where a connection is made to, for an origin: itself, or a proxy before it."""

    host: str
    port: int
    proxy: str | None
    tls: bool

    @property
    def told(self) -> str:
        """For people."""
        return f" through the proxy {self.host}:{self.port}" if self.proxy else ""


async def reach(origins: Iterable[str]) -> AsyncIterator[Diagnosis]:
    """A line for every origin of the service. Raises `UserError` for a proxy nobody can use."""
    for origin in dict.fromkeys(origins):
        way = _way(origin)
        host = urlsplit(origin).netloc
        try:
            steps = await _steps(way)
        except _StepError as error:
            what = f"{host}{way.told}: {error}"
            yield Diagnosis("network", Level.FAIL, what, error.remedy)
        else:
            yield Diagnosis("network", Level.OK, f"{host}{way.told} answers: {steps}")


def _way(origin: str) -> _Way:
    proxy = proxy_for(origin)
    parts = urlsplit(proxy or origin)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return _Way(parts.hostname or "", port, proxy, tls=parts.scheme == "https")


async def _steps(way: _Way) -> str:
    """Name, connection, certificate: what was reached, for people. Raises `_StepError`."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(STEP_S):
            await loop.getaddrinfo(way.host, way.port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError) as error:
        what = f"its name does not resolve ({_reason(error)})"
        raise _StepError(what, f"look at the network and at its DNS; {_PROXY}") from error
    await _connect(way, None)
    if not way.tls:
        return "DNS, TCP"
    await _connect(way, ssl.create_default_context())
    return "DNS, TCP, TLS"


async def _connect(way: _Way, context: ssl.SSLContext | None) -> None:
    try:
        async with asyncio.timeout(STEP_S):
            _, writer = await asyncio.open_connection(way.host, way.port, ssl=context)
    except ssl.SSLError as error:
        what = f"no TLS: {printable(error.reason or str(error), 200)}"
        remedy = "a proxy that looks into TLS needs its certificate in SSL_CERT_FILE; see the clock"
        raise _StepError(what, remedy) from error
    except (OSError, TimeoutError) as error:
        what = f"no connection to port {way.port} ({_reason(error)})"
        raise _StepError(what, _way_out(way)) from error
    with closing(writer):
        pass


def _way_out(way: _Way) -> str:
    if way.proxy is not None:
        return "see whether the proxy is right and works, or unset HTTPS_PROXY"
    if is_loopback_host(way.host):
        return "nothing listens there: is `batchgen simulator` running, on that port?"
    return f"look at the network and its firewall; {_PROXY}"


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {STEP_S:g} s"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return without_passwords(printable(text, 200))


@dataclass(frozen=True, slots=True)
class Heard:
    """What the free GET brought: lines, and None or the credits in USD."""

    lines: tuple[Diagnosis, ...]
    credits_usd: float | None = None
    is_accepted: bool = False


async def ask(key: str, origins: Mapping[Host, str], user_agent: str) -> Heard:
    """What the service says to the key, and what time it is there. Raises `UserError`."""
    wall = SystemClock()
    async with SegmindApi(key, origins, user_agent) as api:
        asked_at = wall.now()
        try:
            answer = await api.call(credits_call())
        except TransportError as error:
            remedy = "try again; if it stays so, look at the network"
            what = f"no whole answer ({error})"
            return Heard((Diagnosis("account", Level.FAIL, what, remedy),))
        answered_at = wall.now()
    lines = (findings.answered(answer), findings.clock(_skew(answer, asked_at, answered_at)))
    if signal_of(answer) is not Signal.OK:
        return Heard(lines)
    return Heard(lines, read_credits(answer.object()), is_accepted=True)


def _skew(answer: Answer, asked_at: float, answered_at: float) -> float | None:
    """The service's clock minus ours in seconds, as near to zero as the answer allows.

    Its `Date` is cut to a whole second, some time between the question and the answer.
    """
    date_at = instant_of(answer.headers.get("date", ""))
    if date_at is None:
        return None
    most, least = date_at + 1.0 - asked_at, date_at - answered_at
    return least if least > 0 else min(0.0, most)
