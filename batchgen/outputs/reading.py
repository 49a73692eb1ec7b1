"""Where the outputs of a run are, as its state remembers it, and how they are read there."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from batchgen.core.manifest.text.destination import bucket_of
from batchgen.errors import StateError
from batchgen.ports import OutputFiles
from batchgen.system.run_directory import RunDirectory

NOTE = "outputs"
"""The note of the state that holds a `OutputsBinding`."""


@dataclass(frozen=True, slots=True)
class OutputsBinding:
    """Where the files of a run are: `place` is a bucket, an absolute folder, or empty for the run
    directory's own. `run` is the name of the run in the marker there."""

    run: str
    place: str

    def dump(self) -> dict[str, str]:
        """As a note of the state."""
        return {NOTE: json.dumps({"run": self.run, "place": self.place})}


def read_bound(note: str | None) -> OutputsBinding | None:
    """A note as it was dumped; None without one. Raises `StateError` for one that is damaged."""
    if note is None:
        return None
    try:
        value = json.loads(note)
        return OutputsBinding(str(value["run"]), str(value["place"]))
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"the note {NOTE!r} of the state cannot be read: {note!r:.80}") from error


def with_place(directory: RunDirectory, place: str) -> RunDirectory:
    """The run directory with its outputs at a place as `OutputsBinding` names it."""
    bucket = bucket_of(place) if place else None
    folder = Path(place) if place and bucket is None else None
    return replace(directory, folder=folder, bucket=bucket)


def place_of(written: str | None, manifest_folder: Path, directory: RunDirectory) -> str:
    """The place that `output.dir` of a manifest names, as `OutputsBinding` does."""
    if written is None:
        return ""
    bucket = bucket_of(written)
    if bucket is not None:
        return str(bucket)
    folder = (manifest_folder / Path(written).expanduser()).resolve()
    return "" if folder == directory.home.resolve() else str(folder)


def own_folders(
    written: str | None, manifest_folder: Path, directory: RunDirectory
) -> tuple[Path, ...]:
    """Where a run puts files on disks here: its directory, and what `output.dir` names.

    A run directory that holds the manifest as well may hold what the manifest reads.
    """
    placed = with_place(directory, place_of(written, manifest_folder, directory))
    is_shared = manifest_folder.resolve().is_relative_to(directory.path.resolve())
    own = (directory.home, directory.aside) if is_shared else (directory.path,)
    return own if placed.folder is None else (*own, placed.folder)


class FolderFiles:
    """Finished files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def local(self, name: str) -> Path | None:
        """See `OutputFiles.local`."""
        return self._folder / name

    def open(self, name: str) -> BinaryIO:
        """See `OutputFiles.open`."""
        return (self._folder / name).open("rb")


def open_outputs(directory: RunDirectory) -> OutputFiles:
    """The finished files of a run, wherever they are; `directory` as `located` gives it.

    Raises `UserError` where a bucket cannot be reached with what is installed and in the
    environment.
    """
    if directory.bucket is None:
        return FolderFiles(directory.outputs)
    from batchgen.outputs.remote.reading import StoreFiles  # noqa: PLC0415  an extra

    return StoreFiles(directory.bucket)
