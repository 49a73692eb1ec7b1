"""By what a source is recognised without reading it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stamp:
    """The bytes, instants and inode of one file.

    `mtime_ns` alone is not enough: programs set it, so that another file of the same size may have
    it, too. `ctime_ns` is the kernel's. Of several files the bytes are added up, the instants are
    the latest, and `listing` is a digest (hex) over the name, size, time and inode of each.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    file_count: int = 1
    listing: str = ""

    def is_rewritten(self, later: Stamp) -> bool:
        """Whether somebody wrote or replaced a file between two looks at it in one run.

        `ctime_ns` does not count: a backup that makes hard links must not end a night's work.
        """
        before = (self.size, self.mtime_ns, self.inode, self.listing)
        return before != (later.size, later.mtime_ns, later.inode, later.listing)


def stamp_of(path: Path) -> Stamp:
    """The stamp of one file. Raises `OSError`."""
    found = path.stat()
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def stamp_of_all(folder: Path, files: Iterable[str]) -> Stamp:
    """The stamp of several files, by their paths from a folder. Raises `OSError`."""
    count = size = mtime_ns = ctime_ns = 0
    listing = hashlib.sha256()
    for file in files:
        found = (folder / file).stat()
        count += 1
        size += found.st_size
        mtime_ns = max(mtime_ns, found.st_mtime_ns)
        ctime_ns = max(ctime_ns, found.st_ctime_ns)
        line = f"{file}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ino}\n"
        listing.update(line.encode("utf-8", "surrogateescape"))
    return Stamp(size, mtime_ns, ctime_ns, 0, count, listing.hexdigest())
