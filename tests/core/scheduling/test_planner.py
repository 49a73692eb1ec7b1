"""The planner: what it starts in which order, when it looks again, and when it ends a run."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import ENDED, Output
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.outcomes import CallKind as C
from batchgen.core.jobs.outcomes import Response, Signal
from batchgen.core.jobs.policies import Limits, RateScope
from batchgen.core.jobs.spec import Mode
from batchgen.core.net.http import Host
from batchgen.core.reconciliation.history import HistoryRead
from batchgen.core.scheduling.completion import Verdict
from batchgen.core.scheduling.doubts.lookups import Lookups
from batchgen.core.scheduling.effects import CALLS
from batchgen.core.scheduling.effects import EffectKind as F
from batchgen.core.scheduling.gates.file_hosts import hosts_of
from batchgen.core.scheduling.gates.gates import AT_REST, GateKind, Gates
from batchgen.core.scheduling.gates.outages import OUTAGE_AFTER
from batchgen.core.scheduling.gates.refusals import MODEL_PAUSE_S
from batchgen.core.scheduling.planner import PlannedEffects, plan
from batchgen.core.scheduling.rates.window import MARGIN_S, RateWindow
from batchgen.core.scheduling.spending import Money
from tests.core.builders import NOW, event, everything, job, output, scheduler

K = GateKind
SAVABLE = {"outputs": (output(),)}


def started(decided):
    """The effects as `kind key`, in their order."""
    return [f"{e.kind}{f' {e.job.key}' if e.job else ''}" for e in decided.effects]


def full_window(limit=5, at=NOW - 10):
    """A window whose slots were all used at one instant."""
    window = RateWindow(limit)
    for _ in range(limit):
        window.start()
        window.answered(at)
    return window


def closed(*kinds, at=NOW):
    gates = Gates()
    for kind in kinds:
        gates.close(kind, "why", at)
    return gates


# ------------------------------------------------------------------ what is started


def test_each_state_has_its_effect():
    decided = plan(
        scheduler(
            [
                job(S.PENDING, 1),
                job(S.SUBMITTED, 2),
                job(S.FETCHING, 3),
                job(S.FETCHING, 4, **SAVABLE),
                job(S.RECOVERING, 5),
                job(S.AMBIGUOUS, 6),
                job(S.AMBIGUOUS, 7, api=Mode.BLOCKING, request_id="r"),
                job(S.AMBIGUOUS, 8),
            ],
            lookups=Lookups(candidates={8: "r-8"}),
        ),
        NOW,
    )

    assert started(decided) == [
        "save 4", "fetch 3", "poll 2", "recover 5", "recover 7", "confirm 8", "read history",
        "submit 1",
    ]  # fmt: skip
    assert decided.verdict is Verdict.GO_ON


def test_a_tight_budget_goes_to_results_polls_lookups_and_submits_in_this_order():
    jobs = [job(S.PENDING, 1), job(S.RECOVERING, 2), job(S.SUBMITTED, 3), job(S.FETCHING, 4)]
    order = ["fetch 4", "poll 3", "recover 2", "submit 1"]
    for limit in range(1, 5):
        assert started(plan(scheduler(jobs, rate=RateWindow(limit)), NOW)) == order[:limit]


@pytest.mark.parametrize("state", [S.SUBMITTED, S.FETCHING])
def test_the_nearest_end_of_a_window_goes_first(state):
    jobs = [job(state, key, sent_at=NOW - age) for key, age in [(1, 10), (2, 3000), (3, 200)]]

    decided = plan(scheduler(jobs, rate=RateWindow(2)), NOW)

    assert [effect.job.key for effect in decided.effects] == [2, 3]


def test_pending_jobs_go_in_the_order_of_the_manifest():
    jobs = [job(key=key) for key in (7, 3, 5)]

    assert started(plan(scheduler(jobs), NOW)) == ["submit 3", "submit 5", "submit 7"]


def test_nothing_is_started_before_its_instant():
    states = [S.PENDING, S.SUBMITTED, S.FETCHING, S.RECOVERING, S.AMBIGUOUS]
    jobs = [job(state, key, due_at=NOW + key) for key, state in enumerate(states, 2)]

    decided = plan(scheduler(jobs), NOW)

    assert decided.effects == ()
    assert decided.wake_at == NOW + 2


def test_a_busy_job_is_left_alone():
    made = scheduler([job(S.SUBMITTED, 1), job(S.SUBMITTED, 2)])
    made.queues.begin(1)

    assert started(plan(made, NOW)) == ["poll 2"]


@pytest.mark.parametrize(
    ("in_flight", "submits"),
    [
        ([], ["submit 8", "submit 9"]),
        ([S.SUBMITTED], ["submit 8"]),
        ([S.AMBIGUOUS], ["submit 8"]),
        ([S.SUBMITTED, S.AMBIGUOUS], []),
        ([S.FETCHING, S.RECOVERING, S.FETCHING], ["submit 8", "submit 9"]),
    ],
)
def test_concurrency_counts_what_may_run_at_the_service(in_flight, submits):
    jobs = [job(state, key, due_at=NOW + 99) for key, state in enumerate(in_flight, 1)]
    jobs += [job(key=key) for key in (8, 9)]

    decided = plan(scheduler(jobs, limits=Limits(concurrency=2)), NOW)

    assert started(decided) == submits


def test_a_doubt_that_the_history_does_not_list_gives_its_place_to_the_submit_that_proves_it():
    jobs = [job(S.AMBIGUOUS, 1, due_at=NOW + 99), job(key=2)]

    made = scheduler(jobs, limits=Limits(concurrency=1), lookups=Lookups(unlisted={1}))

    assert started(plan(made, NOW)) == ["submit 2"]


def test_a_submit_under_way_takes_its_place():
    made = scheduler([job(S.SUBMITTING, 1), job(key=2)], limits=Limits(concurrency=1))
    made.queues.begin(1)

    assert plan(made, NOW).effects == ()


@pytest.mark.parametrize(
    ("scope", "effects"),
    [
        (RateScope.ALL, ["save 4"]),
        (RateScope.SUBMIT, ["save 4", "fetch 3", "poll 2", "recover 5"]),
    ],
)
def test_what_counts_against_the_rate(scope, effects):
    jobs = [job(key=1), job(S.SUBMITTED, 2), job(S.FETCHING, 3), job(S.FETCHING, 4, **SAVABLE),
            job(S.RECOVERING, 5)]  # fmt: skip

    decided = plan(scheduler(jobs, rate=full_window(), limits=Limits(rate_scope=scope)), NOW)

    assert started(decided) == effects
    assert not any(effect.counts for effect in decided.effects)
    assert decided.wake_at == pytest.approx(NOW + 50 + MARGIN_S)


def test_the_next_slot_is_waited_for_also_when_the_last_one_was_just_given_away():
    """Else the job behind would wait for an answer although a slot comes free before it."""
    window = full_window(4, NOW - 55)
    window.limit = 5

    decided = plan(scheduler([job(key=1), job(key=2)], rate=window), NOW)

    assert started(decided) == ["submit 1"]
    assert decided.wake_at == pytest.approx(NOW + 5 + MARGIN_S)


def test_with_all_slots_under_way_only_an_answer_can_help():
    window = RateWindow(1)
    window.start()
    made = scheduler([job(S.SUBMITTED, 1), job(S.SUBMITTED, 2)], rate=window)
    made.queues.begin(1)

    assert plan(made, NOW) == PlannedEffects()


def test_after_a_429_every_counted_call_waits():
    window = RateWindow(50, blocked_until=NOW + 17)

    decided = plan(scheduler([job(key=1), job(S.SUBMITTED, 2)], rate=window), NOW)

    assert decided == PlannedEffects(wake_at=NOW + 17)


def test_saves_are_bounded_and_count_those_under_way():
    jobs = [job(S.FETCHING, key, **SAVABLE) for key in range(1, 6)]
    made = scheduler(jobs, limits=Limits(save_concurrency=3))
    made.queues.begin(1)

    assert started(plan(made, NOW)) == ["save 2", "save 3"]


def test_a_fetch_under_way_is_no_save_under_way():
    made = scheduler(
        [job(S.FETCHING, 1), job(S.FETCHING, 2, **SAVABLE)], limits=Limits(save_concurrency=1)
    )
    made.queues.begin(1)

    assert started(plan(made, NOW)) == ["save 2"]


@pytest.mark.parametrize(
    ("history", "fetching", "due_at", "reads"),
    [
        (None, False, NOW, True),
        (None, False, NOW + 9, False),
        (None, True, NOW, False),
        (HistoryRead(NOW, NOW), False, NOW + 9, True),
        (HistoryRead(NOW, NOW), True, NOW, False),
    ],
)
def test_one_read_of_the_history_serves_all_and_goes_on_page_by_page(
    history, fetching, due_at, reads
):
    jobs = [job(S.AMBIGUOUS, key, due_at=due_at) for key in (1, 2)]

    decided = plan(scheduler(jobs, lookups=Lookups(history, fetching)), NOW)

    assert started(decided) == (["read history"] if reads else [])


# ------------------------------------------------------------------ gates


@pytest.mark.parametrize(
    ("kind", "effects"),
    [
        (K.KEY, ["save 4", "fetch 3"]),
        (K.OUTAGE, ["save 4", "fetch 3", "poll 2", "recover 5"]),
        (K.CREDITS, ["save 4", "fetch 3", "poll 2", "recover 5", "submit 1"]),
        (K.DISK, ["poll 2", "recover 5", "check disk"]),
        (K.HISTORY, ["save 4", "fetch 3", "poll 2", "recover 5", "submit 1"]),
        (K.TIME, ["save 4", "fetch 3", "poll 2", "recover 5"]),
        (K.HALT, ["save 4", "fetch 3", "poll 2", "recover 5"]),
        (K.FILES, ["save 4", "fetch 3", "poll 2", "recover 5", "submit 1"]),
        (K.STOP, []),
        (K.STORAGE, []),
    ],
)
def test_what_a_gate_leaves_to_do(kind, effects):
    jobs = [job(key=1), job(S.SUBMITTED, 2), job(S.FETCHING, 3), job(S.FETCHING, 4, **SAVABLE),
            job(S.RECOVERING, 5)]  # fmt: skip

    decided = plan(scheduler(jobs, gates=closed(kind, at=NOW - 1)), NOW)

    assert started(decided) == effects
    assert (decided.verdict is Verdict.STOP) is (kind in {K.STOP, K.STORAGE})


def silent(*calls, at=NOW, reached=True):
    """Calls that are not answered since then, of a service that was reached before."""
    gates = Gates(_reached={Host.API} if reached else set())
    for call in calls:
        for key in range(91, 91 + OUTAGE_AFTER):
            gates.observe(Response(call, Signal.SERVER_ERROR, at, "HTTP 500"), "flux-pro", key)
    return gates


@pytest.mark.parametrize(
    "gates", [closed(K.KEY), silent(C.SUBMIT), closed(K.DISK)], ids=["key", "submits", "disk"]
)
def test_before_the_next_probe_the_run_sleeps_until_it(gates):
    decided = plan(scheduler([job()], gates=gates), NOW)

    assert decided == PlannedEffects(wake_at=NOW + 1)


@pytest.mark.parametrize(
    ("gates", "jobs"),
    [
        (closed(K.KEY, at=NOW - 1), [job(S.SUBMITTED, 1), job(S.FETCHING, 2), job(key=3)]),
        (closed(K.KEY, at=NOW - 1), [job(S.RECOVERING, 1), job(key=3)]),
        (closed(K.CREDITS, at=NOW - 1), [job(key=key) for key in (1, 2, 3)]),
        (silent(C.SUBMIT, at=NOW - 1), [job(key=key) for key in (1, 2, 3)]),
        (silent(C.RESULT, at=NOW - 1), [job(S.FETCHING, key) for key in (1, 2, 3)]),
    ],
    ids=["key", "key and history", "credits", "submits", "results"],
)
def test_at_a_closed_gate_one_call_at_a_time_is_let_through(gates, jobs):
    made = scheduler(jobs, gates=gates)

    (probe,) = plan(made, NOW).effects
    if probe.kind is F.SUBMIT:
        made.apply([apply(made.jobs[probe.job.key], event(E.INTENDED, job_key=probe.job.key))])
    made.start(probe, NOW)

    assert plan(made, NOW).effects == ()


def test_what_is_asked_besides_a_silent_call_goes_on():
    jobs = [*(job(S.SUBMITTED, key) for key in (1, 2, 3)), job(S.FETCHING, 4), job(key=5)]

    assert started(plan(scheduler(jobs, gates=silent(C.SUBMIT)), NOW)) == [
        "fetch 4", "poll 1", "poll 2", "poll 3",
    ]  # fmt: skip


def test_while_the_state_is_not_told_results_are_asked_for():
    """One poll finds out whether it is told again; submits go on."""
    jobs = [*(job(S.SUBMITTED, key) for key in (1, 2, 3)), job(key=5)]

    assert started(plan(scheduler(jobs, gates=silent(C.STATUS)), NOW)) == [
        "fetch 1", "fetch 2", "fetch 3", "submit 5",
    ]  # fmt: skip
    assert started(plan(scheduler(jobs, gates=silent(C.STATUS, at=NOW - 1)), NOW)) == [
        "poll 1", "fetch 2", "fetch 3", "submit 5",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("trouble", "asks"),
    [(0, "poll"), (1, "poll"), (2, "poll"), (3, "fetch"), (4, "poll"), (5, "fetch")],
)
def test_a_request_whose_state_does_not_come_is_asked_for_its_result_in_turn(trouble, asks):
    assert started(plan(scheduler([job(S.SUBMITTED, trouble=trouble)]), NOW)) == [f"{asks} 1"]


def test_no_result_is_asked_for_that_could_not_be_kept():
    made = scheduler([job(S.SUBMITTED, trouble=3)], gates=closed(K.DISK))

    assert started(plan(made, NOW)) == ["poll 1"]
    made.gates = silent(C.STATUS)
    made.gates.close(K.DISK, "full", NOW)
    assert started(plan(made, NOW)) == []


@pytest.mark.parametrize(
    ("age_s", "trouble", "api", "asks"),
    [
        (60.0, 0, Mode.QUEUED, "recover"),
        (60.0, 1, Mode.QUEUED, "fetch"),
        (60.0, 2, Mode.QUEUED, "recover"),
        (3600.0, 1, Mode.QUEUED, "recover"),
        (60.0, 1, Mode.BLOCKING, "recover"),
    ],
)
def test_what_is_gone_within_its_hour_is_asked_for_in_the_history_and_as_a_result(
    age_s, trouble, api, asks
):
    young = job(S.RECOVERING, sent_at=NOW - age_s, trouble=trouble, api=api)

    assert started(plan(scheduler([young]), NOW)) == [f"{asks} 1"]


def test_a_free_call_tells_whose_fault_a_403_is_once():
    made = scheduler([job(due_at=NOW + 180)], gates=Gates(wants_probe=True))
    assert started(plan(made, NOW)) == ["probe"]

    made.start(plan(made, NOW).effects[0], NOW)

    assert plan(made, NOW).effects == ()


def test_a_probe_and_a_look_at_the_disk_do_not_overlap():
    """One flag tells that either is under way."""
    made = scheduler([job()], gates=closed(K.DISK, at=NOW - 1))
    assert started(plan(made, NOW)) == ["check disk"]
    made.gates.wants_probe = True

    assert started(plan(made, NOW)) == ["probe"]


def test_a_probe_waits_for_its_slot():
    decided = plan(scheduler([job()], gates=closed(K.KEY, at=NOW - 1), rate=full_window()), NOW)

    assert decided.effects == ()
    assert decided.wake_at == pytest.approx(NOW + 50 + MARGIN_S)


def refusing(*models, times=2):
    """Models that refused a job; twice, minutes apart, closes them."""
    gates = Gates()
    for model in models:
        for number in range(times):
            at = NOW - (times - number - 1) * MODEL_PAUSE_S
            gates.observe(Response(C.SUBMIT, Signal.NOT_FOUND, at, "HTTP 404"), model)
    return gates


@pytest.mark.parametrize("times", [1, 2])
def test_a_model_that_refuses_jobs_is_not_submitted_and_others_are(times):
    gates = refusing("flux-pro", times=times)

    decided = plan(scheduler([job(key=1), job(key=2, model="flux-max")], gates=gates), NOW)

    assert started(decided) == ["submit 2"]


def test_a_suspected_model_is_tried_with_one_job_after_its_pause():
    jobs = [job(key=1), job(key=2), job(key=3, model="flux-max"), job(key=4, model="flux-max")]
    made = scheduler(jobs, gates=refusing("flux-pro", times=1))

    assert plan(made, NOW).wake_at == NOW + MODEL_PAUSE_S
    assert started(plan(made, NOW + MODEL_PAUSE_S)) == ["submit 1", "submit 3", "submit 4"]


def test_with_nothing_but_closed_models_left_the_run_is_complete():
    gates = refusing("flux-pro")

    assert plan(scheduler([job()], gates=gates), NOW).verdict is Verdict.COMPLETE


def test_with_a_suspected_model_left_it_is_not():
    decided = plan(scheduler([job()], gates=refusing("flux-pro", times=1)), NOW)

    assert decided == PlannedEffects(wake_at=NOW + MODEL_PAUSE_S)


def test_a_closed_model_still_brings_home_what_was_submitted():
    gates = refusing("flux-pro")

    assert started(plan(scheduler([job(S.SUBMITTED)], gates=gates), NOW)) == ["poll 1"]


# ------------------------------------------------------------------ drawing


@pytest.mark.parametrize(
    ("stock", "ended", "kind", "drawn"),
    [
        (0, False, None, 8),
        (4, False, None, 4),
        (5, False, None, 0),
        (0, True, None, 0),
        (0, False, K.CREDITS, 0),
        (0, False, K.TIME, 0),
        (0, False, K.HISTORY, 8),
    ],
)
def test_a_stock_of_pending_jobs_is_kept(stock, ended, kind, drawn):
    jobs = [job(key=key, due_at=NOW + 9) for key in range(1, stock + 1)]
    jobs.append(job(S.SUBMITTED, 99, due_at=NOW + 9))
    gates = closed(kind) if kind else Gates()

    made = scheduler(jobs, limits=Limits(concurrency=4), all_drawn=ended, gates=gates)

    assert plan(made, NOW).draw == drawn


# ------------------------------------------------------------------ hosts of files


def stored(key, host, model="flux-pro", **changes):
    """A finished job whose file stands there."""
    outputs = (Output(0, url=f"https://{host}/{key}.png"),)
    return job(S.FETCHING, key, outputs=outputs, model=model, **changes)


def bringing_nothing(made, *hosts, at=NOW):
    for host in hosts:
        for key in (91, 92, 93):
            made.hosts.failed(host, key, "HTTP 503", at)
    return made


def test_downloads_wait_at_a_closed_host_but_for_one_and_others_go_on():
    jobs = [*(stored(key, "a.example") for key in (1, 2, 3)), stored(4, "b.example")]
    made = bringing_nothing(scheduler(jobs), "a.example")

    assert started(plan(made, NOW)) == ["save 4"]
    assert plan(made, NOW).wake_at == NOW + 2
    assert started(plan(made, NOW + 2)) == ["save 1", "save 4"]

    made.start(plan(made, NOW + 2).effects[0], NOW + 2)
    assert started(plan(made, NOW + 60)) == ["save 4"]


def test_each_closed_host_has_a_probe_of_its_own():
    jobs = [stored(key, host) for key, host in enumerate(("a.example", "b.example") * 3, 1)]
    made = bringing_nothing(scheduler(jobs), "a.example", "b.example")

    assert started(plan(made, NOW + 2)) == ["save 1", "save 2"]


def test_a_held_download_takes_no_place_of_another():
    jobs = [*(stored(key, "a.example") for key in range(1, 9)), stored(9, "b.example")]
    made = bringing_nothing(scheduler(jobs, limits=Limits(save_concurrency=1)), "a.example")

    assert started(plan(made, NOW)) == ["save 9"]


def test_submits_of_models_whose_files_cannot_be_fetched_are_held_and_others_go_on():
    held, free = stored(1, "a.example"), stored(2, "b.example", model="flux-max")
    made = bringing_nothing(scheduler([held, free]), "a.example")
    for each in (held, free):
        made.hosts.named(each)
    made.put([job(key=3), job(key=4, model="flux-max"), job(key=5, model="unseen")])

    assert started(plan(made, NOW)) == ["save 2", "submit 4"]
    made.hosts.brought(["a.example"])
    assert started(plan(made, NOW)) == ["save 1", "save 2", "submit 3", "submit 4", "submit 5"]


def test_when_files_could_not_be_fetched_for_hours_they_are_left_to_the_next_run():
    made = bringing_nothing(scheduler([stored(1, "a.example"), job(key=3)]), "a.example")
    made.gates.close(K.FILES, "why", NOW - made.gates.patience.files_s)

    decided = plan(made, NOW)

    assert (decided.verdict, decided.gate) == (Verdict.STOP, made.gates.closed[K.FILES])


def test_as_long_as_anything_else_comes_home_files_are_waited_for():
    made = bringing_nothing(scheduler([stored(1, "a.example"), job(S.SUBMITTED, 2)]), "a.example")
    made.gates.close(K.FILES, "why", NOW - made.gates.patience.files_s)

    assert started(plan(made, NOW)) == ["poll 2"]


# ------------------------------------------------------------------ the stock


def test_jobs_of_a_closed_model_do_not_fill_the_stock():
    gates = refusing("flux-pro")
    jobs = [job(key=key) for key in range(1, 9)]

    made = scheduler(jobs, limits=Limits(concurrency=4), all_drawn=False, gates=gates)

    assert plan(made, NOW).draw == 8


# ------------------------------------------------------------------ ends


def test_without_any_job_the_run_is_complete():
    assert plan(scheduler(), NOW) == PlannedEffects(verdict=Verdict.COMPLETE)


def test_as_long_as_the_state_may_hold_more_it_is_not():
    decided = plan(scheduler(all_drawn=False), NOW)

    assert decided.verdict is Verdict.GO_ON
    assert decided.draw > 0


@pytest.mark.parametrize("kind", [K.STOP, K.STORAGE])
def test_a_stop_waits_for_what_is_under_way(kind):
    made = scheduler([job(S.SUBMITTING), job(key=2)], gates=closed(kind))
    made.queues.begin(1)
    assert plan(made, NOW) == PlannedEffects()

    made.queues.release(1)
    made.queues.drop(1)
    decided = plan(made, NOW)

    assert (decided.verdict, decided.gate) == (Verdict.STOP, made.gates.closed[kind])
    assert decided.effects == ()


def test_until_the_history_is_read_once_more_all_but_submits_goes_on():
    jobs = [job(key=1), job(S.SUBMITTED, 2), job(S.FETCHING, 3), job(S.FETCHING, 4, **SAVABLE)]
    made = scheduler(jobs, all_drawn=False)
    made.gates.wait("why", NOW, NOW + 60)
    decided = plan(made, NOW)
    assert started(decided) == ["save 4", "fetch 3", "poll 2"]
    assert not decided.draw

    made.queues.begin(2)
    assert plan(made, NOW + 60) == PlannedEffects(), "what is under way ends, nothing new begins"

    made.queues.release(2)
    decided = plan(made, NOW + 60)
    assert (decided.verdict, decided.gate) == (Verdict.STOP, made.gates.closed[K.OLDER])


def test_a_run_with_nothing_to_bring_home_waits_for_the_history_as_well():
    made = scheduler(all_drawn=False)
    made.gates.wait("why", NOW, NOW + 60)
    decided = plan(made, NOW)
    assert decided == PlannedEffects(wake_at=NOW + 60)


@pytest.mark.parametrize("kind", [K.CREDITS, K.TIME, K.HALT])
def test_what_ends_submits_ends_the_run_once_all_paid_work_is_home(kind):
    gates = closed(kind)
    if kind is K.CREDITS:
        gates.submitted(idle=True)
    running = scheduler([job(key=1), job(S.SUBMITTED, 2)], gates=gates)
    assert started(plan(running, NOW)) == ["poll 2"]

    decided = plan(scheduler([job(key=1)], gates=gates), NOW)

    assert (decided.verdict, decided.gate) == (Verdict.STOP, gates.closed[kind])


def test_before_an_empty_account_ends_the_run_one_submit_asks_again():
    """What ran may have had credits reserved; now that nothing does, one more may pass."""
    gates = closed(K.CREDITS)
    made = scheduler([job(key=1), job(key=2), job(S.SUBMITTED, 3, due_at=NOW + 5)], gates=gates)
    assert started(plan(made, NOW)) == []

    made.queues.drop(3)
    (probe,) = plan(made, NOW).effects
    made.apply([apply(made.jobs[1], event(E.INTENDED))])
    made.start(probe, NOW)
    told = {"call": C.SUBMIT, "signal": Signal.NO_CREDITS}
    made.apply([apply(made.jobs[1], event(E.NOT_ACCEPTED, **told))])
    made.queues.release(1)

    ended = plan(made, NOW)
    assert ended.verdict is Verdict.STOP
    assert AT_REST in ended.gate.reason


def test_a_vague_refusal_ends_the_run_after_one_more_submit_as_well():
    """Nobody knows what it was about: a while later, and with nothing else under way, one asks."""
    gates = Gates()
    gates.observe(Response(C.SUBMIT, Signal.REFUSED_UNTOLD, NOW, "no"), "flux-pro", 3)
    made = scheduler([job(key=1), job(key=2)], gates=gates)
    waiting = plan(made, NOW)
    assert (waiting.verdict, waiting.effects) == (Verdict.GO_ON, ())

    later = waiting.wake_at
    (probe,) = plan(made, later).effects
    assert probe.kind is F.SUBMIT
    made.apply([apply(made.jobs[1], event(E.INTENDED, later))])
    made.start(probe, later)
    told = {"call": C.SUBMIT, "signal": Signal.REFUSED_UNTOLD, "reason": "no"}
    made.apply([apply(made.jobs[1], event(E.NOT_ACCEPTED, later, **told))])
    made.queues.release(1)

    ended = plan(made, later)
    assert (ended.verdict, ended.gate.reason) == (Verdict.STOP, f"no ({AT_REST})")


@pytest.mark.parametrize("kind", [K.CREDITS, K.OUTAGE, K.KEY, K.TIME, K.HALT])
def test_a_gate_does_not_matter_when_nothing_is_left(kind):
    gates = closed(kind, at=NOW - 9 * 3600)

    assert plan(scheduler(gates=gates), NOW).verdict is Verdict.COMPLETE


@pytest.mark.parametrize(
    ("jobs", "calls", "effects"),
    [
        ([job(S.FETCHING, 1, **SAVABLE), job(S.SUBMITTED, 2)], [C.RESULT], ["save 1", "poll 2"]),
        ([job(S.SUBMITTED, 2), job(key=3)], [C.RESULT], None),
        ([job(S.SUBMITTED, 2)], [C.SUBMIT], ["poll 2"]),
        ([job(S.FETCHING, 2)], [C.SUBMIT], ["fetch 2"]),
        ([job(S.SUBMITTED, 2)], [C.SUBMIT, C.RESULT], None),
        ([job(key=3)], [C.SUBMIT], None),
    ],
    ids=["a download", "no results", "polls", "results", "neither", "submits alone"],
)
def test_an_outage_stops_the_run_when_patience_ends_and_nothing_comes_home(jobs, calls, effects):
    gates = silent(*calls, at=NOW - 3 * 3600)

    decided = plan(scheduler(jobs, gates=gates), NOW)

    assert (decided.verdict is Verdict.STOP) is (effects is None)
    assert started(decided) == (effects or [])
    assert decided.gate is (gates.closed[K.OUTAGE] if effects is None else None)


@pytest.mark.parametrize(
    ("state", "age_s", "verdict"),
    [
        (S.AMBIGUOUS, 599, Verdict.GO_ON),
        (S.AMBIGUOUS, 600, Verdict.STOP),
        (S.RECOVERING, 600, Verdict.STOP),
        (S.SUBMITTED, 600, Verdict.GO_ON),
    ],
)
def test_a_history_that_stays_silent_stops_the_run_when_all_depends_on_it(state, age_s, verdict):
    made = scheduler([job(state)], gates=closed(K.HISTORY, at=NOW - age_s))

    assert plan(made, NOW).verdict is verdict


def money(cap, spent=0.0):
    return Money(cap, settled_usd=spent)


@pytest.mark.parametrize(
    ("cap", "spent", "prices", "effects"),
    [
        (1.0, 0.0, [0.4, 0.4, 0.4], ["submit 1", "submit 2"]),
        (1.0, 0.6, [0.4, 0.4], ["submit 1"]),
        (1.0, 0.7, [0.4, 0.1], []),
        (1.0, 0.0, [None], []),
        (None, 9.0, [None, 0.4], ["submit 1", "submit 2"]),
        (0.0, 0.0, [0.0], ["submit 1"]),
    ],
)
def test_submits_keep_the_cap_and_their_order(cap, spent, prices, effects):
    jobs = [job(key=key, price_usd=price) for key, price in enumerate(prices, 1)]

    assert started(plan(scheduler(jobs, money=money(cap, spent)), NOW)) == effects


def test_the_cap_stops_the_run_when_nothing_can_free_money_any_more():
    jobs = [job(key=1, price_usd=0.4)]

    decided = plan(scheduler(jobs, money=money(1.0, 0.7)), NOW)

    assert decided.verdict is Verdict.STOP
    assert decided.gate is not None
    assert decided.gate.reason == "max_spend 1.00 USD is reached: 0.70 USD spent or reserved"


def test_while_a_reservation_may_come_back_the_run_goes_on():
    jobs = [job(key=1, price_usd=0.4), job(S.SUBMITTED, 2, price_usd=0.8, due_at=NOW + 5)]

    decided = plan(scheduler(jobs, money=money(1.0)), NOW)

    assert decided == PlannedEffects(wake_at=NOW + 5)


# ------------------------------------------------------------------ what holds on any scheduler

STATES = [state for state in S if state is not S.SUBMITTING]
"""A submit is either under way (busy) or was found unclear at the start."""
AGES_S = (0.0, 0.5, 5.0, 70.0, 700.0, 9000.0)


def random_job(chance, key):
    state = chance.choice([s for s in STATES if s not in ENDED])
    return job(
        state,
        key,
        model=chance.choice(["flux-pro", "flux-max"]),
        price_usd=chance.choice([None, 0.0, 0.1, 0.5]),
        due_at=NOW + chance.choice([-9.0, 0.0, 0.001, 30.0]),
        sent_at=NOW - chance.choice(AGES_S),
        outputs=(output(),) if state is S.FETCHING and chance.random() < 0.5 else (),
    )


def random_window(chance):
    window = RateWindow(chance.choice([None, 1, 2, 10]))
    for _ in range(chance.randint(0, window.limit or 0)):
        window.start()
        window.answered(NOW - chance.choice([0.0, 1.0, 59.0, 60.0, 60.02, 61.0]))
    window.blocked_until = chance.choice([0.0, 0.0, NOW, NOW + 9])
    return window


def random_gates(chance):
    reached = {Host.API} if chance.random() < 0.5 else set()
    gates = Gates(_reached=reached, _key_worked=chance.random() < 0.5)
    for kind in chance.sample([k for k in K if k is not K.OUTAGE], chance.choice([0, 0, 1, 2, 3])):
        gates.close(kind, "why", NOW - chance.choice(AGES_S))
        for _ in range(chance.randint(0, 3)):
            gates.put_off(kind, NOW + chance.choice([-1.0, 0.0, 5.0]))
    for call in chance.sample(
        [C.SUBMIT, C.STATUS, C.RESULT, C.CREDITS], chance.choice([0, 0, 1, 2])
    ):
        at = NOW - chance.choice(AGES_S)
        for key in range(91, 91 + OUTAGE_AFTER):
            gates.observe(Response(call, Signal.SERVER_ERROR, at, "why"), "flux-pro", key)
    for _ in range(chance.choice([0, 0, 1, 2])):
        gates.refusals.refuse_model("flux-max", "HTTP 410", NOW - chance.choice(AGES_S))
    gates.wants_probe = chance.random() < 0.1
    return gates


def random_board(seed):
    """A state in which nothing is under way."""
    chance = Random(seed)
    jobs = [random_job(chance, key) for key in range(1, chance.randint(0, 6) + 1)]
    made = scheduler(
        jobs,
        limits=Limits(
            concurrency=chance.choice([1, 2, 16]),
            rate_scope=chance.choice(list(RateScope)),
            save_concurrency=chance.choice([1, 16]),
        ),
        rate=random_window(chance),
        gates=random_gates(chance),
        money=Money(chance.choice([None, 0.0, 0.5, 9.0]), settled_usd=chance.choice([0.0, 0.4])),
        all_drawn=chance.random() < 0.7,
        lookups=Lookups(
            candidates={
                j.key: "r" for j in jobs if j.state is S.AMBIGUOUS and chance.random() < 0.3
            },
            wants_control={
                j.key for j in jobs if j.state is S.RECOVERING and chance.random() < 0.3
            },
        ),
    )
    if chance.random() < 0.3:
        bringing_nothing(made, "cdn.example", at=NOW - chance.choice(AGES_S))
        made.advance(NOW - 9000.0)
    return made


BOARDS = st.integers(0, 2**40).map(random_board)


@given(BOARDS)
def test_there_is_always_something_to_do_or_to_wait_for_or_an_end(made):
    decided = plan(made, NOW)

    if decided.verdict is Verdict.GO_ON:
        assert decided.effects or decided.draw or decided.wake_at is not None, repr(made)
    else:
        assert (decided.effects, decided.wake_at, decided.draw) == ((), None, 0)
        assert (decided.gate is not None) is (decided.verdict is Verdict.STOP)


@given(BOARDS)
def test_the_planner_wakes_in_the_future_only(made):
    decided = plan(made, NOW)

    assert decided.wake_at is None or decided.wake_at > NOW


@given(BOARDS)
def test_sleeping_until_the_wake_up_leads_somewhere(made):
    """Woken when it asked to be, the planner acts, ends, or sleeps on: within a day it gets on."""
    now = NOW
    for _ in range(200):
        decided = plan(made, now)
        if decided.effects or decided.draw or decided.verdict is not Verdict.GO_ON:
            return
        assert decided.wake_at is not None
        assert decided.wake_at > now
        now = decided.wake_at
    pytest.fail(f"sleeps and never acts: {made!r}")


@given(BOARDS)
def test_planning_changes_nothing(made):
    before = everything(made)

    first, second = plan(made, NOW), plan(made, NOW)

    assert first == second
    assert everything(made) == before


@given(BOARDS)
def test_a_tick_before_the_plan_only_saves_time(made):
    """The planner sees what is due by its own instant, whether the state was brought there or not.

    What `tick` decides (other polls, the end of the time) is left out of the comparison.
    """
    ticked = deepcopy(made)
    ticked.advance(NOW)

    assert plan(ticked, NOW).effects == plan(made, NOW).effects


def test_everything_sees_what_equality_leaves_out():
    made = scheduler([job(due_at=NOW - 1)])
    before = everything(made)
    made.advance(NOW)
    assert everything(made) != before
    assert made == deepcopy(made)


@given(BOARDS)
def test_no_plan_breaks_a_limit(made):
    decided = plan(made, NOW)

    submits = [e.job for e in decided.effects if e.kind is F.SUBMIT]
    counted = sum(effect.counts for effect in decided.effects)
    saves = sum(effect.kind is F.SAVE for effect in decided.effects)
    in_flight = made.in_flight
    assert in_flight + len(submits) <= max(made.limits.concurrency, in_flight)
    assert counted <= made.rate.free(NOW)
    assert saves <= made.limits.save_concurrency
    if made.money.cap_usd is not None and submits:
        price = sum(submitted.price_usd for submitted in submits)
        assert made.money.committed_usd + price <= made.money.cap_usd + 1e-6
    keys = [effect.job.key for effect in decided.effects if effect.job]
    assert len(keys) == len(set(keys)), "two effects of one job"


@given(BOARDS)
def test_no_effect_passes_a_gate_that_holds_it(made):
    for effect in plan(made, NOW).effects:
        if effect.kind is F.SUBMIT:
            assert not made.gates.closed.keys() & {K.DISK, K.STORAGE, K.HALT, K.TIME, K.STOP}
            assert made.gates.refusals.probe_at(effect.model) <= NOW
            assert not made.hosts.holds(effect.model)
        elif effect.kind is F.SAVE:
            assert not made.gates.holds_saves()
        if effect.kind in CALLS:
            assert made.gates.lets_through(CALLS[effect.kind], NOW)


@given(BOARDS)
def test_at_a_closed_gate_no_plan_lets_more_than_one_call_through(made):
    effects = plan(made, NOW).effects
    calls = Counter(CALLS[effect.kind] for effect in effects if effect.job and effect.kind in CALLS)

    assert calls.total() <= 1 or K.KEY not in made.gates.closed
    assert all(calls[call] <= 1 for call in made.gates.outages.down)
    assert calls[C.SUBMIT] <= 1 or not made.gates.holds_submits()
    probed = Counter(
        host for effect in effects if effect.kind is F.SAVE for host in hosts_of(effect.job)
    )
    assert all(probed[host] <= 1 for host in made.hosts.closed)
