"""Against the service's own SDK in a pool of 64 threads, on jobs of 1 to 2 seconds."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from bench.harness import (
    ROUNDS,
    Batch,
    BenchError,
    Goal,
    Measured,
    Row,
    compared,
    folder,
    interleaved,
    measured,
    product,
    service,
)
from bench.harness import run as run_process

JOBS, QUICK_JOBS = 704, 64
LATENCY = ("--latency", "1.0", "2.0")


def ours(jobs: int) -> Measured:
    """The product, the latency taken for known as that of a model of the catalogue is."""
    with service(*LATENCY) as served:
        return product(Batch(jobs, guess_s=1.5), served, core=None)


def sdk(jobs: int) -> Measured:
    """The SDK."""
    if find_spec("segmind") is None:
        raise BenchError("the SDK is not installed; `make setup` installs it")
    with service(*LATENCY) as served, folder() as place:
        command = [sys.executable, "-m", "bench.sdk_pool", served.url, str(jobs), place / "files"]
        return measured(run_process(command), served)


def run(quick: bool) -> list[Row]:
    """The rows of this measurement."""
    jobs, rounds = (QUICK_JOBS, 1) if quick else (JOBS, ROUNDS)
    pairs = interleaved(lambda: ours(jobs), lambda: sdk(jobs), rounds)
    wall = [(mine.cost.wall_s, theirs.cost.wall_s) for mine, theirs in pairs]
    requests = [(mine.requests / jobs, theirs.requests / jobs) for mine, theirs in pairs]
    cpu = [(mine.cost.cpu_s, theirs.cost.cpu_s) for mine, theirs in pairs]
    return [
        compared(f"wall time against the SDK, {jobs} jobs of 1–2 s", wall, "s", Goal(0.8, 0.7)),
        compared("requests a job against the SDK", requests, "", Goal(1.1, 0.9), counts=True),
        compared("CPU against the SDK", cpu, "s", Goal(1.2, 0.8)),
    ]
