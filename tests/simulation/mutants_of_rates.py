"""Bugs put back into what finds out how the service counts, and how it answers."""

from __future__ import annotations

from tests.simulation.mutant import Mutant

_FOUND_OUT = "tests/core/scheduling/test_finding_out.py"
_RESULTS = "tests/core/scheduling/test_result_polls.py"

MUTANTS = (
    Mutant(
        "refused-result-held-against-the-job",
        "a result that is asked for too early counts as trouble of its job",
        "    understood = scheduler.result_polls.understood(job, event)\n",
        "    understood = event\n",
        tests=_RESULTS,
    ),
    Mutant(
        "usual-refusals-looked-into",
        "every refusal of a result costs a second call, whatever is known of it",
        "        if is_usual and (",
        "        if not is_usual and (",
        tests=_RESULTS,
    ),
    Mutant(
        "all-that-is-due-at-once",
        "what goes beyond all that has passed goes out together, and is refused together",
        "        return int(under_way == 0 or self.next_at(used) <= now)\n",
        "        return 1_000\n",
        tests=f"{_FOUND_OUT}::test_one_at_a_time_beyond_what_has_passed",
    ),
    Mutant(
        "counted-calls-not-held-to-the-number",
        "it is found out that all calls count, and the number binds submits alone",
        "return self.scope is RateScope.ALL or self.gets is GetScope.COUNTED",
        "return self.scope is RateScope.ALL",
        tests=f"{_FOUND_OUT}::test_calls_that_count_are_found_out_by_few_refusals",
    ),
    Mutant(
        "calls-forgotten-once-they-count",
        "the calls of the last minute are not counted when it turns out that they count",
        "        whole.take_over(calls, calls.under_way)\n",
        "        calls = whole\n",
        tests=f"{_FOUND_OUT}::test_calls_that_count_are_found_out_by_few_refusals",
    ),
    Mutant(
        "bursts-not-understood",
        "a limit that is enforced in short windows is taken for a lower one",
        "        elif not self._learn_burst(passed, at - now, now):\n",
        "        else:\n",
        tests=f"{_FOUND_OUT}::test_calls_that_do_not_count_are_found_out_without_any_refusal",
    ),
    Mutant(
        "refused-limits-tried-at-once",
        "a limit that was refused is tried again as soon as it is in use",
        "        self.rest_until = now + (HOLD_S if self.again else REST_S)\n",
        "        self.rest_until = now\n",
        tests=f"{_FOUND_OUT}::test_a_limit_that_nobody_told_is_found_from_below_and_from_above",
    ),
    Mutant(
        "lessons-of-limits-forgotten",
        "the next run begins as a newcomer to the account",
        'rates.gets = next((g for g in GetScope if g == learned.text("gets")), rates.gets)\n',
        "rates.gets = GetScope.UNKNOWN\n",
        tests=f"{_FOUND_OUT}::test_the_next_run_is_refused_nothing_but_what_it_tries_once_more",
    ),
)
