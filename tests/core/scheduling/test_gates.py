"""Gates: what closes and opens them, when they are probed, and when patience ends."""

from __future__ import annotations

import pytest

from batchgen.core.jobs.outcomes import CallKind as C
from batchgen.core.jobs.outcomes import Response, Signal
from batchgen.core.scheduling.gates import OUTAGE_AFTER, GateKind, Gates, Patience
from tests.core.builders import NOW

K = GateKind


def heard(gates, call, signal, at=NOW, model="flux-pro", reason="so it is"):
    gates.observe(Response(call, signal, at, reason), model)


def probe(gates, signal, at=NOW):
    gates.probed(Response(C.CREDITS, signal, at, "the probe"))


ONE_IS_ENOUGH = [
    (C.SUBMIT, Signal.KEY_REFUSED, {K.KEY}),
    (C.STATUS, Signal.KEY_REFUSED, {K.KEY}),
    (C.SUBMIT, Signal.FORBIDDEN, {K.KEY}),
    (C.STATUS, Signal.FORBIDDEN, {K.KEY}),
    (C.HISTORY, Signal.KEY_REFUSED, {K.HISTORY}),
    (C.HISTORY, Signal.FORBIDDEN, {K.HISTORY}),
    (C.HISTORY, Signal.NO_CREDITS, {K.CREDITS}),
    (C.SUBMIT, Signal.NO_CREDITS, {K.CREDITS}),
    (C.STATUS, Signal.NO_CREDITS, {K.CREDITS}),
    (C.SUBMIT, Signal.REDIRECT, {K.HALT}),
    (C.SUBMIT, Signal.WRONG_METHOD, {K.HALT}),
    (C.SUBMIT, Signal.WRONG_CONTENT_TYPE, {K.HALT}),
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
    assert bool(gates.closed_models) is (
        call is C.SUBMIT and signal in {Signal.NOT_FOUND, Signal.RETIRED}
    )


@pytest.mark.parametrize(
    "signal", [Signal.NOT_SENT, Signal.LOST, Signal.SERVER_ERROR, Signal.GATEWAY_TIMEOUT]
)
def test_an_outage_takes_several_in_a_row(signal):
    gates = Gates()
    for _ in range(OUTAGE_AFTER - 1):
        heard(gates, C.STATUS, signal)
    heard(gates, C.STATUS, Signal.OK)
    for _ in range(OUTAGE_AFTER - 1):
        heard(gates, C.STATUS, signal)
    assert not gates.closed

    heard(gates, C.SUBMIT, signal)

    assert set(gates.closed) == {K.OUTAGE}


@pytest.mark.parametrize("signal", [Signal.NOT_SENT, Signal.SERVER_ERROR, Signal.UNREADABLE])
def test_a_silent_history_has_a_gate_of_its_own_that_holds_nothing(signal):
    gates = Gates()
    for _ in range(OUTAGE_AFTER):
        heard(gates, C.HISTORY, signal)

    assert set(gates.closed) == {K.HISTORY}
    assert not gates.holds_calls()
    assert not gates.holds_submits()
    assert not gates.holds_saves()
    assert gates.probe_at() is None

    heard(gates, C.HISTORY, Signal.OK)
    assert not gates.closed


def test_an_answer_of_one_host_says_nothing_about_the_other():
    gates = Gates()
    for _ in range(OUTAGE_AFTER):
        heard(gates, C.STATUS, Signal.NOT_SENT)
        heard(gates, C.HISTORY, Signal.OK)

    assert set(gates.closed) == {K.OUTAGE}


@pytest.mark.parametrize(
    ("kind", "calls", "submits", "saves"),
    [
        (K.KEY, True, True, False),
        (K.CREDITS, False, True, False),
        (K.OUTAGE, True, True, False),
        (K.HISTORY, False, False, False),
        (K.DISK, False, True, True),
        (K.HALT, True, True, True),
        (K.STOP, False, True, False),
    ],
)
def test_what_each_gate_holds(kind, calls, submits, saves):
    gates = Gates()
    gates.close(kind, "why", NOW)

    assert gates.holds_calls() is calls
    assert gates.holds_submits() is submits
    assert gates.holds_saves() is saves


def test_a_closed_gate_keeps_its_beginning_and_its_first_reason():
    gates = Gates()
    gates.close(K.OUTAGE, "first", NOW)
    gates.close(K.OUTAGE, "second", NOW + 60)

    assert (gates.closed[K.OUTAGE].since_at, gates.closed[K.OUTAGE].reason) == (NOW, "first")


def test_a_good_answer_opens_key_and_outage_and_leaves_the_others():
    gates = Gates()
    for kind in K:
        gates.close(kind, "why", NOW)

    heard(gates, C.STATUS, Signal.OK)

    assert set(gates.closed) == set(K) - {K.KEY, K.OUTAGE}


def test_a_history_that_answers_does_not_clear_the_key():
    gates = Gates()
    gates.close(K.KEY, "why", NOW)

    heard(gates, C.HISTORY, Signal.OK)

    assert K.KEY in gates.closed


def test_any_answer_ends_an_outage_even_a_refusal():
    gates = Gates()
    gates.close(K.OUTAGE, "why", NOW)

    heard(gates, C.STATUS, Signal.KEY_REFUSED)

    assert set(gates.closed) == {K.KEY}


def test_a_403_is_the_models_fault_when_the_probe_shows_the_key_is_good():
    gates = Gates()
    heard(gates, C.SUBMIT, Signal.FORBIDDEN, model="flux-max", reason="HTTP 403: not for you")

    probe(gates, Signal.OK, NOW + 1)

    assert not gates.closed
    assert gates.closed_models == {"flux-max": "HTTP 403: not for you"}


def test_a_403_is_the_keys_fault_when_the_probe_is_refused_too():
    gates = Gates()
    heard(gates, C.SUBMIT, Signal.FORBIDDEN, model="flux-max")

    probe(gates, Signal.KEY_REFUSED, NOW + 1)

    assert set(gates.closed) == {K.KEY}
    assert not gates.closed_models


def test_a_good_probe_after_a_401_closes_no_model():
    gates = Gates()
    heard(gates, C.STATUS, Signal.KEY_REFUSED)

    probe(gates, Signal.OK)

    assert not gates.closed
    assert not gates.closed_models


def test_probes_grow_apart_up_to_a_minute():
    gates, at, delays = Gates(), NOW, []
    gates.close(K.OUTAGE, "why", at)
    for _ in range(9):
        due = gates.probe_at()
        assert due is not None
        delays.append(due - at)
        at = due
        probe(gates, Signal.NOT_SENT, at)

    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_the_next_probe_is_the_earliest_of_both_gates():
    gates = Gates()
    gates.close(K.OUTAGE, "why", NOW + 5)
    gates.close(K.KEY, "why", NOW)

    assert gates.probe_at() == NOW + 1


def test_looking_at_the_disk_again_later():
    gates = Gates()
    gates.put_off(K.DISK, NOW)  # it is open: nothing to put off
    gates.close(K.DISK, "full", NOW)
    gates.put_off(K.DISK, NOW + 5)

    assert (gates.closed[K.DISK].probe_at, gates.closed[K.DISK].probes) == (NOW + 5, 1)
    assert gates.probe_at() is None


def reached():
    gates = Gates()
    heard(gates, C.STATUS, Signal.OK)
    return gates


PATIENCE = Patience()


@pytest.mark.parametrize(
    ("gates", "kind", "limit_s"),
    [
        (Gates(), K.OUTAGE, PATIENCE.first_contact_s),
        (reached(), K.OUTAGE, PATIENCE.outage_s),
        (reached(), K.DISK, PATIENCE.disk_s),
    ],
    ids=["never reached", "reached before", "disk"],
)
def test_patience_ends_after_its_time(gates, kind, limit_s):
    gates.close(kind, "why", NOW)

    assert gates.lost_patience(NOW + limit_s - 0.1) is None
    lost = gates.lost_patience(NOW + limit_s)
    assert lost is not None
    assert lost.kind is kind


@pytest.mark.parametrize("kind", [K.CREDITS, K.STOP, K.HISTORY])
def test_these_gates_do_not_end_a_run_by_time(kind):
    gates = reached()
    gates.close(kind, "why", NOW)

    assert gates.lost_patience(NOW + 1e6) is None


def test_a_halt_ends_it_at_once():
    gates = reached()
    gates.close(K.HALT, "why", NOW)

    assert gates.lost_patience(NOW) is gates.closed[K.HALT]


@pytest.mark.parametrize(
    ("gates", "probes"), [(Gates(), 1), (reached(), PATIENCE.key_probes)], ids=["new", "worked"]
)
def test_a_key_that_worked_gets_more_chances(gates, probes):
    heard(gates, C.STATUS, Signal.KEY_REFUSED)
    for number in range(probes):
        assert gates.lost_patience(NOW) is None, number
        probe(gates, Signal.KEY_REFUSED, NOW + number)

    assert gates.lost_patience(NOW) is gates.closed[K.KEY]


@pytest.mark.parametrize(
    "signal", [Signal.NOT_SENT, Signal.LOST, Signal.SERVER_ERROR, Signal.GATEWAY_TIMEOUT]
)
def test_a_probe_that_nobody_answered_says_nothing_of_the_key(signal):
    gates = reached()
    heard(gates, C.STATUS, Signal.KEY_REFUSED)
    for number in range(9):
        probe(gates, signal, NOW + number)

    assert gates.closed[K.KEY].probes == 0
    lost = gates.lost_patience(NOW + 9)
    assert lost is None
    assert K.OUTAGE in gates.closed, "but the service is gone"


def test_a_history_that_refuses_is_heard_again_when_it_answers():
    gates = Gates()
    heard(gates, C.HISTORY, Signal.KEY_REFUSED)
    heard(gates, C.STATUS, Signal.OK)
    assert set(gates.closed) == {K.HISTORY}, "the API is another host"

    heard(gates, C.HISTORY, Signal.NOT_FOUND)

    assert not gates.closed


def test_a_key_that_the_history_refuses_is_not_a_bad_key():
    gates = reached()
    for _ in range(20):
        heard(gates, C.HISTORY, Signal.KEY_REFUSED)

    assert gates.lost_patience(NOW + 1e6) is None
    assert not gates.holds_calls()
