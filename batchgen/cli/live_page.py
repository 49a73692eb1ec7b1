"""`run --serve`: the live page beside a run, which it must never hurt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from batchgen.app.console import say
from batchgen.errors import BatchgenError

if TYPE_CHECKING:
    from batchgen.ports import Clock
    from batchgen.system.run_directory import RunDirectory


@asynccontextmanager
async def serve_page(directory: RunDirectory, clock: Clock) -> AsyncIterator[None]:
    """Serve the run on this machine while the block works.

    Where that fails, it is told, and the block goes on without.
    """
    stack = AsyncExitStack()
    try:
        say(f"page: {await _served(directory, clock, stack)}")
    except (BatchgenError, OSError) as error:
        say(f"no page: {error}")
    try:
        yield
    finally:
        try:
            await stack.aclose()
        except Exception as error:  # noqa: BLE001  told; how the run ended is still so
            say(f"the page did not end well: {str(error) or type(error).__name__}")


async def _served(directory: RunDirectory, clock: Clock, stack: AsyncExitStack) -> str:
    """The address of the page; on the usual port, or on any where that is taken."""
    from batchgen.cli.serve import DEFAULT_PORT
    from batchgen.web.server import PortTakenError, ServeSettings, serving

    try:
        page = serving(directory, ServeSettings(say, port=DEFAULT_PORT), clock)
        return await stack.enter_async_context(page)
    except PortTakenError:
        return await stack.enter_async_context(serving(directory, ServeSettings(say), clock))
