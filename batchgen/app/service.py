"""Which service a run talks to: the real one, another origin, or a rehearsal."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit
from zlib import crc32

from batchgen.core.catalog.model import Catalog
from batchgen.core.net.urls import is_loopback_host
from batchgen.errors import SIMULATE, Option, UserError
from batchgen.system.proxies import proxy_for_files
from batchgen.system.run_directory import RunDirectory
from batchgen.system.tls import client_context

KEY_VARIABLE = "SEGMIND_API_KEY"
BASE_URL_VARIABLE = "SEGMIND_BASE_URL"
REHEARSAL_KEY = "SG_0000000000000000"
REHEARSAL_NAME = "the simulator"


@dataclass(frozen=True, slots=True)
class ServiceAccess:
    """Where a run's calls go. `name` is written into the state, so that runs do not mix."""

    key: str
    base_url: str | None
    name: str
    local: bool
    speed: float = 1.0
    """How many times faster than real models it generates; only a rehearsal knows."""


def key_of_environment() -> str:
    """The key, empty where none is set."""
    return os.environ.get(KEY_VARIABLE, "").strip()


def base_url_of_environment() -> str | None:
    """The origin that takes the place of all of Segmind's, if there is one."""
    return os.environ.get(BASE_URL_VARIABLE, "").strip() or None


def service_from_environment() -> ServiceAccess:
    """The real service, or the one `SEGMIND_BASE_URL` names.

    Raises `UserError` without a key, and see `refuse_unusable`.
    """
    key = key_of_environment()
    if not key:
        raise UserError(
            f"{KEY_VARIABLE} is not set.\n    ",
            Option(f"export {KEY_VARIABLE}=SG_…", f'os.environ["{KEY_VARIABLE}"] = "SG_…"'),
            " (from the Segmind console), or rehearse for free with ",
            SIMULATE,
        )
    refuse_unusable()
    base_url = base_url_of_environment()
    if base_url is None:
        return ServiceAccess(key, None, "segmind", local=False)
    host = urlsplit(base_url).hostname or base_url
    return ServiceAccess(key, base_url, f"host {host}", local=is_loopback_host(host))


def refuse_unusable() -> None:
    """Raise `UserError` where the environment names an origin, certificates, or a proxy for files
    that cannot be used: a file must not be out of reach once it is paid for."""
    base_url = base_url_of_environment()
    if base_url is not None:
        from batchgen.providers.segmind.client import origins_for

        origins_for(base_url)
    client_context()
    if not is_loopback_host(urlsplit(base_url or "").hostname or ""):
        proxy_for_files()


@asynccontextmanager
async def rehearsal(
    directory: RunDirectory, speed: float, models: Catalog
) -> AsyncIterator[ServiceAccess]:
    """A simulator inside this process, which remembers its requests from run to run; `models` are
    those that it knows, with their prices, latencies and kinds."""
    from batchgen.providers.segmind.simulator import SimulatorConfig
    from batchgen.providers.segmind.simulator.http.server import serve

    config = SimulatorConfig(speed=speed, unknown_models="accept")
    async with AsyncExitStack() as stack:
        serving = partial(serve, config, journal=directory.rehearsal, models=models)
        try:
            port = _cdn_port(directory)
            running = await stack.enter_async_context(serving(cdn_port=port))
        except UserError:
            # Taken by somebody else: files noted at the old address are then recovered anew.
            running = await stack.enter_async_context(serving())
        yield ServiceAccess(REHEARSAL_KEY, running.url, REHEARSAL_NAME, local=True, speed=speed)


def _cdn_port(directory: RunDirectory) -> int:
    """A port of its own for every run directory: URLs noted before an interruption stay good."""
    return 20_000 + crc32(str(directory.path.resolve()).encode()) % 10_000
