"""The blocking half of storing files: what must be on the platter before anything is called saved.

Every function here blocks and runs in a worker thread. Folders are opened step by step without
following links (`openat`), so no name and no link planted in the tree leads out of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from batchgen.core.media.wholeness import ReadAt
from batchgen.errors import InternalError
from batchgen.ports import SaveError, SaveFault

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ_BLOCK_BYTES = 1024 * 1024

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CROWDED = frozenset({errno.EMFILE, errno.ENFILE})
_BROKEN = frozenset(
    {
        errno.EIO, errno.EROFS, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ENOTCONN,
        # Not the disk's fault but the owner's, and just as final until someone looks at it:
        errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP,
        errno.ENAMETOOLONG, errno.EXDEV, errno.EILSEQ,
    }
)  # fmt: skip
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
"""What file systems without hard links (FAT, some network and FUSE ones) answer to `link`."""
_RENAME_NOREPLACE = 1
_SYNC_FILE_RANGE_WRITE = 2
_LIBC = ctypes.CDLL(None, use_errno=True)
_start_writing = getattr(_LIBC, "sync_file_range", None)
if _start_writing is not None:
    _start_writing.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


@contextlib.contextmanager
def disk_faults(name: str) -> Iterator[None]:
    """Turn the disk's and its owner's faults into `SaveError`; others are bugs of ours."""
    try:
        yield
    except OSError as error:
        raise _save_error(error, name) from error


def _save_error(error: OSError, name: str) -> Exception:
    detail = f"{name}: {error.strerror or error}"
    if error.errno in _FULL:
        return SaveError(SaveFault.DISK_FULL, detail)
    if error.errno in _CROWDED:
        return SaveError(SaveFault.TOO_MANY_FILES, detail)
    if error.errno == errno.EFBIG:
        return SaveError(SaveFault.TOO_LARGE, detail)
    if error.errno in _BROKEN:
        return SaveError(SaveFault.DISK_BROKEN, detail)
    return InternalError(f"storing {detail}")


def takes_files(folder: int, prefix: str, sizes: Sequence[int]) -> bool:
    """Whether files of these sizes can be written there, all at once; found out by writing them.

    Free bytes do not tell of quotas and inodes. Nothing is left behind. Any other trouble than a
    lack of room is left to be found by whoever stores something.
    """
    names = [f"{prefix}~{number}.part" for number in range(len(sizes))]
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        for name, size in zip(names, sizes, strict=True):
            with opened(name, flags, folder) as descriptor:
                _fill(descriptor, size)
                os.fsync(descriptor)
        os.fsync(folder)
    except OSError as error:
        return error.errno not in _FULL
    finally:
        for name in names:
            with contextlib.suppress(OSError):  # the next start removes it
                unlink_if_there(name, folder)
    return True


def _fill(descriptor: int, size: int) -> None:
    """Take that many bytes; many at once, which costs no writing where the system can."""
    if size > READ_BLOCK_BYTES and sys.platform != "darwin":
        os.posix_fallocate(descriptor, 0, size)
        return
    for offset in range(0, size, READ_BLOCK_BYTES):
        write_all(descriptor, bytes(min(READ_BLOCK_BYTES, size - offset)))


@contextlib.contextmanager
def opened(path: str, flags: int, folder: int, mode: int = 0o600) -> Iterator[int]:
    """A descriptor of `path` below the open `folder`, closed at the end."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, mode, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def open_folder(root: int, parts: Sequence[str]) -> Iterator[int]:
    """A descriptor of the folder `parts` below `root`; what is missing is made, durably.

    Raises `OSError` (ELOOP or ENOTDIR) where a link or a file stands in the way.
    """
    folder = os.dup(root)
    try:
        for part in parts:
            try:
                inner = os.open(part, FOLDER_FLAGS, dir_fd=folder)
            except FileNotFoundError:
                with contextlib.suppress(FileExistsError):  # another thread was faster
                    os.mkdir(part, dir_fd=folder)
                os.fsync(folder)
                inner = os.open(part, FOLDER_FLAGS, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def sync_folder(path: Path) -> None:
    """Make durable which names a folder holds."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte, however many calls it takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def replace_file(path: Path, data: bytes) -> None:
    """Put a file where another may be: whoever reads it sees the old one or the new one, whole."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        try:
            os.fchmod(descriptor, 0o644)
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def start_sync(descriptor: int) -> None:
    """Let the disk begin to write a file, without waiting: a hint, and nothing where there is none.

    Measured on ext4: files begun together and then synced one by one share a journal commit, which
    takes half the time, and two thirds of the CPU, of syncing each as it comes.
    """
    if _start_writing is not None:
        _start_writing(descriptor, 0, 0, _SYNC_FILE_RANGE_WRITE)


def of_file(descriptor: int) -> ReadAt:
    """How to read an open file."""
    return lambda offset, count: os.pread(descriptor, count, offset)


def hash_of(descriptor: int, size: int) -> str:
    """SHA-256 (hex) of the first `size` bytes of an open file."""
    digest = hashlib.sha256()
    offset = 0
    while offset < size and (block := os.pread(descriptor, READ_BLOCK_BYTES, offset)):
        digest.update(block[: size - offset])
        offset += len(block)
    return digest.hexdigest()


def holds(folder: int, name: str, size: int, sha256: str) -> bool:
    """Whether a plain file of exactly this content stands under a name; it is synced if so.

    `sha256` may be the beginning of the hash. A negative `size` fits any.
    """
    # NONBLOCK: a pipe of that name must not hang us. NOFOLLOW: a link is not our file.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        with opened(name, flags, folder) as descriptor:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or size not in (found.st_size, -1):
                return False
            if not hash_of(descriptor, found.st_size).startswith(sha256):
                return False
            os.fsync(descriptor)
            return True
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EACCES, errno.ENOENT, errno.EISDIR):
            return False
        raise


def move_unless_taken(name: str, folder: int, target: str, target_folder: int) -> bool:
    """Give a file its final name unless something has it; False when it is taken.

    By hard link where the file system has them, and the old name then stays until it is unlinked:
    at no instant is the file without a name. Otherwise by a rename that spares what exists.
    """
    try:
        os.link(
            name,
            target,
            src_dir_fd=folder,
            dst_dir_fd=target_folder,
            follow_symlinks=False,
        )
    except FileExistsError:
        return False
    except OSError as error:
        # A second name may need room of its own (on tmpfs an inode), which a rename does not.
        if error.errno not in _NO_LINKS | _FULL:
            raise
        return rename_unless_taken(name, folder, target, target_folder)
    return True


def rename_unless_taken(name: str, folder: int, target: str, target_folder: int) -> bool:
    """Rename unless the target exists; False when it does."""
    outcome = _rename_noreplace(name, folder, target, target_folder)
    if outcome == 0:
        return True
    if outcome == errno.EEXIST:
        return False
    if outcome not in _NO_LINKS:
        raise OSError(outcome, os.strerror(outcome))
    return rename_if_free(name, folder, target, target_folder)


def rename_if_free(name: str, folder: int, target: str, target_folder: int) -> bool:
    """Look, then rename: for file systems with neither links nor a rename that spares.

    Only a file made by someone else within the same microseconds could be replaced; a placeholder
    in its stead would leave an empty file under the final name after a crash.
    """
    try:
        os.stat(target, dir_fd=target_folder, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(name, target, src_dir_fd=folder, dst_dir_fd=target_folder)
        return True
    return False


def _rename_noreplace(name: str, folder: int, target: str, target_folder: int) -> int:
    """`renameat2(…, RENAME_NOREPLACE)` of Linux; 0 or an errno, ENOSYS where there is none."""
    function = getattr(_LIBC, "renameat2", None)
    if function is None:
        return errno.ENOSYS
    arguments = (folder, os.fsencode(name), target_folder, os.fsencode(target), _RENAME_NOREPLACE)
    return 0 if function(*arguments) == 0 else ctypes.get_errno()


def unlink_if_there(name: str, folder: int) -> None:
    """Remove a name; that it is gone already is fine."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
