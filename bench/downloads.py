"""Files of 2 MB, to durable and verified files, against `curl --parallel` without a sync."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from bench.harness import (
    ROUNDS,
    BenchError,
    Cost,
    Goal,
    Row,
    compared,
    folder,
    interleaved,
    service,
)
from bench.harness import run as run_process
from bench.save_all import AT_ONCE

FILES, QUICK_FILES = 1_000, 40
FILE_BYTES = 2_000_000


def ours(files: int) -> Cost:
    """The product's own downloader and outputs, the folder synced."""
    with service("--file-bytes", str(FILE_BYTES)) as served, folder() as place:
        command = [sys.executable, "-m", "bench.save_all", served.url, str(files), place]
        cost = run_process(command)
        _refuse_missing(place / "outputs", files)
        return cost


def curl(files: int) -> Cost:
    """curl, as many at once; what it wrote is in the page cache."""
    if shutil.which("curl") is None:
        raise BenchError("curl is not installed; it is what downloads are measured against")
    with service("--file-bytes", str(FILE_BYTES)) as served, folder() as place:
        names = [f"file-{number}.png" for number in range(1, files + 1)]
        lines = (f'url="{served.url}/f/{name}"\noutput="{place}/{name}"\n' for name in names)
        listed = place / "list"
        listed.write_text("".join(lines), "utf-8")
        options = ["--parallel", "--parallel-max", str(AT_ONCE), "--silent", "--show-error"]
        cost = run_process(["curl", *options, "--fail", "--config", listed])
        _refuse_missing(place, files)
        return cost


def _refuse_missing(place: Path, files: int) -> None:
    found = sum(path.stat().st_size > FILE_BYTES for path in place.glob("*.png"))
    if found != files:
        raise BenchError(f"{found} whole files of {files}")


def run(quick: bool) -> list[Row]:
    """The rows of this measurement."""
    files, rounds = (QUICK_FILES, 1) if quick else (FILES, ROUNDS)
    pairs = interleaved(lambda: ours(files), lambda: curl(files), rounds)
    megabytes = files * FILE_BYTES / 1e6
    speeds = [(megabytes / mine.wall_s, megabytes / theirs.wall_s) for mine, theirs in pairs]
    what = f"{files:,} files of 2 MB, durable and verified, against curl --parallel without fsync"
    return [compared(what, speeds, "MB/s", Goal(0.7, 0.9, at_least=True))]
