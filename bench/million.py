"""A million rows of a file: what planning, running and resuming take, and how much memory.

The product runs in processes of its own against a simulator in another one, so that the simulator's
memory does not count. When a job was first submitted is read from the simulator's journal.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.harness import ROOT, WORK, BenchError, Goal, Row, Spread
from bench.harness import run as run_process

ROWS = 1_000_000
QUICK_ROWS = 20_000
PATIENCE_S = 400.0
TERMINATED = 143
_MANIFEST = """version: 1
name: million
budget: {requests_per_minute: null}
jobs:
  - from: rows.jsonl
    id: "row-{row}"
    model: flux-pro
    price: 0.05
    params: {prompt: "{prompt}, film grain", seed: "{seed}"}
"""
_PROMPT = "a photograph of thing number {} on a wooden table, soft morning light, shallow depth"
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Lap:
    """One run that was interrupted after its first submit: when that was, its CPU, its memory."""

    first_submit_s: float
    cpu_s: float
    peak_bytes: int


def run(quick: bool) -> list[Row]:
    """The rows of the table."""
    return measure(QUICK_ROWS if quick else ROWS)


def measure(row_count: int) -> list[Row]:
    """Plan, run until the first submit, resume: once each, they are long enough."""
    folder = WORK / "million"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        manifest = _write(folder, row_count)
        planned = run_process([sys.executable, "-m", "batchgen", "plan", manifest])
        with _simulator(folder) as url:
            first = _lap(folder, url, 64)
            # More places than the jobs take that are still under way: submits need not wait.
            resumed = _lap(folder, url, 192)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    name = f"{row_count:,} JSONL rows"
    return [
        _row(f"{name}: plan, memory", planned.peak_bytes / _MB, "MB", 150),
        _row(f"{name}: plan, speed", row_count / planned.wall_s, "rows/s"),
        _row(f"{name}: run, memory", first.peak_bytes / _MB, "MB", 150),
        _row(f"{name}: run, import", row_count / first.cpu_s, "rows/s of CPU", least=40_000),
        _row(f"{name}: run, first submit after start", first.first_submit_s, "s"),
        _row(f"{name}: resume, memory", resumed.peak_bytes / _MB, "MB", 150),
        _row(f"{name}: resume, first submit after start", resumed.first_submit_s, "s", 3),
    ]


def _row(
    what: str, value: float, unit: str, most: float | None = None, least: float | None = None
) -> Row:
    goal = None if most is None else Goal(most)
    if least is not None:
        goal = Goal(least, at_least=True)
    return Row(what, Spread.of([value]), unit, goal=goal)


def _write(folder: Path, row_count: int) -> Path:
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
        for number in range(1, row_count + 1):
            row = {"prompt": _PROMPT.format(number), "seed": number, "label": number % 97}
            file.write(json.dumps(row) + "\n")
    manifest = folder / "million.yaml"
    manifest.write_text(_MANIFEST, encoding="utf-8")
    return manifest


@contextlib.contextmanager
def _simulator(folder: Path) -> Iterator[str]:
    """A simulator in a process of its own; the URL of its API."""
    command = [sys.executable, "-m", "batchgen", "simulator", "--port", "0", "--speed", "50",
               "--journal", str(folder / "journal.jsonl")]  # fmt: skip
    config = folder / "simulator.json"
    config.write_text(json.dumps({"credits_usd": 1e9}), encoding="utf-8")
    process = subprocess.Popen(
        [*command, "--config", str(config)], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith("API "):
            raise BenchError(f"the simulator did not start: {line!r}")
        yield line.split()[1]
    finally:
        process.terminate()
        process.wait(timeout=60)
        if process.stdout:
            process.stdout.close()


def _lap(folder: Path, url: str, concurrency: int) -> Lap:
    """Run until a first job was submitted, then interrupt with one SIGTERM.

    What a script began with `&` ignores SIGINT, and so does what it starts.
    """
    journal, words = folder / "journal.jsonl", folder / "words"
    bills_before = _bill_count(journal)
    environment = {
        **os.environ, "SEGMIND_BASE_URL": url, "SEGMIND_API_KEY": "SG_0123456789abcdef"
    }  # fmt: skip
    command = [sys.executable, "-m", "batchgen", "run", str(folder / "million.yaml"),
               "--concurrency", str(concurrency), "--run-dir", str(folder / "run")]  # fmt: skip
    started_at = time.time()
    with words.open("wb") as said:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said)
    is_there = _wait(process, lambda: _bill_count(journal) > bills_before)
    if is_there:
        process.terminate()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != TERMINATED:
        tail = words.read_text("utf-8", "replace")[-2000:]
        raise BenchError(f"the run ended with {process.returncode}:\n{tail}")
    bill = json.loads(journal.read_text("utf-8").splitlines()[bills_before])
    scale = 1 if sys.platform == "darwin" else 1024
    cpu_s = usage.ru_utime + usage.ru_stime
    return Lap(bill["accepted_at"] - started_at, cpu_s, usage.ru_maxrss * scale)


def _wait(process: subprocess.Popen[bytes], is_over: Callable[[], bool]) -> bool:
    """Whether the process is still there when it is over; it is not waited for forever."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not is_over() and time.monotonic() < give_up_at:
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return False
        time.sleep(0.1)
    return True


def _bill_count(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.million")
    parser.add_argument("--rows", type=int, default=ROWS)
    for row in measure(parser.parse_args().rows):
        print(row.markdown(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
