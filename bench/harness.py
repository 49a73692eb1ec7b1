"""What all measurements share: processes and what they cost, interleaved rounds, rows of a table.

The machine drifts, so runs of the two sides alternate and ratios are taken pair by pair; a figure
is the median of its rounds, with the lowest and the highest beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from bench.machine import server_core

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "runs" / "bench"
"""Where measurements write: on the disk of the checkout, below what git ignores."""
ROUNDS = 5

_A = TypeVar("_A")
_B = TypeVar("_B")


class BenchError(Exception):
    """A measurement that did not do its work: a figure of it would mean nothing."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over its rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The figure of these rounds."""
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        if self.low == self.high:
            return _short(self.median)
        return f"{_short(self.median)} ({_short(self.low)} … {_short(self.high)})"


def _short(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row's figure must reach: at least, or at most, so much; `aim` is better still."""

    must: float
    aim: float | None = None
    at_least: bool = False

    def holds(self, value: float) -> bool:
        """Whether a figure reaches what it must."""
        return value >= self.must if self.at_least else value <= self.must

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        aim = f", aim {_short(self.aim)}" if self.aim is not None else ""
        return f"{sign} {_short(self.must)}{aim}"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of the table. What is judged is the ratio where there is one, else `ours`.

    `counts` marks what does not depend on the machine's mood: it is judged in quick runs too.
    """

    what: str
    ours: Spread
    unit: str = ""
    other: Spread | None = None
    ratio: Spread | None = None
    goal: Goal | None = None
    counts: bool = False

    @property
    def holds(self) -> bool:
        """Whether the goal, if there is one, is reached."""
        return self.goal is None or self.goal.holds((self.ratio or self.ours).median)

    def markdown(self) -> str:
        """The row of a Markdown table under `HEADER`."""
        cells = (
            self.what,
            f"{self.ours} {self.unit}".strip(),
            f"{self.other} {self.unit}".strip() if self.other else "",
            str(self.ratio or ""),
            str(self.goal or ""),
            "" if self.goal is None else "yes" if self.holds else "**no**",
        )
        return f"| {' | '.join(cells)} |"


HEADER = "| what | ours | against | ratio | must | reached |\n|---|---|---|---|---|---|"


def compared(
    what: str,
    pairs: Sequence[tuple[float, float]],
    unit: str,
    goal: Goal | None = None,
    counts: bool = False,
) -> Row:
    """A row about pairs (ours, the other's), the ratio taken pair by pair."""
    return Row(
        what,
        Spread.of([ours for ours, _ in pairs]),
        unit,
        Spread.of([other for _, other in pairs]),
        Spread.of([ours / other for ours, other in pairs]),
        goal,
        counts,
    )


def interleaved(
    ours: Callable[[], _A], other: Callable[[], _B], rounds: int
) -> list[tuple[_A, _B]]:
    """Both sides in turn: A B A B …; what each round of them returned."""
    return [(ours(), other()) for _ in range(rounds)]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took: seconds of wall time and of CPU, its peak memory, and its last instant
    on the machine's monotonic clock."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    ended_at: float


def run(command: Sequence[object], *, core: int | None = None, exit_code: int = 0) -> Cost:
    """Run a process to its end. Raises `BenchError` with its last words when it fails."""
    words = [str(word) for word in command]
    if core is not None and shutil.which("taskset"):
        words = ["taskset", "-c", str(core), *words]
    with tempfile.TemporaryFile() as said:
        began_at = time.monotonic()
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        ended_at = time.monotonic()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != exit_code:
            said.seek(0)
            tail = said.read().decode(errors="replace")[-2000:]
            raise BenchError(f"{' '.join(words)} ended with {process.returncode}:\n{tail}")
    scale = 1 if sys.platform == "darwin" else 1024
    cpu_s = usage.ru_utime + usage.ru_stime
    return Cost(ended_at - began_at, cpu_s, usage.ru_maxrss * scale, ended_at)


@dataclass(slots=True)
class Served:
    """A running raw service."""

    url: str

    def report(self) -> dict[str, Any]:
        """What it was asked; see `bench.server.Service.report`."""
        with urllib.request.urlopen(f"{self.url}/report", timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


@contextlib.contextmanager
def service(*options: str) -> Iterator[Served]:
    """The raw service in a process and on a core of its own."""
    command = [sys.executable, "-m", "bench.server", "--core", str(server_core()), *options]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        port = process.stdout.readline().strip()
        if not port:
            raise BenchError("the service did not start")
        yield Served(f"http://127.0.0.1:{port}")
    finally:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A place to write, gone afterwards. What earlier runs wrote is on the disk by then."""
    WORK.mkdir(parents=True, exist_ok=True)
    os.sync()
    with tempfile.TemporaryDirectory(dir=WORK) as path:
        yield Path(path)


@dataclass(frozen=True, slots=True)
class Batch:
    """A manifest of equal jobs. `rpm` None: no limit. `guess_s`: the latency, as far as known."""

    jobs: int
    guess_s: float = 0.05
    concurrency: int = 64
    rpm: int | None = None
    max_spend_usd: float | None = None

    def manifest(self) -> str:
        """As YAML (which holds JSON)."""
        budget: dict[str, object] = {
            "concurrency": self.concurrency,
            "requests_per_minute": self.rpm,
        }
        if self.max_spend_usd is not None:
            budget["max_spend"] = self.max_spend_usd
        entry = {
            "id": "cup-{n}",
            "model": "bench-model",
            "price": 0.01,
            "matrix": {"n": list(range(1, self.jobs + 1))},
            "params": {"prompt": "a cup, number {n}"},
        }
        return json.dumps({"version": 1, "name": "bench", "budget": budget, "jobs": [entry]})


@dataclass(frozen=True, slots=True)
class Measured:
    """A run of jobs: what the process took, what the service was asked, and when files left it."""

    cost: Cost
    counts: Mapping[str, int]
    files_at: Sequence[float]

    @property
    def steady_per_s(self) -> float:
        """Jobs a second from the first tenth of the files to the end of the process.

        The start-up is not in it; the last sync, the metadata and the goodbye are.
        """
        tenth = len(self.files_at) // 10
        return (len(self.files_at) - tenth) / (self.cost.ended_at - self.files_at[tenth])

    @property
    def requests(self) -> int:
        """Calls to the API; downloads are none."""
        return sum(self.counts.values()) - self.counts.get("file", 0)


def measured(cost: Cost, served: Served) -> Measured:
    """A finished process beside what the service noted."""
    report = served.report()
    return Measured(cost, report["counts"], sorted(report["files_at"]))


def product(batch: Batch, served: Served, *, core: int | None, exit_code: int = 0) -> Measured:
    """The whole product on a fresh run directory (see `bench.drive`), its files counted."""
    with folder() as place:
        manifest = place / "bench.yaml"
        manifest.write_text(batch.manifest(), "utf-8")
        where = (manifest, place / "run", served.url)
        command = [sys.executable, "-m", "bench.drive", *where, batch.guess_s]
        cost = run(command, core=core, exit_code=exit_code)
        found = measured(cost, served)
        files = sum(1 for _ in (place / "run" / "outputs").glob("*.png"))
        if files != found.counts["submit"]:
            raise BenchError(f"{files} files of {found.counts['submit']} jobs")
    return found
