"""The `Outputs` port over an object store: first whole and checked at home, then one PUT.

What was brought home stays in the *outbox*, a folder of the run directory, until the store has it:
if the store is away, nothing is downloaded twice, and what came inside an answer is not lost.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from anyio import to_thread

from batchgen.core.jobs.job import SavedFile
from batchgen.core.media.wholeness import of_bytes
from batchgen.outputs.inspection import Claims, Flaw, Inspected, inspect
from batchgen.outputs.local import Fetcher, FileOutputs
from batchgen.outputs.names import (
    candidates,
    earlier_candidates,
    saved_file,
    split_stem,
    staged_hash,
)
from batchgen.outputs.remote.faults import StoreError, StoreFault
from batchgen.outputs.remote.marker import MARKER_NAME, marker_of
from batchgen.outputs.remote.store import ObjectContent, Store, md5_of
from batchgen.ports import SaveError, SaveFault, SaveOrder
from batchgen.system.durable import disk_faults, hash_of, of_file
from batchgen.system.run_directory import RunDirectory

MAPPED_BYTES = 4 * 2**20
"""Files above are mapped instead of read: a put of theirs takes no memory of its own."""


class RemoteOutputs:
    """The outputs of a run below the prefix of a bucket. An async context manager."""

    def __init__(
        self, store: Store, run_id: str, directory: RunDirectory, downloader: Fetcher
    ) -> None:
        """`run_id` is the name in the marker there."""
        self._store = store
        self._marker = ObjectContent.of(marker_of(run_id), "application/json")
        # A folder of its own name: what a run with another record left means other jobs.
        self._outbox = directory.outbox / run_id
        self._files = FileOutputs(self._outbox, directory.staging, downloader, directory.rejected)
        self._stack = AsyncExitStack()
        self._found: dict[str, str] = {}
        self._here: dict[str, SavedFile] = {}
        self._away = False
        self._refused: tuple[SaveOrder, SavedFile] | None = None

    async def __aenter__(self) -> Self:
        """Make the folders. Raises `DiskError` when that is impossible."""
        await self._stack.enter_async_context(self._files)
        names = await to_thread.run_sync(os.listdir, self._outbox)
        self._found = {Path(name).stem: name for name in names}
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
        with suppress(OSError):  # what still waits for the store keeps it
            self._outbox.rmdir()
            self._outbox.parent.rmdir()

    async def stage(self, owner: str, index: int, data: bytes) -> str:
        """Write bytes durably into staging, at home; see `Outputs.stage`."""
        return await self._files.stage(owner, index, data)

    async def keep_answer(self, stem: str, data: bytes) -> None:
        """Answers without files are kept at home; see `Outputs.keep_answer`."""
        await self._files.keep_answer(stem, data)

    async def remove_orphans(self, keep: AbstractSet[str]) -> int:
        """Delete the parts of a process that died, except the staged files named; their count."""
        return await self._files.remove_orphans(keep)

    async def takes_files(self) -> bool:
        """See `Outputs.takes_files`: the store first, if it refused one, and then the disk here."""
        if self._away and not await self._is_back():
            return False
        self._away = False
        return await self._files.takes_files()

    async def _is_back(self) -> bool:
        """Whether the store takes what it refused: that very file, which is none too many.

        A marker that stands there already would say nothing of a quota or of rights to write.
        """
        order, here = self._refused or (None, None)
        try:
            if order and here and here.name in await to_thread.run_sync(os.listdir, self._outbox):
                await self._put(order, here)
            else:
                await self._store.create(MARKER_NAME, self._marker)
        except StoreError:
            return False
        except SaveError as error:
            return error.fault is not SaveFault.STORE_AWAY
        self._refused = None
        return True

    async def save(self, order: SaveOrder) -> SavedFile:
        """Bring one output home and to the store; see `Outputs.save`. Raises `SaveError`."""
        stem = f"{order.owner}~{order.output.index}"
        here = self._here.get(stem) or await self._found_earlier(order, stem)
        if here is None:
            try:
                here = await self._files.save(replace(order, stem=stem))
            except SaveError as error:
                if error.fault is SaveFault.GONE and order.output.staged:
                    return await self._stored_earlier(order)
                raise
            await self._drop_damaged(stem, here)
        self._here[stem] = here
        try:
            saved = await self._put(order, here)
        except SaveError as error:
            if error.fault is SaveFault.STORE_AWAY:
                self._refused = (order, here)
            raise
        del self._here[stem]
        with disk_faults(here.name):
            await to_thread.run_sync((self._outbox / here.name).unlink)
        return saved

    async def _found_earlier(self, order: SaveOrder, stem: str) -> SavedFile | None:
        """What an earlier process left in the outbox of this output; None without it."""
        name = self._found.get(stem)
        if name is None:
            return None
        with disk_faults(name):
            found = await to_thread.run_sync(partial(_look_at, self._outbox / name, order))
        if found is not None:
            del self._found[stem]
        return found

    async def _drop_damaged(self, stem: str, here: SavedFile) -> None:
        """What came anew takes the place of what an earlier process left, if it is another file."""
        name = self._found.pop(stem, here.name)
        if name != here.name:
            with disk_faults(name):
                await to_thread.run_sync(partial((self._outbox / name).unlink, missing_ok=True))

    async def _put(self, order: SaveOrder, here: SavedFile) -> SavedFile:
        """The file under the first name that is free, or that has it already."""
        with disk_faults(here.name):
            content = await to_thread.run_sync(partial(_content, self._outbox / here.name, here))
        parents, base = split_stem(order.stem)
        with self._save_faults():
            for last in candidates(base, here.name.rpartition(".")[2]):
                name = "/".join((*parents, last))
                if not self._store.bucket.fits(name):
                    raise SaveError(SaveFault.REFUSED, f"{name:.60}…: too long for a key")
                if await self._store.create(name, content) or await self._store.holds(
                    name, here.size, here.sha256
                ):
                    return replace(here, name=name)
        raise SaveError(SaveFault.REFUSED, f"{order.stem}: too many names are taken")

    async def _stored_earlier(self, order: SaveOrder) -> SavedFile:
        """A staged file that is gone is in the store, and the process died before saying so."""
        known = staged_hash(order.output.staged)
        parents, _ = split_stem(order.stem)
        with self._save_faults():
            for names in earlier_candidates(order):
                for last in names:
                    name = "/".join((*parents, last))
                    data = await self._store.read(name)
                    if data is None:
                        break
                    sha256 = hashlib.sha256(data).hexdigest()
                    if known and sha256.startswith(known[0]):
                        return saved_file(order, name, _of_bytes(data, order), sha256)
        raise SaveError(SaveFault.GONE, f"the staged file {order.output.staged} is missing")

    @contextmanager
    def _save_faults(self) -> Iterator[None]:
        """A store that does not do it holds the run back; that says nothing about the output."""
        try:
            yield
        except StoreError as error:
            if error.fault is StoreFault.MISFIT:
                raise SaveError(SaveFault.REFUSED, error.detail) from error
            self._away = True
            raise SaveError(SaveFault.STORE_AWAY, str(error)) from error


def _look_at(path: Path, order: SaveOrder) -> SavedFile | None:
    """A file of the outbox as it was when it came; None where it seems to be no whole file.

    It stays until another one is here: it may have come so, and its address may be gone.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            found = inspect(size, of_file(file.fileno()), _known(order, path.name))
        except SaveError:
            return None
        if found.flaw is Flaw.CUT and order.output.url:
            return None
        return saved_file(order, path.name, found, hash_of(file.fileno(), size))


def _of_bytes(data: bytes, order: SaveOrder) -> Inspected:
    return inspect(len(data), of_bytes(data), _known(order))


def _known(order: SaveOrder, name: str = "") -> Claims:
    """What a file that was looked at before is; its name has the extension that it was given."""
    return Claims(order.output.media_type, address=name, ours=True)


def _content(path: Path, here: SavedFile) -> ObjectContent:
    """The bytes to be sent: in memory, or mapped."""
    data: bytes | mmap.mmap
    with path.open("rb") as file:
        if here.size <= MAPPED_BYTES:
            data = file.read()
        else:
            data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    return ObjectContent(data, here.size, here.sha256, md5_of(data), here.media_type)
