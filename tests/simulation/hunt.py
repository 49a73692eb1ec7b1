"""`make sim SEEDS=5000`: rehearse night after night; `SEED=42` replays one and tells its story."""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from batchgen.core.jobs.events import Change, EventKind
from batchgen.providers.segmind.simulator import Endpoint
from batchgen.testing.rehearsal import RehearsalReport, Scenario, rehearse
from tests.simulation.oracle import violations
from tests.simulation.scenarios import scenario_of

CHUNK = 25


def night(seed: int) -> tuple[list[str], Counter[str]]:
    """One seed: what was violated, and what the night held."""
    return judged(scenario_of(seed))


def judged(scenario: Scenario) -> tuple[list[str], Counter[str]]:
    """What was violated in a night, and what it held."""
    try:
        report = rehearse(scenario)
        return violations(scenario, report), _counts(report)
    except Exception as error:
        return ["".join(traceback.format_exception(error)[-4:])], Counter()


def _counts(report: RehearsalReport) -> Counter[str]:
    kinds = Counter(change.event.kind for change in report.progress.changes)
    counts = Counter(dict(report.counts()))
    counts["nights"] = 1
    counts["processes"] = report.processes
    counts.update({f"ended: {name}": count for name, count in report.endings.items()})
    counts["ghosts"] = report.ghosts
    counts["bills"] = len(report.service.ledger.bills)
    counts["faulty answers"] = sum(
        number
        for (place, status), number in report.service.ledger.counts.items()
        if status != 200 and place is not Endpoint.CDN
    )
    for kind in (EventKind.UNCLEAR, EventKind.ADOPTED, EventKind.ABSENT, EventKind.RECOVERED):
        counts[f"{kind} events"] = kinds[kind]
    return counts


def _chunk(first: int, last: int) -> tuple[dict[int, list[str]], Counter[str]]:
    failures, total = {}, Counter[str]()
    for seed in range(first, last):
        found, counts = night(seed)
        total.update(counts)
        if found:
            failures[seed] = found
    return failures, total


def hunt(seeds: range, processes: int) -> tuple[dict[int, list[str]], Counter[str]]:
    """Many seeds over several processes."""
    failures: dict[int, list[str]] = {}
    total: Counter[str] = Counter()
    starts = range(seeds.start, seeds.stop, CHUNK)
    with ProcessPoolExecutor(processes) as pool:
        chunks = [pool.submit(_chunk, at, min(at + CHUNK, seeds.stop)) for at in starts]
        for chunk in chunks:
            found, counts = chunk.result()
            failures |= found
            total.update(counts)
    return failures, total


def sentence(change: Change) -> str:
    """One line of a night's story."""
    return (
        f"{change.event.at % 1e6:10.2f} {change.after.id} {change.event.kind}: "
        f"{change.before.state} -> {change.after.state} {change.event.reason}"
    )


def story(seed: int) -> None:
    """Print what happened in one night."""
    scenario = scenario_of(seed)
    report = rehearse(scenario)
    for change in report.progress.changes:
        if change.event.kind is not EventKind.RUNNING:
            print(sentence(change))
    print("\n".join(violations(scenario, report)) or "nothing was violated")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="replay one seed")
    options = parser.parse_args()
    if options.seed is not None:
        story(options.seed)
        return 0
    started = time.monotonic()
    seeds = range(options.first, options.first + options.seeds)
    failures, total = hunt(seeds, os.cpu_count() or 1)
    for name, count in sorted(total.items()):
        print(f"{count:10,}  {name}")
    print(f"{options.seeds} nights in {time.monotonic() - started:.0f} s")
    for seed, found in sorted(failures.items())[:10]:
        print(f"seed {seed} (replay: make sim SEED={seed}):")
        print("\n".join(f"  {line}" for line in found))
    print(f"{options.seeds - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
