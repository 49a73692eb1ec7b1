"""Gates: what closes and opens them, when they are probed, and when patience ends."""

from __future__ import annotations

import math

import pytest

from batchgen.core.jobs.outcomes import CallKind as C
from batchgen.core.jobs.outcomes import Response, Signal
from batchgen.core.scheduling.gates.gates import GateKind, Gates, Patience
from batchgen.core.scheduling.gates.outages import OUTAGE_AFTER
from batchgen.core.scheduling.gates.refusals import MODEL_PAUSE_S
from tests.core.builders import NOW

K = GateKind


def heard(gates, call, signal, at=NOW, model="flux-pro", reason="so it is", job_key=0):
    gates.observe(Response(call, signal, at, reason), model, job_key)


def without(gates, call, *, at=NOW, signal=Signal.SERVER_ERROR):
    """A call is not answered: several jobs in a row."""
    for key in range(1, OUTAGE_AFTER + 1):
        heard(gates, call, signal, at, job_key=key)


ONE_IS_ENOUGH = [
    (C.SUBMIT, Signal.KEY_REFUSED, {K.KEY}),
    (C.STATUS, Signal.KEY_REFUSED, {K.KEY}),
    (C.UPLOAD, Signal.KEY_REFUSED, {K.KEY}),
    (C.STATUS, Signal.FORBIDDEN, {K.KEY}),
    (C.CREDITS, Signal.KEY_REFUSED, {K.KEY}),
    (C.CREDITS, Signal.FORBIDDEN, {K.KEY}),
    (C.HISTORY, Signal.KEY_REFUSED, {K.HISTORY}),
    (C.HISTORY, Signal.FORBIDDEN, {K.HISTORY}),
    (C.HISTORY, Signal.NO_CREDITS, {K.CREDITS}),
    (C.SUBMIT, Signal.NO_CREDITS, {K.CREDITS}),
    (C.STATUS, Signal.NO_CREDITS, {K.CREDITS}),
    (C.SUBMIT, Signal.REFUSED_UNTOLD, {K.CREDITS}),
    (C.STATUS, Signal.REFUSED_UNTOLD, set()),
    (C.SUBMIT, Signal.WRONG_CONTENT_TYPE, {K.HALT}),
    (C.SUBMIT, Signal.UNROUTED, {K.HALT}),
    (C.STATUS, Signal.UNROUTED, set()),
    (C.CREDITS, Signal.UNROUTED, set()),
    (C.UPLOAD, Signal.UNROUTED, set()),
    (C.UPLOAD, Signal.QUOTA_REACHED, {K.QUOTA}),
    (C.CREDITS, Signal.NOT_FOUND, set()),
    (C.SUBMIT, Signal.FORBIDDEN, set()),
    (C.SUBMIT, Signal.REDIRECT, set()),
    (C.SUBMIT, Signal.WRONG_METHOD, set()),
    (C.SUBMIT, Signal.MIDDLEMAN, set()),
    (C.SUBMIT, Signal.NOT_NOW, set()),
    (C.SUBMIT, Signal.OK, set()),
    (C.SUBMIT, Signal.BAD_REQUEST, set()),
    (C.SUBMIT, Signal.UNPROCESSABLE, set()),
    (C.SUBMIT, Signal.RATE_LIMITED, set()),
    (C.STATUS, Signal.NOT_FOUND, set()),
    (C.SUBMIT, Signal.NOT_FOUND, set()),
    (C.SUBMIT, Signal.RETIRED, set()),
    (C.STATUS, Signal.LOST, set()),
]


@pytest.mark.parametrize(("call", "signal", "closed"), ONE_IS_ENOUGH)
def test_what_one_answer_closes(call, signal, closed):
    gates = Gates()

    heard(gates, call, signal)

    assert set(gates.closed) == closed
    suspected = {Signal.NOT_FOUND, Signal.RETIRED, Signal.FORBIDDEN}
    assert bool(gates.refusals.models) is (call is C.SUBMIT and signal in suspected)
    assert not gates.closed_models, "one refusal closes no model"


# ------------------------------------------------------------------ outages


@pytest.mark.parametrize("call", [C.SUBMIT, C.RESULT])
def test_a_call_that_nothing_gets_on_without_closes_the_gate_and_opens_it(call):
    gates = Gates()
    without(gates, call, at=NOW - 5)
    assert set(gates.closed) == {K.OUTAGE}
    assert (gates.closed[K.OUTAGE].since_at, gates.closed[K.OUTAGE].reason) == (NOW - 5, "so it is")

    for other in {C.SUBMIT, C.STATUS, C.RESULT, C.CREDITS, C.HISTORY, C.UPLOAD} - {call}:
        heard(gates, other, Signal.OK)
    assert set(gates.closed) == {K.OUTAGE}, "another call says nothing about it"

    heard(gates, call, Signal.OK)
    assert not gates.closed


@pytest.mark.parametrize("call", [C.STATUS, C.CREDITS])
def test_what_has_a_way_round_or_is_a_courtesy_closes_no_gate(call):
    gates = Gates()
    without(gates, call)

    assert not gates.closed
    assert gates.submits_allowed(NOW, idle=False) == math.inf
    assert not gates.lets_through(call, NOW)
    assert gates.lets_through(call, NOW + 1)
    assert gates.is_probe(call)
    assert gates.probes_at() == [NOW + 1]


def test_the_gate_of_two_outages_opens_with_the_last_one():
    gates = Gates()
    without(gates, C.SUBMIT)
    without(gates, C.RESULT, at=NOW + 5)

    heard(gates, C.SUBMIT, Signal.OK, NOW + 6)
    assert set(gates.closed) == {K.OUTAGE}
    heard(gates, C.RESULT, Signal.OK, NOW + 7)

    assert not gates.closed


@pytest.mark.parametrize("signal", [Signal.NOT_SENT, Signal.SERVER_ERROR, Signal.UNREADABLE])
def test_a_silent_history_has_a_gate_of_its_own_that_holds_nothing(signal):
    gates = Gates()
    without(gates, C.HISTORY, signal=signal)

    assert set(gates.closed) == {K.HISTORY}
    assert not gates.holds_calls()
    assert not gates.holds_submits()
    assert not gates.holds_saves()
    assert gates.probes_at() == []

    heard(gates, C.HISTORY, Signal.OK)
    assert not gates.closed


def test_a_history_that_fails_for_one_request_answers_the_others():
    gates = Gates()
    for _ in range(50):
        heard(gates, C.HISTORY, Signal.SERVER_ERROR, job_key=7)
    assert not gates.closed

    heard(gates, C.HISTORY, Signal.SERVER_ERROR, job_key=8)
    assert set(gates.closed) == {K.HISTORY}


def test_an_answer_of_one_host_says_nothing_about_the_other():
    gates = Gates()
    for key in range(1, OUTAGE_AFTER + 1):
        heard(gates, C.RESULT, Signal.NOT_SENT, job_key=key)
        heard(gates, C.HISTORY, Signal.OK)

    assert set(gates.closed) == {K.OUTAGE}


def test_any_answer_ends_an_outage_even_a_refusal():
    gates = Gates()
    without(gates, C.RESULT)

    heard(gates, C.RESULT, Signal.KEY_REFUSED)

    assert set(gates.closed) == {K.KEY}


@pytest.mark.parametrize(
    ("signal", "patience_s"),
    [(Signal.SERVER_ERROR, 7200.0), (Signal.UNROUTED, 30.0)],
)
def test_what_an_earlier_process_reached_is_not_waited_for_at_another_address(signal, patience_s):
    gates = Gates()
    gates.recall_contact()
    without(gates, C.RESULT, signal=signal)

    assert not gates.out_of_patience(NOW + patience_s - 1)
    assert [gate.kind for gate in gates.out_of_patience(NOW + patience_s)] == [K.OUTAGE]


def test_an_edge_that_fails_in_the_night_is_waited_for_as_any_outage():
    gates = Gates()
    heard(gates, C.RESULT, Signal.OK)
    without(gates, C.RESULT, signal=Signal.UNROUTED)

    assert not gates.out_of_patience(NOW + 7000.0)


def test_an_edge_that_routed_submits_before_is_at_the_right_address():
    """One that never did is halted for; this one is waited for as for any outage."""
    gates = Gates()
    gates.accepted(1, "flux-pro", NOW)

    heard(gates, C.SUBMIT, Signal.UNROUTED)
    assert not gates.closed

    without(gates, C.SUBMIT, signal=Signal.UNROUTED)
    assert set(gates.closed) == {K.OUTAGE}


def test_no_balance_record_says_nothing_against_the_key():
    gates = Gates()
    heard(gates, C.SUBMIT, Signal.FORBIDDEN, job_key=1)
    assert gates.wants_probe

    for _ in range(OUTAGE_AFTER):
        heard(gates, C.CREDITS, Signal.NOT_FOUND)

    assert gates.are_open


# ------------------------------------------------------------------ what each gate holds

ANY, NONE, ONE = math.inf, 0, 1


HOLDS = [
    # gate, all calls, submits, how many of them may probe it, saves
    (K.KEY, False, True, ONE, False),
    (K.CREDITS, False, True, ONE, False),
    (K.OUTAGE, False, True, NONE, False),
    (K.HISTORY, False, False, ANY, False),
    (K.UPLOADS, False, False, ANY, False),
    (K.QUOTA, False, False, ANY, False),
    (K.FILES, False, False, ANY, False),
    (K.DISK, False, True, NONE, True),
    (K.STORAGE, True, True, NONE, True),
    (K.HALT, False, True, NONE, False),
    (K.TIME, False, True, NONE, False),
    (K.SPEND_CAP, False, True, NONE, False),
    (K.OLDER, False, True, NONE, False),
    (K.STOP, False, True, NONE, False),
]


@pytest.mark.parametrize(("kind", "calls", "submits", "probes", "saves"), HOLDS)
def test_what_each_gate_holds(kind, calls, submits, probes, saves):
    gates = Gates()
    gates.close(kind, "why", NOW - 1)

    assert gates.holds_calls() is calls
    assert gates.holds_submits() is submits
    assert gates.submits_allowed(NOW, idle=False) == probes
    assert gates.holds_saves() is saves


def test_submits_come_when_the_history_was_read_once_more():
    """A doubt may still wait for a later submit of ours, which there will be."""
    gates = Gates()
    gates.wait("why", NOW, NOW + 60)
    assert gates.holds_submits()
    assert not gates.lets_no_submits
    assert gates.probes_at() == [NOW + 60]
    assert not gates.has_waited(NOW + 59)
    assert gates.has_waited(NOW + 60)


def test_every_gate_is_in_the_table_above():
    assert {kind for kind, *_ in HOLDS} == set(K)


@pytest.mark.parametrize(
    ("down", "at", "idle", "allowed"),
    [
        ([C.SUBMIT], NOW + 0.9, False, NONE),
        ([C.SUBMIT], NOW + 1.0, False, ONE),
        ([C.RESULT], NOW + 1.0, False, NONE),
        ([C.RESULT], NOW + 0.9, True, NONE),
        ([C.RESULT], NOW + 1.0, True, ONE),
        ([C.SUBMIT, C.RESULT], NOW + 1.0, False, ONE),
        ([C.STATUS], NOW, False, ANY),
    ],
    ids=str,
)
def test_submits_that_are_down_are_probed_by_one(down, at, idle, allowed):
    """Results that are down as well, where nothing is left that would ask for one."""
    gates = Gates()
    for call in down:
        without(gates, call)

    assert gates.submits_allowed(at, idle=idle) == allowed


def test_one_more_gate_beside_is_enough_to_hold_the_probe():
    for kind in (K.DISK, K.TIME, K.HALT, K.STOP):
        gates = Gates()
        heard(gates, C.SUBMIT, Signal.NO_CREDITS, NOW - 100)
        gates.close(kind, "why", NOW)
        assert gates.submits_allowed(NOW, idle=True) == NONE


def test_a_closed_gate_keeps_its_beginning_and_its_first_reason():
    gates = Gates()
    gates.close(K.OUTAGE, "first", NOW)
    gates.close(K.OUTAGE, "second", NOW + 60)

    assert (gates.closed[K.OUTAGE].since_at, gates.closed[K.OUTAGE].reason) == (NOW, "first")


def test_looking_at_the_disk_again_later():
    gates = Gates()
    gates.put_off(K.DISK, NOW)  # it is open: nothing to put off
    gates.close(K.DISK, "full", NOW)
    gates.put_off(K.DISK, NOW + 5)

    assert (gates.closed[K.DISK].probe_at, gates.closed[K.DISK].probes) == (NOW + 5, 1)
    assert gates.probes_at() == []


# ------------------------------------------------------------------ the key


def reached():
    gates = Gates()
    heard(gates, C.STATUS, Signal.OK)
    return gates


@pytest.mark.parametrize("call", [C.SUBMIT, C.STATUS, C.RESULT, C.UPLOAD])
def test_a_call_of_a_job_that_passes_shows_that_the_key_is_good(call):
    gates = Gates()
    heard(gates, call, Signal.KEY_REFUSED)
    assert set(gates.closed) == {K.KEY}

    heard(gates, call, Signal.OK, NOW + 1)

    assert not gates.closed


@pytest.mark.parametrize("call", [C.STATUS, C.RESULT])
@pytest.mark.parametrize("signal", [Signal.KEY_REFUSED, Signal.FORBIDDEN])
def test_what_the_key_is_refused_for_alone_is_asked_about_with_a_free_call(call, signal):
    """Else one request of a stranger would stop a night."""
    gates = reached()
    for number in range(9):
        heard(gates, call, signal, NOW + number, job_key=7)
    assert not gates.closed
    assert gates.wants_probe

    heard(gates, call, signal, NOW + 9, job_key=8)
    assert set(gates.closed) == {K.KEY}


@pytest.mark.parametrize(("signal", "closed"), [
    (Signal.OK, set()), (Signal.KEY_REFUSED, {K.KEY}), (Signal.SERVER_ERROR, set()),
])  # fmt: skip
def test_a_free_call_that_is_refused_as_well_makes_it_the_key(signal, closed):
    gates = reached()
    heard(gates, C.STATUS, Signal.KEY_REFUSED, job_key=7)

    heard(gates, C.CREDITS, signal)

    assert set(gates.closed) == closed


def test_after_a_call_that_passed_it_begins_anew():
    gates = reached()
    for key in (7, 8, 9):
        heard(gates, C.STATUS, Signal.KEY_REFUSED, job_key=key)
        heard(gates, C.STATUS, Signal.OK, job_key=1)
        assert not gates.closed


@pytest.mark.parametrize("call", [C.HISTORY, C.CREDITS])
def test_other_calls_do_not_clear_the_key(call):
    gates = Gates()
    heard(gates, C.STATUS, Signal.KEY_REFUSED)

    heard(gates, call, Signal.OK)

    assert set(gates.closed) == {K.KEY}


def test_a_key_that_is_good_for_one_call_holds_the_other_one_alone():
    gates = Gates()
    heard(gates, C.STATUS, Signal.FORBIDDEN, NOW - 9)

    heard(gates, C.RESULT, Signal.OK, NOW)

    assert not gates.closed
    assert set(gates.outages.down) == {C.STATUS}
    assert gates.submits_allowed(NOW, idle=False) == ANY


def test_every_call_waits_for_the_key_but_the_credits_which_prove_nothing():
    gates = Gates()
    heard(gates, C.STATUS, Signal.KEY_REFUSED)

    for call in C:
        assert gates.lets_through(call, NOW) is (call is C.CREDITS)
        assert gates.lets_through(call, NOW + 1)
        assert gates.is_probe(call)


def test_probes_of_the_key_grow_apart_up_to_a_minute():
    gates, delays, at = Gates(), [], NOW
    heard(gates, C.STATUS, Signal.KEY_REFUSED, at)
    for _ in range(9):
        (due_at,) = gates.probes_at()
        delays.append(due_at - at)
        at = due_at
        heard(gates, C.STATUS, Signal.KEY_REFUSED, at)

    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_calls_that_left_before_the_key_was_refused_are_no_probes():
    gates = Gates()
    for _ in range(20):
        heard(gates, C.STATUS, Signal.KEY_REFUSED, NOW + 0.5)

    assert gates.closed[K.KEY].probes == 0
    assert gates.out_of_patience(NOW + 0.9) == []


def test_a_key_that_was_never_accepted_ends_the_run_when_it_is_refused_again():
    gates = Gates()
    heard(gates, C.STATUS, Signal.KEY_REFUSED)
    heard(gates, C.STATUS, Signal.KEY_REFUSED, NOW + 1)

    assert gates.out_of_patience(NOW + 1) == [gates.closed[K.KEY]]


def test_a_key_that_worked_is_waited_for_as_in_an_outage():
    gates = reached()
    for second in range(0, 7000, 60):
        heard(gates, C.STATUS, Signal.KEY_REFUSED, NOW + second)
    assert gates.out_of_patience(NOW + Patience().outage_s - 1) == []

    assert gates.out_of_patience(NOW + Patience().outage_s) == [gates.closed[K.KEY]]


@pytest.mark.parametrize(
    "signal", [Signal.NOT_SENT, Signal.LOST, Signal.SERVER_ERROR, Signal.GATEWAY_TIMEOUT]
)
def test_what_nobody_answered_says_nothing_of_the_key(signal):
    gates = Gates()
    heard(gates, C.STATUS, Signal.KEY_REFUSED)
    for number in range(9):
        heard(gates, C.RESULT, signal, NOW + 10 * number, job_key=number)

    assert gates.closed[K.KEY].probes == 0
    assert set(gates.closed) == {K.KEY, K.OUTAGE}, "but the service is gone"


@pytest.mark.parametrize("signal", [Signal.KEY_REFUSED, Signal.FORBIDDEN])
def test_a_credits_call_that_is_refused_is_a_doubt_that_the_next_call_settles(signal):
    gates = Gates()
    heard(gates, C.CREDITS, signal)

    assert set(gates.closed) == {K.KEY}
    assert gates.lets_through(C.SUBMIT, NOW), "at once"
    assert gates.submits_allowed(NOW, idle=True) == ONE
    assert gates.out_of_patience(NOW + 60) == []

    heard(gates, C.SUBMIT, Signal.OK)
    assert not gates.closed
    assert not gates.outages.down


def test_the_doubt_is_true_when_a_submit_is_refused_as_well():
    gates = Gates()
    heard(gates, C.CREDITS, Signal.KEY_REFUSED)

    heard(gates, C.SUBMIT, Signal.FORBIDDEN)

    assert gates.out_of_patience(NOW) == [gates.closed[K.KEY]]
    assert not gates.refusals.models


@pytest.mark.parametrize("signal", [Signal.KEY_REFUSED, Signal.FORBIDDEN])
def test_a_key_that_worked_is_not_doubted_for_a_courtesy(signal):
    gates = reached()
    heard(gates, C.CREDITS, signal)

    assert not gates.closed


def test_a_403_of_a_submit_asks_whose_fault_it_is_with_a_free_call():
    gates = Gates()
    heard(gates, C.SUBMIT, Signal.FORBIDDEN, model="flux-max")
    assert gates.wants_probe
    assert gates.refusals.models.keys() == {"flux-max"}

    heard(gates, C.CREDITS, Signal.FORBIDDEN, NOW + 1)

    assert not gates.wants_probe
    assert set(gates.closed) == {K.KEY}
    assert not gates.refusals.models, "it was the key, as far as anybody can tell"


def test_with_a_key_that_worked_a_403_is_the_models_or_the_jobs():
    gates = reached()
    heard(gates, C.SUBMIT, Signal.FORBIDDEN, model="flux-max")
    assert not gates.wants_probe

    heard(gates, C.SUBMIT, Signal.FORBIDDEN, NOW + MODEL_PAUSE_S, "flux-max", "HTTP 403: not yours")

    assert not gates.closed
    assert gates.closed_models == {"flux-max": "HTTP 403: not yours"}


def test_a_submit_that_passes_opens_its_model():
    gates = Gates()
    heard(gates, C.SUBMIT, Signal.NOT_FOUND)
    heard(gates, C.SUBMIT, Signal.NOT_FOUND, NOW + MODEL_PAUSE_S)
    assert gates.closed_models

    gates.accepted(1, "flux-pro", NOW + 900)

    assert not gates.closed_models
    assert not gates.refusals.models


# ------------------------------------------------------------------ credits


def test_while_credits_are_refused_one_submit_is_let_out_ever_more_rarely():
    gates, at, delays = Gates(), NOW, []
    heard(gates, C.SUBMIT, Signal.NO_CREDITS)
    for _ in range(6):
        (due_at,) = gates.probes_at()
        assert gates.submits_allowed(due_at - 1, idle=False) == NONE
        assert gates.submits_allowed(due_at, idle=False) == ONE
        delays.append(due_at - at)
        at = due_at
        heard(gates, C.SUBMIT, Signal.NO_CREDITS, at)

    assert delays == [60.0, 120.0, 240.0, 480.0, 600.0, 600.0]


def test_when_nothing_runs_any_more_one_submit_tells_at_once():
    """Credits may have been reserved for what ran."""
    gates = Gates()
    heard(gates, C.SUBMIT, Signal.NO_CREDITS)
    assert gates.submits_allowed(NOW + 1, idle=False) == NONE
    assert gates.submits_allowed(NOW + 1, idle=True) == ONE

    gates.submitted(idle=True)
    heard(gates, C.SUBMIT, Signal.NO_CREDITS, NOW + 2)
    assert gates.submits_allowed(NOW + 3, idle=True) == NONE
    assert gates.closed[K.CREDITS].probed_idle

    gates.submitted(idle=False)
    assert gates.submits_allowed(NOW + 3, idle=True) == ONE, "something ran since"


@pytest.mark.parametrize(
    ("closed_by", "passes", "opens"),
    [
        (C.SUBMIT, C.SUBMIT, True),
        (C.SUBMIT, C.STATUS, False),
        (C.SUBMIT, C.RESULT, False),
        (C.SUBMIT, C.CREDITS, False),
        (C.SUBMIT, C.HISTORY, False),
        (C.RESULT, C.RESULT, True),
        (C.RESULT, C.STATUS, False),
        (C.RESULT, C.SUBMIT, True),
    ],
)
def test_credits_are_there_again_for_the_call_that_missed_them_or_a_submit(
    closed_by, passes, opens
):
    gates = Gates()
    heard(gates, closed_by, Signal.NO_CREDITS)

    heard(gates, passes, Signal.OK)

    assert (K.CREDITS not in gates.closed) is opens


# ------------------------------------------------------------------ patience

PATIENCE = Patience()


@pytest.mark.parametrize(
    ("gates", "kind", "limit_s"),
    [
        (Gates(), K.OUTAGE, PATIENCE.first_contact_s),
        (reached(), K.OUTAGE, PATIENCE.outage_s),
        (reached(), K.KEY, PATIENCE.outage_s),
        (reached(), K.DISK, PATIENCE.disk_s),
    ],
    ids=["never reached", "reached before", "key", "disk"],
)
def test_patience_ends_after_its_time(gates, kind, limit_s):
    gates.close(kind, "why", NOW)

    assert gates.out_of_patience(NOW + limit_s - 0.1) == []
    assert gates.out_of_patience(NOW + limit_s) == [gates.closed[kind]]


def test_an_api_that_an_earlier_process_reached_is_waited_for_as_long():
    gates = Gates()
    gates.recall_contact()
    gates.close(K.OUTAGE, "why", NOW)

    assert gates.out_of_patience(NOW + PATIENCE.outage_s - 0.1) == []


@pytest.mark.parametrize("kind", [K.CREDITS, K.STOP, K.HISTORY, K.UPLOADS, K.FILES, K.HALT, K.TIME])
def test_these_gates_do_not_end_a_run_by_time(kind):
    gates = reached()
    gates.close(kind, "why", NOW)

    assert gates.out_of_patience(NOW + 1e6) == []


def test_a_broken_disk_ends_it_at_once():
    gates = reached()
    gates.close(K.STORAGE, "why", NOW)

    assert gates.out_of_patience(NOW) == [gates.closed[K.STORAGE]]


def test_files_are_waited_for_for_hours_and_then_for_the_next_run():
    gates = reached()
    assert gates.without_files(NOW) is None
    gates.close(K.FILES, "why", NOW)

    assert gates.without_files(NOW + PATIENCE.files_s - 1) is None
    assert gates.without_files(NOW + PATIENCE.files_s) is gates.closed[K.FILES]


def test_a_history_that_refuses_is_heard_again_when_it_answers():
    gates = Gates()
    heard(gates, C.HISTORY, Signal.KEY_REFUSED)
    heard(gates, C.STATUS, Signal.OK)
    assert set(gates.closed) == {K.HISTORY}, "the API is another host"

    heard(gates, C.HISTORY, Signal.NOT_FOUND)

    assert not gates.closed


@pytest.mark.parametrize(
    ("job_keys", "closed"), [([7, 7, 7], set()), ([7, 8], {K.HISTORY}), ([0], {K.HISTORY})]
)
def test_a_history_that_refuses_one_request_alone_is_not_closed(job_keys, closed):
    gates = reached()
    for job_key in job_keys:
        heard(gates, C.HISTORY, Signal.FORBIDDEN, job_key=job_key)

    assert set(gates.closed) == closed


def test_a_key_that_the_history_refuses_is_not_a_bad_key():
    gates = reached()
    for _ in range(20):
        heard(gates, C.HISTORY, Signal.KEY_REFUSED)

    assert gates.out_of_patience(NOW + 1e6) == []
    assert not gates.holds_calls()
