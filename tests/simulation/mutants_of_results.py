"""Bugs about results and their files."""

from __future__ import annotations

from tests.simulation.mutant import Mutant

MUTANTS = (
    Mutant(
        "tries-instead-of-age",
        "a record that is not visible yet counts as gone after some tries",
        "    return EventKind.GONE if is_over(job, now) or asks_history else EventKind.TROUBLE\n",
        "    return EventKind.GIVEN_UP if job.trouble >= PATIENCE else EventKind.TROUBLE\n",
        tests="tests/providers/segmind/test_treatments.py",
    ),
    Mutant(
        "absent-within-the-hour",
        "a history that lags makes a young result be paid for again",
        "        return EventKind.GIVEN_UP if is_over(job, now) else EventKind.TROUBLE\n",
        "        return EventKind.GIVEN_UP if job.trouble >= PATIENCE else EventKind.TROUBLE\n",
        tests="tests/providers/segmind/test_treatments.py",
    ),
    Mutant(
        "gone-without-control",
        "an expired record counts as gone although the history may only lag",
        "    if listed or shown_at > job.sent_at or not capabilities.has_history:\n",
        "    if listed or True:\n",
        tests="tests/core/scheduling/test_policy.py",
    ),
    Mutant(
        "address-dropped",
        "files whose address is known are given up when the history names none",
        "    if job.outputs:\n        return with_known_address(job, event)\n",
        "",
        tests="tests/core/scheduling/test_state.py",
    ),
    Mutant(
        "lost-before-its-days-are-over",
        "a file that its host does not bring now is lost after some tries",
        "    if event.kind is EventKind.GIVEN_UP and age_s >= capabilities.file_retention_s:\n",
        "    if event.kind is EventKind.GIVEN_UP:\n",
        tests="tests/core/scheduling/test_policy.py",
    ),
    Mutant(
        "submits-go-on-without-files",
        "nothing stops submitting while no file can be fetched",
        "        if scheduler.hosts.holds(model) or not self._takes_jobs(model):\n",
        "        if not self._takes_jobs(model):\n",
        tests="tests/simulation/test_cases.py -k M3",
    ),
    Mutant(
        "host-opened-by-another",
        "a host that brings nothing counts as well because another one brings its files",
        "            self.hosts.brought(hosts_of(change.before))\n",
        "            self.hosts.brought(list(self.hosts.closed))\n",
        tests="tests/core/scheduling/test_state.py",
    ),
    Mutant(
        "unfetched-is-forgotten",
        "files that could not be fetched are not tried again by the next run",
        "    if job.state is JobState.UNFETCHED:\n"
        "        return Event(EventKind.REOPENED, job.key, now)\n",
        "",
        tests="tests/core/jobs/test_lifecycle.py",
    ),
    Mutant(
        "no-media-is-a-fault",
        "an answer without media is asked for again, and paid for again in the end",
        "            return _rejected(job, answer, now, call, read.refusal)\n",
        "            return _no_result(job, answer, now, call, read.refusal)\n",
        tests="tests/simulation/test_cases.py -k M2",
    ),
    Mutant(
        "text-is-a-picture",
        "a refusal in words counts as the picture that was asked for",
        '    if not wants_media:\n        return ""\n',
        '    return ""\n',
        tests="tests/simulation/test_cases.py -k W5",
    ),
    Mutant(
        "rejected-is-thrown-away",
        "what a rejected job was answered is not kept",
        "    return Reading(event, {}, kept=answer.body)\n",
        "    return Reading(event, {})\n",
        tests="tests/providers/segmind/test_responses.py",
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
