"""The port `JobStore`: the ledger behind one thread, so that the loop never waits for a disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import anyio
from anyio import to_thread

from batchgen.core.jobs.events import Change
from batchgen.core.jobs.job import Job, Outlook, Totals
from batchgen.core.jobs.placeholders import Content, Uploaded
from batchgen.core.jobs.spec import InputFile
from batchgen.core.reconciliation.history import OwnRequest
from batchgen.core.scheduling.gates.holds import HeldJobs
from batchgen.errors import RUN_DIR, DiskError, DiskFullError, StateError
from batchgen.store.ballast import Ballast
from batchgen.store.checkpoints import CHECKPOINT_S, Checkpoints, checkpoint
from batchgen.store.sqlite.faults import typed_errors
from batchgen.store.sqlite.importer import SqliteImporter
from batchgen.store.sqlite.inputs import still_to_upload, uploaded_so_far
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.lock import RunLock
from batchgen.store.sqlite.older import RECORDED_NOTE
from batchgen.store.sqlite.retrying import Retrier
from batchgen.store.sqlite.schema import connect

T = TypeVar("T")


class SqliteState:
    """`batchgen.ports.JobStore` over a state file, locked while it is open.

    Calls are serialised. The runner gathers every event that arrives while a commit is under way
    into the next one, so commits are grouped without anybody lingering for more.
    """

    def __init__(self, path: Path, checkpoint_s: float = CHECKPOINT_S) -> None:
        """At least every `checkpoint_s` seconds the file itself holds what was recorded."""
        self.path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._checkpoints = Checkpoints(path, checkpoint_s)
        self._lock = RunLock(path.with_name("run.lock"))
        self._marked = False
        self._ballast = Ballast(path.with_name("ballast"))
        self._turn: anyio.CapacityLimiter | None = None
        self.ledger: Ledger
        self._identity: tuple[int, int] | None = None
        self._recorded_at = 0.0

    def __enter__(self) -> Self:
        """Lock the run directory and open (or make) the state file.

        Raises `RunLockedError` or `StateError`.
        """
        self._lock.__enter__()
        try:
            self._refuse_lost_log()
            fresh = not self.path.exists()
            self.ledger = Ledger(connect(self.path, create=True))
            self._identity = _identity(self.path)
            self._recorded_at = float(self.importer.note(RECORDED_NOTE) or 0.0)
            if fresh:
                self.path.chmod(0o600)
            self._ballast.lay()
            self._checkpoints.start()
        except BaseException as error:
            self._lock.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file, then let go of the lock."""
        self._checkpoints.stop()
        self.merge()
        self.ledger.connection.close()
        self._ballast.drop()
        # Closed: the log is merged into the file, whatever the reason for closing.
        self._lock.__exit__(None, None, None)

    def merge(self) -> None:
        """Bring the log into the file and take the mark away, before SQLite deletes the log.

        A death between the two would look like a log that was lost. Where a reader or the disk
        stands in the way, the log stays, and so does the mark.
        """
        if checkpoint(self.ledger.connection):
            with suppress(OSError):
                self._lock.mark_merged()
            self._marked = False

    @property
    def importer(self) -> SqliteImporter:
        """Brings the jobs of a manifest in, before a run."""
        return SqliteImporter(self.ledger)

    @property
    def retrier(self) -> Retrier:
        """Puts ended jobs back, between two runs."""
        return Retrier(self.ledger)

    def _refuse_lost_log(self) -> None:
        """After a death the newest records stand in the write-ahead log alone."""
        if self._lock.was_recording and not self._has_log():
            self._lock.mark_recording()
            raise StateError(
                f"{self._log} is gone, and with it the last records of a run that died: "
                f"request_ids may be missing.\n    Put it back beside {self.path.name}; or delete "
                f"{self._lock.path} to go on without it, at the risk of paying twice"
            )

    def _has_log(self) -> bool:
        """Whether anything stands in the log. An empty one was laid by somebody who only looked, or
        who recorded what was there already: SQLite writes no page that stays as it was."""
        return self._log.exists() and self._log.stat().st_size > 0

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._turn is None:
            self._turn = anyio.CapacityLimiter(1)
        return await to_thread.run_sync(typed_errors()(work), limiter=self._turn)

    async def record(
        self,
        changes: Sequence[Change],
        notes: Mapping[str, str] | None = None,
        uploaded: Sequence[Uploaded] = (),
    ) -> None:
        """See `JobStore.record`."""
        await self._in_thread(partial(self._record, changes, notes, uploaded))

    def _record(
        self,
        changes: Sequence[Change],
        notes: Mapping[str, str] | None,
        uploaded: Sequence[Uploaded],
    ) -> None:
        """On a full disk the ballast makes room: an acknowledgement must not be lost."""
        latest_at = max((change.event.at for change in changes), default=0.0)
        if latest_at > self._recorded_at:
            notes = {**(notes or {}), RECORDED_NOTE: repr(latest_at)}
        try:
            self.ledger.record(changes, notes, uploaded)
        except DiskFullError:
            if not self._ballast.drop():
                raise
            self.ledger.record(changes, notes, uploaded)
        self._recorded_at = max(latest_at, self._recorded_at)
        if not self._marked and self._has_log():
            self._lock.mark_recording()
            self._marked = True

    async def checkpoint(self) -> None:
        """Have everything that was recorded so far in the file itself, not in its log alone."""
        await self._in_thread(partial(checkpoint, self.ledger.connection))

    async def input_files(self, content: Content) -> Sequence[InputFile]:
        """See `JobStore.input_files`."""
        return await self._in_thread(partial(self.ledger.input_files, content))

    async def has_room(self) -> bool:
        """See `JobStore.has_room`."""
        return await self._in_thread(self._has_room)

    def _has_room(self) -> bool:
        self.refuse_moved()
        return self._ballast.lay()

    def refuse_moved(self) -> None:
        """Raise `DiskError` where the path leads to the open file no longer.

        Everything goes on within a directory that is moved, as it is open; but whoever comes next
        looks for it at its path.
        """
        if _identity(self.path) != self._identity:
            raise DiskError(
                f"{self.path.parent} was moved or deleted while the run worked in it; what was "
                "paid for so far is recorded there: bring it back, or name its new place with ",
                RUN_DIR,
            )

    async def draw(
        self,
        after_key: int,
        limit: int,
        *,
        model: str | None = None,
        but_models: Collection[str] = (),
    ) -> list[Job]:
        """See `JobStore.draw`."""
        return await self._in_thread(
            partial(self.ledger.draw, after_key, limit, model=model, but_models=but_models)
        )

    async def active(self) -> list[Job]:
        """See `JobStore.active`."""
        return await self._in_thread(self.ledger.active)

    async def note(self, name: str) -> str | None:
        """See `JobStore.note`."""
        return await self._in_thread(partial(self.ledger.note, name))

    async def requests(self, request_ids: Sequence[str]) -> Mapping[str, OwnRequest]:
        """See `JobStore.requests`."""
        return await self._in_thread(partial(self.ledger.requests, request_ids))

    async def last_accepted(self, until: float, within_s: float) -> Sequence[tuple[float, str]]:
        """See `JobStore.last_accepted`."""
        return await self._in_thread(partial(self.ledger.last_accepted, until, within_s))

    async def staged_names(self) -> set[str]:
        """Staged files that jobs under way still count on."""
        return await self._in_thread(self.ledger.staged_names)

    async def outlook(self) -> Outlook:
        """See `JobStore.outlook`."""
        return await self._in_thread(self.ledger.outlook)

    async def uploads(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Count and bytes of what was uploaded, and of what is still to be."""
        connection = self.ledger.connection
        return await self._in_thread(
            lambda: (uploaded_so_far(connection), still_to_upload(connection))
        )

    async def held(self) -> list[HeldJobs]:
        """The models whose jobs are on hold."""
        return await self._in_thread(self.ledger.held)

    async def totals(self) -> Totals:
        """See `JobStore.totals`."""
        return await self._in_thread(self.ledger.totals)


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of a file: a rename keeps them, a copy has others."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
