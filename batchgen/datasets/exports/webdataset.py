"""Tar shards for `webdataset`: each file and its row adjacent, under one key without dots."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from batchgen.core.dataset.export import PlannedFile, member_names
from batchgen.datasets.exports.originals import Opened
from batchgen.datasets.metadata import json_line

_BLOCK = tarfile.BLOCKSIZE


class WebDatasetFormat:
    """Uncompressed tar, USTAR with PAX headers where a name needs them. Nothing of the machine,
    its user or the hour is in it: the same files make the same bytes."""

    extension = "tar"
    subfolder = ""

    def cost(self, file: PlannedFile) -> int:
        """Two members, each with its header, in whole blocks."""
        return 2 * _BLOCK + _blocks(file.size) + _blocks(len(_row(file)))

    def write(self, target: BinaryIO, files: Iterator[Opened]) -> None:
        """One shard."""
        keys: set[str] = set()
        with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for file, handle in files:
                media, row = member_names(file, keys)
                archive.addfile(_member(media, file.size), handle)
                data = _row(file)
                archive.addfile(_member(row, len(data)), io.BytesIO(data))


def _row(file: PlannedFile) -> bytes:
    return json_line(file.row).encode()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    return member


def _blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
