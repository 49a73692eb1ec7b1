"""`batchgen init`."""

from __future__ import annotations

import os
import shlex
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchgen.app.console import say
from batchgen.cli.completion import SLUG_OR_FILE
from batchgen.core.common.exit_codes import ExitCode
from batchgen.errors import UserError
from batchgen.system.streams import need_stdout

if TYPE_CHECKING:
    from batchgen.core.manifest.rows.row import Row
    from batchgen.core.manifest.scaffold.manifest_text import Start

DEFAULT_MODEL = "flux-kontext-max"
"""For rows: it needs nothing but a prompt, takes a picture, and its price is known."""
_LOOKED_AT = 20
"""Rows that are read to learn which columns there are, and what stands in them."""
_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".gz", ".zst"})
_EXAMPLE = """Example:

\b
  batchgen init flux-kontext-pro
  batchgen init prompts.csv --model flux-pro -o jobs/prompts.yaml"""


@click.command("init", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("what", metavar="SLUG|FILE", type=SLUG_OR_FILE)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("manifest.yaml"),
    show_default=True,
    help="The manifest to write; - is stdout. A file that is there is not written over.",
)
@click.option(
    "--model", "slug", help=f"With FILE: the model of its jobs.  [default: {DEFAULT_MODEL}]"
)
def command(what: str, output: Path, slug: str | None) -> int:
    """Write a commented manifest to begin with, for the model SLUG or the rows of FILE.

    With a SLUG of the catalogue all its parameters stand in the manifest, each with its type,
    default and range. The columns of a FILE (CSV, TSV, JSON Lines, Parquet, a folder of pictures)
    are given to the parameters that are called like them. What it wrote passes `batchgen plan`.
    """
    from batchgen.core.manifest.scaffold.manifest_text import of_model

    if str(output) != "-" and output.exists():
        raise UserError(f"{output} is there already\n    give another name: -o other.yaml")
    if not output.parent.is_dir():
        raise UserError(f"there is no folder {output.parent}\n    make it, or give another name")
    if _is_source(what):
        text = _of_rows(what, slug or DEFAULT_MODEL, output)
    elif slug is not None:
        raise UserError("--model goes with a FILE of rows; a SLUG is the model itself")
    else:
        text = of_model(_start(what, what, f"batchgen init {what}", output))
    if str(output) == "-":
        need_stdout()
        click.echo(text, nl=False)
        return ExitCode.COMPLETED
    try:
        with output.open("x", encoding="utf-8") as file:  # never over one that appeared meanwhile
            file.write(text)
    except OSError as error:
        raise UserError(
            f"{output} cannot be written: {error.strerror or error}\n    give another name with -o"
        ) from error
    click.echo(f"{output} is written")
    say(f"next: {shlex.join(['batchgen', 'plan', str(output)])}")
    return ExitCode.COMPLETED


def _is_source(what: str) -> bool:
    """Whether it is a file or a folder of rows, or the name of one, and no slug."""
    path = Path(what)
    return what != "" and (path.exists() or path.suffix.lower() in _SUFFIXES or "/" in what)


def _of_rows(what: str, slug: str, output: Path) -> str:
    from batchgen.core.manifest.scaffold.columns import Fit, columns_of, fit
    from batchgen.core.manifest.scaffold.manifest_text import of_rows

    folder = Path() if str(output) == "-" else output.parent
    source = os.path.relpath(what, folder).replace(os.sep, "/")
    if what.endswith("/") or Path(what).is_dir():
        source += "/"
    columns = columns_of(_rows(folder, source))
    made_by = shlex.join(["batchgen", "init", what, "--model", slug])
    start = _start(slug, Path(what).name.partition(".")[0], made_by, output)
    found = Fit({}, frozenset(), columns, {}) if start.model is None else fit(columns, start.model)
    # What no column fills, though every job needs it: the jobs would be paid for, and be alike.
    parameters = start.model.parameters.values() if start.model else ()
    fixed = [p.name for p in parameters if p.required and p.name not in found.columns]
    if fixed:
        say(f"note: no column fits {', '.join(fixed)}: the same for every row until you change it")
    return of_rows(start, source, columns, found)


def _start(slug: str, name: str, made_by: str, output: Path) -> Start:
    """Raises `UserError` for what cannot be a slug."""
    from batchgen.app.models.catalogue import catalog_for
    from batchgen.core.manifest.scaffold.manifest_text import Start, name_of
    from batchgen.core.manifest.text.fields import is_slug

    known = catalog_for(Path() if str(output) == "-" else output.parent)
    model = known.get(slug)
    if not is_slug(slug):
        raise UserError(
            f"{slug!r:.60} is neither the slug of a model nor a file of rows\n    "
            "`batchgen models` lists the known models; files are .csv, .tsv, .jsonl or .parquet"
        )
    if model is None:
        near = known.nearest(slug)
        hint = f" (did you mean {near}?)" if near else ""
        say(f"note: {slug} is not in the catalogue{hint}: its parameters go out unchecked")
    path = "manifest.yaml" if str(output) == "-" else shlex.quote(str(output))
    return Start(slug, model, name_of(name), made_by, path)


def _rows(folder: Path, source: str) -> list[Row]:
    """The first rows of a source. Raises `UserError` where it has none that can be read."""
    from batchgen.core.manifest.rows.row import RowFault, SourceError
    from batchgen.sources.rows import FileSources

    rows: list[Row] = []
    try:
        for row in islice(FileSources(folder).open(source).rows(), _LOOKED_AT):
            if isinstance(row, RowFault):
                raise UserError(f"{row.spot.file}:{row.spot.line}: {row.what}\n    {row.remedy}")
            rows.append(row)
    except SourceError as error:
        raise UserError(f"{error.what}\n    {error.remedy}") from error
    if not rows:
        raise UserError(f"{folder / source} holds no rows\n    give a file with at least one")
    return rows
