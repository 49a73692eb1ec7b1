"""Bugs about the account's history: what is adopted, and what is believed absent."""

from __future__ import annotations

from tests.simulation.mutant import Mutant

MUTANTS = (
    Mutant(
        "adoption-without-confirmation",
        "a row of a team-mate is taken for ours",
        "                self.lookups.propose(key, finding.request_id)\n"
        "                return None\n",
        "                found = finding.request_id\n"
        "                return Event(EventKind.ADOPTED, key, now, request_id=found)\n",
        night="9",
    ),
    Mutant(
        "denied-early-is-foreign",
        "a row of ours whose record comes later than the list is a team-mate's for good",
        "        if doubted_s >= MAX_LAG_S or self.denials[candidate] < DENIALS - 1:\n",
        "        if True:\n",
        tests="tests/simulation/test_doubts.py",
    ),
    Mutant(
        "adoption-ignores-time",
        "an equal request of last week is taken for this one",
        "            and self._from_at(job) <= row.created_at <= self._to_at(job)\n",
        "",
        tests="tests/core/reconciliation/test_reconcile.py",
    ),
    Mutant(
        "adoption-ignores-our-ledger",
        "one row is adopted by two jobs",
        "            and row.request_id not in self.own\n",
        "",
        tests="tests/core/reconciliation/test_reconcile.py",
    ),
    Mutant(
        "absence-without-settling",
        "absence is believed while the POST may still arrive",
        "        if read.started_at < settled_at:\n",
        "        if read.started_at < job.unclear_at:\n",
        night="6",
    ),
    Mutant(
        "absence-without-control",
        "absence is believed of a history that has not caught up",
        "        is_later = self.control_at > job.unclear_at\n",
        "        is_later = True\n",
        tests="tests/core/reconciliation/test_reconcile.py",
    ),
    Mutant(
        "absence-from-half-a-read",
        "absence is believed of a read that did not go back to the POST",
        "        return self.read.complete and self.read.covers(",
        "        return True or self.read.covers(",
        tests="tests/core/reconciliation/test_reconcile.py",
    ),
    Mutant(
        "absence-under-a-shadow",
        "absence is believed although a row may be this very POST",
        "        if shadow is not None:\n",
        "        if False:\n",
        tests="tests/core/reconciliation/test_reconcile.py",
    ),
    Mutant(
        "recovered-v1-without-its-id",
        "a bill of a recovered v1 request is in nobody's ledger",
        "replace(event, request_id=request_id) if isinstance(event, AnswerEvent) else event\n",
        "event\n",
        night="555",
    ),
    Mutant(
        "endless-v1-request",
        "a v1 request that never ends keeps the run waiting for ever",
        "_LOOKED_UP = frozenset({JobState.RECOVERING, JobState.AMBIGUOUS})",
        "_LOOKED_UP = frozenset({JobState.RECOVERING})",
        night="endless_requests",
    ),
    Mutant(
        "waits-for-a-place-behind-a-dead-history",
        "what waits for a dead history takes the only place, and the run waits for ever",
        "holds_submits() or scheduler.in_flight >= scheduler.limits.concurrency\n",
        "holds_submits()\n",
        night="dead_history_without_a_place",
    ),
    Mutant(
        "waits-for-money-behind-a-dead-history",
        "what waits for a dead history holds all the money, and the run waits for ever",
        "not held and scheduler.money.affords(scheduler.money.expected_usd(job))\n",
        "not held\n",
        night="dead_history_without_money",
    ),
    Mutant(
        "lookups-starve-submits",
        "lookups in a dead history take every slot of the window",
        "            self._submits(share)\n",
        "",
        tests="tests/core/scheduling/test_tick.py",
    ),
    Mutant(
        "control-not-kept-back",
        "the last doubts of a run have no later submit that could prove anything",
        "KEPT = 2\n",
        "KEPT = 0\n",
        tests="tests/core/scheduling/test_controls.py",
    ),
    Mutant(
        "control-does-not-wait",
        "the last pending job is spent on a doubt that might have cleared up without it",
        "    if settled_at > now:\n",
        "    if False:\n",
        tests="tests/core/scheduling/test_controls.py",
    ),
    Mutant(
        "documented-after-one-read",
        "a 5xx is believed of one read, which may have come too early",
        "        is_twice = self.read.complete and apart_s >= self.policy.settle_s\n",
        "        is_twice = self.read.complete\n",
        tests="tests/core/reconciliation/test_reconcile.py",
    ),
    Mutant(
        "any-doubt-is-documented",
        "a lost answer is believed absent without a later submit of ours",
        "        if not job.documented_absent:\n            return None\n",
        "        if not job.may_be_absent:\n            return None\n",
        tests="tests/core/reconciliation/test_reconcile.py",
    ),
    Mutant(
        "documented-of-a-history-that-lags",
        "a 5xx is believed of a history that lacks an older submit of ours as well",
        "self.shows_all_since(job.sent_at) or self._lags():\n",
        "self.shows_all_since(job.sent_at):\n",
        tests="tests/core/reconciliation/test_reconcile.py",
    ),
    Mutant(
        "documented-beside-a-row-in-disguise",
        "a 5xx is believed of a history that may show requests otherwise than they were sent",
        "        return bool(self.control_at) or all(\n",
        "        return True or all(\n",
        tests="tests/core/reconciliation/test_reconcile.py",
    ),
    Mutant(
        "clock-of-any-distance",
        "one odd row of ours moves the times of all others",
        "    return offset_s if abs(late_s - offset_s) <= SKEW_S and ",
        "    return late_s if True or ",
        tests="tests/core/reconciliation/test_clock.py",
    ),
    Mutant(
        "clock-without-agreement",
        "rows of ours that contradict each other move the times of all others",
        "    if len(agreeing) <= len(late_s) / 2 or len(agreeing) == 1:\n",
        "    if False:\n",
        tests="tests/core/reconciliation/test_clock.py",
    ),
    Mutant(
        "read-ends-by-date-alone",
        "a history that is dated earlier is not read back to the doubt",
        "oldest_at + min(self.skew_s, told_s)",
        "oldest_at + self.skew_s",
        tests="tests/core/scheduling/test_lookups.py",
    ),
)
