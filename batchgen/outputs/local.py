"""The `Outputs` port over aiofiles: parts in a hidden folder, finished files under their names.

Parts live on the file system of their targets: in a staging folder beside the outputs, or inside
them in a hidden one, which data set loaders pass by. It is gone after a clean end. A file up to
`BLOCK_BYTES` (see `part`) stays in memory until its one thread call; a longer one is streamed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import anyio
import anyio.to_thread

from batchgen.core.jobs.job import SavedFile
from batchgen.errors import RUN_DIR, BatchgenError, DiskError, InternalError
from batchgen.outputs.delivery import (
    DeliveryFolder,
    Package,
    UnconfirmedError,
    deliver_all,
    stage_bytes,
)
from batchgen.outputs.downloads import Fetched, Sink
from batchgen.outputs.inspection import Flaw
from batchgen.outputs.names import REJECTED_NAME, STAGING_NAME
from batchgen.outputs.part import DownloadPart, HashOnly
from batchgen.outputs.rejected import keep_answer
from batchgen.ports import SaveError, SaveFault, SaveOrder
from batchgen.system.durable import (
    FOLDER_FLAGS,
    sync_folder,
    takes_files,
    unlink_if_there,
)

_T = TypeVar("_T")

LANES = 2
"""Batches of deliveries at work at a time. Measured: one leaves the disk idle while it hashes, and
with more the batches get smaller, so that each file costs more of the CPU."""
BATCH_FILES = 32
"""Most files of one batch, so that none waits for too many others."""
MIN_FREE_BYTES = 64 * 2**20
"""With less there is no room. A guess: some dozens of pictures."""
PROBE_BYTES = 4096
"""What is written to find out whether the disk takes files, while it has refused none."""
MAX_OWNER_CHARACTERS = 80
"""Longer owners are cut and told apart by a hash: a file name has 255 bytes at most."""


class Fetcher(Protocol):
    """What brings a URL's bytes: `outputs.downloads.Downloader`."""

    async def fetch(self, url: str, sink: Sink) -> Fetched:
        """Stream the file into `sink`. Raises `SaveError`."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A package and whoever waits for its delivery."""

    package: Package
    outcome: asyncio.Future[SavedFile]


class FileOutputs:
    """The outputs folder of a run. An async context manager; one instance a folder."""

    def __init__(
        self,
        directory: Path,
        staging: Path | None,
        downloader: Fetcher,
        rejected: Path | None = None,
    ) -> None:
        """`staging` is where parts go, if it is on the file system of `directory`.

        None, or a folder on another one: a hidden folder inside `directory`. `rejected` is where
        answers without files are kept; None: beside `directory`.
        """
        self._rejected = rejected or directory.with_name(REJECTED_NAME)
        self._directory = directory
        self._staging = staging or directory / STAGING_NAME
        self._downloader = downloader
        self._place: DeliveryFolder | None = None
        self._waiting: list[_Waiting] = []
        self._lanes: set[asyncio.Future[list[SavedFile | BatchgenError]]] = set()
        self._others: set[asyncio.Future[Any]] = set()
        self._refused: Sequence[int] = (PROBE_BYTES,)

    async def __aenter__(self) -> Self:
        """Make and open the folders. Raises `DiskError` when that is impossible."""
        self._place = await anyio.to_thread.run_sync(self._open)
        return self

    def _open(self) -> DeliveryFolder:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._staging.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._staging.stat().st_dev != self._directory.stat().st_dev:
                self._staging = self._directory / STAGING_NAME
                self._staging.mkdir(exist_ok=True, mode=0o700)
            for parent in {self._directory.parent, self._staging.parent}:
                sync_folder(parent)  # else a power cut could take the new folders, and all in them
            # The folder itself may be a link, to a bigger disk for instance; nothing inside may.
            root = os.open(self._directory, FOLDER_FLAGS & ~os.O_NOFOLLOW)
            try:
                staging = os.open(self._staging, FOLDER_FLAGS)
            except OSError:
                os.close(root)
                raise
        except OSError as error:
            raise DiskError(
                f"{self._directory} cannot take outputs: {error.strerror or error}; "
                "mend its permissions or choose another place with ",
                RUN_DIR,
            ) from error
        mask = os.umask(0)  # can only be read by setting it
        os.umask(mask)
        return DeliveryFolder(root, staging, 0o666 & ~mask)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Threads at work hold our descriptors: closed now, the numbers would mean other files.
        with anyio.CancelScope(shield=True):
            while at_work := self._lanes | self._others:
                await asyncio.wait(at_work)
            await anyio.to_thread.run_sync(self._close, self._open_place())
        self._place = None

    def _close(self, place: DeliveryFolder) -> None:
        with contextlib.suppress(OSError):  # staged files of the next run keep it
            self._staging.rmdir()
        os.close(place.staging)
        os.close(place.root)

    def _open_place(self) -> DeliveryFolder:
        if self._place is None:
            raise InternalError("FileOutputs was used outside its `async with`")
        return self._place

    async def _threaded(self, work: Callable[[], _T]) -> _T:
        """Do blocking work that uses our descriptors; leaving waits for it even when cancelled."""
        future = asyncio.get_running_loop().run_in_executor(None, work)
        self._others.add(future)
        future.add_done_callback(self._others.discard)
        return await asyncio.shield(future)

    async def stage(self, owner: str, index: int, data: bytes) -> str:
        """Write bytes durably into staging; returns the name by which `save` takes them up."""
        prefix = f"{_safe_owner(owner)}~{index}"
        with self._refusals(lambda: len(data)):
            return await self._threaded(partial(stage_bytes, self._open_place(), prefix, data))

    @contextlib.contextmanager
    def _refusals(self, size: Callable[[], int], stem: str = "") -> Iterator[None]:
        """Remember what a full disk refused: a file of `size`, and the folders of its `stem`.

        Else it would be tried again, and downloaded again, as soon as a small file can be written.
        """
        try:
            yield
        except SaveError as error:
            if error.fault is SaveFault.DISK_FULL:
                self._refused = (max(PROBE_BYTES, size()), *[PROBE_BYTES] * stem.count("/"))
            raise

    async def save(self, order: SaveOrder) -> SavedFile:
        """Bring one output home, durably; see `Outputs.save`. Raises `SaveError`.

        Cancelled during its last step it may still finish: the next `save` finds the equal file.
        """
        if order.output.staged:
            with self._refusals(lambda: 0, order.stem):
                return await self._delivered(Package(order, _plain_name(order.output.staged)))
        prefix = f"{_safe_owner(order.owner)}~{order.output.index}"
        part = DownloadPart(self._open_place().staging, f"{prefix}~{secrets.token_hex(6)}.part")
        with self._refusals(lambda: part.size, order.stem):
            return await self._fetched(order, part)

    async def _fetched(self, order: SaveOrder, part: DownloadPart) -> SavedFile:
        try:
            fetched = await self._downloader.fetch(order.output.url, part)
            package = await part.packed(order, fetched)
        except BaseException:
            await part.discard()
            raise
        try:
            return await self._delivered(package)
        except UnconfirmedError as doubtful:
            return await self._delivered(await self._compared(doubtful))
        except SaveError as error:
            if error.fault in (SaveFault.BAD_CONTENT, SaveFault.TRANSIENT):
                error.host = fetched.host  # an error page under 200, for one
            raise

    async def _compared(self, doubtful: UnconfirmedError) -> Package:
        """Download once more: the same bytes again are all there are. Raises `SaveError`.

        An address that worked but once brings no others either: what is in hand is kept, unless
        it looks cut and the history may name a better one.
        """
        package = doubtful.package
        try:
            await self._compare(doubtful)
        except BaseException as error:
            gone = isinstance(error, SaveError) and error.fault is SaveFault.GONE
            if not (gone and doubtful.flaw is Flaw.UNKNOWN):
                with anyio.CancelScope(shield=True):
                    remove = partial(unlink_if_there, package.name, self._open_place().staging)
                    await self._threaded(remove)
                raise
        return replace(package, compared=True)

    async def _compare(self, doubtful: UnconfirmedError) -> None:
        again = HashOnly()
        fetched = await self._downloader.fetch(doubtful.package.order.output.url, again)
        if again.digest() != doubtful.sha256:
            detail = "a second download brought other bytes than the first"
            raise SaveError(SaveFault.TRANSIENT, detail, fetched.host)

    async def _delivered(self, package: Package) -> SavedFile:
        waiting = _Waiting(package, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._start_lanes()
        return await waiting.outcome

    def _start_lanes(self) -> None:
        """Whatever waits goes out at once, in batches, as long as a lane is free."""
        loop = asyncio.get_running_loop()
        while self._waiting and len(self._lanes) < LANES:
            batch, self._waiting = self._waiting[:BATCH_FILES], self._waiting[BATCH_FILES:]
            packages = [waiting.package for waiting in batch]
            lane = loop.run_in_executor(None, deliver_all, self._open_place(), packages)
            self._lanes.add(lane)
            lane.add_done_callback(partial(self._hand_out, batch))

    def _hand_out(
        self, batch: list[_Waiting], lane: asyncio.Future[list[SavedFile | BatchgenError]]
    ) -> None:
        self._lanes.discard(lane)
        self._start_lanes()
        fault = lane.exception()
        outcomes = [fault] * len(batch) if fault else lane.result()
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.outcome.done():
                continue  # cancelled meanwhile; the file is there all the same
            if isinstance(outcome, SavedFile):
                waiting.outcome.set_result(outcome)
            else:
                waiting.outcome.set_exception(outcome)

    async def keep_answer(self, stem: str, data: bytes) -> None:
        """See `Outputs.keep_answer`. Raises `SaveError`."""
        await self._threaded(partial(keep_answer, self._rejected, stem, data))

    async def takes_files(self) -> bool:
        """See `Outputs.takes_files`: as many bytes and inodes as what was refused last needs."""
        has_room = await self._threaded(partial(_takes_files, self._open_place(), self._refused))
        if has_room:
            self._refused = (PROBE_BYTES,)
        return has_room

    async def remove_orphans(self, keep: AbstractSet[str]) -> int:
        """Delete the parts of a process that died, except the staged files named; their count.

        To be called at start-up only: it cannot tell a stale part from one at work. Raises
        `DiskError`.
        """
        staging = self._open_place().staging
        return await self._threaded(partial(_remove_orphans, staging, frozenset(keep)))


def _takes_files(place: DeliveryFolder, refused: Sequence[int]) -> bool:
    found = os.fstatvfs(place.root)
    if found.f_bavail * found.f_frsize < MIN_FREE_BYTES:
        return False
    return takes_files(place.staging, f"probe~{secrets.token_hex(6)}", refused)


def _remove_orphans(staging: int, keep: frozenset[str]) -> int:
    count = 0
    try:
        for name in os.listdir(staging):
            if name not in keep and name.endswith((".part", ".part.new")):
                unlink_if_there(name, staging)
                count += 1
    except OSError as error:
        raise DiskError(
            f"stale parts of outputs cannot be removed: {error.strerror or error}; "
            "mend the permissions of the run directory or choose another with ",
            RUN_DIR,
        ) from error
    return count


def _safe_owner(owner: str) -> str:
    """The owner as part of a file name: unchanged where it can be, else cut and hashed."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", owner)[:MAX_OWNER_CHARACTERS]
    if plain == owner:
        return owner
    return f"{plain}-{hashlib.sha256(owner.encode()).hexdigest()[:12]}"


def _plain_name(staged: str) -> str:
    if "/" in staged or "\0" in staged or staged in ("", ".", ".."):
        raise InternalError(f"not a staged name: {staged!r}")
    return staged
