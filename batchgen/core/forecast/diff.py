"""Where a job of a manifest stands against the record, before a run brings the two in line.

The same judgement as the import's: by id, then by the fingerprint of what is asked for and where
its files go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from batchgen.core.jobs.job import STATES, JobState, StateGroup


class JobDiff(StrEnum):
    """What the next run will make of a job."""

    NEW = "new"
    """Not in the record: will be submitted."""
    WAITING = "waiting"
    """In the record as it is, and still to be submitted."""
    CHANGED = "changed"
    """Another one than in the record, where it costs nothing so far: updated, and submitted."""
    UNDER_WAY = "under way"
    """Submitted: brought home, and not paid for again."""
    DONE = "done"
    """Its files are there."""
    FAILED = "failed"
    """Was not charged; stays so until it is retried or changed."""
    UNKNOWN = "unknown"
    """Perhaps billed; stays so until it is retried."""
    LOST = "lost"
    """Paid for, and its files are gone; stays so until it is retried."""
    UNFETCHED = "unfetched"
    """Paid for, and its files could not be fetched yet: tried first, and not paid for again."""
    REJECTED = "rejected"
    """Paid for, and what came is not what its model makes; stays so until it is retried."""
    CONTESTED = "contested"
    """Changed after it may have been paid for: nothing runs until the user decides."""

    __hash__ = str.__hash__  # as in `JobState`


TO_SUBMIT = frozenset({JobDiff.NEW, JobDiff.WAITING, JobDiff.CHANGED})
"""What a run submits, and pays for."""

_OF_GROUP: Mapping[StateGroup, JobDiff] = {
    StateGroup.WAITING: JobDiff.WAITING,
    StateGroup.RUNNING: JobDiff.UNDER_WAY,
    StateGroup.DONE: JobDiff.DONE,
    StateGroup.FAILED: JobDiff.FAILED,
    StateGroup.UNKNOWN: JobDiff.UNKNOWN,
    StateGroup.LOST: JobDiff.LOST,
    StateGroup.UNFETCHED: JobDiff.UNFETCHED,
    StateGroup.REJECTED: JobDiff.REJECTED,
}


@dataclass(frozen=True, slots=True)
class Known:
    """A job as the record has it; `billable` counts its POSTs that may have been billed."""

    state: JobState
    billable: int
    fingerprint: str


def standing(known: Known | None, fingerprint: str) -> JobDiff:
    """The standing of a job with this fingerprint, of which the record knows so much."""
    if known is None:
        return JobDiff.NEW
    group = STATES[known.state].group
    if known.fingerprint == fingerprint:
        return _OF_GROUP[group]
    untouched = group is StateGroup.WAITING and known.billable == 0
    if untouched or group is StateGroup.FAILED:
        return JobDiff.CHANGED
    return JobDiff.CONTESTED
