"""Speed against a bare aiohttp loop over the same calls: 64 at once, zero latency, one core."""

from __future__ import annotations

import sys

from bench.harness import (
    ROUNDS,
    Batch,
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
from bench.machine import client_core

JOBS, QUICK_JOBS = 3_000, 200


def ours(jobs: int) -> Measured:
    """The whole product: durable record, files checked and synced."""
    with service() as served:
        return product(Batch(jobs), served, core=client_core())


def bare(jobs: int) -> Measured:
    """The bare loop."""
    with service() as served, folder() as place:
        command = [sys.executable, "-m", "bench.bare", served.url, str(jobs), place / "files"]
        return measured(run_process(command, core=client_core()), served)


def run(quick: bool) -> list[Row]:
    """The rows of this measurement."""
    jobs, rounds = (QUICK_JOBS, 1) if quick else (JOBS, ROUNDS)
    pairs = interleaved(lambda: ours(jobs), lambda: bare(jobs), rounds)
    speeds = [(mine.steady_per_s, theirs.steady_per_s) for mine, theirs in pairs]
    cpu = [(mine.cost.cpu_s / jobs * 1e6, theirs.cost.cpu_s / jobs * 1e6) for mine, theirs in pairs]
    requests = [(mine.requests / jobs, theirs.requests / jobs) for mine, theirs in pairs]
    return [
        compared(
            "jobs a second against a bare loop, one core",
            speeds,
            "jobs/s",
            Goal(0.5, 0.75, at_least=True),
        ),
        compared("CPU a job, start-up included", cpu, "µs"),
        compared("requests a job", requests, "", Goal(1.1), counts=True),
    ]
