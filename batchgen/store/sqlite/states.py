"""Sets of states as conditions in SQL: the one place where the words of states get into it."""

from __future__ import annotations

from collections.abc import Iterable

from batchgen.core.jobs.job import (
    AWAITING_RESULT,
    ENDED,
    PROBLEMS,
    AttemptState,
    JobState,
    StateGroup,
    states_of,
)

AnyState = JobState | AttemptState


def words(states: Iterable[AnyState]) -> str:
    """Some states of one kind as a list of values.

    They stand in the order of their definition: a partial index serves a query only if both hold
    the same condition.
    """
    chosen = sorted(set(states), key=lambda state: list(type(state).__members__).index(state.name))
    return ", ".join(f"'{state.value}'" for state in chosen)


def among(states: Iterable[AnyState], column: str = "state") -> str:
    """The condition that a column holds one of these states."""
    chosen = list(states)
    return f"{column} {'= ' + words(chosen) if len(chosen) == 1 else f'IN ({words(chosen)})'}"


def outside(states: Iterable[AnyState], column: str = "state") -> str:
    """The condition that a column holds none of these states."""
    chosen = list(states)
    return f"{column} {'<> ' + words(chosen) if len(chosen) == 1 else f'NOT IN ({words(chosen)})'}"


def is_pending(column: str = "state") -> str:
    """A job is still to be submitted."""
    return among([JobState.PENDING], column)


def is_under_way(column: str = "state") -> str:
    """A run works on a job."""
    return among(states_of(StateGroup.RUNNING), column)


def is_done(column: str = "state") -> str:
    """The files of a job are there."""
    return among(states_of(StateGroup.DONE), column)


def is_free(column: str = "state") -> str:
    """A job ended, and nothing was charged."""
    return among(states_of(StateGroup.FAILED), column)


def is_uncharged(job: str) -> str:
    """A job, by the alias of its row, waits to be submitted again, and no attempt of it was or may
    have been charged: the last one failed."""
    charged = f"SELECT 1 FROM attempts a WHERE a.job_key = {job}.key AND a.cost_usd IS NOT 0"
    return f"({is_pending(f'{job}.state')} AND {job}.billable > 0 AND NOT EXISTS ({charged}))"


IS_ENDED = among(ENDED)
IS_PROBLEM = among(PROBLEMS)
"""A job ended without files."""
AWAITS_RESULT = (
    f"({among(AWAITING_RESULT)} OR {among([JobState.FETCHING])} "
    "AND key NOT IN (SELECT job_key FROM outputs))"
)
"""The result of a job is at the service alone."""
