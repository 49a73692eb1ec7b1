"""The run directory: which file stands where."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from batchgen.errors import RUN_DIR, UserError
from batchgen.system.durable import sync_folder

if TYPE_CHECKING:
    from batchgen.core.manifest.text.destination import Bucket

REPLACED_NAME = ".replaced"
"""Beside the outputs, for files of jobs that were generated anew: hidden from data set loaders."""


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The paths of one run. Its outputs may be in another `folder`, or in a `bucket`."""

    path: Path
    folder: Path | None = None
    bucket: Bucket | None = None

    @property
    def state(self) -> Path:
        """The resumable state file."""
        return self.path / "state.db"

    @property
    def home(self) -> Path:
        """Where finished files are, unless the manifest says otherwise."""
        return self.path / "outputs"

    @property
    def outputs(self) -> Path:
        """Finished files. With a bucket there are none here: see `outputs_place.open_outputs`."""
        return self.folder or self.home

    @property
    def place(self) -> str:
        """Where finished files are, as it is told to people: a path, or the address of a bucket."""
        return str(self.bucket or self.outputs)

    @property
    def outbox(self) -> Path:
        """Whole files on their way to the bucket."""
        return self.path / ".outbox"

    @property
    def staging(self) -> Path:
        """Unfinished downloads; on the outputs' file system, but never among them."""
        return self.path / ".staging"

    @property
    def rejected(self) -> Path:
        """Answers that were paid for and brought no files."""
        return self.path / "rejected"

    @property
    def log(self) -> Path:
        """JSON lines of what happened."""
        return self.path / "run.log"

    @property
    def rehearsal(self) -> Path:
        """The ledger of the local simulator, when the run is a rehearsal."""
        return self.path / "simulator.jsonl"

    @property
    def report(self) -> Path:
        """The page of `batchgen report`, where it is not put elsewhere."""
        return self.path / "report.html"

    @property
    def thumbnails(self) -> Path:
        """Small pictures for the pages, made anew when they are gone."""
        return self.path / ".thumbnails.db"

    @property
    def aside(self) -> Path:
        """Finished files of jobs that were generated anew; those of another folder stay within it,
        hidden: it may be on another disk."""
        return self.folder / REPLACED_NAME if self.folder else self.path / "replaced"

    def set_aside(self, names: Iterable[str]) -> None:
        """Move finished files `aside`: they were paid for, too."""
        for name in names:
            source = self.outputs / name
            if not source.exists():
                continue
            target = self.aside / name
            for number in count(1):
                if not target.exists():
                    break
                target = target.with_stem(f"{Path(name).stem}~{number}")
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)

    def refuse_lost_state(self) -> None:
        """Refuse to begin anew where an earlier run left files: everything would be paid again.

        Raises `UserError`.
        """
        if self.state.exists() or not self.home.is_dir():
            return
        if any(self.home.iterdir()):
            raise UserError(
                f"{self.home} holds files, but {self.state} is gone: without it every job would "
                "be submitted, and paid for, again.\n    Put the state file back, or move the "
                "outputs away, or choose another ",
                RUN_DIR,
            )

    def create(self) -> None:
        """Make the directories, durably. Raises `UserError` where that is impossible."""
        try:
            _make_durably(self.path)
            if self.folder is None and self.bucket is None:
                self.home.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self.path} cannot be made a run directory: {error.strerror}; "
                "choose another with ",
                RUN_DIR,
            ) from error


def _make_durably(path: Path) -> None:
    """`mkdir -p` that survives a power cut: else the state could go with its whole directory."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        sync_folder(folder.parent)
    if not missing:
        # An earlier process may have died between making it and this; a parent that may not be
        # read cannot be synced, and was not made by us.
        with contextlib.suppress(PermissionError):
            sync_folder(path.parent)


def default_directory(name: str) -> RunDirectory:
    """`runs/<name>` below the current directory."""
    return RunDirectory(Path("runs") / name)


def find_run(run: Path, manifest_name: str | None = None) -> RunDirectory:
    """The run directory a user means by RUN: the directory itself, or that of a manifest's name.

    Raises `UserError` when nothing was run there.
    """
    directory = default_directory(manifest_name) if manifest_name else RunDirectory(run)
    if not directory.state.exists():
        raise UserError(
            f"{directory.path} holds no run (no state.db); "
            "give a run directory or the manifest of one, or start it with `batchgen run`"
        )
    return directory
