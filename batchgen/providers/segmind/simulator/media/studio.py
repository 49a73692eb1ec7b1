"""Makes the bytes of media: drawn by Pillow or tiny, and kept for a while."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from batchgen.providers.segmind.simulator.config import SimulatorConfig
from batchgen.providers.segmind.simulator.media.tiny import is_drawn, tiny_media
from batchgen.providers.segmind.simulator.messages import MediaRef


class MediaRenderer:
    """Renders references. Drawing is deterministic; the cache only saves time."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._draw = _drawer(config)
        self._limit = config.cached_pictures
        self._cache: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures")

    def render(self, ref: MediaRef) -> bytes:
        """The bytes of a reference, made here and now."""
        if self._draw is None or not is_drawn(ref):
            return tiny_media(ref)
        key = (ref.request_id, ref.index)
        if key not in self._cache:
            self._keep(key, self._draw(ref))
        return self._cache[key]

    async def render_aside(self, ref: MediaRef) -> bytes:
        """The bytes of a reference; drawn in a thread, so that other requests go on."""
        if self._draw is None or not is_drawn(ref):
            return tiny_media(ref)
        key = (ref.request_id, ref.index)
        data = self._cache.get(key)
        if data is None:
            loop = asyncio.get_running_loop()
            data = await loop.run_in_executor(self._thread, self._draw, ref)
            self._keep(key, data)
        return data

    def close(self) -> None:
        """Let the thread end; drawings nobody waits for any more are left undone."""
        self._thread.shutdown(cancel_futures=True)

    def _keep(self, key: tuple[str, int], data: bytes) -> None:
        self._cache[key] = data
        while len(self._cache) > self._limit:
            self._cache.popitem(last=False)


def _drawer(config: SimulatorConfig) -> Callable[[MediaRef], bytes] | None:
    """What draws pictures; None: tiny ones are asked for."""
    if config.pictures == "tiny":
        return None
    from batchgen.providers.segmind.simulator.media import pictures  # noqa: PLC0415  only for those who draw

    return pictures.draw
