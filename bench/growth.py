"""How the cost of a job grows with their number: ten times the jobs under the same budget."""

from __future__ import annotations

from bench.harness import (
    ROUNDS,
    Batch,
    Goal,
    Measured,
    Row,
    Spread,
    compared,
    interleaved,
    product,
    service,
)

JOBS, QUICK_JOBS = 2_000, 300
FACTOR = 10
RPM = 1_000_000
"""The budget of both: never reached, but every request is counted against it."""
BYTES_A_JOB = 1_000.0
"""What a further job may take in memory: its manifest entry, and the noise of two runs."""
QUICK_BYTES_A_JOB = 2_500.0
"""With so few jobs what is there once for all still counts: some 1,700, and 100 of noise."""


def cost_of(jobs: int) -> Measured:
    """A run of so many jobs."""
    with service("--rpm", str(RPM)) as served:
        return product(Batch(jobs, rpm=RPM), served, core=None)


def run(quick: bool) -> list[Row]:
    """The rows of this measurement."""
    few, rounds = (QUICK_JOBS, 1) if quick else (JOBS, ROUNDS)
    many = few * FACTOR
    pairs = interleaved(lambda: cost_of(many), lambda: cost_of(few), rounds)
    cpu = [(large.cost.cpu_s / many * 1e6, small.cost.cpu_s / few * 1e6) for large, small in pairs]
    growth = [
        max(0.0, (large.cost.peak_bytes - small.cost.peak_bytes) / (many - few))
        for large, small in pairs
    ]
    late = sum(side.counts.get("429", 0) for pair in pairs for side in pair)
    bytes_goal = Goal(QUICK_BYTES_A_JOB if quick else BYTES_A_JOB)
    return [
        compared(f"CPU a job of {many:,} jobs against one of {few:,}", cpu, "µs", Goal(1.05)),
        Row(
            f"memory a further job takes, {few:,} to {many:,} jobs",
            Spread.of(growth),
            "bytes",
            goal=bytes_goal,
            counts=True,
        ),
        Row("429s at the true budget", Spread.of([late]), goal=Goal(0), counts=True),
    ]
