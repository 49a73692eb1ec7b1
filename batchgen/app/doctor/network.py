"""Whether the service can be reached, and what it says to the key: one free GET."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
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
from batchgen.system.proxies import ProxyError, proxy_for, proxy_for_files, without_passwords
from batchgen.system.tls import client_context, tls_fault

MOST_S = 10.0
"""Longest wait for a connection."""

_PROXY = "behind a proxy: export HTTPS_PROXY=http://proxy:port"


async def reach(origin: str) -> Diagnosis:
    """Whether an origin, or the proxy before it, takes a connection, with TLS where that is meant.

    Raises `UserError` for certificates that are not there.
    """
    try:
        proxy = proxy_for(origin)
    except ProxyError as error:
        return _unusable("network", error)
    parts = urlsplit(proxy or origin)
    tls = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if tls else 80)
    told = urlsplit(origin).netloc + (f" through the proxy {host}:{port}" if proxy else "")
    trusted = client_context() if tls else None
    try:
        async with asyncio.timeout(MOST_S):
            _, writer = await asyncio.open_connection(host, port, ssl=trusted)
    except ssl.SSLError as error:
        what, _, remedy = printable(tls_fault(error), 200).partition("; ")
        remedy = remedy or "see whether that is the right host and port, and speaks TLS"
    except (socket.gaierror, UnicodeError) as error:  # the latter is of a name that cannot be
        what = f"its name does not resolve ({_reason(error)})"
        remedy = f"look at the network and at its DNS; {_PROXY}"
    except OSError as error:
        what = f"no connection to port {port} ({_reason(error)})"
        remedy = f"look at the network and its firewall; {_PROXY}"
        if proxy:
            remedy = "see whether the proxy is right and works, or unset HTTPS_PROXY"
        elif is_loopback_host(host):
            remedy = "nothing listens there: is `batchgen simulator` running, on that port?"
    else:
        writer.close()
        steps = "DNS, TCP, TLS" if tls else "DNS, TCP"
        return Diagnosis("network", Level.OK, f"{told} answers: {steps}")
    return Diagnosis("network", Level.FAIL, f"{told}: {what}", remedy)


def way_of_files(*, local: bool) -> Diagnosis | None:
    """Through which proxy files come; None where through none."""
    if local:
        return None
    try:
        proxy = proxy_for_files()
    except ProxyError as error:
        return _unusable("files", error)
    if proxy is None:
        return None
    place = urlsplit(proxy).netloc.rpartition("@")[2]
    what = f"come through the proxy {place}, but for hosts of NO_PROXY"
    return Diagnosis("files", Level.OK, what)


def _unusable(name: str, error: ProxyError) -> Diagnosis:
    what, _, remedy = str(error).partition("\n")
    return Diagnosis(name, Level.FAIL, what, remedy.strip())


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {MOST_S:g} s"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return without_passwords(printable(text, 200))


async def ask(
    key: str, origins: Mapping[Host, str], user_agent: str, pending_usd: float
) -> list[Diagnosis]:
    """What the service says to the key, what time it is there, and whether the credits suffice.

    `pending_usd` is what a run still has to pay. Raises `UserError`.
    """
    wall = SystemClock()
    async with SegmindApi(key, origins, user_agent) as api:
        asked_at = wall.now()
        try:
            answer = await api.call(credits_call())
        except TransportError as error:
            remedy = "try again; if it stays so, look at the network"
            return [Diagnosis("account", Level.FAIL, f"no whole answer ({error})", remedy)]
        answered_at = wall.now()
    lines = [findings.answered(answer), findings.clock(_skew(answer, asked_at, answered_at))]
    if signal_of(answer) is Signal.OK:
        lines.append(findings.credits_left(read_credits(answer.object()), pending_usd))
    return lines


def _skew(answer: Answer, asked_at: float, answered_at: float) -> float | None:
    """The service's clock minus ours in seconds, as near to zero as the answer allows.

    Its `Date` is cut to a whole second, some time between the question and the answer.
    """
    date_at = instant_of(answer.headers.get("date", ""))
    if date_at is None:
        return None
    most, least = date_at + 1.0 - asked_at, date_at - answered_at
    return least if least > 0 else min(0.0, most)
