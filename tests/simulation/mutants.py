"""Deliberate bugs of the protocol, and who catches each: `python -m tests.simulation.mutants`.

A judge counts only once it has failed on purpose. Every mutant is applied to a copy of the package;
then nights are rehearsed with it: one that is known to show it, else the first `MOST_SEEDS`. Where
what it breaks cannot be seen from the service's ledger, the tests of the module it is in are asked.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_SEEDS = 60
LONGEST_S = 100.0
SURVIVED = "nobody"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: the only place where `old` stands in `file` becomes `new`.

    `night` shows it: a seed, or a name of `tests.simulation.nights`. `tests` are asked where no
    night does.
    """

    name: str
    breaks: str
    file: str
    old: str
    new: str
    night: str = ""
    tests: str = ""

    def applied_to(self, text: str) -> str:
        """The text with the bug; ValueError when its place is not there exactly once."""
        count = text.count(self.old)
        if count != 1:
            raise ValueError(f"{self.name}: its place stands {count} times in {self.file}")
        return text.replace(self.old, self.new)


RUNNER = "batchgen/runner/runner.py"
HISTORY = "batchgen/runner/history.py"
EFFECTS = "batchgen/runner/effects.py"
ENDING = "batchgen/core/ending.py"
POLICY = "batchgen/core/policy.py"
BOARD = "batchgen/core/board.py"
BUDGET = "batchgen/core/budget.py"
JOB = "batchgen/core/job.py"
LIFECYCLE = "batchgen/core/lifecycle.py"
MONEY = "batchgen/core/money.py"
PACING = "batchgen/core/pacing.py"
PLANNER = "batchgen/core/planner.py"
RECONCILE = "batchgen/core/reconcile.py"
SIGNALS = "batchgen/core/signals.py"
TREATMENT = "batchgen/core/treatment.py"
WIRE = "batchgen/core/wire.py"
SCHEMA = "batchgen/adapters/sqlite/schema.py"
LEDGER = "batchgen/adapters/sqlite/ledger.py"

MUTANTS = (
    Mutant(
        "intent-after-post",
        "the POST leaves before its intent is on disk",
        RUNNER,
        """        if intents or notes:
            await self._record(intents, notes)
        for effect in effects:
            self._launch(effect)
""",
        """        for effect in effects:
            self._launch(effect)
        if intents or notes:
            await self._record(intents, notes)
""",
        night="killed_at_every_step",
    ),
    Mutant(
        "submitting-means-pending",
        "what was being submitted when the process died is submitted again",
        LIFECYCLE,
        '        EventKind.UNCLEAR, job.key, now, reason=f"the run ended while the {door}',
        '        EventKind.NOT_ACCEPTED, job.key, now, reason=f"the run ended while the {door}',
        night="killed_at_every_step",
    ),
    Mutant(
        "retry-on-a-lost-reply",
        "a POST whose answer was lost is posted again",
        SIGNALS,
        "Signal.LOST: _row(_T.AMBIGUOUS,",
        "Signal.LOST: _row(_T.RETRY,",
        night="5",
    ),
    Mutant(
        "5xx-is-retried-blindly",
        "a 5xx to a submit is posted again without asking the history",
        SIGNALS,
        "Signal.SERVER_ERROR: _row(_T.AMBIGUOUS_OR_RETRY,",
        "Signal.SERVER_ERROR: _row(_T.RETRY,",
        night="49",
    ),
    Mutant(
        "504-is-retried-blindly",
        "a 504 to a submit is posted again without asking the history",
        SIGNALS,
        "Signal.GATEWAY_TIMEOUT: _row(_T.AMBIGUOUS,",
        "Signal.GATEWAY_TIMEOUT: _row(_T.RETRY,",
        night="71",
    ),
    Mutant(
        "unreadable-200-may-be-absent",
        "a submit that was accepted without an id is believed absent",
        TREATMENT,
        "    if 200 <= outcome.status < 300 or signal is Signal.UNREADABLE:\n",
        "    if False:\n",
        tests="tests/core/test_treatment.py tests/core/test_wire.py",
    ),
    Mutant(
        "window-forgotten-at-restart",
        "the rate window begins empty after a restart",
        BUDGET,
        "        if stored is None:\n            return window\n",
        "        if True:\n            return window\n",
        night="26",
    ),
    Mutant(
        "window-not-saved",
        "requests start before the rate log that counts them is on disk",
        RUNNER,
        'notes = {} if rate is None else {"rate": rate}',
        "notes: dict[str, str] = {}",
        night="26",
    ),
    Mutant(
        "slot-freed-at-request-start",
        "a slot of the window comes free a minute after the request began, not after its answer",
        RUNNER,
        "self.board.rates.answered(effect.model, self._ports.clock.now())",
        "self.board.rates.answered(effect.model, self._ports.clock.now() - 1.0)",
        night="2",
    ),
    Mutant(
        "429-ignored",
        "a 429 holds back one job instead of the account",
        BOARD,
        "if event.signal is Signal.RATE_LIMITED:",
        "if event.signal is None:",
        tests="tests/core/test_board.py",
    ),
    Mutant(
        "adoption-without-confirmation",
        "a row of a team-mate is taken for ours",
        HISTORY,
        "            board.candidates[job.key] = finding.request_id\n            return None\n",
        "            found = finding.request_id\n"
        "            return Event(EventKind.ADOPTED, job.key, now, request_id=found)\n",
        night="9",
    ),
    Mutant(
        "denied-once-is-foreign",
        "one glitch while confirming makes a row of ours a team-mate's for good",
        BOARD,
        "DENIALS = 3\n",
        "DENIALS = 1\n",
        tests="tests/simulation/test_simulation.py::test_glitches_while_confirming_leave_nobody_unknown",
    ),
    Mutant(
        "adoption-ignores-time",
        "an equal request of last week is taken for this one",
        RECONCILE,
        "            and self._from_at(job) <= row.created_at <= self._to_at(job)\n",
        "",
        tests="tests/core/test_reconcile.py",
    ),
    Mutant(
        "adoption-ignores-our-ledger",
        "one row is adopted by two jobs",
        RECONCILE,
        "            and row.request_id not in self.own\n",
        "",
        tests="tests/core/test_reconcile.py",
    ),
    Mutant(
        "absence-without-settling",
        "absence is believed while the POST may still arrive",
        RECONCILE,
        "        if read.started_at < settled_at:\n",
        "        if read.started_at < job.unclear_at:\n",
        night="6",
    ),
    Mutant(
        "absence-without-control",
        "absence is believed of a history that has not caught up",
        RECONCILE,
        "        is_later = self.control_at > job.unclear_at\n",
        "        is_later = True\n",
        tests="tests/core/test_reconcile.py",
    ),
    Mutant(
        "absence-from-half-a-read",
        "absence is believed of a read that did not go back to the POST",
        RECONCILE,
        "        return self.read.complete and self.read.covers(",
        "        return True or self.read.covers(",
        tests="tests/core/test_reconcile.py",
    ),
    Mutant(
        "absence-under-a-shadow",
        "absence is believed although a row may be this very POST",
        RECONCILE,
        "        if shadow is not None:\n",
        "        if False:\n",
        tests="tests/core/test_reconcile.py",
    ),
    Mutant(
        "post-not-shielded",
        "a cancelled run throws away the answers of its POSTs",
        RUNNER,
        "anyio.CancelScope(shield=True) as scope",
        "anyio.CancelScope(shield=False) as scope",
        night="cancelled_at_every_step",
    ),
    Mutant(
        "record-not-shielded",
        "a cancelled run throws away answers that are just being recorded",
        RUNNER,
        """                with anyio.CancelScope(shield=True):
                    await self._ports.state.record(changes, notes)
""",
        """                with anyio.CancelScope(shield=False):
                    await self._ports.state.record(changes, notes)
""",
        night="cancelled_at_every_step",
    ),
    Mutant(
        "told-before-recorded",
        "the watcher hears of what a death may still undo",
        RUNNER,
        "            changes = self._changes(events)\n            try:\n",
        "            changes = self._changes(events)\n"
        "            self._ports.progress.changed(changes)\n            try:\n",
        night="0",
    ),
    Mutant(
        "ambiguous-takes-no-place",
        "concurrency does not count what may be running",
        JOB,
        "IN_FLIGHT = frozenset({JobState.SUBMITTING, JobState.SUBMITTED, JobState.AMBIGUOUS})",
        "IN_FLIGHT = frozenset({JobState.SUBMITTING, JobState.SUBMITTED})",
        night="6",
    ),
    Mutant(
        "young-404-is-old",
        "a record that is not visible yet counts as expired",
        TREATMENT,
        "    if now - job.sent_at < WINDOW_S and job.trouble < PATIENCE:\n",
        "    if now - job.sent_at < 0:\n",
        tests="tests/core/test_treatment.py tests/core/test_wire.py",
    ),
    Mutant(
        "failed-under-200-ignored",
        "a FAILED that comes with a 200 is polled for an hour",
        WIRE,
        "_BODY_DECIDES = frozenset({Signal.OK, Signal.UNPROCESSABLE})",
        "_BODY_DECIDES = frozenset({Signal.UNPROCESSABLE})",
        tests="tests/core/test_wire.py",
    ),
    Mutant(
        "expired-is-paid-again-at-once",
        "a result whose record is gone is paid for again before the history is asked",
        LIFECYCLE,
        "        _E.HELD: _S.SUBMITTED,\n        _E.GONE: _S.RECOVERING,\n",
        "        _E.HELD: _S.SUBMITTED,\n        _E.GONE: _S.PENDING,\n",
        night="9",
    ),
    Mutant(
        "set-aside-is-submitted-again",
        "what nobody can tell is submitted again instead of being left to the user",
        LIFECYCLE,
        "        _E.HELD: _S.AMBIGUOUS,\n        _E.SET_ASIDE: _S.UNKNOWN,\n",
        "        _E.HELD: _S.AMBIGUOUS,\n        _E.SET_ASIDE: _S.PENDING,\n",
        night="1",
    ),
    Mutant(
        "done-before-the-rename",
        "a job is done before its files stand under their names",
        LIFECYCLE,
        "        _E.RESULT: _S.FETCHING,\n        _E.SAVED: _S.DONE,\n",
        "        _E.RESULT: _S.DONE,\n        _E.SAVED: _S.DONE,\n",
        night="0",
    ),
    Mutant(
        "max-attempts-ignored",
        "a result that vanishes every time is paid for without end",
        POLICY,
        "    if pays_again and job.billable < limits.max_attempts:\n",
        "    if pays_again:\n",
        night="results_that_vanish_every_time",
    ),
    Mutant(
        "price-reserved-too-late",
        "several submits at once overshoot max_spend",
        PLANNER,
        "        self.usd += price_usd or 0.0\n",
        "        self.usd += 0.0\n",
        night="45",
    ),
    Mutant(
        "reservation-forgotten",
        "what is under way does not count against max_spend",
        BOARD,
        "        if job.state is JobState.PENDING or job.state is JobState.FAILED:\n",
        "        if not job.ended or job.state is JobState.FAILED:\n",
        night="1",
    ),
    Mutant(
        "two-live-attempts-allowed",
        "the state file does not forbid a second POST beside a live one",
        SCHEMA,
        "CREATE UNIQUE INDEX one_live_attempt ON",
        "CREATE INDEX one_live_attempt ON",
        tests="tests/adapters/test_sqlite_schema.py",
    ),
    Mutant(
        "duplicate-id-accepted",
        "a request_id that another attempt already has is believed",
        SCHEMA,
        "  request_id TEXT UNIQUE,\n",
        "  request_id TEXT,\n",
        night="19",
    ),
    Mutant(
        "recovered-v1-without-its-id",
        "a bill of a recovered v1 request is in nobody's ledger",
        WIRE,
        "        return replace(event, request_id=request_id) if final else event\n",
        "        return event\n",
        night="555",
    ),
    Mutant(
        "endless-v1-request",
        "a v1 request that never ends keeps the run waiting for ever",
        TREATMENT,
        "_LOOKED_UP = frozenset({JobState.RECOVERING, JobState.AMBIGUOUS})",
        "_LOOKED_UP = frozenset({JobState.RECOVERING})",
        night="endless_requests",
    ),
    Mutant(
        "waits-for-a-place-behind-a-dead-history",
        "what waits for a dead history takes the only place, and the run waits for ever",
        ENDING,
        "    held = board.gates.holds_submits() or board.in_flight >= board.limits.concurrency\n",
        "    held = board.gates.holds_submits()\n",
        night="dead_history_without_a_place",
    ),
    Mutant(
        "waits-for-money-behind-a-dead-history",
        "what waits for a dead history holds all the money, and the run waits for ever",
        ENDING,
        "not held and board.money.affords(board.money.expected_usd(job))\n",
        "not held\n",
        night="dead_history_without_money",
    ),
    Mutant(
        "lookups-starve-submits",
        "lookups in a dead history take every slot of the window",
        PLANNER,
        "            self._submits(submit_share(self.board, self.now))\n",
        "",
        night="dead_history_and_few_slots",
    ),
    Mutant(
        "outputs-of-the-attempt-before",
        "a death after a new submit saves the old attempt's files as the new one's",
        LEDGER,
        "if change.event.outputs or change.event.kind is EventKind.INTENDED:",
        "if change.event.outputs:",
        tests="tests/adapters/test_sqlite_ledger.py",
    ),
    Mutant(
        "window-of-a-model-forgotten-at-restart",
        "the rate window of a single model begins empty after a restart",
        BUDGET,
        "RateWindow.restore(own, kept.get(model), now)",
        "RateWindow.restore(own, None, now)",
        night="killed_under_a_rate_of_a_model",
    ),
    Mutant(
        "requests-of-a-model-not-counted",
        "a limit on the requests of a single model is never used up",
        BUDGET,
        "return [self.whole] if own is None else [self.whole, own]",
        "return [self.whole] if own is None else [self.whole]",
        night="killed_under_a_rate_of_a_model",
    ),
    Mutant(
        "ceiling-never-lowered",
        "refusals teach nothing: at a limit nobody told us of, 429s go on for ever",
        BUDGET,
        "        self.ceiling = max(floor, half, ",
        "        self.ceiling = None and max(floor, half, ",
        tests="tests/simulation/test_budgets.py::test_a_lower_limit_than_configured_is_found_and_kept_to",
    ),
    Mutant(
        "unknown-prices-not-held-back",
        "jobs of unknown price fill all places before one has told what it costs",
        PLANNER,
        "            return True  # the first one tells what the others will cost\n",
        "            return False\n",
        night="unknown_prices",
    ),
    Mutant(
        "more-in-flight-than-comes-home",
        "a slow service is given more jobs than the requests can bring home within the hour",
        PLANNER,
        "return job.api is ApiVersion.V2 and polled >= board.placement.drainable(model)",
        "return False and polled >= 0",
        tests="tests/core/test_pacing.py",
    ),
    Mutant(
        "new-submits-before-old-polls",
        "submits keep their share although results are about to be forgotten",
        PACING,
        "    if oldest_at is not None and now - oldest_at > WINDOW_S / 2:\n",
        "    if oldest_at is not None and now - oldest_at > 2 * WINDOW_S:\n",
        tests="tests/core/test_pacing.py",
    ),
    Mutant(
        "prices-forgotten-at-restart",
        "what a model was seen to cost is not known after a restart",
        MONEY,
        "            self.learn(model, usd)\n",
        "            pass\n",
        tests="tests/core/test_money.py",
    ),
    Mutant(
        "closed-model-keeps-the-run",
        "a model with limits of its own that is closed keeps the run from its end",
        BOARD,
        "self.stocks.keys() - self.gates.closed_models.keys()",
        "self.stocks.keys()",
        tests="tests/simulation/test_budgets.py::test_a_model_that_is_closed_on_the_way_does_not_keep_the_run",
    ),
    Mutant(
        "future-dates-believed",
        "after a clock was put back, jobs wait until it is as late again",
        "batchgen/core/misdated.py",
        "    if latest_at <= now and job.due_at <= now + WINDOW_S:\n",
        "    if latest_at >= 0.0:\n",
        tests="tests/simulation/test_budgets.py::test_a_clock_that_was_put_back_costs_no_day_and_no_money",
    ),
)

_JUDGE = """
import sys
from pathlib import Path
import batchgen
assert Path(batchgen.__file__).is_relative_to(Path.cwd()), batchgen.__file__
from tests.simulation.hunt import judged
from tests.simulation.nights import NIGHTS
from tests.simulation.scenarios import scenario_of
for name in sys.argv[1:]:
    for scenario in NIGHTS[name]() if name in NIGHTS else [scenario_of(int(name))]:
        found, _ = judged(scenario)
        if found:
            what = "seed " * name.isdigit() + name.replace("_", " ")
            print(f"{what}: {found[0].strip().splitlines()[-1][:120]}")
            sys.exit(1)
"""


_PLUGINS = ("-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin", "-p", "pytest_timeout")
"""What the tests of a module need; loading all there are takes longer than the tests."""


def catcher(mutant: Mutant) -> str:
    """Who catches a mutant, and by what: a seed with what was violated, or a test."""
    with tempfile.TemporaryDirectory(prefix="batchgen-mutant-") as name:
        home = Path(name)
        shutil.copytree(
            ROOT / "batchgen", home / "batchgen", ignore=shutil.ignore_patterns("__pycache__")
        )
        (home / "tests").symlink_to(ROOT / "tests")
        target = home / mutant.file
        target.write_text(mutant.applied_to(target.read_text()))
        return _by_night(mutant, home) or _by_test(mutant, home) or SURVIVED


def _by_night(mutant: Mutant, home: Path) -> str:
    """Where only tests are named, no night is expected to show anything."""
    if mutant.tests and not mutant.night:
        return ""
    nights = [*filter(None, [mutant.night]), *map(str, range(MOST_SEEDS))]
    try:
        judged = _run(home, ["-c", _JUDGE, *nights])
    except subprocess.TimeoutExpired:
        return f"the nights: no end within {LONGEST_S:.0f} s"
    if judged.returncode == 0:
        return ""
    return judged.stdout.strip() or f"the nights: {judged.stderr.strip().splitlines()[-1]}"


def _by_test(mutant: Mutant, home: Path) -> str:
    """A test that fails without any mutant catches nothing."""
    if not mutant.tests:
        return ""
    failed = _failed(mutant.tests, home)
    if not failed:
        return ""
    if _fails_unmutated(failed):
        raise RuntimeError(f"{failed} fails without {mutant.name} as well")
    return failed


def _failed(tests: str, home: Path) -> str:
    """The first of these tests that fails with the package below `home`; empty if none does."""
    options = ["-q", "-x", "--no-header", "-c", str(ROOT / "pyproject.toml"), f"--rootdir={home}"]
    judged = _run(home, ["-m", "pytest", *options, *_PLUGINS, *tests.split()])
    failed = [line for line in judged.stdout.splitlines() if line.startswith("FAILED ")]
    return failed[0].removeprefix("FAILED ").split(" - ")[0] if failed else ""


@cache
def _fails_unmutated(test: str) -> bool:
    """Whether a test fails with the package as it is; asked once of each."""
    return bool(_failed(test, ROOT))


def _run(home: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(home),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_S,
    )


def catchers(mutants: Sequence[Mutant] = MUTANTS, at_once: int = 2) -> dict[str, str]:
    """Who catches each, by name."""
    with ThreadPoolExecutor(at_once) as pool:
        return dict(
            zip((mutant.name for mutant in mutants), pool.map(catcher, mutants), strict=True)
        )


def table(caught: dict[str, str]) -> str:
    """A Markdown table for the documentation."""
    rows = [f"| {m.name} | {m.breaks} | {caught[m.name]} |" for m in MUTANTS if m.name in caught]
    return "\n".join(["| mutant | what it breaks | caught by |", "|---|---|---|", *rows])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="only the table, as Markdown")
    parser.add_argument("names", nargs="*", help="only these")
    options = parser.parse_args()
    chosen = [m for m in MUTANTS if not options.names or m.name in options.names]
    caught = catchers(chosen)
    print(table(caught))
    survivors = [name for name, who in caught.items() if who == SURVIVED]
    if not options.table:
        print(f"{len(caught)} mutants, {len(survivors)} survived", *survivors)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
