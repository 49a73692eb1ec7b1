"""A folder of the files themselves, copied or linked, with their metadata and card."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from batchgen.core.dataset.card import About, NameSurvey, folder_card
from batchgen.core.dataset.columns import Columns
from batchgen.core.dataset.export import PlannedFile
from batchgen.datasets.exports.folder import ExportFolder
from batchgen.datasets.exports.originals import DamagedFileError, VerifiedFiles
from batchgen.datasets.exports.shards import Made, Tell
from batchgen.datasets.metadata import CARD_NAME, METADATA_NAME, json_line, replace_text
from batchgen.system.durable import start_sync, sync_folder

_SOME = 64
"""Files that are synced together: their writes share the disk's time."""


@dataclass(slots=True)
class FolderWork:
    """Everything needed to make a folder. With `link`, names are given to the very files."""

    folder: ExportFolder
    originals: VerifiedFiles
    link: bool = False

    def run(self, tell: Tell) -> Made:
        """Bring every file that is not there. A damaged one is left out, and told."""
        made = Made()
        planned = self.folder.files()
        while files := list(islice(planned, _SOME)):
            new = [file for file in files if not self._is_there(file)]
            made.kept_count += len(files) - len(new)
            brought_count = self._bring(new)
            made.new_count += brought_count
            if not self.originals.skip_damaged:
                made.undone_count += len(new) - brought_count
            tell(len(files), sum(file.size for file in files))
        return made

    def finish(self, title: str, columns: Columns) -> None:
        """The list of the files, and the card: last, so that they speak of what is there."""
        names = NameSurvey()

        def lines() -> Iterator[str]:
            for file in self.folder.files():
                if self._is_there(file):
                    names.add(file.name, verified=file.row["verified"])
                    yield json_line(file.row)

        digest = replace_text(self.folder.path / METADATA_NAME, lines())
        about = About(title, self.folder.path.as_posix(), digest)
        replace_text(self.folder.path / CARD_NAME, [folder_card(about, columns, names)])

    def _is_there(self, file: PlannedFile) -> bool:
        """A file has its name only when it is whole, and it was checked before."""
        try:
            return (self.folder.path / file.name).stat().st_size == file.size
        except OSError:
            return False

    def _bring(self, files: list[PlannedFile]) -> int:
        """Make files under numbers, sync them, and then give them their names; how many."""
        numbered = ((self.folder.parts / f"{n}", file) for n, file in enumerate(files))
        parts = [(p, self.folder.path / f.name) for p, f in numbered if self._is_made(f, p)]
        for part, _ in parts:
            with part.open("rb") as made:
                os.fsync(made.fileno())
        for part, target in parts:
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
        for parent in {target.parent for _, target in parts}:
            sync_folder(parent)
        return len(parts)

    def _is_made(self, file: PlannedFile, part: Path) -> bool:
        try:
            with self.originals.opened(file) as handle:
                if handle is not None and not (self.link and self._is_linked(file, part)):
                    _write(handle, part)
                return handle is not None
        except DamagedFileError:
            return False

    def _is_linked(self, file: PlannedFile, part: Path) -> bool:
        """Whether the file system could; else, as between two of them, a copy has to do."""
        original = self.originals.files.local(file.name)
        self.link = False
        if original is not None:
            with contextlib.suppress(OSError):
                os.link(original, part)
                self.link = True
        return self.link


def _write(source: BinaryIO, part: Path) -> None:
    with part.open("wb") as target:
        shutil.copyfileobj(source, target)
        target.flush()
        start_sync(target.fileno())
