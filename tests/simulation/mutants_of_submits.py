"""Bugs about submits: what may be posted, and when again."""

from __future__ import annotations

from tests.simulation.mutant import Mutant

MUTANTS = (
    Mutant(
        "intent-after-post",
        "the POST leaves before its intent is on disk",
        """        if intents or notes:
            await self._record(intents, notes)
        for effect in effects:
            self._pool.give(scheduler.start(effect, self._ports.clock.now()))
""",
        """        for effect in effects:
            self._pool.give(scheduler.start(effect, self._ports.clock.now()))
        if intents or notes:
            await self._record(intents, notes)
""",
        night="killed_at_every_step",
    ),
    Mutant(
        "submitting-means-pending",
        "what was being submitted when the process died is submitted again",
        'Event(EventKind.UNCLEAR, job.key, now, reason=f"{INTERRUPTED} the {door}',
        'Event(EventKind.NOT_ACCEPTED, job.key, now, reason=f"{INTERRUPTED} the {door}',
        night="killed_at_every_step",
    ),
    Mutant(
        "retry-on-a-lost-reply",
        "a POST whose answer was lost is posted again",
        "Signal.LOST: _row(_T.AMBIGUOUS,",
        "Signal.LOST: _row(_T.RETRY,",
        night="5",
    ),
    Mutant(
        "5xx-is-retried-blindly",
        "a 5xx to a submit is posted again without asking the history",
        "Signal.SERVER_ERROR: _row(_T.AMBIGUOUS_OR_RETRY,",
        "Signal.SERVER_ERROR: _row(_T.RETRY,",
        night="49",
    ),
    Mutant(
        "504-is-retried-blindly",
        "a 504 to a submit is posted again without asking the history",
        "Signal.GATEWAY_TIMEOUT: _row(_T.AMBIGUOUS,",
        "Signal.GATEWAY_TIMEOUT: _row(_T.RETRY,",
        night="71",
    ),
    Mutant(
        "unreadable-200-may-be-absent",
        "a submit that was accepted without an id is believed absent",
        "    if 200 <= outcome.status < 300 or signal is Signal.UNREADABLE:\n",
        "    if False:\n",
        tests="tests/providers/segmind",
    ),
    Mutant(
        "post-not-shielded",
        "a cancelled run throws away the answers of its POSTs",
        "anyio.CancelScope(shield=True) as scope",
        "anyio.CancelScope(shield=False) as scope",
        night="cancelled_at_every_step",
    ),
    Mutant(
        "record-not-shielded",
        "a cancelled run throws away answers that are just being recorded",
        """                with anyio.CancelScope(shield=True):
                    await self._ports.state.record(changes, notes | told, uploaded)
""",
        """                with anyio.CancelScope(shield=False):
                    await self._ports.state.record(changes, notes | told, uploaded)
""",
        night="cancelled_at_every_step",
    ),
    Mutant(
        "told-before-recorded",
        "the watcher hears of what a death may still undo",
        "            changes = self._changes(events)\n",
        "            changes = self._changes(events)\n"
        "            self._ports.progress.changed(changes)\n",
        night="0",
    ),
    Mutant(
        "ambiguous-takes-no-place",
        "concurrency does not count what may be running",
        '"unclear, being looked up", is_in_flight=True, is_in_doubt=True',
        '"unclear, being looked up", is_in_doubt=True',
        night="6",
    ),
    Mutant(
        "set-aside-is-submitted-again",
        "what nobody can tell is submitted again instead of being left to the user",
        "        _E.HELD: _S.AMBIGUOUS,\n        _E.SET_ASIDE: _S.UNKNOWN,\n",
        "        _E.HELD: _S.AMBIGUOUS,\n        _E.SET_ASIDE: _S.PENDING,\n",
        night="1",
    ),
    Mutant(
        "two-live-attempts-allowed",
        "the state file does not forbid a second POST beside a live one",
        "CREATE UNIQUE INDEX one_live_attempt ON",
        "CREATE INDEX one_live_attempt ON",
        tests="tests/store/test_sqlite_schema.py",
    ),
    Mutant(
        "duplicate-id-accepted",
        "a request_id that another attempt already has is believed",
        "  request_id TEXT UNIQUE,\n",
        "  request_id TEXT,\n",
        night="19",
    ),
    Mutant(
        "middleman-is-believed",
        "a code of somebody between here and the service makes a job be posted again",
        "    Signal.MIDDLEMAN: _row(_T.AMBIGUOUS, ",
        "    Signal.MIDDLEMAN: _row(_T.RETRY, ",
        tests="tests/simulation/test_cases.py -k M5",
    ),
    Mutant(
        "402-ends-the-job",
        "an account without credits fails every job that waits",
        "    402: Signal.NO_CREDITS,\n",
        "    402: Signal.BAD_REQUEST,\n",
        tests="tests/simulation/test_cases.py -k W1",
    ),
    Mutant(
        "one-404-closes-the-model",
        "one odd answer closes the model for the rest of the run",
        "            self.models[model] = Refusal(reason, at + self.pause_s, signal)\n",
        "            self.models[model] = Refusal(reason, at, signal, closed=True)\n",
        tests="tests/core/scheduling/test_refusals.py",
    ),
    Mutant(
        "one-prompt-stops-all",
        "a prompt that a firewall refuses is never found to be the reason",
        "        return max(passed, default=0.0) >= refused_at - SAME_TIME_S\n",
        "        return False\n",
        tests="tests/simulation/test_cases.py -k W2",
    ),
    Mutant(
        "gate-opened-by-another-call",
        "any answer of the service opens what another call has closed",
        "        if self.down.pop(call, None) is not None:\n",
        "        if self.down.pop(call, None) is not None or self.down:\n"
        "            self.down.clear()\n",
        tests="tests/core/scheduling/test_outages.py",
    ),
    Mutant(
        "status-alone-is-asked",
        "a status that fails keeps its results at the service",
        "        if job.trouble >= RESULT_AFTER and job.trouble % 2:\n"
        "            kinds.reverse()\n",
        "        kinds = kinds[:1]\n",
        tests="tests/simulation/test_cases.py -k W3",
    ),
    Mutant(
        "key-that-worked-is-given-up",
        "a key that is refused for a minute ends the night",
        "        if gate.kind is GateKind.KEY and not self._key_worked and gate.probes:\n",
        "        if gate.kind is GateKind.KEY and gate.probes:\n",
        tests="tests/simulation/test_cases.py -k W2",
    ),
    Mutant(
        "outage-leaves-results-behind",
        "a run that cannot submit stops before what it paid for is home",
        "        if not saving and not _collects(scheduler, gate):\n",
        "        if not saving:\n",
        tests="tests/core/scheduling/test_planner.py",
    ),
)
