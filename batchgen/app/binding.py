"""A run and the place of its outputs: bound to each other before anything is submitted."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from batchgen.datasets.metadata import CARD_NAME, DATASET_NAMES, METADATA_NAME
from batchgen.errors import RUN_DIR, BatchgenError, UserError
from batchgen.outputs.reading import NOTE, OutputsBinding, read_bound
from batchgen.outputs.remote.faults import StoreError, StoreFault
from batchgen.outputs.remote.marker import MARKER_NAME, marker_of, new_run_id, run_in
from batchgen.outputs.remote.store import ObjectContent, Store, StoreSettings, connect
from batchgen.store.base import Importer
from batchgen.system.durable import sync_folder, write_all
from batchgen.system.run_directory import RunDirectory

_ASKING = StoreSettings(timeout_s=10.0, delays_s=(0.5,))
"""Somebody waits at the start: a wrong address is told soon."""


class _Ground(Protocol):
    """A place as far as its marker is concerned."""

    async def exists(self, name: str) -> bool:
        """Whether a file of that name stands there."""
        ...

    async def marker(self) -> bytes | None:
        """The marker, or None."""
        ...

    async def mark(self, data: bytes) -> bool:
        """Write the marker, whole and durably; False when there is one already."""
        ...


async def bind(importer: Importer, directory: RunDirectory) -> str:
    """See that the outputs can go where the manifest says, and remember it; the run's name.

    Nothing but a marker of some bytes is written there. Raises `UserError` where the files of this
    run are elsewhere, or the place is another's, or cannot be written; `StoppedEarly` where it does
    not answer.
    """
    bound = read_bound(importer.note(NOTE))
    place = str(directory.bucket or directory.folder or "")
    moved = bound is not None and bound.place != place
    if not place and not moved:
        return bound.run if bound else ""
    ground = _ground(directory)
    try:
        found = await ground.marker()
        run_id = bound.run if bound else new_run_id()
        if found is not None and run_in(found) != run_id:
            raise _taken(directory, marked=True)
        if found is None and importer.has_files():
            raise _astray(directory, bound, moved=moved or bound is None)
        if found is None and place:
            for name in DATASET_NAMES:
                if await ground.exists(name):
                    raise _taken(directory, marked=False)
        # First: a marker that no state knows would keep this run away as well.
        importer.write_notes(OutputsBinding(run_id, place).dump())
        if place:
            await _set_marker(ground, directory, run_id)
    except StoreError as error:
        raise error.told() from error
    return run_id


async def _set_marker(ground: _Ground, directory: RunDirectory, run_id: str) -> None:
    """Have the marker there, and see that the place never writes over what it holds."""
    await ground.mark(marker_of(run_id))
    if await ground.mark(marker_of(run_id)) and directory.bucket is not None:
        detail = "it writes over objects although it was told not to (If-None-Match: *)"
        raise StoreError(directory.bucket, StoreFault.UNFIT, detail)
    if run_in(await ground.marker() or b"") != run_id:
        raise _taken(directory, marked=True)


def _taken(directory: RunDirectory, *, marked: bool) -> UserError:
    place = directory.place
    if marked:
        return UserError(
            f"output.dir: {place} holds the outputs of another run, or of this one before its "
            f"{directory.state} was lost\n    put that state file back, or give `dir` a place of "
            f"its own, or empty this one, {MARKER_NAME} included"
        )
    return UserError(
        f"output.dir: {place} holds a {METADATA_NAME} or {CARD_NAME} that is not of this run and "
        "would be written over\n    give `dir` a place of its own"
    )


def _astray(directory: RunDirectory, bound: OutputsBinding | None, *, moved: bool) -> UserError:
    """The state counts on files that are not where they should be."""
    if not moved:
        return UserError(
            f"output.dir: {directory.place} held the finished files of this run, and their "
            f"{MARKER_NAME} is gone\n    is the disk mounted, is it the right account? bring the "
            "files back with that one, or begin anew with another ",
            RUN_DIR,
        )
    before = (bound.place if bound else "") or str(directory.home)
    move = f"or move all of them there, {MARKER_NAME} included, " if bound and bound.place else ""
    return UserError(
        f"output.dir: the finished files of this run are in {before}, not in {directory.place}\n"
        f"    set `dir` back, {move}or begin anew with another ",
        RUN_DIR,
    )


def _ground(directory: RunDirectory) -> _Ground:
    if directory.bucket is not None:
        return _StoreGround(connect(directory.bucket, _ASKING))
    if directory.folder is not None:
        return _FolderGround(_made(directory.folder, directory))
    return _FolderGround(directory.home)


def _made(folder: Path, directory: RunDirectory) -> Path:
    if directory.path.resolve().is_relative_to(folder):
        raise UserError(
            f"output.dir: {folder} holds the run directory {directory.path} itself\n"
            "    give `dir` a folder of its own"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"output.dir: {folder} cannot be made: {error.strerror}\n"
            "    mend that, or give `dir` another place"
        ) from error
    return folder


@dataclass(frozen=True, slots=True)
class _StoreGround:
    """The objects below a bucket's prefix."""

    store: Store

    async def exists(self, name: str) -> bool:
        return await self.store.exists(name)

    async def marker(self) -> bytes | None:
        return await self.store.read(MARKER_NAME)

    async def mark(self, data: bytes) -> bool:
        return await self.store.create(MARKER_NAME, ObjectContent.of(data, "application/json"))


@dataclass(frozen=True, slots=True)
class _FolderGround:
    """A folder. Blocking: this is before the run."""

    folder: Path

    async def exists(self, name: str) -> bool:
        return any(path.name == name for path in self.folder.iterdir())

    async def marker(self) -> bytes | None:
        try:
            return (self.folder / MARKER_NAME).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unfit(error) from error

    async def mark(self, data: bytes) -> bool:
        path = self.folder / MARKER_NAME
        partial = path.with_name(f"{MARKER_NAME}.part")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            try:
                write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if path.exists():
                return False
            partial.rename(path)
            sync_folder(self.folder)
        except OSError as error:
            raise self._unfit(error) from error
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        return True

    def _unfit(self, error: OSError) -> BatchgenError:
        return UserError(
            f"output.dir: {self.folder} cannot take outputs: {error.strerror}\n"
            "    mend that, or give `dir` another place"
        )
