"""Bugs about results and their files."""

from __future__ import annotations

from tests.simulation.mutant import Mutant

MUTANTS = (
    Mutant(
        "young-404-is-old",
        "a record that is not visible yet counts as expired",
        "    if now - job.sent_at < WINDOW_S and job.trouble < PATIENCE:\n",
        "    if now - job.sent_at < 0:\n",
        tests="tests/providers/segmind",
    ),
    Mutant(
        "failed-under-200-ignored",
        "a FAILED that comes with a 200 is polled for an hour",
        "_BODY_DECIDES = frozenset({Signal.OK, Signal.UNPROCESSABLE})",
        "_BODY_DECIDES = frozenset({Signal.UNPROCESSABLE})",
        tests="tests/providers/segmind/test_responses.py",
    ),
    Mutant(
        "expired-is-paid-again-at-once",
        "a result whose record is gone is paid for again before the history is asked",
        "        _E.HELD: _S.SUBMITTED,\n        _E.GONE: _S.RECOVERING,\n",
        "        _E.HELD: _S.SUBMITTED,\n        _E.GONE: _S.PENDING,\n",
        night="9",
    ),
    Mutant(
        "done-before-the-rename",
        "a job is done before its files stand under their names",
        "        _E.RESULT: _S.FETCHING,\n        _E.SAVED: _S.DONE,\n",
        "        _E.RESULT: _S.DONE,\n        _E.SAVED: _S.DONE,\n",
        night="0",
    ),
    Mutant(
        "max-attempts-ignored",
        "a result that vanishes every time is paid for without end",
        "    if pays_again and job.billable < limits.max_attempts:\n",
        "    if pays_again:\n",
        night="results_that_vanish_every_time",
    ),
    Mutant(
        "outputs-of-the-attempt-before",
        "a death after a new submit saves the old attempt's files as the new one's",
        " or change.event.kind is EventKind.INTENDED:",
        ":",
        tests="tests/store/test_sqlite_ledger.py",
    ),
)
