"""A run killed again and again comes to the same end as an undisturbed one.

The judge is the simulator's ledger: what the service accepted and charged, whatever we believe.
"""

import random

import pytest

from tests.cli.verdicts import judge

JOBS = 300
KILLS = 10
LATENCY_S = 0.5
WORKERS = 7
"""So few that the jobs take the service longer than all pauses together: no kill comes too late."""


@pytest.mark.hunt
@pytest.mark.processes
@pytest.mark.timeout(110)
def test_ten_kills_cost_no_file_and_no_dollar(place, simulate):
    chance = random.Random(1302)
    service = simulate(latency_s=LATENCY_S, workers=WORKERS)
    manifest = place.manifest(
        JOBS,
        defaults={"model": "flux-kontext-dev"},
        budget={"requests_per_minute": None, "concurrency": 100},
        reconcile={"settle": 3},
        retry={"max_attempts": 20},
    )
    there = place.at(service)
    # From the first imports to the middle of downloads, all of it in one second or three.
    pauses_s = [chance.uniform(0.3, 3.0) for _ in range(KILLS)]
    assert sum(pauses_s) < JOBS * LATENCY_S / WORKERS
    for pause_s in pauses_s:
        with there.start("run", manifest) as running:
            assert running.killed_after(pause_s)
    ended = there.call("run", manifest, timeout=90)
    assert ended.code == 0, ended.text
    verdict = judge(there.path / "runs/batch", service.ledger()["bills"])
    assert verdict.violations == []
    assert verdict.done == JOBS
