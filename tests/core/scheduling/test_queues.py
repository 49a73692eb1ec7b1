"""The queues: whatever happens, its queues and counts are what the jobs themselves say."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.job import IN_FLIGHT
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.spec import Mode
from batchgen.core.scheduling.queues import JobQueues, QueueKind, line_of
from tests.core.builders import NOW, job, output

STATES = [state for state in S if not job(state).ended]


def any_job(chance, key):
    state = chance.choice(STATES)
    return job(
        state,
        key,
        model=chance.choice(["a", "b"]),
        api=chance.choice(list(Mode)),
        due_at=NOW + chance.choice([-5.0, 0.0, 5.0, 50.0]),
        sent_at=NOW - chance.choice([0.0, 1.0, 100.0]),
        outputs=(output(),) if state is S.FETCHING and chance.random() < 0.5 else (),
    )


@given(st.integers(0, 2**32))
def test_queues_and_counts_follow_the_jobs(seed):
    chance, queues, now = Random(seed), JobQueues(), NOW
    for _ in range(60):
        key = chance.randint(1, 8)
        match chance.choice(["put", "put", "begin", "release", "drop", "wait", "look"]):
            case "put":
                queues.put(any_job(chance, key))
            case "begin" if key in queues.jobs:
                queues.begin(key)
            case "release":
                queues.release(key)
            case "drop" if key not in queues.busy:
                queues.drop(key)
            case "wait":
                now += chance.choice([0.1, 5.0, 30.0])
            case "look":
                queues.advance(now)
        check(queues, now)


def check(queues, now):
    standing = list(queues.jobs.values())
    idle = [each for each in standing if each.key not in queues.busy]
    for line, queue in queues.by_kind.items():
        waiting = [each for each in idle if line_of(each) is line]
        due = [each for each in waiting if each.due_at <= now]
        rank = (lambda each: each.key) if line is QueueKind.SUBMIT else (lambda each: each.sent_at)
        assert list(queue.due(now)) == [e.key for e in sorted(due, key=lambda e: (rank(e), e.key))]
        assert sorted(queue.keys()) == sorted(each.key for each in waiting)
        assert len(queue) == len(waiting)
        later = [each.due_at for each in waiting if each.due_at > now]
        assert queue.next_at(now) == min(later, default=None)
        assert queue.first_rank(now) == min(map(rank, due), default=None)
    assert +queues.counts == Counter(each.state for each in standing)
    assert +queues.pending == Counter(e.model for e in standing if e.state is S.PENDING)
    assert +queues.in_flight == Counter(e.model for e in standing if e.state in IN_FLIGHT)
    assert +queues.fetching == Counter(e.model for e in standing if e.state is S.FETCHING)
    assert queues.polled == sum(e.state in IN_FLIGHT and e.api is Mode.QUEUED for e in standing)
    assert queues.saving == sum(
        line_of(e) is QueueKind.SAVE for e in standing if e.key in queues.busy
    )


def test_rosters_with_the_same_jobs_are_equal():
    one, other = JobQueues(), JobQueues()
    for queues in (one, other):
        queues.put(job(S.PENDING, 1))
    assert one == other
    one.begin(1)
    assert one != other
    assert one != "a queues"
