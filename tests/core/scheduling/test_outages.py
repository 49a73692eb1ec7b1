"""Outages of single calls: each is found out, and comes back, by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.outcomes import CallKind as C
from batchgen.core.jobs.outcomes import Response, Signal
from batchgen.core.scheduling.gates.outages import (
    FRUITLESS,
    MAX_PROBE_DELAY_S,
    OUTAGE_AFTER,
    Outages,
)
from tests.core.builders import NOW

OF_THE_API = [C.SUBMIT, C.STATUS, C.RESULT, C.CREDITS]


def hear(outages, call, signal, *, at=NOW, job_key=0, times=1):
    for _ in range(times):
        outages.observe(Response(call, signal, at, "so it is"), job_key)


def down(call, *, since_at=NOW):
    outages = Outages()
    outages.mark(call, "so it is", since_at)
    return outages


def test_these_signals_are_no_answers():
    assert {
        Signal.NOT_SENT, Signal.LOST, Signal.UNREADABLE, Signal.REDIRECT, Signal.MIDDLEMAN,
        Signal.UNROUTED, Signal.WRONG_METHOD, Signal.SERVER_ERROR, Signal.GATEWAY_TIMEOUT,
    } == FRUITLESS  # fmt: skip


@pytest.mark.parametrize("signal", sorted(FRUITLESS))
@pytest.mark.parametrize("call", OF_THE_API)
def test_an_outage_takes_several_in_a_row_of_one_call(call, signal):
    outages = Outages()
    for key in range(1, OUTAGE_AFTER):
        hear(outages, call, signal, job_key=key)
    hear(outages, call, Signal.OK)
    for key in range(1, OUTAGE_AFTER):
        hear(outages, call, signal, job_key=key)
    assert not outages.down

    hear(outages, call, signal, job_key=OUTAGE_AFTER)

    assert set(outages.down) == {call}
    assert (outages.down[call].reason, outages.down[call].since_at) == ("so it is", NOW)


@pytest.mark.parametrize("failing", OF_THE_API)
def test_a_call_that_fails_says_nothing_about_the_others(failing):
    outages = Outages()
    for key in range(1, 9):
        for call in OF_THE_API:
            hear(outages, call, Signal.SERVER_ERROR if call is failing else Signal.OK, job_key=key)

    assert set(outages.down) == {failing}
    assert [call for call in OF_THE_API if outages.is_held(call, NOW)] == [failing]


@pytest.mark.parametrize(
    ("call", "signal", "keys", "is_down"),
    [
        (C.STATUS, Signal.SERVER_ERROR, [7], False),
        (C.RESULT, Signal.UNREADABLE, [7], False),
        (C.STATUS, Signal.SERVER_ERROR, [7, 8], True),
        (C.STATUS, Signal.NOT_SENT, [7], True),
        (C.STATUS, Signal.SERVER_ERROR, [0], True),
        (C.SUBMIT, Signal.SERVER_ERROR, [7], True),
        (C.CREDITS, Signal.SERVER_ERROR, [0], True),
    ],
)
def test_what_fails_for_one_job_alone_is_that_jobs_trouble(call, signal, keys, is_down):
    """A request whose status is a 500 for ever does not close a gate of the account."""
    outages = Outages()
    for number in range(60):
        hear(outages, call, signal, job_key=keys[number % len(keys)])

    assert (call in outages.down) is is_down


@pytest.mark.parametrize("signal", [signal for signal in Signal if signal not in FRUITLESS])
def test_any_answer_ends_an_outage_even_a_refusal(signal):
    outages = down(C.STATUS)

    hear(outages, C.STATUS, signal, at=NOW + 1)

    assert not outages.down


def test_another_call_does_not_end_it_but_is_a_reason_to_look_at_once():
    """A credits call that fails alone must not hold the rest for as long as it fails."""
    outages = down(C.STATUS, since_at=NOW - 100)
    for _ in range(5):
        hear(outages, C.STATUS, Signal.SERVER_ERROR, at=outages.down[C.STATUS].probe_at)
    outages.mark(C.SUBMIT, "down", NOW)
    assert outages.is_held(C.STATUS, NOW)

    hear(outages, C.SUBMIT, Signal.OK, at=NOW + 1)

    assert set(outages.down) == {C.STATUS}
    assert not outages.is_held(C.STATUS, NOW + 1)


def test_probes_grow_apart_up_to_a_minute():
    outages, delays, at = down(C.STATUS), [], NOW
    for _ in range(9):
        due_at = outages.down[C.STATUS].probe_at
        assert outages.is_held(C.STATUS, due_at - 0.1)
        assert not outages.is_held(C.STATUS, due_at)
        delays.append(due_at - at)
        at = due_at
        hear(outages, C.STATUS, Signal.SERVER_ERROR, at=at)

    assert delays == [1.0, 4.0, 8.0, 16.0, 32.0, *[MAX_PROBE_DELAY_S] * 4]


def test_what_left_before_the_outage_was_noticed_is_no_probe():
    outages = down(C.STATUS)

    hear(outages, C.STATUS, Signal.SERVER_ERROR, at=NOW + 0.5, times=20)

    assert (outages.down[C.STATUS].probes, outages.down[C.STATUS].probe_at) == (0, NOW + 1)


def test_the_first_one_of_those_that_are_asked_about():
    outages = down(C.STATUS, since_at=NOW)
    outages.mark(C.RESULT, "later", NOW + 5)
    outages.mark(C.RESULT, "again", NOW - 5)  # it keeps its beginning

    assert outages.first([C.RESULT, C.STATUS]) is outages.down[C.STATUS]
    assert outages.first([C.RESULT]).reason == "later"
    assert outages.first([C.SUBMIT]) is None


CALLS = st.tuples(st.sampled_from(OF_THE_API), st.sampled_from(sorted(Signal)), st.integers(1, 3))


@given(st.lists(CALLS, max_size=60))
def test_a_call_is_down_only_by_its_own_failures_and_never_for_longer_than_a_minute(heard):
    outages, last = Outages(), {}
    for step, (call, signal, key) in enumerate(heard):
        hear(outages, call, signal, at=NOW + step, job_key=key)
        last[call] = signal
    now = NOW + len(heard)

    assert {call for call in outages.down if last.get(call) not in FRUITLESS} == set()
    for outage in outages.down.values():
        assert outage.since_at <= now
        assert outage.probe_at <= now + MAX_PROBE_DELAY_S
