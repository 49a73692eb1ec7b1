"""From a reply to what a socket sees: whole answers, and every way an answer can go wrong.

Broken answers are written to the transport by hand: a server library would mend them.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

from aiohttp import web

from batchgen.providers.segmind.simulator.brotli import stored
from batchgen.providers.segmind.simulator.messages import DeliveryFault, Reply

SERVER = "batchgen-simulator"
DRIP_BYTES = 16
DRIP_EVERY_S = 0.25

_WHOLE = (DeliveryFault.WHOLE, DeliveryFault.GARBLED, DeliveryFault.BROTLI)
_KNOWN_STATUSES = frozenset(HTTPStatus)
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


async def deliver(request: web.BaseRequest, reply: Reply, body: bytes) -> web.StreamResponse:
    """Let a reply, whose body has become bytes, meet its fate on the connection of its request."""
    if reply.fate is DeliveryFault.BROTLI:
        reply = replace(reply, headers={**reply.headers, "content-encoding": "br"})
        body = stored(body)
    if reply.fate in _WHOLE:
        headers = {**reply.headers, "server": SERVER}
        return web.Response(status=reply.status, headers=headers, body=body)
    transport = request.transport
    if isinstance(transport, asyncio.Transport) and not transport.is_closing():
        await _break(transport, reply, body)
    # The connection is closed: what is returned from here on is never sent.
    return web.Response()


async def _break(transport: asyncio.Transport, reply: Reply, body: bytes) -> None:
    if reply.fate is DeliveryFault.DROP_BEFORE:
        _reset(transport)
        return
    if reply.fate is DeliveryFault.DROP_AFTER:
        transport.close()
        return
    halved = len(body) // 2 if reply.fate is DeliveryFault.WRONG_LENGTH else len(body)
    length = None if reply.fate is DeliveryFault.CUT_SILENTLY else halved
    transport.write(_head(reply, length))
    if reply.fate is DeliveryFault.STALL:
        # Cancelled when the client leaves or the server ends.
        await asyncio.Event().wait()
    if reply.fate is DeliveryFault.DRIP:
        await _drip(transport, body)
    elif reply.fate is DeliveryFault.WRONG_LENGTH:
        transport.write(body)
    else:
        transport.write(body[: len(body) // 2])
    transport.close()


def _reset(transport: asyncio.Transport) -> None:
    """Close so that the client sees a reset instead of an orderly end."""
    plug = transport.get_extra_info("socket")
    if plug is not None:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _drip(transport: asyncio.Transport, body: bytes) -> None:
    for at in range(0, len(body), DRIP_BYTES):
        transport.write(body[at : at + DRIP_BYTES])
        await asyncio.sleep(DRIP_EVERY_S)


def _head(reply: Reply, length: int | None) -> bytes:
    headers = {**reply.headers, "server": SERVER, "connection": "close"}
    if length is not None:
        headers["content-length"] = str(length)
    phrase = HTTPStatus(reply.status).phrase if reply.status in _KNOWN_STATUSES else ""
    lines = [f"HTTP/1.1 {reply.status} {phrase}"]
    lines.extend(f"{name}: {value}" for name, value in headers.items())
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def whole_part(reply: Reply, body: bytes) -> Reply:
    """All of a body as the answer to a Range that nobody asked for."""
    return replace(
        reply, headers={**reply.headers, "content-range": f"bytes 0-{len(body) - 1}/{len(body)}"}
    )


def ranged(asked: Mapping[str, str], reply: Reply, body: bytes) -> tuple[Reply, bytes]:
    """The part of a body that a Range header asks for: 206, or 416 where there is none.

    Several ranges, other units, and an If-Range that is not this body's etag get all of it (200).
    """
    headers = {**reply.headers, "accept-ranges": "bytes"}
    match = _RANGE.fullmatch(asked.get("range", ""))
    condition = asked.get("if-range", headers.get("etag"))
    if not match or match[0] == "bytes=-" or condition != headers.get("etag"):
        return Reply(200, headers, body, fate=reply.fate), body
    first, last = _span(match[1], match[2], len(body))
    if first > last:
        headers["content-range"] = f"bytes */{len(body)}"
        return Reply(416, headers, b""), b""
    headers["content-range"] = f"bytes {first}-{last}/{len(body)}"
    part = body[first : last + 1]
    return Reply(206, headers, part, fate=reply.fate), part


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    """First and last byte of a range; first > last where it holds none."""
    if not first:
        return max(0, size - int(last)), size - 1 if int(last) else -1
    end = min(int(last), size - 1) if last else size - 1
    return int(first), end
