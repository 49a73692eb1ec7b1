"""`python -m bench [NAME ...] [--quick]`: measure, print one table, and keep it.

Without names all measurements run, and a full one brings `docs/performance.md` up to date. A quick
run is a smoke test of some 100 s: its times mean nothing and are not judged, its counts are.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec

from bench.harness import BenchError, Row
from bench.page import conditions, table, write_page, write_results

BENCHES = ("throughput", "sdk", "downloads", "growth", "limits", "makespan", "million")
"""In this order. Each is a module of this package with `run(quick: bool) -> list[Row]`."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(_there()))
    parser.add_argument("--quick", action="store_true", help="a smoke test: only counts are judged")
    found = parser.parse_args()
    unknown = sorted(set(found.names) - set(_there()))
    if unknown:
        parser.error(f"no such measurement: {', '.join(unknown)}; there are {', '.join(_there())}")
    return found


def _there() -> list[str]:
    return [name for name in BENCHES if find_spec(f"bench.{name}")]


def _measure(name: str, quick: bool) -> list[Row]:
    began_at = time.monotonic()
    print(f"{name} …", file=sys.stderr, flush=True)
    rows: list[Row] = importlib.import_module(f"bench.{name}").run(quick)
    if quick:
        rows = [row if row.counts else replace(row, goal=None) for row in rows]
    for row in rows:
        print(row.markdown(), file=sys.stderr, flush=True)
    print(f"{name}: {time.monotonic() - began_at:.0f} s", file=sys.stderr, flush=True)
    return rows


def _all(names: list[str], quick: bool) -> list[Row]:
    """Every measurement; in a quick run the one that mostly waits does so beside the others."""
    with ThreadPoolExecutor(1) as aside:
        waiting = [name for name in names if quick and name == "limits"]
        futures = {name: aside.submit(_measure, name, quick) for name in waiting}
        rows = {name: _measure(name, quick) for name in names if name not in futures}
        rows |= {name: future.result() for name, future in futures.items()}
    return [row for name in names for row in rows[name]]


def main() -> int:
    options = _arguments()
    names = [name for name in _there() if not options.names or name in options.names]
    command = " ".join(["python -m bench", *options.names, *["--quick"] * options.quick])
    try:
        rows = _all(names, options.quick)
    except BenchError as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    print(f"{conditions(command)}\n\n{table(rows)}")
    write_results(rows, command)
    if not options.quick and not options.names:
        write_page(rows, command)
    missed = [row for row in rows if not row.holds]
    for row in missed:
        print(f"not reached: {row.what}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
