"""The run directory: which file stands where."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from batchgen.adapters.durable import sync_folder
from batchgen.errors import UserError


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The paths of one run."""

    path: Path

    @property
    def state(self) -> Path:
        """The resumable state file."""
        return self.path / "state.db"

    @property
    def outputs(self) -> Path:
        """Finished files."""
        return self.path / "outputs"

    @property
    def staging(self) -> Path:
        """Unfinished downloads; on the outputs' file system, but never among them."""
        return self.path / ".staging"

    @property
    def log(self) -> Path:
        """JSON lines of what happened."""
        return self.path / "run.log"

    @property
    def rehearsal(self) -> Path:
        """The ledger of the local simulator, when the run is a rehearsal."""
        return self.path / "simulator.jsonl"

    def set_aside(self, names: Iterable[str]) -> None:
        """Move finished files out of the outputs, to `replaced/`: they were paid for, too."""
        for name in names:
            source = self.outputs / name
            if not source.exists():
                continue
            target = self.path / "replaced" / name
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
        if self.state.exists() or not self.outputs.is_dir():
            return
        if any(self.outputs.iterdir()):
            raise UserError(
                f"{self.outputs} holds files, but {self.state} is gone: without it every job would "
                "be submitted, and paid for, again.\n    Put the state file back, or move the "
                "outputs away, or choose another --run-dir"
            )

    def create(self) -> None:
        """Make the directories, durably. Raises `UserError` where that is impossible."""
        try:
            _make_durably(self.path)
            self.outputs.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self.path} cannot be made a run directory: {error.strerror}; "
                "choose another with --run-dir"
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
