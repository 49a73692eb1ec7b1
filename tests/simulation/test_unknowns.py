"""Whole nights in services of which nobody knows how they count, and two runs at one account."""

from __future__ import annotations

import random
from itertools import pairwise

import anyio
import pytest

from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.policies import Limits, PollWith, RateScope
from batchgen.core.scheduling.rates.rates import RateLimits, Rates
from batchgen.core.scheduling.state import SchedulerState
from batchgen.ports import Ports
from batchgen.providers.segmind.provider import CAPABILITIES, Segmind
from batchgen.providers.segmind.simulator import Endpoint
from batchgen.runner.runner import Runner
from batchgen.testing.memory import MemoryState, RecordingProgress
from batchgen.testing.rehearsal import rehearse
from batchgen.testing.virtual_time import START_AT, VirtualClock, run_virtual
from batchgen.testing.world import Disk, World
from bench.fleet import FleetApi, NoOutputs
from bench.worlds import World as ServiceWorld
from tests.simulation.oracle import violations
from tests.simulation.test_worlds import played, rest
from tests.simulation.unknowns import SHAPES
from tests.store.builders import spec

AUTO = Limits(concurrency=16, rate_scope=RateScope.AUTO, poll_with=PollWith.AUTO)
COUNT = 60


def night(*, learns=False, **settings):
    """Jobs of 5 s where nothing is known, in a service of these settings."""
    plans = {"limits": AUTO, "requests_per_minute": 50, "learns": learns, "is_first": True}
    scenario = played(COUNT, plans=plans, latency_s=5, rate_limit=50, **settings)
    report = rehearse(scenario)
    assert violations(scenario, report) == []
    assert rest(report, S.DONE) == (COUNT,)
    assert len(report.service.ledger.bills) == COUNT
    return report


@pytest.mark.parametrize("learns", [False, True], ids=["50 told", "not told"])
@pytest.mark.parametrize("early", [200, 202, 404, 409, 425])
@pytest.mark.parametrize("scope", ["all", "submit", "apart"])
def test_a_night_in_every_world(scope, early, learns):
    report = night(rate_limit_scope=scope, early_result=early, learns=learns)

    ledger = report.service.ledger
    refused = ledger.count(status=429)
    assert refused <= {"all": 3, "submit": 2 * learns, "apart": 2 * learns}[scope]
    if scope == "all":
        calls = sum(ledger.count(place) for place in (Endpoint.POLL, Endpoint.RESULT))
        assert calls / COUNT <= 1.35


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape], ids=str)
@pytest.mark.parametrize("scope", ["all", "submit"])
@pytest.mark.parametrize("reset", ["utc", "none"])
def test_limits_that_are_enforced_in_another_way_are_found_out(shape, scope, reset):
    report = night(rate_limit_scope=scope, reset_form=reset, **shape)

    is_lower_too = shape.get("burst_limit") == 3  # 45 a minute, where 50 are told
    assert report.service.ledger.count(status=429) <= (8 if is_lower_too else 5)


def test_a_run_tells_each_thing_that_it_found_out_once():
    report = night(rate_limit_scope="all", early_result=404)

    told = [fields["what"] for name, _, fields in report.progress.words if name == "found_out"]
    assert sorted(told) == ["early_results", "rate_limit_scope"]


# ------------------------------------------------------------------ two runs at one account


def together(scope, late_s, count=150):
    """Two first runs that know nothing of each other, the second one begun later; when each of
    their submits was accepted, and when some call was refused."""
    world = ServiceWorld("shared", gets=scope, early_result=200)
    accepted = ([], [])

    async def play():
        clock = VirtualClock()
        api = FleetApi([20.0] * 2 * count, clock, world)

        class Watched:
            def __init__(self, number):
                self.number = number

            async def call(self, call):
                answer = await api.call(call)
                if call.method == "POST" and answer.status == 200:
                    accepted[self.number].append(clock.now() - START_AT)
                return answer

        async def one(number):
            await anyio.sleep(number * late_s)
            state = MemoryState(World(random.Random(number)), Disk(clock))
            bodies = [f'{{"number":{number * count + at}}}' for at in range(count)]
            state.stored.import_jobs(spec(f"job-{at:03d}", body) for at, body in enumerate(bodies))
            scheduler = SchedulerState(
                limits=Limits(concurrency=100, rate_scope=RateScope.AUTO, poll_with=PollWith.AUTO),
                rates=Rates.restore(RateLimits(50, scope=RateScope.AUTO), None, clock.now()),
                capabilities=CAPABILITIES,
            )
            ports = Ports(
                Watched(number), Segmind(), state, NoOutputs(), clock, RecordingProgress()
            )
            await Runner(scheduler, ports).run()
            assert state.stored.totals().counts == {"done": count}

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, 0)
            tasks.start_soon(one, 1)
        return api

    api = run_virtual(play)
    return accepted, [at - START_AT for at in api.refused_at]


@pytest.mark.parametrize("late_s", [0.0, 70.0])
@pytest.mark.parametrize("scope", ["free", "counted"])
def test_two_runs_at_one_account_share_it_without_a_storm(scope, late_s):
    accepted, refused = together(scope, late_s)

    assert len(refused) <= 20
    by_minute = [sum(at <= end < at + 60 for at in refused) for end in refused]
    assert max(by_minute, default=0) <= 8
    both = min(max(accepted[0]), max(accepted[1]))
    shares = sorted(sum(late_s + 60 < at <= both for at in one) for one in accepted)
    assert shares[0] >= 0.25 * shares[1], "one of them starves"
    assert all(first <= second for first, second in pairwise(accepted[0]))
