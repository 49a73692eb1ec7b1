"""How long a night takes against whoever knows every latency beforehand; in virtual time.

The real runner, planner and ledger; the service in memory, the clock virtual. Counts, not seconds
of this machine: the figures are the same wherever and whenever it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from batchgen.core.common.json import canonical_json
from batchgen.core.jobs.policies import PollWith
from batchgen.core.jobs.spec import JobSpec
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.learned import account_of
from batchgen.core.scheduling.rates.rates import Rates
from batchgen.core.scheduling.state import SchedulerState
from batchgen.ports import Ports
from batchgen.providers.segmind.provider import CAPABILITIES, Segmind
from batchgen.runner.runner import Runner
from batchgen.testing.memory import MemoryState, RecordingProgress
from batchgen.testing.virtual_time import START_AT, VirtualClock, run_virtual
from batchgen.testing.world import Disk, World
from bench.fleet import TRIP_S, FleetApi, NoOutputs, best_makespan_s
from bench.harness import Goal, Row, Spread
from bench.scenarios import IN_WORLDS, NIGHTS, Night, around
from bench.worlds import Gets


@dataclass(frozen=True)
class Outcome:
    """One night: seconds of virtual time, requests a job, seconds from done to seen."""

    night: Night
    makespan_s: float
    clairvoyant_s: float
    requests_a_job: float
    polls_a_job: float
    delay_s: float
    refused: int
    forgotten: int
    refused_at: Sequence[float]
    learned: Mapping[str, str]

    @property
    def ratio(self) -> float:
        return self.clairvoyant_s / self.makespan_s


class Silent(RecordingProgress):
    """A progress that keeps nothing."""

    def changed(self, changes: object) -> None:
        """Nothing."""


def live(night: Night, seed: int = 0, learned: Mapping[str, str] | None = None) -> Outcome:
    """One night; `learned` is what an earlier one knew in the end, or None for the first one."""
    latencies = night.latencies(seed)

    async def play() -> Outcome:
        import random

        clock = VirtualClock()
        state = MemoryState(World(random.Random(seed)), Disk(clock))
        state.stored.import_jobs(_spec(night, number) for number in range(night.jobs))
        known = account_of(learned or {})
        api = FleetApi(latencies, clock, night.world)
        guesses = {f"model-{index}": night.guess_s for index in range(night.models)}
        scheduler = SchedulerState(
            limits=night.limits,
            rates=Rates.restore(night.rates, None, clock.now(), known.get("rates")),
            capabilities=CAPABILITIES,
            latencies=Latencies(guesses),
        )
        scheduler.load(learned or {})
        await Runner(scheduler, Ports(api, Segmind(), state, NoOutputs(), clock, Silent())).run()
        counts = state.stored.totals().counts
        assert counts == {"done": night.jobs}, counts
        by_state = night.limits.poll_with is PollWith.STATUS
        best_s = best_makespan_s(latencies, night.world, night.concurrency, by_state=by_state)
        made = sum(api.calls.values())
        return Outcome(
            night,
            clock.now() - START_AT,
            best_s,
            made / night.jobs,
            api.calls["poll"] / night.jobs,
            fmean(api.delays_s),
            api.refused,
            api.forgotten,
            [at - START_AT for at in api.refused_at],
            scheduler.lessons(),
        )

    return run_virtual(play)


def _spec(night: Night, number: int) -> JobSpec:
    name = f"job-{number:06d}"
    model = f"model-{number % night.models}"
    return JobSpec(name, model, canonical_json({"number": number}), name, price_usd=0.01)


def sdk_way(latencies: list[float]) -> tuple[float, float]:
    """Requests a job, and seconds from done to seen, of the official SDK.

    It asks at once, and then a second after every answer. Source: `segmind` 1.3.0, `wait`.
    """
    polls, delays = [], []
    for latency_s in latencies:
        count = 1
        while (asked_s := TRIP_S + (count - 1) * (1.0 + TRIP_S)) < latency_s:
            count += 1
        polls.append(count)
        delays.append(asked_s - latency_s)
    return 2 + fmean(polls), fmean(delays)


def run(quick: bool) -> list[Row]:
    """The rows of this measurement."""
    nights = [replace(n, jobs=min(n.jobs, 300)) for n in NIGHTS[:4]] if quick else list(NIGHTS)
    found = [live(night) for night in nights]
    rows = [_row(outcome) for outcome in found]
    ratios = [outcome.ratio for outcome in found]
    binding = [o.requests_a_job for o in found if o.night.requests_bind]
    rows += [
        Row("makespan, mean ratio", _one(fmean(ratios)), goal=_at_least(quick, 0.92, 0.96)),
        Row("makespan, lowest ratio", _one(min(ratios)), goal=_at_least(quick, 0.85)),
        Row(
            "requests a job where requests bind, highest",
            _one(max(binding)),
            goal=Goal(3.5 if quick else 3.2, 3.05),
            counts=True,
        ),
        Row(
            "429s at the true budget",
            _one(sum(o.refused for o in found)),
            goal=Goal(0),
            counts=True,
        ),
        Row("results forgotten", _one(sum(o.forgotten for o in found)), goal=Goal(0), counts=True),
    ]
    return [*rows, *_in_worlds(quick), *_against_the_sdk(quick)]


def _in_worlds(quick: bool) -> list[Row]:
    """Every world that the service may turn out to be: the first night, where nothing of it is
    known, and the next one, which knows what the first one found out."""
    chosen = [replace(n, jobs=300) for n in IN_WORLDS[::3]] if quick else list(IN_WORLDS)
    first = [live(night) for night in chosen]
    found = {
        "first night": first,
        "with a memory": [
            live(night, 1, outcome.learned) for night, outcome in zip(chosen, first, strict=True)
        ],
    }
    rows = [_row(outcome, f", {name}") for name, all_of in found.items() for outcome in all_of]
    for name, must, refused in (("first night", 0.95, 3), ("with a memory", 0.97, 0)):
        outcomes = found[name]
        ratios = [outcome.ratio for outcome in outcomes]
        rows += [
            Row(f"worlds, {name}: mean", _one(fmean(ratios)), goal=_at_least(quick, must, 0.98)),
            Row(f"worlds, {name}: lowest", _one(min(ratios)), goal=_at_least(quick, 0.88)),
            Row(
                f"worlds, {name}: 429s a night, most",
                _one(max(outcome.refused for outcome in outcomes)),
                goal=Goal(refused, 0),
                counts=True,
            ),
        ]
    for tells, must, aim in ((True, 2.1, 2.03), (False, 3.2, 3.05)):
        binding = [
            outcome.requests_a_job
            for outcome in [*found["first night"], *found["with a memory"]]
            if (outcome.night.world.early_result < 300) is tells
            and outcome.night.world.gets is Gets.COUNTED
        ]
        what = "answer early" if tells else "are refused early"
        rows.append(
            Row(
                f"worlds, requests a job where all calls count and results {what}: most",
                _one(max(binding)),
                goal=Goal(must, aim),
                counts=True,
            )
        )
    return rows


def _one(value: float) -> Spread:
    return Spread.of([value])


def _at_least(quick: bool, must: float, aim: float | None = None) -> Goal | None:
    """In a quick run the start of each night weighs too much to be judged."""
    return None if quick else Goal(must, aim, at_least=True)


def _row(outcome: Outcome, of: str = "") -> Row:
    a_minute = outcome.night.jobs * 60
    ours, best = a_minute / outcome.makespan_s, a_minute / outcome.clairvoyant_s
    what = (
        f"{outcome.night.name}{of}: {outcome.requests_a_job:.2f} requests a job, "
        f"{outcome.delay_s:.1f} s late" + (f", {outcome.refused} times refused" if of else "")
    )
    return Row(what, _one(ours), "jobs/min", _one(best), _one(outcome.ratio))


def _against_the_sdk(quick: bool) -> list[Row]:
    """22 s jobs over 64 places without a limit: a first night, and the next one, which knows how
    long they take."""
    night = Night("22 s, C=64, no limit", around(22), None, 64, jobs=200 if quick else 1_500)
    first = live(night)
    second = live(night, 1, first.learned)
    theirs, their_delay_s = sdk_way(night.latencies(0))
    rows = []
    for name, outcome in (("first night", first), ("next night", second)):
        ratio = outcome.requests_a_job / theirs
        delay = outcome.delay_s / their_delay_s
        rows += [
            Row(
                f"22 s jobs, 64 places, requests a job against the SDK's: {name}",
                _one(outcome.requests_a_job),
                "",
                _one(theirs),
                _one(ratio),
                # The few jobs of a quick night are nearly all asked for before anything is known.
                Goal(0.45 if quick else 0.3, 0.2),
                counts=True,
            ),
            Row(
                f"there, seconds from done to seen: {name}",
                _one(outcome.delay_s),
                "s",
                _one(their_delay_s),
                _one(delay),
                None if quick or outcome is first else Goal(1.0),
            ),
        ]
    return rows


def main() -> None:
    """Every night, or those whose names hold one of the arguments, a line each."""
    chosen = [
        n
        for n in (*NIGHTS, *IN_WORLDS)
        if not sys.argv[1:] or any(a in n.name for a in sys.argv[1:])
    ]
    ratios = []
    for night in chosen:
        outcome = live(night)
        ratios.append(outcome.ratio)
        print(
            f"{night.name:42} {outcome.ratio:5.3f}  {night.jobs * 60 / outcome.makespan_s:7.2f}/min"
            f"  {outcome.requests_a_job:5.2f} req  {outcome.polls_a_job:5.2f} polls"
            f"  {outcome.delay_s:6.1f} s late  429: {outcome.refused}  404: {outcome.forgotten}",
            flush=True,
        )
    print(f"mean {fmean(ratios):.3f}, least {min(ratios):.3f}")


if __name__ == "__main__":
    main()
