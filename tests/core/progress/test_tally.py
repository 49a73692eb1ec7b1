"""Counting a run change by change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.job import Receipt
from batchgen.core.jobs.lifecycle import TABLE, apply
from batchgen.core.progress.tally import Tally, duration
from batchgen.providers.segmind.treatments import WINDOW_S
from tests.core.builders import NOW, event, job, output


def take(tally, state, kind, at=NOW, **changes):
    tally.apply(apply(job(state, **changes), event(kind, at, job_key=changes.get("key", 1))))


def test_a_tally_begins_where_the_state_stands():
    tally = Tally.of({"done": 3, "failed": 1, "pending": 6, "submitted": 2}, 0.12)

    assert (tally.total, tally.ended, tally.in_flight, tally.spent_usd) == (12, 4, 2, 0.12)


def test_a_change_moves_one_job():
    tally = Tally.of({"pending": 2}, 0.0)

    take(tally, S.PENDING, E.INTENDED)

    assert (tally.counts[S.PENDING], tally.counts[S.SUBMITTING], tally.total) == (1, 1, 2)


@pytest.mark.parametrize(
    ("price", "cost", "spent"),
    [(0.1, None, 0.1), (0.1, 0.04, 0.04), (0.1, 0.0, 0.0), (None, 0.04, 0.04), (None, None, 0.0)],
)
def test_what_a_finished_job_cost(price, cost, spent):
    tally = Tally()

    take(tally, S.FETCHING, E.SAVED, price_usd=price, receipt=Receipt(cost_usd=cost))

    assert tally.spent_usd == spent


def test_rates_count_the_last_minute():
    tally = Tally()
    for second in range(0, 120, 10):
        take(tally, S.PENDING, E.INTENDED, NOW + second)
        take(tally, S.SUBMITTED, E.RUNNING, NOW + second)
        take(tally, S.SUBMITTED, E.FINISHED, NOW + second)

    assert tally.per_minute("submits", NOW + 110) == 6
    assert tally.per_minute("polls", NOW + 110) == 12
    assert tally.per_minute("submits", NOW + 1000) == 0
    assert tally.per_minute("downloads", NOW) == 0


def test_the_eta_goes_by_the_pace_of_the_last_minutes():
    tally = Tally.of({"fetching": 10, "pending": 5}, 0.0)
    assert tally.eta_s(NOW) is None
    take(tally, S.FETCHING, E.SAVED, NOW)
    assert tally.eta_s(NOW + 1) is None, "one is no pace"

    for second in (10, 20, 30):
        take(tally, S.FETCHING, E.SAVED, NOW + second)

    assert tally.eta_s(NOW + 40) == pytest.approx(11 * 10)
    assert tally.eta_s(NOW + 4000) is None


def test_the_nearest_deadline_is_that_of_a_result_not_here_yet():
    tally = Tally(retention_s=WINDOW_S)
    assert tally.next_deadline_at() is None
    take(tally, S.SUBMITTING, E.ACKED, key=1, sent_at=NOW - 100, request_id="r")
    take(tally, S.SUBMITTING, E.ACKED, key=2, sent_at=NOW - 50, request_id="s")
    assert tally.next_deadline_at() == NOW - 100 + WINDOW_S

    take(tally, S.SUBMITTED, E.FINISHED, key=1, sent_at=NOW - 100)
    assert tally.next_deadline_at() == NOW - 100 + WINDOW_S

    take(tally, S.FETCHING, E.RESULT, key=1, outputs=(output(),))
    assert tally.next_deadline_at() == NOW - 50 + WINDOW_S


@given(st.data())
def test_over_any_life_the_total_stays_and_the_parts_add_up(data):
    current, tally = job(), Tally.of({"pending": 1}, 0.0)
    for step in range(data.draw(st.integers(0, 30))):
        kind = data.draw(st.sampled_from(sorted(TABLE[current.state])))
        change = apply(current, event(kind, NOW + step))
        tally.apply(change)
        current = change.after

        assert tally.total == 1
        assert tally.counts[current.state] == 1
        assert tally.ended == current.ended


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (42, "42 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7800, "2 h 10 min"),
        (100 * 3600, "100 h 00 min"),
    ],
)
def test_a_duration_for_people(seconds, text):
    assert duration(seconds) == text
