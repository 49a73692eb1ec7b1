"""Outputs over HTTP: exactly the finished files that the state knows, and never as a script."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from aiohttp import web

from batchgen.core.media.formats import Preview, mimes_shown
from batchgen.web.feed import Watched

_CHUNK_BYTES = 256 * 1024
_SHOWN = mimes_shown(Preview.THUMBNAIL, Preview.PICTURE, Preview.FILM, Preview.SOUND)
"""Formats that a browser shows; others are handed over as a download."""
_PLAIN = mimes_shown(Preview.TEXT)
_DRAWINGS = mimes_shown(Preview.DRAWING)
_BARE = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; media-src 'self'; "
_SANDBOXED = "default-src 'none'; sandbox"


async def send_output(
    request: web.Request, watched: Watched, name: str, media_type: str
) -> web.StreamResponse:
    """A finished file. 404 where it is gone, or stands outside of the outputs by a link."""
    headers = headers_of(name, media_type)
    path = watched.files.local(name)
    if path is not None:
        real = await asyncio.to_thread(_within, path, watched.directory.outputs)
        if real is None:
            raise web.HTTPNotFound(text="The file is not there.\n")
        return web.FileResponse(real, headers=headers)
    try:
        file = await asyncio.to_thread(watched.files.open, name)
    except FileNotFoundError:
        raise web.HTTPNotFound(text="The file is not there.\n") from None
    return await _sent(request, file, headers)


async def is_inside(watched: Watched, name: str) -> bool:
    """Whether a file is among the outputs, and not outside of them by a link."""
    path = watched.files.local(name)
    if path is None:
        return True
    return await asyncio.to_thread(_within, path, watched.directory.outputs) is not None


def headers_of(name: str, media_type: str) -> dict[str, str]:
    """How a file is to be taken: pictures, films and sounds as they are, texts as plain text,
    all else (SVG too: it may hold scripts) as something to save, and sandboxed."""
    if media_type in _PLAIN:
        return {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Security-Policy": _SANDBOXED,
        }
    headers = {"Cache-Control": "private, max-age=3600"}
    if media_type in _SHOWN:
        return headers | {
            "Content-Type": media_type,
            "Content-Security-Policy": f"{_BARE}frame-ancestors 'none'",
        }
    return headers | {
        "Content-Type": media_type if media_type in _DRAWINGS else "application/octet-stream",
        "Content-Security-Policy": _SANDBOXED,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name.rpartition('/')[2])}",
    }


def _within(path: Path, root: Path) -> Path | None:
    """Where a path really leads; None when that is no file below the root."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return real if real.is_relative_to(root.resolve()) and real.is_file() else None


async def _sent(
    request: web.Request, file: BinaryIO, headers: dict[str, str]
) -> web.StreamResponse:
    """A file that is read from elsewhere, piece by piece."""
    response = web.StreamResponse(headers=headers)
    # Closed here and now: a request that is cancelled would not wait for a thread.
    with file:
        await response.prepare(request)
        while request.method != "HEAD":
            piece = await asyncio.to_thread(file.read, _CHUNK_BYTES)
            if not piece:
                break
            await response.write(piece)
    return response
