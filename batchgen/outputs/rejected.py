"""Answers that were paid for and brought no files, kept as they came for whoever looks at them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from batchgen.outputs.names import candidates, no_name, split_stem
from batchgen.system.durable import (
    disk_faults,
    holds,
    open_folder,
    opened,
    rename_unless_taken,
    sync_folder,
    unlink_if_there,
    write_all,
)


def keep_answer(folder: Path, stem: str, data: bytes) -> None:
    """Write an answer durably below a folder, under the stem of its job.

    Where an equal file stands already nothing is written. Raises `SaveError`.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    parents, base = split_stem(stem)
    # Of its own for each job: many are answered with the same words at the same time.
    part = f".{hashlib.sha256(base.encode()).hexdigest()[:24]}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with disk_faults(stem), _below(folder, parents) as place:
        try:
            for name in candidates(base, _extension(data)):
                if holds(place, name, len(data), sha256):
                    return
                with opened(part, flags, place) as descriptor:
                    write_all(descriptor, data)
                    os.fsync(descriptor)
                if rename_unless_taken(part, place, name, place):
                    os.fsync(place)
                    return
        finally:
            unlink_if_there(part, place)
    raise no_name(stem)


@contextmanager
def _below(folder: Path, parents: tuple[str, ...]) -> Iterator[int]:
    """The open folder that a file goes to; what is missing is made."""
    if not folder.is_dir():
        with suppress(FileExistsError):  # another thread was faster, or a file stands there
            folder.mkdir(parents=True)
        sync_folder(folder.parent)
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with open_folder(root, parents) as place:
            yield place
    finally:
        os.close(root)


def _extension(data: bytes) -> str:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return "txt"
    return "json"
