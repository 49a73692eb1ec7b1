"""The sources of a manifest: who reads the rows of a `from:`, and whether it is still the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batchgen.core.manifest.rows.row import RowSource
from batchgen.sources.rows.listing import Listing, listed, missing, reader_of
from batchgen.sources.rows.media import media_rows
from batchgen.sources.rows.row_file import Items, RowFile, guarded
from batchgen.sources.rows.stamp import Stamp, stamp_of, stamp_of_all


@dataclass(frozen=True, slots=True)
class _Media:
    """`RowSource` over files each of which is a row."""

    folder: Path
    files: tuple[str, ...]

    def rows(self) -> Items:
        """See `RowSource.rows`."""
        return media_rows(self.folder, self.files)


@dataclass(frozen=True, slots=True)
class _RowFiles:
    """`RowSource` over files of rows, numbered through."""

    folder: Path
    files: tuple[str, ...]

    def rows(self) -> Items:
        """See `RowSource.rows`."""
        count = 0
        for name in self.files[:-1]:
            for item in self._rows_of(name, count):
                count += 1
                yield item
        yield from self._rows_of(self.files[-1], count)

    def _rows_of(self, name: str, rows_before: int) -> Items:
        path = self.folder / name
        return guarded(reader_of(name), RowFile(path, str(path), rows_before))


class FileSources:
    """The sources of one manifest: their paths are relative to its folder.

    In the `own` folders are the files of its run, which are no rows of it.
    """

    def __init__(self, folder: Path, own: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._own = own

    def open(self, name: str) -> RowSource:
        """See `Sources.open`."""
        found = listed(self._folder, name, self._own)
        if found.are_media:
            return _Media(self._folder, found.files)
        for file in found.files:
            reader_of(file)
        return _RowFiles(self._folder, found.files)

    def stamp(self, name: str) -> Stamp:
        """By what the files that a `from:` means are recognised. Raises `SourceError`."""
        return self._stamp(name, listed(self._folder, name, self._own))

    def digest(self, name: str) -> str:
        """SHA-256 (hex) of the content of a file; of several, over their names and contents.

        Media are not read: of several it is the digest of their listing. Raises `SourceError`.
        """
        found = listed(self._folder, name, self._own)
        if found.files == (name,):
            return self._content(name)
        if found.are_media:
            return self._stamp(name, found).listing
        lines = (f"{file}\0{self._content(file)}\n" for file in found.files)
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()

    def _stamp(self, name: str, found: Listing) -> Stamp:
        try:
            if found.files == (name,):
                return stamp_of(self._folder / name)
            return stamp_of_all(self._folder, found.files)
        except OSError as error:
            raise missing(self._folder / name, error) from error

    def _content(self, file: str) -> str:
        path = self._folder / file
        try:
            with path.open("rb") as opened:
                return hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            raise missing(path, error) from error
