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
                    await self._ports.state.record(changes, notes, uploaded)
""",
        """                with anyio.CancelScope(shield=False):
                    await self._ports.state.record(changes, notes, uploaded)
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
)
