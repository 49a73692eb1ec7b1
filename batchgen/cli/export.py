"""`batchgen export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.app.console import say
from batchgen.cli.common import print_json, run_of
from batchgen.cli.completion import RUN
from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.jobs.job import JobState
from batchgen.errors import StoppedEarly, UserError

if TYPE_CHECKING:
    from batchgen.core.dataset.export import Filter
    from batchgen.store.sqlite.records import ExportQueries
    from batchgen.system.run_directory import RunDirectory

_KINDS = ("webdataset", "parquet", "imagefolder", "csv", "jsonl")
_LEDGER = ("csv", "jsonl")
_EXAMPLE = """Example:

\b
  batchgen export runs/demo webdataset shards --shard-size 500MB
  batchgen export runs/demo parquet table --model 'flux-*'
  batchgen export runs/demo imagefolder ink --where style=ink --link
  batchgen export runs/demo csv ledger --state failed --state lost"""


def _conditions(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> Any:
    conditions = []
    for text in texts:
        name, equals, glob = text.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{text!r} is no field=value, such as style=ink")
        conditions.append((name, glob))
    return tuple(conditions)


def _size(_: click.Context, __: click.Parameter, text: str) -> int:
    from batchgen.core.dataset.export import parse_size

    try:
        return parse_size(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no size, such as 1GB or 500MB") from None


@click.command("export", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", type=RUN)
@click.argument("kind", metavar="KIND", type=click.Choice(_KINDS))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--model", default="*", metavar="GLOB", help="Only of such models.")
@click.option("--id", "id_glob", default="*", metavar="GLOB", help="Only of jobs with such ids.")
@click.option(
    "--where",
    multiple=True,
    metavar="FIELD=GLOB",
    callback=_conditions,
    help="Only where a column, a parameter or a field of the row is so; several: all of them. "
    "Nothing after the = means null.",
)
@click.option(
    "--state",
    "states",
    multiple=True,
    metavar="STATE",
    type=click.Choice([state.value for state in JobState]),
    help="csv and jsonl: only jobs in this state; several: in any of them.",
)
@click.option("--attempts", is_flag=True, help="csv and jsonl: one row a POST, not one a job.")
@click.option(
    "--shard-files",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    help="webdataset and parquet: most files of a shard.",
)
@click.option(
    "--shard-size",
    default="1GB",
    metavar="SIZE",
    show_default=True,
    callback=_size,
    help="webdataset and parquet: most bytes of a shard, such as 500MB.",
)
@click.option("--link", is_flag=True, help="imagefolder: hard links instead of copies.")
@click.option(
    "--skip-damaged",
    is_flag=True,
    help="Leave out files that are missing or not what was recorded, and finish without them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON document.")
def command(**options: Any) -> int:
    """Make a dataset in DIR of the finished files of RUN, or a table of its ledger.

    \b
    webdataset   tar shards: each file and its row as JSON beside it
    parquet      shards with the files embedded, as `datasets` reads pictures
    imagefolder  the files themselves, with metadata.jsonl and a card
    csv, jsonl   the ledger: every job in any state, with reason, attempts and cost

    The same command goes on where it was interrupted. Every file is checked against its recorded
    hash. Only reads RUN, also while it runs: what was finished at the start is exported.

    Exit codes: 0 all is there, 1 a file is damaged or the run has changed since, 2 wrong usage, 3
    disk full; the same command goes on.
    """
    _refuse_senseless(options)
    from batchgen.app.located import located
    from batchgen.core.dataset.export import Filter, UnknownFieldError
    from batchgen.outputs.remote.faults import StoreError
    from batchgen.store.sqlite.records import ExportQueries

    directory = located(run_of(options["run"]))
    _refuse_inside(options["folder"], directory)
    reader = ExportQueries(directory.state)
    conditions = Filter(options["where"])
    try:
        if options["kind"] in _LEDGER:
            return _table(options, directory, reader, conditions)
        from batchgen.cli.export_files import export_files

        return export_files(options, directory, reader, conditions)
    except UnknownFieldError as error:
        known = ", ".join(dict.fromkeys(error.known[:40]))
        raise UserError(
            f"--where: nothing has a field {error.name!r}; the first one has: {known}"
        ) from None
    except StoreError as error:  # whatever it is, what is there by then stays
        raise StoppedEarly(str(error)) from error
    finally:
        reader.close()


def _refuse_senseless(options: dict[str, Any]) -> None:
    """Options that mean nothing for the kind would be ignored in silence."""
    kind = options["kind"]
    context = click.get_current_context()

    def is_given(name: str) -> bool:
        source = context.get_parameter_source(name)
        return source is not click.core.ParameterSource.DEFAULT

    kinds = {
        "states": _LEDGER,
        "attempts": _LEDGER,
        "shard_files": _KINDS[:2],
        "shard_size": _KINDS[:2],
        "link": _KINDS[2:3],
        "skip_damaged": _KINDS[:3],
    }
    for name, those in kinds.items():
        if is_given(name) and kind not in those:
            flag = {"states": "--state"}.get(name, f"--{name.replace('_', '-')}")
            raise UserError(f"{flag} is for {' and '.join(those)}, and this is {kind}")


def _refuse_inside(folder: Path, directory: RunDirectory) -> None:
    if directory.bucket is None and folder.resolve().is_relative_to(directory.outputs.resolve()):
        raise UserError(
            f"{folder} is inside the outputs of the run, whose dataset it would become part of; "
            "choose a folder elsewhere"
        )


def _table(
    options: dict[str, Any], directory: RunDirectory, reader: ExportQueries, conditions: Filter
) -> int:
    from batchgen.core.dataset.export import ExportKind
    from batchgen.datasets.exports.folder import ExportFolder
    from batchgen.datasets.exports.ledger import LedgerRequest, write_ledger

    wish = LedgerRequest(
        ExportKind(options["kind"]),
        conditions,
        options["attempts"],
        frozenset(options["states"]),
        options["id_glob"],
        options["model"],
    )
    folder = ExportFolder(options["folder"])
    path = folder.path / wish.file_name
    with folder.owned():
        folder.claim({"kind": "ledger", "run": directory.path.resolve().name})
        written = write_ledger(folder.path, reader, wish)
    if options["as_json"]:
        print_json(
            {
                "run": str(directory.path),
                "kind": options["kind"],
                "file": str(path),
                "rows": written.row_count,
                "bytes": path.stat().st_size,
            }
        )
    else:
        click.echo(f"{written.row_count} rows: {path}")
    if written.guarded_count:
        say(
            f"note: {written.guarded_count} cells that a spreadsheet would run as formulas have a "
            "' before them; jsonl holds them as they are"
        )
    return ExitCode.COMPLETED
