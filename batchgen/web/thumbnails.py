"""Thumbnails: small pictures of outputs, made by Pillow in threads and kept for the next look.

Kept by the SHA-256 of the output, so nothing kept is ever out of date. The store is a convenience:
where it cannot be written or read, thumbnails are made anew.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from PIL import Image, ImageOps

from batchgen.core.media.formats import Preview, mimes_shown
from batchgen.ports import OutputFiles

EDGE = 184
"""Pixels of the longer side."""
QUALITY = 68
"""Of WebP: some 3 to 6 KB a picture."""
MOST_PIXELS = 120_000_000
"""Pictures beyond are not opened: they may be small files that unfold to gigabytes."""
_AS_THEY_ARE = ("RGB", "RGBA", "L")
_A_BATCH = 128
PICTURES = mimes_shown(Preview.THUMBNAIL)
"""What Pillow opens; others (SVG, HEIC, films, sounds, texts) have tiles without a picture."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture of which a thumbnail is wanted: its name among the outputs, and its SHA-256."""

    name: str
    sha256: str


class Thumbnails:
    """Makes thumbnails of output files and keeps them in one file. Any thread may ask."""

    def __init__(self, files: OutputFiles, store: Path, threads: int | None = None) -> None:
        self._files = files
        self._pool = ThreadPoolExecutor(threads or os.cpu_count(), thread_name_prefix="thumbnails")
        self._store = _open_store(store)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Nothing more to do."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """As `close` does."""
        self.close()

    def close(self) -> None:
        """Let the threads end, and the store be."""
        self._pool.shutdown(cancel_futures=True)
        with self._lock:
            self._give_up()

    def of(self, wanted: Iterable[Wanted]) -> Iterator[bytes | None]:
        """A WebP for each, in their order; None where the file is gone or cannot be drawn."""
        waiting = iter(wanted)
        while batch := list(islice(waiting, _A_BATCH)):
            known = self._known([each.sha256 for each in batch])
            missing = {each.sha256: each for each in batch if each.sha256 not in known}
            made = dict(zip(missing, self._pool.map(self._made, missing.values()), strict=True))
            self._keep({sha256: data for sha256, data in made.items() if data is not None})
            for each in batch:
                yield known.get(each.sha256) or made.get(each.sha256)

    def one(self, wanted: Wanted) -> bytes | None:
        """As `of`, for one picture."""
        return next(self.of([wanted]))

    def _made(self, wanted: Wanted) -> bytes | None:
        try:
            with self._files.open(wanted.name) as file:
                return thumbnail(file)
        except Exception:  # noqa: BLE001  Pillow raises nearly anything; the tile goes without a picture
            return None

    def _known(self, hashes: list[str]) -> dict[str, bytes]:
        marks = ", ".join("?" * len(hashes))
        query = f"SELECT sha256, webp FROM thumbnails WHERE sha256 IN ({marks})"  # noqa: S608  marks only
        with self._lock:
            if self._store is None:
                return {}
            try:
                return dict(self._store.execute(query, hashes))
            except sqlite3.DatabaseError:
                self._give_up()
                return {}

    def _keep(self, made: Mapping[str, bytes]) -> None:
        with self._lock:
            if self._store is None or not made:
                return
            try:
                with self._store:
                    self._store.executemany(
                        "INSERT OR IGNORE INTO thumbnails VALUES (?, ?)", made.items()
                    )
            except sqlite3.DatabaseError:
                self._give_up()

    def _give_up(self) -> None:
        """A store that fails once is left alone: what it is for can be had without it."""
        if self._store is not None:
            self._store.close()
            self._store = None


def thumbnail(file: BinaryIO) -> bytes:
    """A small WebP of a picture. Raises whatever Pillow does over a file that is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is odd about a file is no news to whoever looks
        with Image.open(file) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError("too many pixels")
            small = picture if picture.mode in _AS_THEY_ARE else _plain(picture)
            small.thumbnail((EDGE, EDGE), Image.Resampling.BICUBIC, reducing_gap=2.0)
            ImageOps.exif_transpose(small, in_place=True)
    written = BytesIO()
    small.save(written, "WEBP", quality=QUALITY, method=2)
    return written.getvalue()


def _plain(picture: Image.Image) -> Image.Image:
    """Palettes, greys with alpha, 16 bits and inks as colours a screen has."""
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _open_store(path: Path) -> sqlite3.Connection | None:
    """The store, made where it is not there; None where it cannot be had."""
    connection = None
    try:
        connection = sqlite3.connect(path, timeout=2.0, check_same_thread=False)
        # Lost in a power cut, all of it can be made again.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS thumbnails "
            "(sha256 TEXT PRIMARY KEY, webp BLOB NOT NULL) STRICT, WITHOUT ROWID"
        )
    except sqlite3.DatabaseError:
        if connection is not None:
            with suppress(sqlite3.DatabaseError):
                connection.close()
        return None
    return connection
