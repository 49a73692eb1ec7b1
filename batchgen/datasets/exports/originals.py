"""The finished files of a run, read only if they still are what was recorded."""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from batchgen.core.dataset.export import PlannedFile
from batchgen.errors import BatchgenError
from batchgen.ports import OutputFiles

MOST_IN_MEMORY = 32 * 1024 * 1024
"""Longer files are copied beside the export first."""
MOST_NAMED = 20
_BLOCK_BYTES = 1024 * 1024
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EACCES})
_CHANGED = "is not what was recorded"


Opened = tuple[PlannedFile, BinaryIO]
"""A file and its bytes, their hash checked."""


class DamagedFileError(BatchgenError):
    """A file is missing, or not what was recorded. Told in the end, and by exit code 1."""


@dataclass(slots=True)
class VerifiedFiles:
    """Opens the files of a run; counts those that are missing or changed, and names some.

    With `skip_damaged` such a file is left out, else whatever it belongs to is. `parts` is a folder
    for what is too long for the memory.
    """

    files: OutputFiles
    parts: Path
    skip_damaged: bool = False
    damaged: list[str] = field(default_factory=list)
    damaged_count: int = 0

    @contextmanager
    def opened(self, file: PlannedFile) -> Iterator[BinaryIO | None]:
        """The bytes of a file, their hash checked; None if it is to be left out.

        Raises `DamagedFileError`, and `OSError` or `StoreError` where nothing can be read.
        """
        with tempfile.SpooledTemporaryFile(MOST_IN_MEMORY, dir=str(self.parts)) as copy:
            spool = cast("BinaryIO", copy)
            why = self._copy(file, spool)
            if why:
                self._refuse(file, why)
                yield None
                return
            spool.seek(0)
            yield spool

    def _copy(self, file: PlannedFile, target: BinaryIO) -> str:
        """Copy a file and check it; why it is refused, if it is."""
        try:
            source = self.files.open(file.name)
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            return error.strerror or "cannot be read"
        digest = hashlib.sha256()
        size = 0
        with source:
            while block := source.read(_BLOCK_BYTES):
                size += len(block)
                if size > file.size:
                    return _CHANGED
                digest.update(block)
                target.write(block)
        whole = size == file.size and digest.hexdigest() == file.sha256
        return "" if whole else _CHANGED

    def each(self, files: Iterable[PlannedFile]) -> Iterator[Opened]:
        """Files one by one, each open until the next; without those that are to be left out."""
        for file in files:
            with self.opened(file) as handle:
                if handle is not None:
                    yield file, handle

    def _refuse(self, file: PlannedFile, why: str) -> None:
        self.damaged_count += 1
        if len(self.damaged) < MOST_NAMED:
            self.damaged.append(f"{file.name}: {why}")
        if not self.skip_damaged:
            raise DamagedFileError(f"{file.name}: {why}")
