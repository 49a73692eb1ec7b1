"""The run directory: which file stands where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

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

    def create(self) -> None:
        """Make the directories. Raises `UserError` where that is impossible."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.outputs.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self.path} cannot be made a run directory: {error.strerror}; "
                "choose another with --run-dir"
            ) from error


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
