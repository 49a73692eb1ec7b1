"""From a part to a finished file: check, sync, name, sync the folder. Blocking, in batches.

Batches run in one thread call each: a hand-off per small step costs more than the steps, and files
of one folder share its sync. The order inside a batch is what survives a power cut: contents first,
then names, then folders, and only then the parts go.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from batchgen.core.jobs.job import SavedFile
from batchgen.core.media.formats import kind_of
from batchgen.core.media.texts import text_kind
from batchgen.core.media.wholeness import of_bytes
from batchgen.errors import BatchgenError, InternalError
from batchgen.outputs.downloads import Fetched
from batchgen.outputs.inspection import Claims, Flaw, Inspected, inspect
from batchgen.outputs.names import (
    candidates,
    earlier_candidates,
    no_name,
    saved_file,
    split_stem,
    staged_hash,
)
from batchgen.ports import SaveError, SaveFault, SaveOrder
from batchgen.system.durable import (
    disk_faults,
    hash_of,
    holds,
    move_unless_taken,
    of_file,
    open_folder,
    opened,
    start_sync,
    unlink_if_there,
    write_all,
)

if TYPE_CHECKING:
    from hashlib import _Hash


@dataclass(frozen=True, slots=True)
class DeliveryFolder:
    """The open folders of the outputs and the staging, and the mode of finished files."""

    root: int
    staging: int
    mode: int


@dataclass(slots=True)
class Package:
    """One output whose bytes are here: in the staged file `name`, in `rest`, or the first in the
    file (`written` says that there is one) and the last in `rest`.

    `digest` has taken in what is in the file. `fetched` is what its download said of it, None for
    a staged file. `compared`: a second download brought the same bytes.
    """

    order: SaveOrder
    name: str
    rest: tuple[bytes, ...] = ()
    written: bool = False
    fetched: Fetched | None = None
    compared: bool = False
    digest: _Hash = field(default_factory=hashlib.sha256)

    @property
    def staged(self) -> bool:
        """Whether the file was staged earlier and must outlive a failure."""
        return bool(self.order.output.staged)


class UnconfirmedError(BatchgenError):
    """Nothing but a second download can tell whether these bytes are all; the part stays.

    `sha256` of them in hex; `package` is for the next delivery, all of it in the file.
    """

    def __init__(self, package: Package, sha256: str, flaw: Flaw) -> None:
        self.package = package
        self.sha256 = sha256
        self.flaw = flaw
        super().__init__(flaw.value)


@dataclass(slots=True)
class _Delivery:
    """A package on its way through the steps of its batch, up to a saved file or a fault."""

    package: Package
    descriptor: int = -1
    found: Inspected | None = None
    sha256: str = ""
    saved: SavedFile | None = None
    fault: BatchgenError | None = None

    @property
    def outcome(self) -> SavedFile | BatchgenError:
        """What became of it, once all steps are done."""
        return self.fault or self.saved or InternalError("a delivery ended without an outcome")


class _Batch:
    """Deliveries that share their folders' syncs. Files and folders stay open until it ends."""

    def __init__(self, place: DeliveryFolder, stack: contextlib.ExitStack) -> None:
        self._place = place
        self._stack = stack
        self._folders: dict[tuple[str, ...], int] = {}
        self._faults: dict[tuple[str, ...], BatchgenError | None] = {}

    def carry(self, delivery: _Delivery, step: Callable[[_Delivery], None]) -> None:
        """Take one step with a delivery that has not failed yet; a fault is its outcome."""
        if delivery.fault is not None:
            return
        try:
            with disk_faults(delivery.package.order.stem):
                step(delivery)
        except BatchgenError as error:
            delivery.fault = error
            keeps = delivery.package.staged or isinstance(error, UnconfirmedError)
            if not keeps and delivery.saved is None:
                with contextlib.suppress(OSError):  # the first fault is the one to tell
                    unlink_if_there(delivery.package.name, self._place.staging)

    def check(self, delivery: _Delivery) -> None:
        """Write what is still in memory, look at the whole, let the disk begin with it."""
        package = delivery.package
        try:
            delivery.descriptor = self._opened(package)
        except FileNotFoundError:
            if not package.staged:
                raise
            delivery.saved = self._delivered_earlier(package)
            return
        if package.rest:
            if package.written:
                os.lseek(delivery.descriptor, 0, os.SEEK_END)
            # Piece by piece: joined, a file would be copied once more.
            for piece in package.rest:
                write_all(delivery.descriptor, piece)
                package.digest.update(piece)
        start_sync(delivery.descriptor)
        delivery.found = found = _inspect(delivery.descriptor, package)
        if package.staged:
            delivery.sha256 = hash_of(delivery.descriptor, found.size)
        else:
            delivery.sha256 = package.digest.hexdigest()
            _refuse_doubtful(package, found, delivery.sha256)

    def _opened(self, package: Package) -> int:
        flags = os.O_RDWR | os.O_NOFOLLOW
        if not package.staged and not package.written:
            flags |= os.O_CREAT | os.O_EXCL
        place = self._place
        file = opened(package.name, flags, place.staging, place.mode)
        descriptor = self._stack.enter_context(file)
        if not flags & os.O_CREAT:
            os.fchmod(descriptor, place.mode)
        return descriptor

    def sync(self, delivery: _Delivery) -> None:
        """Contents are on the platter before a name says so."""
        if delivery.saved is None:
            os.fsync(delivery.descriptor)

    def name(self, delivery: _Delivery) -> None:
        """The file under its final name, its folder not yet synced."""
        found, package = delivery.found, delivery.package
        if found is None:
            return  # delivered earlier
        parents, base = split_stem(package.order.stem)
        folder = self._folder(parents)
        for name in candidates(base, found.media_type.extension):
            if move_unless_taken(package.name, self._place.staging, name, folder) or holds(
                folder, name, found.size, delivery.sha256
            ):
                delivery.saved = _saved(package, (*parents, name), found, delivery.sha256)
                return
        raise no_name(package.order.stem)

    def _delivered_earlier(self, package: Package) -> SavedFile:
        """A staged file that is gone was delivered, and then the process died before saying so.

        Its name tells the beginning of its hash and its extension.
        """
        known = staged_hash(package.name)
        parents, _ = split_stem(package.order.stem)
        folder = self._folder(parents)
        for names in earlier_candidates(package.order):
            for name in names:
                if known and holds(folder, name, -1, known[0]):
                    with opened(name, os.O_RDONLY | os.O_NOFOLLOW, folder) as descriptor:
                        found = _inspect(descriptor, package)
                        sha256 = hash_of(descriptor, found.size)
                    return _saved(package, (*parents, name), found, sha256)
                if not _exists(name, folder):
                    break
        raise SaveError(SaveFault.GONE, f"the staged file {package.name} is missing")

    def _folder(self, parents: tuple[str, ...]) -> int:
        if parents not in self._folders:
            folder = self._stack.enter_context(open_folder(self._place.root, parents))
            self._folders[parents] = folder
        return self._folders[parents]

    def seal(self, delivery: _Delivery) -> None:
        """Sync the folder of a delivered package, then drop its part.

        Each folder is synced once: after a failed sync a second one may claim success.
        """
        package = delivery.package
        parents, _ = split_stem(package.order.stem)
        if parents not in self._faults:
            self._faults[parents] = self._sync_folder(parents)
        fault = self._faults[parents]
        if fault is not None:
            raise fault
        unlink_if_there(package.name, self._place.staging)

    def _sync_folder(self, parents: tuple[str, ...]) -> BatchgenError | None:
        try:
            with disk_faults("/".join(parents) or "outputs"):
                os.fsync(self._folders[parents])
        except BatchgenError as error:
            return error
        return None


def deliver_all(
    place: DeliveryFolder, packages: Sequence[Package]
) -> list[SavedFile | BatchgenError]:
    """Deliver each package durably; a fault of one is its outcome and does not touch the others.

    Parts are gone afterwards; a staged file stays where its delivery failed.
    """
    deliveries = [_Delivery(package) for package in packages]
    with contextlib.ExitStack() as stack:
        batch = _Batch(place, stack)
        for step in (batch.check, batch.sync, batch.name, batch.seal):
            for delivery in deliveries:
                batch.carry(delivery, step)
    return [delivery.outcome for delivery in deliveries]


def _inspect(descriptor: int, package: Package) -> Inspected:
    """Look at a file; where all of it is still in memory, there."""
    if package.staged or package.written or len(package.rest) != 1:
        size, read_at = os.fstat(descriptor).st_size, of_file(descriptor)
    else:
        size, read_at = len(package.rest[0]), of_bytes(package.rest[0])
    output, fetched = package.order.output, package.fetched
    called = fetched.media_type if fetched else ""
    return inspect(size, read_at, Claims(output.media_type, called, output.url, package.staged))


def _refuse_doubtful(package: Package, found: Inspected, sha256: str) -> None:
    """What is not verified is kept only where surely all of it came.

    A file that seems cut although its length was told was so when it was stored: to ask again
    would bring the same. Where even the told length was wrong, something on the way may have cut
    it. Raises `SaveError` and `UnconfirmedError`.
    """
    fetched = package.fetched
    if found.flaw is None or package.compared or (fetched is None or fetched.confirmed):
        return
    if not fetched.twice:
        raise UnconfirmedError(replace(package, rest=(), written=True), sha256, found.flaw)
    if found.flaw is Flaw.CUT:
        detail = f"the {found.media_type.extension} ends early, after {found.size} bytes"
        raise SaveError(SaveFault.TRANSIENT, detail)


def _saved(package: Package, parts: tuple[str, ...], found: Inspected, sha256: str) -> SavedFile:
    return saved_file(package.order, "/".join(parts), found, sha256)


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def stage_bytes(place: DeliveryFolder, prefix: str, data: bytes) -> str:
    """Write bytes durably into staging; their name there, the same for the same bytes."""
    sha256 = hashlib.sha256(data).hexdigest()
    kind = kind_of(len(data), of_bytes(data)) or text_kind(data)
    name = f"{prefix}~{sha256[:24]}.{kind.extension if kind else 'bin'}.part"
    with disk_faults(name):
        if holds(place.staging, name, len(data), sha256):
            return name
        temporary = f"{name}.new"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            with opened(temporary, flags, place.staging) as descriptor:
                write_all(descriptor, data)
                os.fsync(descriptor)
            os.rename(temporary, name, src_dir_fd=place.staging, dst_dir_fd=place.staging)
        finally:
            unlink_if_there(temporary, place.staging)
        os.fsync(place.staging)
    return name
