"""Local files as inputs: looked at when jobs are made from them, read when they are uploaded."""

from __future__ import annotations

import base64
import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG

from anyio import to_thread

from batchgen.core.catalog.validation import quoted
from batchgen.core.jobs.placeholders import MAX_INPUT_BYTES
from batchgen.core.jobs.spec import InputFile
from batchgen.core.manifest.expansion.input_files import InputError
from batchgen.core.media.formats import SNIFF_BYTES, MediaType, is_whole, kind_of
from batchgen.core.media.wholeness import CUT, ReadAt, has_png_end, of_bytes
from batchgen.ports import InputLostError, KnownFiles
from batchgen.system.durable import of_file

_REMEMBERED = 20_000
"""Files of one manifest that are kept in memory: jobs that follow each other share theirs."""
_RELATIVE = "mend the path: it is relative to the folder of the manifest"
_OTHER_WAYS = "or give an http(s) URL or a data: URI"


@dataclass(frozen=True, slots=True)
class _FileStat:
    """What the file system says of a file without reading it."""

    size: int
    stamp: str


OpenKnown = Callable[[], KnownFiles | None]
"""Opens what the state knows of input files; None where there is no state yet."""


class FileInputs:
    """`InputFiles` of one manifest, whose folder paths are relative to.

    A file is read once and then known by its stamp: in memory, and by what `open_known` opens of
    the state, so that a later run need not read it again. `lazily`, a file is read only where its
    content might be one that the state knows; any other is given a SHA-256 of its own that is not
    its content's.
    """

    def __init__(
        self, folder: Path, open_known: OpenKnown = lambda: None, *, lazily: bool = False
    ) -> None:
        self._folder = folder
        self._open_known = open_known
        self._lazily = lazily
        self._remembered: OrderedDict[str, InputFile] = OrderedDict()
        self._known: KnownFiles | None = None
        self._is_file = lru_cache(_REMEMBERED)(self._look_whether_file)

    def look(self, path: str) -> InputFile:
        """See `InputFiles.look`."""
        known = self._remembered.get(path)
        try:
            seen = self._seen(path)
        except FileNotFoundError:
            return self._gone(path)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise _unreadable(path, error) from error
        if known is None or not _is_same(known, seen):
            known = self._from_state(path, seen)
        if known is None:
            known = self._read(path, seen)
        self._remember(known)
        return known

    def is_file(self, path: str) -> bool:
        """See `InputFiles.is_file`; what was seen once is remembered."""
        return self._is_file(path)

    def _look_whether_file(self, path: str) -> bool:
        # Asked of a million rows: pathlib takes several times as long as the file system.
        try:
            return os.path.isfile(os.path.join(self._folder, path))  # noqa: PTH113, PTH118
        except ValueError:  # a NUL in the path
            return False

    def is_as_before(self, file: InputFile, *, uploaded: bool) -> bool:
        """Whether a file is what it was; one that is gone need not be there once it is uploaded."""
        try:
            return _is_same(file, self._seen(file.path))
        except FileNotFoundError:
            return uploaded
        except (InputError, OSError, ValueError):
            return False

    def release(self) -> None:
        """Let go of the state file; it is opened again when it is needed."""
        if self._known is not None:
            self._known.close()
            self._known = None

    def _seen(self, path: str) -> _FileStat:
        found = (self._folder / path).stat()
        if not S_ISREG(found.st_mode):
            raise InputError(f"{quoted(path)} is not a regular file", "name a file, not a folder")
        stamp = f"{found.st_mtime_ns}-{found.st_ctime_ns}-{found.st_ino}"
        return _FileStat(found.st_size, stamp)

    def _gone(self, path: str) -> InputFile:
        """A file whose content was uploaded is needed no more."""
        state = self._open_state()
        known = state.of(path) if state else None
        if known is None or state is None or not state.is_uploaded(known.sha256):
            raise InputError(f"there is no file {quoted(path)}", f"{_RELATIVE}, {_OTHER_WAYS}")
        return known

    def _from_state(self, path: str, seen: _FileStat) -> InputFile | None:
        state = self._open_state()
        known = state.of(path) if state else None
        return known if known is not None and _is_same(known, seen) else None

    def _read(self, path: str, seen: _FileStat) -> InputFile:
        if not seen.size:
            raise InputError(f"{quoted(path)} is empty", "give a file with something in it")
        if seen.size > MAX_INPUT_BYTES:
            what = f"{quoted(path)} has {seen.size / 2**20:,.1f} MiB"
            most = f"{MAX_INPUT_BYTES / 2**20:g} MiB"
            raise InputError(what, f"at most {most} are uploaded: make it smaller, {_OTHER_WAYS}")
        state = self._open_state()
        may_be_known = state is not None and state.has_size(seen.size)
        try:
            with (self._folder / path).open("rb") as file:
                if self._lazily and not may_be_known:
                    digest = hashlib.sha256(file.read(SNIFF_BYTES))
                    digest.update(f"\0unread\0{path}\0{seen.stamp}".encode("utf-8", "replace"))
                    kind, is_cut = _inspected(seen.size, of_file(file.fileno()), lazily=True)
                else:
                    data = file.read(seen.size + 1)
                    digest = hashlib.sha256(data)
                    kind, is_cut = _inspected(len(data), of_bytes(data))
            unchanged = self._seen(path) == seen
        except OSError as error:
            raise _unreadable(path, error) from error
        if not unchanged:
            raise InputError(f"{quoted(path)} changes while it is read", "wait until it is whole")
        if kind is None:
            what = f"{quoted(path)} is no picture, film or sound, as its bytes tell"
            raise InputError(what, "give a media file, such as PNG, JPEG, WebP, MP4 or WAV")
        if is_cut:
            what = f"{quoted(path)} is cut: {CUT}"
            raise InputError(what, f"copy it again, or save it anew, {_OTHER_WAYS}")
        return InputFile(path, seen.size, kind.mime, digest.hexdigest(), seen.stamp)

    def _remember(self, file: InputFile) -> None:
        self._remembered[file.path] = file
        self._remembered.move_to_end(file.path)
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)

    def _open_state(self) -> KnownFiles | None:
        if self._known is None:
            self._known = self._open_known()
        return self._known


class InputReader:
    """`Inputs` of the runner: whole files, proved to be what they were."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def encoded(self, file: InputFile) -> str:
        """See `Inputs.encoded`."""
        return await to_thread.run_sync(self._encoded, file)

    def _encoded(self, file: InputFile) -> str:
        try:
            with (self._folder / file.path).open("rb") as opened:
                data = opened.read(file.size + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputLostError(
                f"the file {quoted(file.path)} is not there any more ({reason}): put it back, then "
                "`batchgen retry`"
            ) from error
        if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
            raise InputLostError(
                f"the file {quoted(file.path)} was changed since it was looked at: run again to "
                "take it as it is now"
            )
        # The state may know it from a version that did not look.
        if _inspected(len(data), of_bytes(data))[1]:
            raise InputLostError(
                f"the file {quoted(file.path)} is cut: {CUT}; put a whole one in its place, and "
                "run again"
            )
        return base64.b64encode(data).decode("ascii")


def _is_same(file: InputFile, seen: _FileStat) -> bool:
    return (file.size, file.stamp) == (seen.size, seen.stamp)


def _inspected(
    size: int, read_at: ReadAt, *, lazily: bool = False
) -> tuple[MediaType | None, bool]:
    """What a file is, None for no media, and whether it ends early; `lazily`, with few reads."""
    kind = kind_of(size, read_at)
    if kind is None or (lazily and has_png_end(size, read_at)):
        return kind, False
    return kind, not is_whole(kind, size, read_at)


def _unreadable(path: str, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"{quoted(path)} cannot be read: {reason}", "mend that, and run again")
