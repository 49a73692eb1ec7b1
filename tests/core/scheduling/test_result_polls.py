"""Results as polls: which call asks for a request, and what its answers teach."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.outcomes import CallKind, Response, Signal
from batchgen.core.jobs.policies import Limits, PollWith
from batchgen.core.scheduling.effects import CALLS, EffectKind
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.learned import ACCOUNT_NOTE
from batchgen.core.scheduling.planner import plan
from batchgen.core.scheduling.result_polls import REFUSALS
from tests.core.builders import NOW, event, job, output, scheduler

POLL, FETCH = EffectKind.POLL, EffectKind.FETCH


def running(count=3, way=PollWith.AUTO, **changes):
    """Submitted jobs of a model whose times are known; all are due."""
    latencies = Latencies({"flux-pro": 20.0})
    for _ in range(10):
        latencies.learn("flux-pro", 20.0)
    jobs = [job(S.SUBMITTED, key, sent_at=NOW - 20, **changes) for key in range(1, count + 1)]
    return scheduler(jobs, limits=Limits(poll_with=way), latencies=latencies)


def asked(made, key=1, at=NOW):
    """Which call the planner would make about a job now."""
    made.advance(at)
    kinds = {effect.job.key: effect.kind for effect in plan(made, at).effects if effect.job}
    return kinds.get(key)


def answered(made, kind, key=1, at=NOW, call=CallKind.RESULT, signal=Signal.OK, **more):
    """An answer about a job is recorded; the job after it."""
    happened = event(kind, job_key=key, at=at, **more)
    happened = replace(happened, response=Response(call, signal, at))
    before = made.jobs[key]
    change = apply(before, made.resolve(before, happened))
    made.apply([change])
    return change.after


@pytest.mark.parametrize(
    ("way", "kind"), [(PollWith.AUTO, FETCH), (PollWith.RESULT, FETCH), (PollWith.STATUS, POLL)]
)
def test_which_call_asks_first(way, kind):
    assert asked(running(way=way)) is kind


def test_a_running_state_of_a_result_is_a_poll_and_says_that_results_tell():
    made = running()

    after = answered(made, E.RUNNING)

    assert (after.state, after.polls, after.trouble) == (S.SUBMITTED, 1, 0)
    assert made.result_polls.tells
    assert asked(made, at=after.due_at) is FETCH


@pytest.mark.parametrize("signal", sorted(REFUSALS))
@pytest.mark.parametrize("kind", [E.TROUBLE, E.GONE])
@pytest.mark.parametrize("way", [PollWith.AUTO, PollWith.RESULT])
def test_a_refusal_never_counts_against_the_job_and_its_state_is_asked_at_once(signal, kind, way):
    made = running(way=way)

    after = answered(made, kind, signal=signal, reason="HTTP 404: not found")

    assert (after.state, after.trouble, after.due_at) == (S.SUBMITTED, 0, NOW)
    assert after.reason == ""
    assert asked(made) is POLL
    assert asked(made, key=2) is FETCH, "others are not judged by it yet"


def refused_twice(**changes):
    """Results are known to be refused as not found."""
    made = running(**changes)
    for key in (1, 2):
        answered(made, E.TROUBLE, key, signal=Signal.NOT_FOUND)
        assert made.result_polls.dump() is None
        answered(made, E.RUNNING, key, call=CallKind.STATUS)
    assert made.result_polls.refused_as is Signal.NOT_FOUND
    return made


def test_two_refusals_of_requests_that_run_say_what_a_refusal_means():
    """From then on it tells as much as a state would, and costs as much."""
    made = refused_twice()

    after = answered(made, E.TROUBLE, 3, signal=Signal.NOT_FOUND, reason="HTTP 404")

    assert (after.state, after.polls, after.trouble, after.reason) == (S.SUBMITTED, 1, 0, "")
    assert after.due_at > NOW
    assert asked(made, key=3, at=after.due_at) is FETCH


def test_now_and_then_the_state_is_asked_all_the_same():
    made, at, kinds = refused_twice(), NOW, []
    for _ in range(9):
        made.advance(at)
        kinds.append(asked(made, key=3, at=at))
        if kinds[-1] is FETCH:
            after = answered(made, E.TROUBLE, 3, at, signal=Signal.NOT_FOUND)
        else:
            after = answered(made, E.RUNNING, 3, at, call=CallKind.STATUS)
        at = after.due_at

    assert kinds == [FETCH, FETCH, FETCH, FETCH, POLL, FETCH, FETCH, FETCH, FETCH]


def test_another_refusal_than_the_usual_one_is_looked_into():
    made = refused_twice()

    after = answered(made, E.TROUBLE, 3, signal=Signal.NOT_NOW)

    assert after.polls == 0
    assert asked(made, key=3) is POLL


def test_a_refusal_of_one_that_is_done_says_nothing():
    """A record that is gone is refused as well, and so is one that a fault hides."""
    made = running()
    for key in (1, 2, 3):
        answered(made, E.TROUBLE, key, signal=Signal.NOT_FOUND)
        answered(made, E.FINISHED, key, call=CallKind.STATUS)

    assert made.result_polls.dump() is None


def test_an_answer_between_two_refusals_outweighs_them():
    made = running()
    answered(made, E.TROUBLE, 1, signal=Signal.NOT_FOUND)
    answered(made, E.RUNNING, 1, call=CallKind.STATUS)
    answered(made, E.RUNNING, 3)
    answered(made, E.TROUBLE, 2, signal=Signal.NOT_FOUND)
    answered(made, E.RUNNING, 2, call=CallKind.STATUS)

    assert made.result_polls.tells


@pytest.mark.parametrize("signal", [Signal.SERVER_ERROR, Signal.RATE_LIMITED, Signal.LOST])
def test_what_fails_for_other_reasons_is_trouble_as_ever(signal):
    made = running()

    after = answered(made, E.TROUBLE, signal=signal)

    assert after.trouble == 1
    assert made.result_polls.dump() is None


def test_after_its_hour_the_state_alone_tells_that_a_record_is_gone():
    made = running(2)
    made.queues.put(replace(made.jobs[1], sent_at=NOW - 4_000))

    after = answered(made, E.GONE, signal=Signal.NOT_FOUND)
    assert after.state is S.SUBMITTED
    assert asked(made) is POLL

    assert answered(made, E.GONE, call=CallKind.STATUS, signal=Signal.NOT_FOUND).state is (
        S.RECOVERING
    )


def test_with_status_first_a_result_that_is_not_found_is_judged_by_its_age():
    """Asked for because the state was not to be had."""
    made = running(way=PollWith.STATUS, trouble=3)
    assert asked(made) is FETCH

    assert answered(made, E.TROUBLE, signal=Signal.NOT_FOUND).trouble == 4


def test_a_job_whose_result_is_there_takes_no_further_call():
    made = running()

    after = answered(made, E.RESULT, outputs=(output(),))

    assert after.state is S.FETCHING
    assert CALLS.get(asked(made)) is None


def test_after_its_hour_nothing_is_taken_for_running():
    made = refused_twice()
    made.queues.put(replace(made.jobs[3], sent_at=NOW - 4_000))

    answered(made, E.GONE, 3, signal=Signal.NOT_FOUND)

    assert asked(made, key=3) is POLL


@pytest.mark.parametrize("known", ["tells", Signal.NOT_FOUND, Signal.NOT_NOW, None])
def test_the_next_run_knows(known):
    made = running()
    made.result_polls.recall(known)
    again = running()

    again.load({ACCOUNT_NOTE: made.lessons()[ACCOUNT_NOTE]})

    assert again.result_polls.dump() == known


@pytest.mark.parametrize("known", [True, 7, "404 and more", [], {}])
def test_what_nobody_can_read_is_as_good_as_nothing(known):
    made = running()

    made.result_polls.recall(known)

    assert made.result_polls.dump() is None
