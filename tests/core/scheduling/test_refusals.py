"""Whose fault a refused submit is: what passes beside it tells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.outcomes import Signal
from batchgen.core.scheduling.gates.holds import Hold, dump, holds_of
from batchgen.core.scheduling.gates.refusals import MODEL_LATER_S, MODEL_PAUSE_S, Refusals
from tests.core.builders import NOW

ONE, OTHER = "flux-pro", "flux-max"


def refused_and_passed(*steps):
    """`+key` passed and `-key` was refused, a second apart; even keys are of the other model."""
    refusals = Refusals()
    for number, step in enumerate(steps):
        key, at = abs(step), 100 * number
        if step < 0:
            refusals.refuse_job(key, NOW + at)
        else:
            refusals.passed(key, OTHER if key % 2 == 0 else ONE, NOW + at)
    return refusals


@pytest.mark.parametrize(
    ("steps", "in_its_model", "in_any"),
    [
        ((), False, False),
        ((-1,), False, False),
        ((-1, -3, -5), False, False),
        ((3, -1), False, False),
        ((-1, 3), True, True),
        ((-1, 2), False, True),
        ((-1, 3, 1), False, False),
        ((-1, 3, -1), False, False),
        ((-1, 3, -1, 5), True, True),
    ],
)
def test_a_job_is_at_fault_once_others_passed_after_it_was_refused(steps, in_its_model, in_any):
    refusals = refused_and_passed(*steps)

    assert refusals.is_the_jobs(1, ONE) is in_its_model
    assert refusals.is_the_jobs(1, "") is in_any


def test_a_model_is_closed_by_two_refusals_minutes_apart():
    refusals = Refusals()
    refusals.refuse_model(ONE, "HTTP 404", NOW)
    assert (refusals.closed_models, refusals.probe_at(ONE)) == ({}, NOW + MODEL_PAUSE_S)

    for seconds in (0.0, 1.0, MODEL_PAUSE_S - 1):  # what was under way says no more than the first
        refusals.refuse_model(ONE, "HTTP 404 again", NOW + seconds)
    assert (refusals.closed_models, refusals.probe_at(ONE)) == ({}, NOW + MODEL_PAUSE_S)

    refusals.refuse_model(ONE, "HTTP 404: no such model", NOW + MODEL_PAUSE_S)
    assert refusals.closed_models == {ONE: "HTTP 404: no such model"}
    assert refusals.probe_at(ONE) == NOW + MODEL_PAUSE_S + MODEL_LATER_S
    assert refusals.probe_at(OTHER) == 0.0


def test_a_closed_model_is_tried_later_and_stays_closed_if_it_refuses():
    refusals = Refusals()
    at = NOW
    for _ in range(5):
        refusals.refuse_model(ONE, "HTTP 404", at)
        at = refusals.probe_at(ONE)

    assert at == NOW + MODEL_PAUSE_S + 4 * MODEL_LATER_S
    assert refusals.closed_models == {ONE: "HTTP 404"}


@pytest.mark.parametrize("times", [1, 2])
def test_an_accepted_submit_opens_its_model_and_no_other(times):
    refusals = Refusals()
    for model in (ONE, OTHER):
        for number in range(times):
            refusals.refuse_model(model, "HTTP 404", NOW + number * MODEL_PAUSE_S)

    refusals.passed(1, ONE, NOW + 200)

    assert refusals.probe_at(ONE) == 0.0
    assert refusals.models.keys() == {OTHER}


def held(*refused_at, note=None):
    """Refusals of one model at these instants, behind what an earlier run noted."""
    refusals = Refusals()
    refusals.recall(note)
    for at in refused_at:
        refusals.refuse_model(ONE, f"HTTP 410 at {at - NOW:.0f}", at, Signal.RETIRED)
    return refusals


def test_the_jobs_of_a_closed_model_are_on_hold_until_one_passes():
    assert held(NOW).holds == {}

    refusals = held(NOW, NOW + MODEL_PAUSE_S, NOW + MODEL_PAUSE_S + MODEL_LATER_S)

    hold = Hold(Signal.RETIRED, "HTTP 410 at 1020", NOW + MODEL_PAUSE_S)
    assert refusals.holds == {ONE: hold}, "the newest reason, and since when it holds"
    refusals.passed(1, ONE, NOW + 2000)
    assert refusals.holds == {}


def test_one_refusal_closes_a_model_that_an_earlier_run_put_on_hold():
    noted = dump({ONE: Hold(Signal.NOT_FOUND, "HTTP 404", NOW - 9000)})
    assert held(note=noted).probe_at(ONE) == 0.0, "it is tried once more"

    refusals = held(NOW, note=noted)

    assert refusals.closed_models == {ONE: "HTTP 410 at 0"}
    assert refusals.holds[ONE].since_at == NOW - 9000


def test_a_refused_key_says_nothing_of_its_models():
    refusals = held(NOW, NOW + MODEL_PAUSE_S)
    refusals.holds[OTHER] = Hold(Signal.NOT_FOUND, "HTTP 404", NOW - 9000)

    refusals.was_the_key()

    assert (refusals.holds.keys(), refusals.models) == ({OTHER}, {})


@given(
    st.dictionaries(
        st.text(), st.builds(Hold, st.sampled_from(Signal), st.text(), st.floats(0, 2e9))
    )
)
def test_a_note_of_holds_is_read_as_it_was_written(holds):
    assert holds_of(dump(holds)) == holds


@pytest.mark.parametrize(
    "note",
    [
        None, "", "{", "[]", "3", '{"a": 3}', '{"a": {}}', '{"a": {"since": "now"}}',
        '{"a": {"since": NaN}}', '{"a": {"since": true}}',
    ],
)  # fmt: skip
def test_what_cannot_be_read_of_a_note_is_as_good_as_absent(note):
    assert holds_of(note) == {}


def test_a_signal_of_another_version_is_a_refusal_all_the_same():
    noted = '{"a": {"signal": "451", "reason": "HTTP 451", "since": 7}}'
    assert holds_of(noted) == {"a": Hold(Signal.REFUSED_UNTOLD, "HTTP 451", 7.0)}


STEPS = st.lists(st.sampled_from([1, 2, 3, 4, -1, -2, -3, -4]), max_size=30)


@given(STEPS, st.sampled_from([ONE, OTHER, ""]))
def test_while_nobody_passes_no_job_is_at_fault(steps, model):
    refusals = refused_and_passed(*(step for step in steps if step < 0))

    assert not any(refusals.is_the_jobs(key, model) for key in range(1, 5))


@given(STEPS)
def test_a_job_that_was_not_refused_last_is_never_at_fault(steps):
    refusals = refused_and_passed(*steps)
    last = {abs(step): step for step in steps}

    for key in range(1, 5):
        if last.get(key, 1) > 0:
            assert not refusals.is_the_jobs(key, "")
