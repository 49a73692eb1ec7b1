"""Nights with a name: one trouble each, brought about on purpose."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from batchgen.core.common.json import canonical_json
from batchgen.core.jobs.policies import Limits, OnExpired, RateScope
from batchgen.core.jobs.spec import JobSpec, Mode
from batchgen.core.scheduling.gates.gates import Patience
from batchgen.providers.segmind.simulator import (
    Endpoint,
    FaultKind,
    FaultRule,
    ModelSettings,
    SimulatorConfig,
)
from batchgen.testing.rehearsal import Interruption, Mishap, Scenario
from tests.simulation.oddities import ODDITIES
from tests.simulation.uploading import naming, path_of, picture
from tests.simulation.worlds import WORLDS

PRICE_USD = 0.10
SHORT_S = 4 * 3600.0
"""No process of a short night needs so long, whether it comes to its end or gives up."""
STEPS = range(1, 81)
"""So many steps four jobs take at least."""


def jobs(count: int, api: Mode = Mode.QUEUED) -> list[JobSpec]:
    """Jobs that ask for different things."""
    names = [f"job-{index:04d}" for index in range(count)]
    bodies = [canonical_json({"prompt": f"cup {index}"}) for index in range(count)]
    return [
        JobSpec(name, "flux-kontext-max", body, name, api, PRICE_USD)
        for name, body in zip(names, bodies, strict=True)
    ]


def service(*rules: FaultRule, **settings: object) -> SimulatorConfig:
    """A service with these faults."""
    return SimulatorConfig(seed=1, pictures="tiny", faults=rules, **settings)


def _at_every_step(mishap: Mishap, times: int = 1) -> list[Scenario]:
    """So many times at every step: what was under way may arrive late, or never."""
    return [
        Scenario(
            jobs(4),
            service(history_lag_s=1.0),
            Limits(concurrency=2),
            interruptions=[Interruption(mishap, step)],
            seed=seed,
        )
        for step in STEPS
        for seed in range(step, step + times * 1000, 1000)
    ]


def killed_at_every_step() -> list[Scenario]:
    """kill -9 before and after everything a run does to the world."""
    return _at_every_step(Mishap.KILL, times=2)


def cancelled_at_every_step() -> list[Scenario]:
    """The caller's task is cancelled there."""
    return _at_every_step(Mishap.CANCEL)


def stopped_at_every_step() -> list[Scenario]:
    """Ctrl-C there."""
    return _at_every_step(Mishap.STOP)


def killed_before_a_fast_clock_was_noticed() -> list[Scenario]:
    """No answer told a process by how much its clock was ahead. It dies, and the next one begins
    with a clock that is right, when the instants that are noted are over."""
    lost = FaultRule(where=Endpoint.SUBMIT, kind=FaultKind.DROP_AFTER, until_s=30)
    silent = FaultRule(where=Endpoint.CREDITS, kind=FaultKind.DROP_BEFORE, until_s=30)
    return [
        Scenario(
            jobs(6),
            service(lost, silent, history_lag_s=1.0),
            Limits(concurrency=2),
            clock_errors_s=[ahead_s],
            interruptions=[Interruption(Mishap.KILL, step)],
            downtime_s=ahead_s + 300.0,
        )
        for ahead_s in (3600.0, 700.0)
        for step in range(4, 14)
    ]


def glitches_while_confirming() -> list[Scenario]:
    """Lost answers, and a history that sometimes says 404 to what is ours."""
    lost = FaultRule(
        where=Endpoint.SUBMIT, kind=FaultKind.DROP_AFTER, probability=0.5, until_s=3600
    )
    glitch = FaultRule(
        where=Endpoint.HISTORY, kind=FaultKind.HTTP_404, probability=0.3, until_s=3600
    )
    return [
        Scenario(jobs(12), service(lost, glitch), Limits(concurrency=4), seed=seed)
        for seed in range(6)
    ]


def endless_requests() -> list[Scenario]:
    """Requests of both doors that never finish, their answers lost or not."""
    lost = FaultRule(where=Endpoint.ANY, kind=FaultKind.CUT, probability=0.3, until_s=600)
    never = service(lost, never_finish_probability=1.0, sync_timeout_s=30.0)
    return [
        Scenario(jobs(2, api), never, Limits(concurrency=2), seed=seed, longest_process_s=SHORT_S)
        for api in Mode
        for seed in range(3)
    ]


def results_that_vanish_every_time() -> list[Scenario]:
    """COMPLETED, then 404, and a history that names no file: paid again within `max_attempts`."""
    return [
        Scenario(
            jobs(3),
            service(vanish_probability=1.0),
            Limits(concurrency=2, max_attempts=2, on_expired=OnExpired.RECOVER),
            requests_per_minute=5,
            untold=frozenset({"generation_url"}),
            longest_process_s=SHORT_S,
        )
    ]


def failures_without_end() -> list[Scenario]:
    """FAILED every time, for a reason that may pass: submitted again within `max_attempts`."""
    return [
        Scenario(
            jobs(4, api),
            service(
                failure_probability=1.0,
                failure_messages=("no worker was free",),
                sync_failures_told=True,
            ),
            Limits(concurrency=2, max_attempts=most),
            longest_process_s=SHORT_S,
        )
        for api in Mode
        for most in (1, 3)
    ]


IMPATIENT = Patience(history_s=60.0)


def dead_history_without_a_place() -> list[Scenario]:
    """What waits for a dead history takes all places: nothing can be submitted."""
    cut = FaultRule(where=Endpoint.SYNC, kind=FaultKind.CUT, count=2)
    refused = FaultRule(where=Endpoint.HISTORY, kind=FaultKind.HTTP_403)
    specs = [*jobs(2, Mode.BLOCKING), *jobs(4)[2:]]
    dead = service(cut, refused)
    return [
        Scenario(
            specs,
            dead,
            Limits(concurrency=2),
            patience=IMPATIENT,
            again_after_s=4e4,
            longest_process_s=SHORT_S,
        )
    ]


def dead_history_without_money() -> list[Scenario]:
    """What waits for a dead history holds all the money: nothing can be submitted."""
    refused = FaultRule(where=Endpoint.HISTORY, kind=FaultKind.HTTP_403)
    dead = service(refused, vanish_probability=1.0)
    return [
        Scenario(
            jobs(4),
            dead,
            Limits(concurrency=1),
            max_spend_usd=2.5 * PRICE_USD,
            patience=IMPATIENT,
            again_after_s=4e4,
            longest_process_s=SHORT_S,
        )
    ]


def dead_history_and_few_slots() -> list[Scenario]:
    """Lookups that bring nothing must leave slots to submits."""
    broken = FaultRule(where=Endpoint.HISTORY, kind=FaultKind.HTTP_502)
    dead = service(broken, vanish_probability=1.0)
    return [
        Scenario(
            jobs(10),
            dead,
            Limits(concurrency=1),
            requests_per_minute=5,
            patience=IMPATIENT,
            again_after_s=4e4,
            longest_process_s=SHORT_S,
        )
    ]


def killed_under_a_rate_of_a_model() -> list[Scenario]:
    """A death in the middle of a minute of which the model's own requests are used up."""
    return [
        Scenario(
            jobs(20),
            service(),
            Limits(concurrency=8, rate_scope=scope),
            model_rates={"flux-kontext-max": 6},
            interruptions=[Interruption(Mishap.KILL, step) for step in (20, 25, 30)],
            seed=step,
        )
        for scope in RateScope
        for step in range(3)
    ]


def unknown_prices() -> list[Scenario]:
    """Under a cap that a few jobs exhaust, with places for many."""
    dear = service(models={"flux-kontext-max": ModelSettings(price_usd=0.3)})
    unpriced = [spec._replace(price_usd=None) for spec in jobs(20)]
    limits = Limits(concurrency=8)
    return [Scenario(unpriced, dear, limits, max_spend_usd=1.0, allow_unknown_price=True)]


def _with_pictures(mishap: Mishap, steps: Iterable[int]) -> list[Scenario]:
    """Something befalls the run at these steps of jobs that share two pictures."""
    specs = [naming(spec, [index % 2]) for index, spec in enumerate(jobs(3))]
    return [
        Scenario(
            [*jobs(4)[3:], *specs],
            service(history_lag_s=1.0),
            Limits(concurrency=2, rate_scope=scope),
            inputs={path_of(number): picture(number) for number in range(2)},
            interruptions=[Interruption(mishap, step)],
            seed=step,
        )
        for step in steps
        for scope in (list(RateScope)[step % 2],)
    ]


def uploads_killed_at_every_step() -> list[Scenario]:
    """kill -9 there."""
    return _with_pictures(Mishap.KILL, range(4, 34))


def uploads_stopped_at_every_step() -> list[Scenario]:
    """Ctrl-C there, and once more at once."""
    stopped = _with_pictures(Mishap.STOP, range(3, 30, 3))
    return stopped + _with_pictures(Mishap.ABANDON, range(4, 30, 3))


def uploads_are_dead() -> list[Scenario]:
    """The host of the uploads never answers: who needs none goes on, the run ends, resumable."""
    return [
        Scenario(
            [*jobs(4)[2:], *(naming(spec, [0]) for spec in jobs(2))],
            service(FaultRule(where=Endpoint.UPLOAD, kind=kind)),
            Limits(concurrency=2),
            inputs={path_of(0): picture(0)},
            patience=Patience(outage_s=300.0),
            again_after_s=4e4,
            longest_process_s=SHORT_S,
        )
        for kind in (FaultKind.HTTP_503, FaultKind.DROP_BEFORE)
    ]


def files_that_are_not_there_any_more() -> list[Scenario]:
    """One is gone, one was changed: the jobs that name them fail, the others are done."""
    specs = [naming(spec, [index % 3]) for index, spec in enumerate(jobs(9))]
    inputs = {path_of(1): picture(7), path_of(2): picture(2)}
    return [Scenario(specs, service(), Limits(concurrency=2), inputs=inputs)]


def every_oddity() -> list[Scenario]:
    """Each of them alone, three times."""
    plain = Scenario(jobs(8), service(), Limits(concurrency=4), longest_process_s=SHORT_S)
    pictures = replace(
        plain,
        specs=[*jobs(8)[2:], *(naming(spec, [0]) for spec in jobs(2))],
        inputs={path_of(0): picture(0)},
    )
    return [
        replace(oddity(pictures if turn == 0 else plain, random.Random(turn)), seed=turn)
        for oddity in ODDITIES
        for turn in range(3)
    ]


def every_world() -> list[Scenario]:
    """Each kind of models alone, with and without deaths."""
    return [
        replace(
            world(
                Scenario(jobs(8), service(), Limits(concurrency=4), longest_process_s=SHORT_S),
                random.Random(turn),
            ),
            interruptions=[Interruption(Mishap.KILL, step) for step in (20, 25) if turn % 2],
            seed=turn,
        )
        for world in WORLDS
        for turn in range(8)
    ]


NIGHTS: Mapping[str, Callable[[], Sequence[Scenario]]] = {
    night.__name__: night
    for night in (
        killed_at_every_step,
        cancelled_at_every_step,
        stopped_at_every_step,
        killed_before_a_fast_clock_was_noticed,
        glitches_while_confirming,
        endless_requests,
        results_that_vanish_every_time,
        dead_history_without_a_place,
        dead_history_without_money,
        dead_history_and_few_slots,
        killed_under_a_rate_of_a_model,
        unknown_prices,
        uploads_killed_at_every_step,
        uploads_stopped_at_every_step,
        uploads_are_dead,
        files_that_are_not_there_any_more,
        every_oddity,
        failures_without_end,
        every_world,
    )
}
