"""`make docs`: bring the generated parts of the documents up to date.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->` and follows from
the code alone. A part between `<!-- run: NAME -->` and `<!-- end: NAME -->` is what a command
printed: it is made by running that command, and left as it is with `--no-runs`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from batchgen.core.manifest.schema import json_schema
from scripts.doc_tables import BLOCKS

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "jobs" / "manifest.schema.json"

_MARKED = re.compile(
    r"<!-- (?P<kind>generated|run): (?P<name>[\w -]+) -->\n(?P<text>.*?)<!-- end: (?P=name) -->",
    re.DOTALL,
)
_ANY_MARK = re.compile(r"^<!-- (?:generated|run|end): ", re.MULTILINE)

RUNS: Mapping[str, tuple[str, ...]] = {
    "simulation": ("tests.simulation.hunt", "--seeds", "1000"),
    "mutants": ("tests.simulation.mutants", "--table"),
}
"""What stands in a marker of a run: the module that is run, and its arguments."""
MEASURED = ("batchgen", "tests/simulation")
"""What the figures depend on."""
LONGEST_RUN_S = 1800


class MarkError(Exception):
    """Markers that do not pair, or that name nothing there is; or a run that failed."""


def documents() -> list[Path]:
    """The Markdown files that may hold generated parts, README first."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def regenerated(text: str, runs: Callable[[str], str] | None = None) -> str:
    """A document with its generated parts made anew, and with `runs` those of runs too.

    Raises `MarkError` for a marker without an end, or of an unknown name.
    """
    found = list(_MARKED.finditer(text))
    if 2 * len(found) != len(_ANY_MARK.findall(text)):
        raise MarkError("a marker has no end, or an end no marker")

    def anew(match: re.Match[str]) -> str:
        kind, name = match["kind"], match["name"]
        known = BLOCKS if kind == "generated" else RUNS
        if name not in known:
            raise MarkError(f"{name!r} is not among: {', '.join(known)}")
        if kind == "run":
            made = runs(name) if runs else match["text"].strip("\n")
        else:
            made = BLOCKS[name]()
        return f"<!-- {kind}: {name} -->\n\n{made.strip()}\n\n<!-- end: {name} -->"

    return _MARKED.sub(anew, text)


def schema_text() -> str:
    """The manifest's JSON Schema as it stands in `jobs/`."""
    return json.dumps(json_schema(), ensure_ascii=False, indent=2) + "\n"


def run_block(name: str) -> str:
    """A command and what it printed; raises `MarkError` when it fails."""
    module, *arguments = RUNS[name]
    shown = " ".join(("python -m", module, *arguments))
    if find_spec(module) is None:
        return f"*Not run yet: `{shown}` is not there.*"
    try:
        done = _output_of([sys.executable, "-m", module, *arguments])
    except subprocess.TimeoutExpired as error:
        raise MarkError(f"{shown} did not end within {LONGEST_RUN_S} s") from error
    if done.returncode:
        raise MarkError(f"{shown} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    printed = done.stdout.strip("\n")
    if not printed.startswith("|"):
        printed = f"```console\n$ {shown}\n{printed}\n```"
    return f"Printed by `{shown}`{_code_of_run()}:\n\n{printed}"


def _code_of_run() -> str:
    """Which code the figures are of: ` at 1a2b3c4`; empty in a tree without git."""
    commit = _output_of(["git", "rev-parse", "--short", "HEAD"]).stdout.strip()
    changes = _output_of(["git", "status", "--porcelain", "--", *MEASURED]).stdout.strip()
    return f" at {commit}" + (" with local changes" if changes else "") if commit else ""


def _output_of(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LONGEST_RUN_S
    )


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")
        print(f"written: {path.relative_to(ROOT)}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Bring the generated parts up to date.")
    parser.add_argument("--no-runs", action="store_true", help="leave the parts of runs as is")
    runs = None if parser.parse_args().no_runs else run_block
    try:
        for path in documents():
            if path.exists():
                _write(path, regenerated(path.read_text("utf-8"), runs))
    except MarkError as error:
        print(f"docs: {error}", file=sys.stderr)
        return 1
    _write(SCHEMA, schema_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
