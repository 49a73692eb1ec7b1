"""By which clock a history dates its rows, and that a learned one never lets a wrong row in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.job import Doubt
from batchgen.core.jobs.job import JobState as S
from batchgen.core.reconciliation.clock import (
    CONTROL_LATE_S,
    WIDEST_ZONE_S,
    ZONE_STEP_S,
    history_skew_s,
)
from batchgen.core.reconciliation.evidence import Policy
from batchgen.core.reconciliation.history import (
    DAY_S,
    SKEW_S,
    HistoryRead,
    HistoryRow,
    OwnRequest,
)
from batchgen.core.reconciliation.reconcile import Decision, decide
from tests.core.builders import NOW, job

INDIA_S = 19_800.0
SETTLE_S = 120.0
BODY = '{"prompt":"a cup"}'


def own_rows(*lates_s, skew_s=0.0):
    """Requests of ours, a second apart, and their rows, so late by our clock."""
    own, rows = {}, {}
    for place, late_s in enumerate(lates_s):
        id_, sent_at, body = f"own-{place}", NOW - 500 + place, f'{{"n":{place}}}'
        own[id_] = OwnRequest("flux-pro", body, sent_at)
        created_at = None if late_s is None else sent_at + late_s + skew_s
        rows[id_] = HistoryRow(id_, "flux-pro", body, created_at)
    return own, HistoryRead(NOW, NOW - 900, rows=rows, complete=True)


ONE_ROW = [
    (1.0, 0.0, "right"),
    (-SKEW_S, 0.0, "right, a little early"),
    (CONTROL_LATE_S + SKEW_S, 0.0, "a v1 call that took long"),
    (INDIA_S, INDIA_S, "a zone"),
    (INDIA_S + 100, INDIA_S, "a zone, and the POST was slow"),
    (-7 * 3600.0 + 2, -7 * 3600.0, "a zone to the west"),
    (INDIA_S + 400, 0.0, "between two zones"),
    (-450.0, 0.0, "between two zones to the west"),
    (WIDEST_ZONE_S + ZONE_STEP_S, 0.0, "further than any zone"),
    (-7 * DAY_S, 0.0, "a week ago"),
    (None, 0.0, "no time"),
]


@pytest.mark.parametrize(("late_s", "learned_s", "why"), ONE_ROW, ids=[c[2] for c in ONE_ROW])
def test_what_one_row_of_ours_tells(late_s, learned_s, why):
    own, read = own_rows(late_s)

    assert history_skew_s(read, own, 0.0) == learned_s, why


@pytest.mark.parametrize("ahead_s", [3600.0, 86_400.0])
def test_what_another_clock_dated_ahead_of_the_read_tells_nothing(ahead_s):
    """Of these the last process may have sent two an hour before it was right again."""
    own, read = own_rows(1.0, 2.0)
    ahead = {id_: replace(sent, sent_at=sent.sent_at + ahead_s) for id_, sent in own.items()}

    assert history_skew_s(read, ahead, 0.0) == 0.0


ROWS = [
    ((1.0, 2.0, 3.0), 0.0, "all right"),
    ((1.0, INDIA_S, INDIA_S + 1), 0.0, "one is right"),
    ((INDIA_S, INDIA_S + 4, INDIA_S + 5), INDIA_S + 4, "all off by the same"),
    ((-1000.0, -990.0), -1000.0, "off by what is no zone"),
    ((INDIA_S, INDIA_S + 1, 50_000.0), INDIA_S, "most are off by the same"),
    ((INDIA_S, INDIA_S + 1, 50_000.0, 50_001.0), 0.0, "two against two"),
    ((INDIA_S, -INDIA_S, 50_000.0), 0.0, "each says another thing"),
    ((INDIA_S, INDIA_S + SKEW_S), INDIA_S, "no further apart than clocks"),
    ((INDIA_S, INDIA_S + SKEW_S + 1), 0.0, "further apart than clocks"),
    ((None, INDIA_S), INDIA_S, "one has no time"),
    ((), 0.0, "none of ours"),
]


@pytest.mark.parametrize(("lates_s", "learned_s", "why"), ROWS, ids=[c[2] for c in ROWS])
def test_what_several_rows_of_ours_tell(lates_s, learned_s, why):
    own, read = own_rows(*lates_s)

    assert history_skew_s(read, own, 0.0) == learned_s, why


def test_what_is_learned_is_the_difference_to_our_clock_whatever_the_date_says():
    """`Date` is an hour fast: the rows are right by our clock, and an hour late by it."""
    own, read = own_rows(1.0, 2.0)

    assert history_skew_s(read, own, 3600.0) == pytest.approx(1.0)
    assert history_skew_s(*own_rows(1.0, skew_s=-300)[::-1], -300.0) == -300.0


# ------------------------------------------------------------------ by whole decisions

SENT_AT = NOW - 400.0
CUP = job(
    S.AMBIGUOUS, sent_at=SENT_AT, unclear_at=SENT_AT + 10, doubt=Doubt.OPEN, reason="answer lost"
)


def decided(doubtful, read, own, date_skew_s=0.0):
    """The finding about one job, by the clock that this read tells."""
    told = Policy(NOW, SETTLE_S, False, history_skew_s(read, own, date_skew_s))
    (finding,) = decide([doubtful], read, own, frozenset(), told)
    return finding


def shown(rows, back_to=SENT_AT):
    return HistoryRead(
        NOW - 200, back_to, rows={row.request_id: row for row in rows}, complete=True
    )


clock_errors_s = st.one_of(
    st.integers(-56, 56).map(lambda steps: steps * ZONE_STEP_S),
    st.floats(-3 * DAY_S, 3 * DAY_S),
)


@st.composite
def own_histories(draw):
    """Requests of ours as a history of some clock shows them; POSTs take up to a minute."""
    error_s = draw(clock_errors_s)
    own, rows = {}, []
    for place, at in enumerate(draw(st.lists(st.floats(-900, 200), max_size=5))):
        id_, body = f"own-{place}", f'{{"n":{place}}}'
        own[id_] = OwnRequest("flux-pro", body, SENT_AT + at)
        late_s = draw(st.floats(0.1, 60)) + error_s
        rows.append(HistoryRow(id_, "flux-pro", body, SENT_AT + at + late_s))
    return error_s, own, rows


@given(own_histories(), st.floats(0, 60), st.booleans())
def test_a_lost_answer_is_found_by_a_clock_that_our_rows_agree_on(history, arrived_s, date_is_it):
    error_s, own, rows = history
    lost = HistoryRow("lost", "flux-pro", BODY, SENT_AT + arrived_s + error_s)
    finding = decided(CUP, shown([*rows, lost]), own, error_s if date_is_it else 0.0)

    if date_is_it or (len(own) >= 2 and abs(error_s) > CONTROL_LATE_S + 2 * SKEW_S):
        assert (finding.decision, finding.request_id) == (Decision.CANDIDATE, "lost")
    assert finding.decision is not Decision.ABSENT


@given(own_histories(), st.floats(720, 9 * DAY_S), st.booleans())
def test_an_equal_request_of_before_is_never_taken_through_a_learned_clock(
    history, age_s, date_is_it
):
    """By a learned clock it is as old as it is. What `Date` alone makes of it is another matter:
    then nothing was learned."""
    error_s, own, rows = history
    old = HistoryRow("old", "flux-pro", BODY, SENT_AT - age_s + error_s)
    read, date_skew_s = shown([*rows, old]), error_s if date_is_it else 0.0

    learned = history_skew_s(read, own, date_skew_s) != date_skew_s
    if learned or date_is_it:
        assert decided(CUP, read, own, date_skew_s).decision is not Decision.CANDIDATE


@given(own_histories(), st.floats(0, 120), st.booleans(), st.sampled_from(list(Doubt)))
def test_no_clock_makes_an_accepted_post_absent(history, arrived_s, date_is_it, doubt):
    error_s, own, rows = history
    lost = HistoryRow("lost", "flux-pro", BODY, SENT_AT + arrived_s + error_s)
    date_skew_s = error_s if date_is_it else 0.0
    read = shown([*rows, lost], back_to=SENT_AT + date_skew_s)

    finding = decided(replace(CUP, doubt=doubt), read, own, date_skew_s)

    assert finding.decision is not Decision.ABSENT
