"""Where jobs stand against the record: the judgement of the import, told beforehand."""

from __future__ import annotations

import pytest

from batchgen.core.job import JobState
from batchgen.core.standing import TO_SUBMIT, Known, Standing, standing

S = JobState


@pytest.mark.parametrize(
    ("state", "billable", "same", "changed"),
    [
        (S.PENDING, 0, Standing.WAITING, Standing.CHANGED),
        (S.PENDING, 1, Standing.WAITING, Standing.CONTESTED),
        (S.SUBMITTING, 1, Standing.UNDER_WAY, Standing.CONTESTED),
        (S.SUBMITTED, 1, Standing.UNDER_WAY, Standing.CONTESTED),
        (S.FETCHING, 1, Standing.UNDER_WAY, Standing.CONTESTED),
        (S.RECOVERING, 1, Standing.UNDER_WAY, Standing.CONTESTED),
        (S.AMBIGUOUS, 1, Standing.UNDER_WAY, Standing.CONTESTED),
        (S.DONE, 1, Standing.DONE, Standing.CONTESTED),
        (S.FAILED, 1, Standing.FAILED, Standing.CHANGED),
        (S.UNKNOWN, 1, Standing.UNKNOWN, Standing.CONTESTED),
        (S.LOST, 1, Standing.LOST, Standing.CONTESTED),
    ],
)
def test_standings(state, billable, same, changed):
    known = Known(state, billable, "as it was")

    assert standing(known, "as it was") is same
    assert standing(known, "another") is changed


def test_what_the_record_does_not_have_is_new():
    assert standing(None, "any") is Standing.NEW
    assert {Standing.NEW, Standing.WAITING, Standing.CHANGED} == TO_SUBMIT
