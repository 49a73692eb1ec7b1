"""Shards one by one: each is written without a name, synced, and then given its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Protocol

from batchgen.core.dataset.export import Cutter, PlannedFile, ShardLimits
from batchgen.datasets.exports.folder import ExportFolder
from batchgen.datasets.exports.originals import DamagedFileError, Opened, VerifiedFiles
from batchgen.system.durable import sync_folder

Tell = Callable[[int, int], None]
"""`tell(files, bytes)`: so many more are dealt with."""


class ShardFormat(Protocol):
    """How the files of a shard are written."""

    extension: str
    subfolder: str
    """Where shards stand below the folder of the export: empty, or a name."""

    def cost(self, file: PlannedFile) -> int:
        """Bytes that a file will take in a shard, or nearly so."""
        ...

    def write(self, target: BinaryIO, files: Iterator[Opened]) -> None:
        """One shard. Raises `DamagedFileError` and `OSError`."""
        ...


@dataclass(slots=True)
class Made:
    """What an export did: shards (or files) made now, there before, and left undone."""

    new_count: int = 0
    kept_count: int = 0
    undone_count: int = 0


@dataclass(frozen=True, slots=True)
class ShardWork:
    """Everything needed to make the shards of one export."""

    folder: ExportFolder
    format: ShardFormat
    limits: ShardLimits
    title: str
    originals: VerifiedFiles

    def run(self, tell: Tell) -> Made:
        """Make every shard that is not there. One with a damaged file is left undone."""
        made = Made()
        cutter = Cutter(self.limits)
        cost = self.format.cost
        numbered = groupby(self.folder.files(), lambda file: cutter.number_of(cost(file)))
        for number, files in numbered:
            name = f"{self.title}-{number:06d}.{self.format.extension}"
            target = self.folder.path / self.format.subfolder / name
            told = _counted(files, tell)
            if target.exists():
                made.kept_count += 1
            elif self._write(target, told):
                made.new_count += 1
            else:
                made.undone_count += 1
            for _ in told:
                pass  # what was not read is dealt with all the same
        return made

    def _write(self, target: Path, files: Iterator[PlannedFile]) -> bool:
        """Whether the shard was made whole. What is not stays in `parts`, which is removed."""
        part = self.folder.parts / target.name
        try:
            with part.open("wb") as file:
                self.format.write(file, self.originals.each(files))
                file.flush()
                os.fsync(file.fileno())
        except DamagedFileError:
            part.unlink()
            return False
        target.parent.mkdir(exist_ok=True)
        part.rename(target)
        sync_folder(target.parent)
        return True


def _counted(files: Iterator[PlannedFile], tell: Tell) -> Iterator[PlannedFile]:
    for file in files:
        yield file
        tell(1, file.size)
