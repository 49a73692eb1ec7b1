"""What several commands share: finding a run, printing tables and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from batchgen.system.run_directory import RunDirectory, find_run


def run_of(run: str) -> RunDirectory:
    """The run directory that a RUN argument names: a directory, or a manifest.

    Its outputs are where the state says that they are.
    """
    from batchgen.app.located import located

    path = Path(run)
    if path.is_file() and path.suffix in {".yaml", ".yml", ".json"}:
        from batchgen.app.manifest_file import read_manifest

        manifest, _ = read_manifest(path)
        return located(find_run(path, manifest.name))
    return located(find_run(path))


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def table(rows: Iterable[Sequence[object]], header: Sequence[str] = ()) -> str:
    """Aligned columns; numbers to the right."""
    texts = [[_cell(cell) for cell in row] for row in rows]
    if header:
        texts.insert(0, list(header))
    widths = [max(len(row[i]) for row in texts) for i in range(len(texts[0]))] if texts else []
    lines = []
    for row in texts:
        cells = [
            cell.rjust(width) if _is_number(cell) else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _cell(value: object) -> str:
    return "–" if value is None else str(value)


def _is_number(text: str) -> bool:
    return text.lstrip("$-").replace(",", "").replace(".", "", 1).isdigit()


def indented(text: str) -> str:
    """Every line two spaces further in."""
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())
