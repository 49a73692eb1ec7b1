"""Where jobs stand against the record: the judgement of the import, told beforehand."""

from __future__ import annotations

import pytest

from batchgen.core.forecast.diff import TO_SUBMIT, JobDiff, Known, standing
from batchgen.core.jobs.job import JobState

S = JobState


@pytest.mark.parametrize(
    ("state", "billable", "same", "changed"),
    [
        (S.PENDING, 0, JobDiff.WAITING, JobDiff.CHANGED),
        (S.PENDING, 1, JobDiff.WAITING, JobDiff.CONTESTED),
        (S.SUBMITTING, 1, JobDiff.UNDER_WAY, JobDiff.CONTESTED),
        (S.SUBMITTED, 1, JobDiff.UNDER_WAY, JobDiff.CONTESTED),
        (S.FETCHING, 1, JobDiff.UNDER_WAY, JobDiff.CONTESTED),
        (S.RECOVERING, 1, JobDiff.UNDER_WAY, JobDiff.CONTESTED),
        (S.AMBIGUOUS, 1, JobDiff.UNDER_WAY, JobDiff.CONTESTED),
        (S.DONE, 1, JobDiff.DONE, JobDiff.CONTESTED),
        (S.FAILED, 1, JobDiff.FAILED, JobDiff.CHANGED),
        (S.UNKNOWN, 1, JobDiff.UNKNOWN, JobDiff.CONTESTED),
        (S.LOST, 1, JobDiff.LOST, JobDiff.CONTESTED),
    ],
)
def test_standings(state, billable, same, changed):
    known = Known(state, billable, "as it was")

    assert standing(known, "as it was") is same
    assert standing(known, "another") is changed


def test_what_the_record_does_not_have_is_new():
    assert standing(None, "any") is JobDiff.NEW
    assert {JobDiff.NEW, JobDiff.WAITING, JobDiff.CHANGED} == TO_SUBMIT
