"""The table as a part of `docs/performance.md`, with the machine it was taken on."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench.harness import HEADER, ROOT, WORK, Row
from bench.machine import machine

PAGE = ROOT / "docs" / "performance.md"
RESULTS = WORK / "results.json"
_BEGIN, _END = "<!-- measured: bench -->", "<!-- end of measured: bench -->"
_PART = re.compile(re.escape(_BEGIN) + r"\n.*?" + re.escape(_END), re.DOTALL)
_EMPTY = f"# Performance\n\n{_BEGIN}\n{_END}\n"


def table(rows: Sequence[Row]) -> str:
    """The Markdown table of all rows."""
    return "\n".join([HEADER, *(row.markdown() for row in rows)])


def conditions(command: str) -> str:
    """Where and when, in words: figures without them mean nothing."""
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    return f"Taken {day} by `{command}` at commit {_commit()} on {machine()}."


def _commit() -> str:
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "unknown"


def write_page(rows: Sequence[Row], command: str, page: Path = PAGE) -> None:
    """Put the table between its markers; a page without them is begun."""
    text = page.read_text("utf-8") if page.exists() else _EMPTY
    if not _PART.search(text):
        text = f"{text.rstrip()}\n\n{_BEGIN}\n{_END}\n"
    part = f"{_BEGIN}\n\n{conditions(command)}\n\n{table(rows)}\n\n{_END}"
    page.write_text(_PART.sub(lambda _: part, text), "utf-8")


def write_results(rows: Sequence[Row], command: str, path: Path = RESULTS) -> None:
    """The same for programs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "taken": conditions(command),
        "rows": [{**asdict(row), "holds": row.holds} for row in rows],
    }
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
