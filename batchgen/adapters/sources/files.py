"""Which file a `from:` means, who reads it, and whether it is still the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from batchgen.adapters.sources.jsonl import JsonlRows
from batchgen.core.check import quoted
from batchgen.core.rows import RowSource, SourceError

_READERS: Mapping[str, Callable[[Path, str], RowSource]] = {
    ".jsonl": JsonlRows,
    ".ndjson": JsonlRows,
}
"""Who reads a file, by its extension."""
_LATER = frozenset({".csv", ".tsv", ".parquet", ".gz", ".json"})


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a file is recognised without reading it: its bytes, its instants, its inode.

    `mtime_ns` alone is not enough: programs set it, so that another file of the same size may have
    it, too. `ctime_ns` is the kernel's.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    def is_rewritten(self, later: Stamp) -> bool:
        """Whether somebody wrote or replaced the file between two looks at it in one run.

        `ctime_ns` does not count: a backup that makes hard links must not end a night's work.
        """
        before = (self.size, self.mtime_ns, self.inode)
        return before != (later.size, later.mtime_ns, later.inode)


class FileSources:
    """The sources of one manifest: their paths are relative to its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str) -> RowSource:
        """See `Sources.open`."""
        path = self._folder / name
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            raise _unreadable_kind(path.suffix.lower())
        self.stamp(name)
        return reader(path, str(path))

    def stamp(self, name: str) -> Stamp:
        """Size and time of the file a `from:` names. Raises `SourceError`."""
        path = self._folder / name
        try:
            found = path.stat()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            raise _missing(path, error) from error
        if not S_ISREG(found.st_mode):
            remedy = "name a file that can be read more than once: not a folder, not a pipe"
            raise SourceError(f"{quoted(str(path))} is not a regular file", remedy)
        return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)

    def digest(self, name: str) -> str:
        """SHA-256 (hex) of the content of the file. Raises `SourceError`."""
        path = self._folder / name
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _missing(path, error) from error


def _missing(path: Path, error: Exception) -> SourceError:
    if isinstance(error, FileNotFoundError):
        remedy = "mend the path: it is relative to the folder of the manifest"
        return SourceError(f"there is no file {quoted(str(path))}", remedy)
    reason = getattr(error, "strerror", None) or str(error)
    return SourceError(f"{quoted(str(path))} cannot be read: {reason}", "mend that, and run again")


def _unreadable_kind(suffix: str) -> SourceError:
    known = " or ".join(sorted(_READERS))
    if suffix in _LATER:
        what = f"rows from {suffix} files come in a later version; this one cannot read them"
        return SourceError(what, f"turn it into JSON Lines ({known}), one object a line")
    what = f"the extension {quoted(suffix)} does not say how to read the rows"
    return SourceError(what, f"give a {known} file: JSON Lines, one object a line")
