"""The exports of files: shards and folders."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import click
from tqdm import tqdm

from batchgen.app.console import say
from batchgen.cli.common import print_json
from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.common.formatting import size_text
from batchgen.core.dataset.card import About, parquet_card, tar_card
from batchgen.core.dataset.export import ExportKind, Filter, ShardLimits
from batchgen.core.manifest.text.filenames import safe_text
from batchgen.core.media.formats import FILE
from batchgen.datasets.exports.folder import (
    ChangedRunError,
    ExportFolder,
    ExportPlan,
    ExportRequest,
)
from batchgen.datasets.exports.imagefolder import FolderWork
from batchgen.datasets.exports.originals import VerifiedFiles
from batchgen.datasets.exports.shards import Made, ShardFormat, ShardWork, Tell
from batchgen.datasets.metadata import CARD_NAME, replace_text
from batchgen.observe.progress import LINE_EVERY_S
from batchgen.outputs.reading import open_outputs
from batchgen.store.sqlite.records import ExportQueries
from batchgen.system.run_directory import RunDirectory


@dataclass(frozen=True, slots=True)
class Export:
    """One export of files, with what the user asked for."""

    kind: ExportKind
    directory: RunDirectory
    folder: ExportFolder
    limits: ShardLimits
    link: bool
    as_json: bool

    @property
    def title(self) -> str:
        """The run's name; shards are called after it."""
        return safe_text(self.directory.path.resolve().name)

    @property
    def unit(self) -> str:
        """What is made one by one."""
        return "file" if self.kind is ExportKind.IMAGEFOLDER else "shard"


def export_files(
    options: dict[str, Any], directory: RunDirectory, reader: ExportQueries, conditions: Filter
) -> int:
    """Plan, bring, and say what stands there; the exit code."""
    kind = ExportKind(options["kind"])
    folder = ExportFolder(options["folder"])
    limits = ShardLimits(options["shard_files"], options["shard_size"])
    export = Export(kind, directory, folder, limits, options["link"], options["as_json"])
    settings = {
        "kind": kind.value,
        "run": export.title,
        "--id": options["id_glob"],
        "--model": options["model"],
        "--where": [list(condition) for condition in conditions.conditions],
    }
    if kind is not ExportKind.IMAGEFOLDER:
        settings |= {"--shard-files": limits.files, "--shard-size": limits.bytes}
    wish = ExportRequest(settings, conditions, options["id_glob"], options["model"])
    with folder.owned():
        try:
            plan, has_changed = folder.plan(reader, wish)
        except ChangedRunError as changed:
            return _outdated(export, changed)
        if has_changed:
            say(
                "note: the run has changed since this export began; it goes on with what was "
                "finished then. For the rest, export into another folder"
            )
        originals = VerifiedFiles(open_outputs(directory), folder.parts, options["skip_damaged"])
        made = _bring(export, plan, originals)
        return _end(export, plan, originals, made)


def _bring(export: Export, plan: ExportPlan, originals: VerifiedFiles) -> Made:
    """Make what is not there yet, and describe what is."""
    with _bar(plan) as tell:
        if export.kind is ExportKind.IMAGEFOLDER:
            copying = FolderWork(export.folder, originals, export.link)
            made = copying.run(tell)
            copying.finish(export.title, plan.columns)
        else:
            shape = _format(export, plan)
            work = ShardWork(export.folder, shape, export.limits, export.title, originals)
            made = work.run(tell)
            replace_text(export.folder.path / CARD_NAME, [_card(export, plan)])
    if not made.undone_count:
        export.folder.complete()
    return made


def _format(export: Export, plan: ExportPlan) -> ShardFormat:
    if export.kind is ExportKind.WEBDATASET:
        from batchgen.datasets.exports.webdataset import WebDatasetFormat

        return WebDatasetFormat()
    from batchgen.datasets.exports.parquet import ParquetFormat

    return ParquetFormat(plan.columns, plan.medium)


def _card(export: Export, plan: ExportPlan) -> str:
    about = About(export.title, export.folder.path.as_posix(), plan.digest)
    if export.kind is ExportKind.WEBDATASET:
        return tar_card(about, plan.columns, plan.extensions, verified=not plan.unverified_count)
    return parquet_card(about, plan.columns, plan.medium)


def _end(export: Export, plan: ExportPlan, originals: VerifiedFiles, made: Made) -> int:
    for name in originals.damaged:
        say(f"damaged: {name}")
    if originals.damaged_count > len(originals.damaged):
        say(f"damaged: {originals.damaged_count - len(originals.damaged)} more")
    things = f"{export.unit}(s)"
    code = ExitCode.UNFINISHED if originals.damaged_count else ExitCode.COMPLETED
    if export.as_json:
        print_json(_summary(export, plan, originals, made) | {"exit_code": int(code)})
    else:
        count = plan.file_count - originals.damaged_count
        click.echo(f"{_counts(plan, made, count, things)}: {export.folder.path}")
    if made.undone_count:
        say(
            f"{made.undone_count} {things} left undone; put the damaged files back and give the "
            "same command again, or leave them out with --skip-damaged"
        )
    if plan.unverified_count:
        say(f"note: {plan.unverified_count} file(s) are not verified; loaders open none of them,")
        say("    nor the others beside them: leave them out with --where verified=true")
    elif plan.medium is FILE:
        say("note: the files are of several kinds; loaders open them where all are of one, such as")
        say("    --where media_type='image/*'")
    return code


def _counts(plan: ExportPlan, made: Made, file_count: int, things: str) -> str:
    there = made.new_count + made.kept_count
    if made.undone_count:
        return f"{there} of {there + made.undone_count} {things}"
    kept = f", {made.kept_count} of them there already" if made.kept_count else ""
    files = f"{file_count} file(s), {size_text(plan.byte_count)}"
    return files + kept if things == "file(s)" else f"{files}, in {there} {things}{kept}"


def _summary(
    export: Export, plan: ExportPlan, originals: VerifiedFiles, made: Made
) -> dict[str, Any]:
    return {
        "run": str(export.directory.path),
        "kind": export.kind.value,
        "dir": str(export.folder.path),
        "medium": plan.medium.name,
        "files": plan.file_count,
        "bytes": plan.byte_count,
        "unverified": plan.unverified_count,
        f"{export.unit}s_made": made.new_count,
        f"{export.unit}s_kept": made.kept_count,
        f"{export.unit}s_undone": made.undone_count,
        "damaged_count": originals.damaged_count,
        "damaged": originals.damaged,
    }


def _outdated(export: Export, changed: ChangedRunError) -> int:
    was, now = changed.was.finished.count, changed.now.count
    say(
        f"{export.folder.path} is a complete export of {export.directory.path} as it was when "
        f"{was} file(s) were finished; the run has changed since, and now has {now}.\n"
        "    Export into another folder, or remove this one"
    )
    return ExitCode.UNFINISHED


@contextmanager
def _bar(plan: ExportPlan) -> Iterator[Tell]:
    """Progress on stderr: a bar on a terminal, a line every half minute elsewhere."""
    file_count, said_at = 0, monotonic()
    is_log = not sys.stderr.isatty()
    bar: tqdm[Any] = tqdm(
        total=plan.byte_count, unit="B", unit_scale=True, dynamic_ncols=True, disable=is_log
    )

    def tell(files: int, size: int) -> None:
        nonlocal file_count, said_at
        file_count += files
        bar.update(size)
        if is_log and monotonic() - said_at >= LINE_EVERY_S:
            said_at = monotonic()
            say(f"{file_count} of {plan.file_count} files")

    with bar:
        yield tell
