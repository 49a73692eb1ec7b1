"""Name resolution for strangers' URLs: only addresses of the public internet come out."""

from __future__ import annotations

import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from batchgen.core.net.urls import is_public_address


class NotPublicError(OSError):
    """A name that resolves to no public address."""


class PublicResolver(AbstractResolver):
    """Name resolution that hides every address outside the public internet."""

    def __init__(self) -> None:
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The public addresses of a host; `NotPublicError` when it has others only."""
        found = await self._inner.resolve(host, port, family)
        public = [result for result in found if is_public_address(result["host"])]
        if not public:
            raise NotPublicError("its name does not lead to a public address")
        return public

    async def close(self) -> None:
        """Nothing is held."""
