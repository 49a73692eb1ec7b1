"""What this machine offers a run: disk, open files, versions."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import distributions, metadata, version
from pathlib import Path

from batchgen.app.doctor import findings
from batchgen.app.doctor.findings import Diagnosis, Level
from batchgen.system.version import DISTRIBUTION, installed_version

_MOUNTS = Path("/proc/self/mounts")
_LIBRARIES = ("aiohttp", "anyio", "pydantic")
_FOR_DEVELOPERS = frozenset({"all", "dev"})
_EXTRA = re.compile(r"([\w.-]+).*;.*extra == ['\"]([\w-]+)['\"]")


def disk(place: Path) -> Iterator[Diagnosis]:
    """Room and kind of the disk where a run directory is, or will be made."""
    folder = next((p for p in (place.absolute(), *place.absolute().parents) if p.exists()), None)
    if folder is None:
        yield Diagnosis("disk", Level.FAIL, f"{place} is nowhere", "change to a folder that exists")
        return
    free_bytes = None
    with suppress(OSError):
        free_bytes = shutil.disk_usage(folder).free
    writable = os.access(folder, os.W_OK | os.X_OK)
    yield findings.space(str(place), free_bytes, writable=writable)
    kind = findings.file_system(str(place), kind_of(folder))
    if kind is not None:
        yield kind


def kind_of(folder: Path) -> str:
    """The kind of file system, as the kernel calls it; empty where it does not tell."""
    try:
        lines = _MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    kinds: dict[Path, str] = {}
    for line in lines:
        *_, point, kind, _options, _dump, _pass = line.split()
        # Blanks in it are written \040. Of mounts over each other the last one counts.
        kinds[Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), point))] = kind
    path = folder.resolve()
    return next((kinds[place] for place in (path, *path.parents) if place in kinds), "")


def open_files() -> Diagnosis:
    """How many files may be open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return findings.open_files(-1 if soft == resource.RLIM_INFINITY else soft)


def versions() -> Iterator[Diagnosis]:
    """Of Python, batchgen, SQLite and the main libraries; and which optional ones are there."""
    parts = [f"batchgen {installed_version()}", f"Python {platform.python_version()}"]
    parts += [f"SQLite {sqlite3.sqlite_version}"]
    parts += [f"{name} {version(name)}" for name in _LIBRARIES]
    yield Diagnosis("versions", Level.OK, f"{', '.join(parts)}; {platform.platform(terse=True)}")
    yield findings.optional_libraries(_optional_libraries())


def _optional_libraries() -> dict[str, bool]:
    """Whether each library of the extras is installed."""
    requirements = metadata(DISTRIBUTION).get_all("Requires-Dist") or ()
    extras = (match.groups() for match in map(_EXTRA.match, requirements) if match)
    return {
        name: any(True for _ in distributions(name=name))
        for name, extra in extras
        if extra not in _FOR_DEVELOPERS
    }
