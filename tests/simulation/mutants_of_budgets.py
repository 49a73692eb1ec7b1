"""Bugs about requests, money, time and places."""

from __future__ import annotations

from tests.simulation.mutant import Mutant

MUTANTS = (
    Mutant(
        "window-forgotten-at-restart",
        "the rate window begins empty after a restart",
        "        if stored is None:\n            return window\n",
        "        if True:\n            return window\n",
        night="26",
    ),
    Mutant(
        "window-not-saved",
        "requests start before the rate log that counts them is on disk",
        'notes = {} if rate is None else {"rate": rate}',
        "notes: dict[str, str] = {}",
        night="26",
    ),
    Mutant(
        "slot-freed-at-request-start",
        "a slot of the window comes free a minute after the request began, not after its answer",
        "self.scheduler.answered(effect, outcome, self._ports.clock.now())",
        "self.scheduler.answered(effect, outcome, self._ports.clock.now() - 1.0)",
        night="2",
    ),
    Mutant(
        "429-ignored",
        "a 429 holds back one job instead of the account",
        "refused = response is not None and response.signal is Signal.RATE_LIMITED",
        "refused = response is not None and response.signal is None",
        tests="tests/core/scheduling/test_state.py",
    ),
    Mutant(
        "price-reserved-too-late",
        "several submits at once overshoot max_spend",
        "        self.usd += price_usd or 0.0\n",
        "        self.usd += 0.0\n",
        night="45",
    ),
    Mutant(
        "reservation-forgotten",
        "what is under way does not count against max_spend",
        "        if job.state is JobState.PENDING or job.state is JobState.FAILED:\n",
        "        if not job.ended or job.state is JobState.FAILED:\n",
        night="1",
    ),
    Mutant(
        "window-of-a-model-forgotten-at-restart",
        "the rate window of a single model begins empty after a restart",
        "RateWindow.restore(most, kept.get(m), now)",
        "RateWindow.restore(most, None, now)",
        night="killed_under_a_rate_of_a_model",
    ),
    Mutant(
        "requests-of-a-model-not-counted",
        "a limit on the requests of a single model is never used up",
        "return [*windows, own] if counted and own is not None else windows",
        "return windows",
        night="killed_under_a_rate_of_a_model",
    ),
    Mutant(
        "ceiling-never-lowered",
        "refusals teach nothing: at a limit nobody told us of, 429s go on for ever",
        "        self.ceiling = max(floor, half, ",
        "        self.ceiling = None and max(floor, half, ",
        tests="tests/simulation/test_budgets.py::test_a_lower_limit_than_configured_is_found_and_kept_to",
    ),
    Mutant(
        "unknown-prices-not-held-back",
        "jobs of unknown price fill all places before one has told what it costs",
        "            return True  # the first one tells what the others will cost\n",
        "            return False\n",
        night="unknown_prices",
    ),
    Mutant(
        "more-in-flight-than-comes-home",
        "a slow service is given more jobs than the requests can bring home within the hour",
        "return job.api is Mode.QUEUED and polled >= scheduler.polls.drainable(model)",
        "return False and polled >= 0",
        tests="tests/core/scheduling/test_tick.py",
    ),
    Mutant(
        "new-submits-before-old-polls",
        "submits keep their share although results are about to be forgotten",
        " now - oldest_at > scheduler.capabilities.retention_s / 2:\n",
        " now - oldest_at > 2 * scheduler.capabilities.retention_s:\n",
        tests="tests/core/scheduling/test_tick.py",
    ),
    Mutant(
        "prices-forgotten-at-restart",
        "what a model was seen to cost is not known after a restart",
        "            self.learn(model, usd)\n",
        "            pass\n",
        tests="tests/core/scheduling/test_spending.py",
    ),
    Mutant(
        "closed-model-keeps-the-run",
        "a model with limits of its own that is closed keeps the run from its end",
        "self.models.keys() - closed_models",
        "self.models.keys()",
        tests="tests/simulation/test_budgets.py::test_a_model_that_is_closed_on_the_way_does_not_keep_the_run",
    ),
    Mutant(
        "future-dates-believed",
        "after a clock was put back, jobs wait until it is as late again",
        "    if latest_at <= now and job.due_at <= now + retention_s:\n",
        "    if latest_at >= 0.0:\n",
        tests="tests/simulation/test_budgets.py::test_a_clock_that_was_put_back_costs_no_day_and_no_money",
    ),
)
