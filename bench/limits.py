"""The promises about limits, over real sockets: no 429 at the true budget, no cent past the cap."""

from __future__ import annotations

from bench.harness import Batch, Goal, Row, Spread, product, service

RPM = 300
AFFORDED = 105
"""Jobs that the cap pays for; their calls are a few more than one minute's."""
JOBS = 120
PRICE_USD = 0.01
STOPPED = 3


def run(quick: bool) -> list[Row]:
    """The rows of this measurement; a quick run is as long."""
    del quick
    batch = Batch(JOBS, rpm=RPM, max_spend_usd=AFFORDED * PRICE_USD)
    with service("--rpm", str(RPM)) as served:
        found = product(batch, served, core=None, exit_code=STOPPED)
    submits = found.counts["submit"]
    return [
        Row(
            f"429s over {RPM} requests a minute",
            Spread.of([found.counts.get("429", 0)]),
            goal=Goal(0),
            counts=True,
        ),
        Row(
            f"submits past a cap that pays for {AFFORDED}",
            Spread.of([max(0, submits - AFFORDED)]),
            goal=Goal(0),
            counts=True,
        ),
        Row(
            "requests a job under that limit",
            Spread.of([found.requests / submits]),
            goal=Goal(3.2, 3.05),
            counts=True,
        ),
    ]
