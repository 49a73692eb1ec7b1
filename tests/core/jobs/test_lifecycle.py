"""The life of a job: every legal move, every illegal one, and what holds over any history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import (
    AWAITING_RESULT,
    COMING_HOME,
    ENDED,
    GROUPS,
    IN_FLIGHT,
    PROBLEMS,
    STATES,
    AttemptState,
    Doubt,
    Job,
    Receipt,
    StateGroup,
    retry_option,
    states_of,
)
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import TABLE, apply, diagram, found_at_start
from batchgen.core.jobs.spec import Mode
from batchgen.errors import IllegalTransitionError
from tests.core.builders import NOW, event, job, output, saved

LEGAL = [
    (S.PENDING, E.INTENDED, S.SUBMITTING),
    (S.PENDING, E.NO_INPUT, S.FAILED),
    (S.SUBMITTING, E.ACKED, S.SUBMITTED),
    (S.SUBMITTING, E.ANSWERED, S.FETCHING),
    (S.SUBMITTING, E.NOT_ACCEPTED, S.PENDING),
    (S.SUBMITTING, E.REFUSED, S.FAILED),
    (S.SUBMITTING, E.FAILED, S.FAILED),
    (S.SUBMITTING, E.TRIED_AGAIN, S.PENDING),
    (S.SUBMITTING, E.UNCLEAR, S.AMBIGUOUS),
    (S.SUBMITTING, E.REJECTED, S.REJECTED),
    (S.AMBIGUOUS, E.ADOPTED, S.SUBMITTED),
    (S.AMBIGUOUS, E.RECOVERED, S.FETCHING),
    (S.AMBIGUOUS, E.ABSENT, S.PENDING),
    (S.AMBIGUOUS, E.FAILED, S.FAILED),
    (S.AMBIGUOUS, E.REFUSED, S.FAILED),
    (S.AMBIGUOUS, E.TROUBLE, S.AMBIGUOUS),
    (S.AMBIGUOUS, E.HELD, S.AMBIGUOUS),
    (S.AMBIGUOUS, E.SET_ASIDE, S.UNKNOWN),
    (S.SUBMITTED, E.RUNNING, S.SUBMITTED),
    (S.SUBMITTED, E.FINISHED, S.FETCHING),
    (S.SUBMITTED, E.RESULT, S.FETCHING),
    (S.SUBMITTED, E.FAILED, S.FAILED),
    (S.SUBMITTED, E.TRIED_AGAIN, S.PENDING),
    (S.SUBMITTED, E.TROUBLE, S.SUBMITTED),
    (S.SUBMITTED, E.HELD, S.SUBMITTED),
    (S.SUBMITTED, E.GONE, S.RECOVERING),
    (S.SUBMITTED, E.GIVEN_UP, S.LOST),
    (S.SUBMITTED, E.SET_ASIDE, S.UNKNOWN),
    (S.SUBMITTED, E.REJECTED, S.REJECTED),
    (S.FETCHING, E.RESULT, S.FETCHING),
    (S.FETCHING, E.SAVED, S.DONE),
    (S.FETCHING, E.RUNNING, S.SUBMITTED),
    (S.FETCHING, E.FAILED, S.FAILED),
    (S.FETCHING, E.TRIED_AGAIN, S.PENDING),
    (S.FETCHING, E.TROUBLE, S.FETCHING),
    (S.FETCHING, E.HELD, S.FETCHING),
    (S.FETCHING, E.GONE, S.RECOVERING),
    (S.FETCHING, E.GIVEN_UP, S.LOST),
    (S.FETCHING, E.SET_ASIDE, S.UNKNOWN),
    (S.FETCHING, E.PUT_OFF, S.UNFETCHED),
    (S.FETCHING, E.REJECTED, S.REJECTED),
    (S.RECOVERING, E.RECOVERED, S.FETCHING),
    (S.RECOVERING, E.RESULT, S.FETCHING),
    (S.RECOVERING, E.RUNNING, S.SUBMITTED),
    (S.RECOVERING, E.FAILED, S.FAILED),
    (S.RECOVERING, E.TRIED_AGAIN, S.PENDING),
    (S.RECOVERING, E.TROUBLE, S.RECOVERING),
    (S.RECOVERING, E.HELD, S.RECOVERING),
    (S.RECOVERING, E.AGAIN, S.PENDING),
    (S.RECOVERING, E.GIVEN_UP, S.LOST),
    (S.RECOVERING, E.SET_ASIDE, S.UNKNOWN),
    (S.RECOVERING, E.REJECTED, S.REJECTED),
    (S.DONE, E.RETRIED, S.PENDING),
    (S.FAILED, E.RETRIED, S.PENDING),
    (S.LOST, E.RETRIED, S.PENDING),
    (S.UNKNOWN, E.RETRIED, S.PENDING),
    (S.UNKNOWN, E.REOPENED, S.SUBMITTED),
    (S.UNFETCHED, E.REOPENED, S.FETCHING),
    (S.REJECTED, E.RETRIED, S.PENDING),
]
_LEGAL_PAIRS = {(state, kind) for state, kind, _ in LEGAL}
ILLEGAL = [(state, kind) for state in S for kind in E if (state, kind) not in _LEGAL_PAIRS]

USER_EVENTS = {E.RETRIED, E.REOPENED}
MAY_BE_BILLED = {E.ACKED, E.ANSWERED, E.UNCLEAR}


@pytest.mark.parametrize(("state", "kind", "target"), LEGAL, ids=lambda value: value.name)
def test_a_legal_move_leads_to_its_state(state, kind, target):
    change = apply(job(state), event(kind))

    assert change.before.state is state
    assert change.after.state is target


@pytest.mark.parametrize(("state", "kind"), ILLEGAL, ids=lambda value: value.name)
def test_any_other_pair_is_an_error_that_names_job_state_and_event(state, kind):
    with pytest.raises(IllegalTransitionError) as caught:
        apply(job(state), event(kind))

    told = str(caught.value)
    assert "'job-1'" in told
    assert state.value in told
    assert kind.value in told


ATTEMPTS = [
    (S.PENDING, E.INTENDED, AttemptState.INTENT, False),
    (S.SUBMITTING, E.ACKED, AttemptState.ACKED, False),
    (S.SUBMITTING, E.ANSWERED, AttemptState.ACKED, False),
    (S.SUBMITTING, E.NOT_ACCEPTED, AttemptState.REJECTED, True),
    (S.SUBMITTING, E.REFUSED, AttemptState.REJECTED, True),
    (S.SUBMITTING, E.FAILED, AttemptState.ACKED, True),
    (S.SUBMITTING, E.TRIED_AGAIN, AttemptState.ACKED, True),
    (S.SUBMITTING, E.UNCLEAR, AttemptState.AMBIGUOUS, False),
    (S.SUBMITTING, E.REJECTED, AttemptState.ACKED, False),
    (S.AMBIGUOUS, E.ADOPTED, AttemptState.ACKED, False),
    (S.AMBIGUOUS, E.RECOVERED, AttemptState.ACKED, False),
    (S.AMBIGUOUS, E.ABSENT, AttemptState.ABSENT, True),
    (S.AMBIGUOUS, E.FAILED, AttemptState.ACKED, True),
    (S.AMBIGUOUS, E.REFUSED, AttemptState.ABSENT, True),
    (S.AMBIGUOUS, E.SET_ASIDE, None, False),
    (S.SUBMITTED, E.FAILED, None, True),
    (S.SUBMITTED, E.TRIED_AGAIN, None, True),
    (S.SUBMITTED, E.GIVEN_UP, None, False),
    (S.FETCHING, E.SAVED, None, True),
    (S.FETCHING, E.GIVEN_UP, None, False),
    (S.FETCHING, E.PUT_OFF, None, False),
    (S.RECOVERING, E.AGAIN, None, True),
    (S.RECOVERING, E.GIVEN_UP, None, False),
    (S.RECOVERING, E.SET_ASIDE, None, False),
    (S.RECOVERING, E.RECOVERED, None, False),
    (S.UNKNOWN, E.RETRIED, AttemptState.ABANDONED, True),
    (S.UNKNOWN, E.REOPENED, None, False),
    (S.LOST, E.RETRIED, None, True),
    (S.REJECTED, E.RETRIED, None, True),
    (S.UNFETCHED, E.REOPENED, None, False),
]


@pytest.mark.parametrize(("state", "kind", "attempt", "ended"), ATTEMPTS)
def test_what_an_event_means_for_the_attempt(state, kind, attempt, ended):
    change = apply(job(state), event(kind))

    assert change.attempt_state is attempt
    assert change.attempt_ended is ended


def test_an_unknown_job_with_an_id_was_accepted_and_stays_so_in_the_ledger():
    change = apply(job(S.UNKNOWN, request_id="req-1"), event(E.RETRIED))

    assert change.attempt_state is None
    assert change.attempt_ended


@pytest.mark.parametrize(
    ("state", "kind", "billable"),
    [
        (S.SUBMITTING, E.ACKED, 3),
        (S.SUBMITTING, E.ANSWERED, 3),
        (S.SUBMITTING, E.UNCLEAR, 3),
        (S.SUBMITTING, E.NOT_ACCEPTED, 2),
        (S.SUBMITTING, E.REFUSED, 2),
        (S.AMBIGUOUS, E.ADOPTED, 2),
        (S.AMBIGUOUS, E.ABSENT, 1),
        (S.RECOVERING, E.AGAIN, 2),
        (S.UNKNOWN, E.RETRIED, 0),
    ],
)
def test_attempts_that_may_be_billed_are_counted(state, kind, billable):
    assert apply(job(state, billable=2), event(kind)).after.billable == billable


def test_an_intent_begins_a_new_attempt_and_forgets_the_last_one():
    before = job(
        attempt=1, request_id="old", polls=7, outputs=(output(),), receipt=Receipt(cost_usd=0.1)
    )

    after = apply(before, event(E.INTENDED)).after

    assert (after.attempt, after.sent_at, after.polls) == (2, NOW, 0)
    assert (after.request_id, after.outputs, after.receipt) == ("", (), Receipt())


def test_trouble_grows_and_backs_off_until_something_else_happens():
    first = apply(job(S.SUBMITTED), event(E.TROUBLE, reason="HTTP 400")).after
    second = apply(first, event(E.TROUBLE, reason="HTTP 400")).after
    good = apply(second, event(E.RUNNING)).after

    assert (first.trouble, second.trouble, good.trouble) == (1, 2, 0)
    assert NOW + 0.5 <= first.due_at <= NOW + 2.0
    assert NOW + 0.5 <= second.due_at <= NOW + 4.0
    assert second.reason == "HTTP 400"


@pytest.mark.parametrize(
    ("state", "kind"), [(S.SUBMITTED, E.TROUBLE), (S.SUBMITTING, E.NOT_ACCEPTED)]
)
def test_a_named_instant_is_kept_and_is_not_the_jobs_fault(state, kind):
    after = apply(job(state, trouble=2), event(kind, retry_at=NOW + 33.0)).after

    assert (after.trouble, after.due_at) == (2, NOW + 33.0)


def test_trouble_of_submits_survives_the_next_intent():
    """Otherwise a 500 that comes back for ever would never be believed."""
    pending = apply(job(S.SUBMITTING, trouble=3), event(E.NOT_ACCEPTED)).after

    assert apply(pending, event(E.INTENDED)).after.trouble == 4


@pytest.mark.parametrize("state", [S.AMBIGUOUS, S.SUBMITTED, S.FETCHING, S.RECOVERING])
def test_a_gate_changes_nothing_but_the_instant(state):
    before = job(state, trouble=2, polls=3, reason="earlier")

    after = apply(before, event(E.HELD, retry_at=NOW + 5.0)).after

    assert after == job(state, trouble=2, polls=3, reason="earlier", due_at=NOW + 5.0)


def test_the_last_reason_stands_through_quiet_events_and_goes_with_progress():
    before = job(S.SUBMITTED, reason="HTTP 500")

    assert apply(before, event(E.RUNNING)).after.reason == "HTTP 500"
    assert apply(before, event(E.RUNNING, reason="queued")).after.reason == "queued"
    assert apply(before, event(E.FINISHED)).after.reason == ""


def test_a_poorer_receipt_does_not_wipe_what_an_earlier_one_told():
    polled = Receipt(cost_usd=0.04, inference_s=21.0)
    fetching = apply(job(S.SUBMITTED), event(E.FINISHED, receipt=polled)).after

    after = apply(fetching, event(E.RESULT, outputs=(output(),), receipt=Receipt(seed=7))).after

    assert after.receipt == Receipt(cost_usd=0.04, inference_s=21.0, seed=7)


def test_files_travel_with_the_change():
    change = apply(job(S.FETCHING, outputs=(output(),)), event(E.SAVED, files=(saved(),)))

    assert change.files == (saved(),)


def test_a_user_event_starts_afresh():
    before = job(S.UNKNOWN, request_id="req-1", trouble=4, recoveries=1, due_at=NOW + 60)

    again = apply(before, event(E.REOPENED)).after

    assert (again.trouble, again.recoveries, again.due_at) == (0, 0, 0.0)
    assert again.request_id == "req-1"


def test_files_that_could_not_be_fetched_keep_their_addresses_and_their_receipt():
    """The addresses are all there is: the next run fetches them, and pays for nothing."""
    kept = {"request_id": "req-1", "receipt": Receipt(cost_usd=0.04), "billable": 1}
    tried = job(S.FETCHING, outputs=(output(0), output(1)), trouble=7, recoveries=1, **kept)

    ended = apply(tried, event(E.PUT_OFF, reason="HTTP 403")).after
    again = apply(ended, event(E.REOPENED)).after

    assert (ended.state, ended.reason) == (S.UNFETCHED, "HTTP 403")
    assert again.state is S.FETCHING
    assert again.outputs == (output(0), output(1))
    assert (again.trouble, again.recoveries, again.due_at) == (0, 0, 0.0)
    assert (again.request_id, again.receipt, again.attempt) == ("req-1", kept["receipt"], 1)
    assert again.reason == "HTTP 403", "why it took so long stays told"


@pytest.mark.parametrize(("doubt", "trouble"), [
    (Doubt.OPEN, 2), (Doubt.ACCEPTED, 2), (Doubt.SERVER_ERROR, 3), (Doubt.MIDDLEMAN, 3),
])  # fmt: skip
def test_what_refuses_the_same_job_again_and_again_is_counted(doubt, trouble):
    unclear = apply(job(S.SUBMITTING, trouble=2), event(E.UNCLEAR, doubt=doubt)).after

    assert (unclear.doubt, unclear.trouble) == (doubt, trouble)


@pytest.mark.parametrize(("api", "door"), [(Mode.QUEUED, "submit"), (Mode.BLOCKING, "v1 call")])
def test_an_intent_without_outcome_is_unclear_after_a_restart(api, door):
    left = found_at_start(job(S.SUBMITTING, api=api), NOW)

    assert left is not None
    assert left.kind is E.UNCLEAR
    assert door in left.reason


def test_files_that_could_not_be_fetched_are_tried_again_by_the_next_run():
    left = found_at_start(job(S.UNFETCHED, outputs=(output(),)), NOW)

    assert left is not None
    assert (left.kind, left.job_key, left.at) == (E.REOPENED, 1, NOW)


@pytest.mark.parametrize("state", sorted(set(S) - {S.SUBMITTING, S.UNFETCHED}))
def test_any_other_job_is_taken_up_as_it_stands(state):
    assert found_at_start(job(state), NOW) is None


def test_the_diagram_shows_every_move_once():
    drawn = diagram()

    assert drawn.startswith("stateDiagram-v2")
    for state, kind, target in LEGAL:
        lines = [
            line
            for line in drawn.splitlines()
            if line.startswith(f"    {state.value} --> {target.value} : ")
        ]
        assert len(lines) == 1
        assert kind.value in lines[0].partition(" : ")[2].split(", ")


def test_events_end_jobs_only_where_nothing_more_is_done_about_them():
    assert not ENDED & IN_FLIGHT
    for state in ENDED:
        assert set(TABLE[state]) <= USER_EVENTS


def _random_life(data: st.DataObject, length: int) -> list[tuple[Job, E, Job, bool]]:
    """Events drawn one by one from those that are legal where the job stands."""
    current, steps = job(), []
    for step in range(length):
        kind = data.draw(st.sampled_from(sorted(TABLE[current.state])))
        change = apply(
            current,
            event(
                kind,
                at=NOW + step,
                request_id=f"req-{step}" if kind in {E.ACKED, E.ADOPTED} else "",
                retry_at=data.draw(st.sampled_from([0.0, NOW + step + 9.0])),
            ),
        )
        steps.append((current, kind, change.after, change.attempt_ended))
        current = change.after
    return steps


@given(st.data(), st.integers(1, 40))
def test_what_holds_over_any_life(data, length):
    live = 0
    for before, kind, after, attempt_ended in _random_life(data, length):
        assert after.attempt == before.attempt + (kind is E.INTENDED)
        assert 0 <= after.billable <= after.attempt
        if kind is E.INTENDED:
            live += 1
        if attempt_ended:
            live = 0
        assert live <= 1, "two attempts live at once"
        if after.state in ENDED and before.state in ENDED:
            assert kind in USER_EVENTS
        if kind in MAY_BE_BILLED:
            assert after.billable == before.billable + 1
        if kind is not E.INTENDED:
            assert after.sent_at == before.sent_at
        assert after.id == before.id
        assert after.body == before.body


# ------------------------------------------------------------------ what is known of a state

STATE_ROWS = [
    # state, group, in flight, in doubt, awaits its result, option of retry
    (S.PENDING, "pending", False, False, False, ""),
    (S.SUBMITTING, "running", True, False, False, ""),
    (S.SUBMITTED, "running", True, False, True, ""),
    (S.FETCHING, "running", False, False, False, ""),
    (S.RECOVERING, "running", False, False, True, ""),
    (S.AMBIGUOUS, "running", True, True, False, ""),
    (S.DONE, "done", False, False, False, ""),
    (S.FAILED, "failed", False, False, False, "--failed"),
    (S.UNKNOWN, "unknown", False, True, False, "--unknown"),
    (S.LOST, "lost", False, False, False, "--failed"),
    (S.UNFETCHED, "unfetched", False, False, False, "--failed"),
    (S.REJECTED, "rejected", False, False, False, "--rejected"),
]


@pytest.mark.parametrize(
    ("state", "group", "in_flight", "in_doubt", "awaits", "option"), STATE_ROWS
)
def test_what_is_known_of_a_state(state, group, in_flight, in_doubt, awaits, option):
    traits = STATES[state]
    assert (traits.group, traits.is_in_flight) == (group, in_flight)
    assert (traits.is_in_doubt, traits.awaits_result) == (in_doubt, awaits)
    assert retry_option(state) == option
    assert (state in IN_FLIGHT, state in AWAITING_RESULT) == (in_flight, awaits)


def test_every_state_and_every_group_has_a_row():
    assert set(STATES) == set(S)
    assert set(GROUPS) == set(StateGroup)


def test_a_job_waits_is_in_flight_comes_home_or_has_ended():
    parts = [states_of(StateGroup.WAITING), IN_FLIGHT, COMING_HOME, ENDED]
    assert sorted(state for part in parts for state in part) == sorted(S)


def test_whoever_ended_without_files_can_be_put_back_at_a_cost_that_is_told():
    left = {S.FAILED, S.UNKNOWN, S.LOST, S.UNFETCHED, S.REJECTED}
    assert left == PROBLEMS == ENDED - {S.DONE}
    for group, traits in GROUPS.items():
        told = {bool(traits.about), bool(traits.retry_option), bool(traits.retry_cost)}
        assert told == {states_of(group) <= PROBLEMS}


@pytest.mark.parametrize(
    ("before", "is_news"),
    [({}, False), ({"polls": 3}, False), ({"trouble": 2}, True), ({"state": S.FETCHING}, True)],
    ids=["first poll", "later poll", "after trouble", "not done after all"],
)
def test_a_poll_that_finds_it_running_is_no_news(before, is_news):
    submitted = job(**{"state": S.SUBMITTED} | before)

    assert apply(submitted, event(E.RUNNING)).is_news is is_news
