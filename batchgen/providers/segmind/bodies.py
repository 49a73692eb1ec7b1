"""Reading the body of an API answer whole, under a cap."""

from __future__ import annotations

from collections.abc import Iterator

import aiohttp

from batchgen.core.net.decompression import Inflater, is_plain


class TooLargeError(Exception):
    """The body outgrew its cap."""


class CutError(Exception):
    """The body did not arrive whole."""


async def read_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The whole body, decoded; one in an unknown encoding is handed over as it came.

    Never holds more than the cap and one slice. Raises `TooLargeError` and `CutError`, besides
    what aiohttp raises for a broken connection.
    """
    encoding = response.headers.get("Content-Encoding", "")
    inflater = None
    if not is_plain(encoding):
        try:
            inflater = Inflater(encoding)
        except ValueError:
            inflater = None  # whoever reads the body will find it unreadable
    declared = response.content_length
    if declared is not None and declared > max_bytes:
        raise TooLargeError(f"{declared} bytes, and at most {max_bytes} are read")
    pieces: list[bytes] = []
    arrived_count = kept_count = 0
    async for chunk in response.content.iter_any():
        arrived_count += len(chunk)
        for piece in _decoded(inflater, chunk):
            kept_count += len(piece)
            if kept_count > max_bytes:
                raise TooLargeError(f"more than {max_bytes} bytes")
            pieces.append(piece)
    if declared is not None and arrived_count != declared:
        raise CutError(f"{arrived_count} of {declared} bytes arrived")
    if inflater is not None and arrived_count and not inflater.ended:
        raise CutError("the compressed body ends early")
    return b"".join(pieces)


def _decoded(inflater: Inflater | None, chunk: bytes) -> Iterator[bytes]:
    if inflater is None:
        yield chunk
        return
    try:
        yield from inflater.feed(chunk)
    except ValueError as error:
        raise CutError(str(error)) from error
