"""How outputs and staged files are called, wherever they live."""

from __future__ import annotations

import re
from collections.abc import Iterator

from batchgen.core.jobs.job import SavedFile
from batchgen.errors import InternalError
from batchgen.outputs.inspection import Claims, Inspected, hearsay
from batchgen.ports import SaveError, SaveFault, SaveOrder

MAX_NAMES = 1000
"""How many names are tried when others are taken by different files."""
STAGING_NAME = ".part"
"""The staging folder inside the outputs: hidden, so that data set loaders pass it by."""
REJECTED_NAME = "rejected"
"""The folder of a run in which answers without files are kept."""

_STAGED_NAME = re.compile(r"[^/\0]+~\d+~([0-9a-f]{24})\.([a-z0-9]+)\.part")


def candidates(base: str, extension: str) -> Iterator[str]:
    """The names that an output may take, the best first."""
    yield f"{base}.{extension}"
    for number in range(2, MAX_NAMES + 1):
        yield f"{base}~other-{number}.{extension}"


def no_name(stem: str) -> SaveError:
    """Too many files of other content stand under the names of this one."""
    detail = f"{stem}: {MAX_NAMES} names are taken by other files; move some of them away"
    return SaveError(SaveFault.DISK_BROKEN, detail)


def saved_file(order: SaveOrder, name: str, found: Inspected, sha256: str) -> SavedFile:
    """What is recorded of an output under its final name."""
    return SavedFile(
        index=order.output.index,
        name=name,
        size=found.size,
        sha256=sha256,
        media_type=found.media_type.mime,
        width=found.width,
        height=found.height,
        verified=found.flaw is None,
    )


def staged_hash(name: str) -> tuple[str, str] | None:
    """What the name of a staged file tells: how its hash begins, and its extension."""
    known = _STAGED_NAME.fullmatch(name)
    return (known[1], known[2]) if known else None


def earlier_candidates(order: SaveOrder) -> Iterator[Iterator[str]]:
    """The names that a staged output may have, by each extension it may have been given: the one
    it was staged with, and for bytes of an unknown kind the one that the service declared."""
    base, staged = split_stem(order.stem)[1], staged_hash(order.output.staged)
    declared = hearsay(Claims(declared=order.output.media_type)).extension
    for extension in dict.fromkeys((staged[1], declared)) if staged else ():
        yield candidates(base, extension)


def split_stem(stem: str) -> tuple[tuple[str, ...], str]:
    """Folders and base name of a stem. Raises `InternalError` for one that could lead elsewhere."""
    parts = stem.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts) or parts[0] == STAGING_NAME:
        raise InternalError(f"not an output path: {stem!r}")
    return tuple(parts[:-1]), parts[-1]
