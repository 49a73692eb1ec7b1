"""In-memory ports: the real ledger on an in-memory database, outputs in a dict."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio

from batchgen.core.jobs.events import Change, EventKind
from batchgen.core.jobs.job import Job, JobState, Outlook, SavedFile, Totals
from batchgen.core.jobs.placeholders import Content, Uploaded
from batchgen.core.jobs.spec import InputFile
from batchgen.core.media.wholeness import of_bytes
from batchgen.core.reconciliation.history import OwnRequest
from batchgen.errors import DiskFullError
from batchgen.outputs.inspection import Claims, inspect
from batchgen.ports import InputLostError, SaveError, SaveFault, SaveOrder
from batchgen.store.sqlite.memory import MemoryLedger
from batchgen.testing.world import Disk, World

COMMIT_S = 0.0005


class MemoryState:
    """`JobStore` with the real schema and the real SQL, on a database that lives with the world.

    `recorded_count` counts the changes that were committed, those that may not be lost.
    `paid_again` counts, by job key, how often it was committed that a result is paid for again: a
    process that dies right after tells nobody; `failed_at_once` how often a v1 call ran and failed,
    free of charge, and is tried again.
    """

    def __init__(self, world: World, disk: Disk) -> None:
        self._world = world
        self._disk = disk
        self.recorded_count = 0
        self.paid_again: Counter[int] = Counter()
        self.failed_at_once: Counter[int] = Counter()
        self.stored = MemoryLedger()
        """What is stored, for whoever looks at this world from outside: no step of it."""

    async def record(
        self,
        changes: Sequence[Change],
        notes: Mapping[str, str] | None = None,
        uploaded: Sequence[Uploaded] = (),
    ) -> None:
        """See `JobStore.record`. The process may die before or after the commit."""
        self._world.step("before commit")
        await anyio.sleep(COMMIT_S)
        self._world.step("at commit")
        if not self._disk.takes_record():
            raise DiskFullError("the disk is full: the state file cannot grow")
        self.stored.record(changes, notes, uploaded)
        self.recorded_count += sum(change.is_news for change in changes)
        again = [change for change in changes if change.event.kind is EventKind.AGAIN]
        self.paid_again.update(change.after.key for change in again)
        self.failed_at_once.update(
            change.after.key
            for change in changes
            if change.event.kind is EventKind.TRIED_AGAIN
            and change.before.state is JobState.SUBMITTING
        )
        self._world.step("after commit")

    async def draw(
        self,
        after_key: int,
        limit: int,
        *,
        model: str | None = None,
        but_models: Collection[str] = (),
    ) -> list[Job]:
        """See `JobStore.draw`."""
        self._world.step("draw")
        return self.stored.draw(after_key, limit, model=model, but_models=but_models)

    async def active(self) -> list[Job]:
        """See `JobStore.active`."""
        self._world.step("active")
        return self.stored.active()

    async def note(self, name: str) -> str | None:
        """See `JobStore.note`."""
        return self.stored.note(name)

    async def requests(self, request_ids: Sequence[str]) -> Mapping[str, OwnRequest]:
        """See `JobStore.requests`."""
        self._world.step("requests")
        return self.stored.requests(request_ids)

    async def last_accepted(self, until: float, within_s: float) -> Sequence[tuple[float, str]]:
        """See `JobStore.last_accepted`."""
        return self.stored.last_accepted(until, within_s)

    async def input_files(self, content: Content) -> Sequence[InputFile]:
        """See `JobStore.input_files`."""
        self._world.step("input files")
        return self.stored.input_files(content)

    async def has_room(self) -> bool:
        """See `JobStore.has_room`."""
        return self._disk.lay_ballast()

    async def outlook(self) -> Outlook:
        """See `JobStore.outlook`."""
        return self.stored.outlook()

    async def totals(self) -> Totals:
        """See `JobStore.totals`."""
        return self.stored.totals()


Download = Callable[[str], Awaitable[bytes]]
"""Fetches a URL in memory; raises `SaveError`."""


@dataclass(slots=True)
class MemoryOutputs:
    """`Outputs` in a dict. `faults` are raised by the next saves, first one first."""

    world: World
    disk: Disk
    download: Download
    files: dict[str, bytes] = field(default_factory=dict)
    staged: dict[str, bytes] = field(default_factory=dict)
    faults: list[SaveFault] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)
    """Answers without files, by the stems of their jobs."""
    quota: Disk | None = None
    """What is full for outputs alone."""

    async def stage(self, owner: str, index: int, data: bytes) -> str:
        """See `Outputs.stage`."""
        self.world.step("before stage")
        self._need_space()
        name = f"{owner}-{index}"
        self.staged[name] = data
        self.world.step("after stage")
        return name

    async def save(self, order: SaveOrder) -> SavedFile:
        """See `Outputs.save`."""
        self.world.step("before save")
        if self.faults:
            raise SaveError(self.faults.pop(0), "injected")
        self._need_space()
        data = await self._bytes(order)
        if self.quota and self.quota.is_full:
            raise SaveError(SaveFault.DISK_FULL, "quota exceeded")
        self.world.step("before rename")
        output = order.output
        claims = Claims(output.media_type, address=output.url, ours=bool(output.staged))
        found = inspect(len(data), of_bytes(data), claims)
        kind = found.media_type
        name = f"{order.stem}.{kind.extension}"
        if self.files.get(name, data) != data:
            raise SaveError(SaveFault.BAD_CONTENT, f"{name} stands there with other bytes")
        self.files[name] = data
        self.world.step("after rename")
        digest = hashlib.sha256(data).hexdigest()
        verified = found.flaw is None
        return SavedFile(output.index, name, len(data), digest, kind.mime, verified=verified)

    async def keep_answer(self, stem: str, data: bytes) -> None:
        """See `Outputs.keep_answer`."""
        self.world.step("before keeping")
        self._need_space()
        self.kept[stem] = data

    async def _bytes(self, order: SaveOrder) -> bytes:
        if order.output.staged:
            if order.output.staged not in self.staged:
                raise SaveError(SaveFault.GONE, "the staged file is gone")
            return self.staged[order.output.staged]
        return await self.download(order.output.url)

    def _need_space(self) -> None:
        if self.disk.is_full:
            raise SaveError(SaveFault.DISK_FULL, "no space left on device")

    async def takes_files(self) -> bool:
        """See `Outputs.takes_files`."""
        return not (self.disk.is_full or (self.quota is not None and self.quota.is_full))


@dataclass(slots=True)
class MemoryInputs:
    """`Inputs` in a dict, by path. `needless_count` counts contents that were read once more
    although the record has their address."""

    world: World
    state: MemoryState
    files: Mapping[str, bytes] = field(default_factory=dict)
    needless_count: int = 0

    async def encoded(self, file: InputFile) -> str:
        """See `Inputs.encoded`."""
        self.world.step("read input")
        data = self.files.get(file.path)
        if data is None:
            raise InputLostError(f"{file.path} is gone")
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise InputLostError(f"{file.path} was changed")
        self.needless_count += self.state.stored.is_uploaded(file.sha256)
        return base64.b64encode(data).decode()


@dataclass(slots=True)
class RecordingProgress:
    """`Progress` that remembers."""

    changes: list[Change] = field(default_factory=list)
    words: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)

    def changed(self, changes: Iterable[Change]) -> None:
        """Remember."""
        self.changes.extend(changes)

    def said(self, name: str, text: str, fields: Mapping[str, object]) -> None:
        """Remember."""
        self.words.append((name, text, dict(fields)))
