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
from functools import cache
from pathlib import Path

from tests.simulation import (
    mutants_of_budgets,
    mutants_of_kinds,
    mutants_of_lookups,
    mutants_of_rates,
    mutants_of_results,
    mutants_of_submits,
    mutants_of_uploads,
)
from tests.simulation.mutant import Mutant

ROOT = Path(__file__).parents[2]
MOST_SEEDS = 60
LONGEST_S = 100.0
SURVIVED = "nobody"

MUTANTS: tuple[Mutant, ...] = (
    *mutants_of_submits.MUTANTS,
    *mutants_of_lookups.MUTANTS,
    *mutants_of_results.MUTANTS,
    *mutants_of_budgets.MUTANTS,
    *mutants_of_rates.MUTANTS,
    *mutants_of_uploads.MUTANTS,
    *mutants_of_kinds.MUTANTS,
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
        # With what is compiled already: a copy keeps the times by which that is known to be valid.
        shutil.copytree(ROOT / "batchgen", home / "batchgen")
        (home / "tests").symlink_to(ROOT / "tests")
        mutant.apply_in(home / "batchgen")
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
