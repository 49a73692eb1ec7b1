"""What the service publishes of its models, fetched. No key is sent: everybody may read it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from yarl import URL

from batchgen.core.common.text import printable
from batchgen.core.net.http import Host
from batchgen.core.net.urls import origin
from batchgen.providers.segmind.bodies import CutError, TooLargeError, read_body
from batchgen.providers.segmind.client import MAX_HEADER_BYTES, origins_for
from batchgen.providers.segmind.llms_text import LLMS_PATH, read_llms
from batchgen.providers.segmind.model_list import (
    LIST_PATH,
    LIST_QUERY,
    PublishedModels,
    ShapeError,
    read_list,
)
from batchgen.providers.segmind.origins import PAGES_ORIGIN
from batchgen.system.proxies import environment_proxies, proxy_for, without_passwords
from batchgen.system.tls import client_context, tls_fault

MAX_LIST_BYTES = 64 * 2**20
MAX_LLMS_BYTES = 16 * 2**20
TIMEOUT_S = 60.0
"""Of one source, from the connection to its last byte."""
_REDIRECTS = 5
_FAULTS = (aiohttp.ClientError, OSError, TimeoutError, CutError, TooLargeError, ValueError)


@dataclass(frozen=True, slots=True)
class Published:
    """What could be read, and a sentence about each source that could not be."""

    listings: tuple[PublishedModels, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    url: str
    max_bytes: int
    read: Callable[[bytes], PublishedModels]


def sources_of(base_url: str | None) -> tuple[_Source, _Source]:
    """The list and llms.txt, of the service or of the origin that takes its place.

    Raises `UserError` for a base URL that is more than an origin.
    """
    listed = origins_for(base_url)[Host.HISTORY]
    pages = origin(base_url) if base_url else PAGES_ORIGIN
    return (
        _Source(f"{listed}{LIST_PATH}?{LIST_QUERY}", MAX_LIST_BYTES, read_list),
        _Source(f"{pages}{LLMS_PATH}", MAX_LLMS_BYTES, read_llms),
    )


async def fetch(base_url: str | None, user_agent: str, timeout_s: float = TIMEOUT_S) -> Published:
    """Read both sources; one that cannot be read keeps nobody from the other."""
    sources = sources_of(base_url)
    is_tls = any(source.url.startswith("https:") for source in sources)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=client_context() if is_tls else True),
        headers={"User-Agent": user_agent, "Accept-Encoding": "gzip"},
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        auto_decompress=False,
        trust_env=False,
    ) as session:
        came = await asyncio.gather(*(_listing(session, source) for source in sources))
    return Published(
        tuple(one for one in came if isinstance(one, PublishedModels)),
        tuple(one for one in came if isinstance(one, str)),
    )


async def _listing(session: aiohttp.ClientSession, source: _Source) -> PublishedModels | str:
    try:
        return source.read(await _body(session, source))
    except ShapeError as error:
        reason = str(error)
    except _FAULTS as error:
        reason = tls_fault(error) or str(error) or "no answer in time"
    return f"{source.url} could not be read: {printable(without_passwords(reason), 300)}"


async def _body(session: aiohttp.ClientSession, source: _Source) -> bytes:
    proxy = proxy_for(origin(source.url), environment_proxies())
    url = URL(source.url, encoded=True)
    async with session.get(url, proxy=proxy, max_redirects=_REDIRECTS) as response:
        if response.status != 200:
            raise ShapeError(f"the answer is HTTP {response.status}")
        return await read_body(response, source.max_bytes)
