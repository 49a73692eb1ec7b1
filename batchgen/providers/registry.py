"""The services that jobs can be sent to. A state file notes which one its run belongs to.

One entry a service; nothing above this folder names a service to read or to ask it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from batchgen.core.catalog.model import Catalog
from batchgen.core.jobs.capabilities import Capabilities
from batchgen.ports import Api, Provider
from batchgen.providers.segmind.catalog import load
from batchgen.providers.segmind.provider import Segmind

SERVICE_NOTE = "service"
"""The note of a state file with the name of its service."""


@dataclass(frozen=True, slots=True)
class KnownService:
    """A service: what it is asked, how it is reached, and which models it has.

    `open_api` takes the key, the origin that takes the place of the service's own (or None), and
    the name that batchgen gives itself.
    """

    provider: Provider
    open_api: Callable[[str, str | None, str], AbstractAsyncContextManager[Api]]
    load_catalog: Callable[[], Catalog]

    @property
    def capabilities(self) -> Capabilities:
        """What the scheduler has to know about it."""
        return self.provider.capabilities


def _segmind_api(
    key: str, base_url: str | None, user_agent: str
) -> AbstractAsyncContextManager[Api]:
    # Only a run needs it: what reads a record starts without an HTTP client.
    from batchgen.providers.segmind.client import SegmindApi, origins_for  # noqa: PLC0415

    return SegmindApi(key, origins_for(base_url), user_agent)


DEFAULT = "segmind"
SERVICES: Mapping[str, KnownService] = {
    DEFAULT: KnownService(Segmind(), _segmind_api, load),
}


def service_of(name: str | None) -> KnownService:
    """The service that a state file names; other origins and simulators stand for the default."""
    return SERVICES.get(name or DEFAULT, SERVICES[DEFAULT])
