"""The jobs of a manifest into the state: all of them, checked, before anything is submitted.

One pass reads the rows, checks the jobs and writes them, in one transaction: with a mistake in any
of them, nothing is written. A manifest that is as it was the last time is not read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from batchgen.app.console import say
from batchgen.app.manifest_file import ManifestFile
from batchgen.core.catalog.validation import quoted
from batchgen.core.jobs.spec import JobSpec
from batchgen.core.manifest.rows.row import SourceError
from batchgen.errors import (
    ALLOW_UNKNOWN_PRICE,
    KEEP_CHANGED,
    RERUN_CHANGED,
    ManifestError,
    UserError,
)
from batchgen.sources.import_note import NAME, ImportNote, note_of, read_note
from batchgen.store.base import Imported, Importer, OnChange

STEP = 500
"""After so many jobs the progress of an import is told."""

OnProgress = Callable[[int], None]
"""Hears how many jobs were read so far."""


def import_manifest(
    manifest: ManifestFile,
    importer: Importer,
    on_change: OnChange,
    now: float,
    on_progress: OnProgress | None = None,
) -> Imported:
    """Bring the state in line with a manifest.

    Raises `UserError` (a mistake in any job, rows that changed while they were read) and
    `DiskError`: nothing was written then.
    """
    try:
        known = _known(manifest, importer)
        if known is not None:
            return Imported(unchanged=known.job_count)
        return _import(manifest, importer, on_change, now, on_progress)
    except SourceError as error:
        raise UserError(f"{error.what}\n    {error.remedy}") from error
    finally:
        manifest.inputs.release()


def _import(
    manifest: ManifestFile,
    importer: Importer,
    on_change: OnChange,
    now: float,
    on_progress: OnProgress | None,
) -> Imported:
    note = _note(manifest)

    def finished(job_count: int) -> Mapping[str, str]:
        done = note.finished(job_count, manifest.files)
        # Only now: a digest of what came later must not stand beside the stamps of what was read.
        _refuse_change(manifest)
        return done.dump()

    if manifest.few is None and importer.has_jobs():
        say("the manifest changed: its jobs are compared with the record first …")
    jobs = _counted(manifest.jobs(), on_progress)
    try:
        return importer.import_jobs(jobs, on_change, now, finished)
    except ManifestError:
        _refuse_change(manifest)  # mistakes in rows that are just being written are none
        raise


def _known(manifest: ManifestFile, importer: Importer) -> ImportNote | None:
    """The note of the last import, if everything it was read from is what there is now."""
    note, known = _note(manifest), read_note(importer.note(NAME))
    if known is None or not note.still_holds(known, manifest.files):
        return None
    seen = importer.known_inputs()
    if not all(manifest.inputs.is_as_before(file, uploaded=there) for file, there in seen):
        return None
    if known.sources != note.sources:  # only touched: the next time it need not be compared
        importer.write_notes(replace(known, sources=note.sources).dump())
    return known


def _note(manifest: ManifestFile) -> ImportNote:
    return note_of(manifest.manifest, manifest.text.catalog, manifest.stamps)


def _refuse_change(manifest: ManifestFile) -> None:
    """Rows that changed since they were looked at first. Raises `UserError`, `SourceError`."""
    for name, stamp in manifest.stamps.items():
        if stamp.is_rewritten(manifest.files.stamp(name)):
            raise UserError(
                f"{quoted(name)} was changed while its rows were read\n"
                "    run again once it is as it shall be"
            )


def _counted(jobs: Iterator[JobSpec], on_progress: OnProgress | None) -> Iterator[JobSpec]:
    if on_progress is None:
        yield from jobs
        return
    for count, job in enumerate(jobs, start=1):
        yield job
        if not count % STEP:
            on_progress(count)


def unknown_prices(models: list[str]) -> UserError:
    """A cap can only be kept over jobs whose price is known."""
    return UserError(
        f"a cap on spending needs a price for every job; none is known for {', '.join(models)}."
        "\n    Set `price:` (USD a job) on these jobs or under `defaults`, or run with ",
        ALLOW_UNKNOWN_PRICE,
        ":\n    then one job of each such model goes first, to tell what the others will cost.",
    )


def paid_change(imported: Imported) -> UserError:
    """What stands in the way of an import, and how to go on."""
    named = imported.paid or imported.busy
    more = imported.paid_count - len(named)
    names = ", ".join(named) + (f" and {more} more" if more else "")
    if imported.busy:
        return UserError(
            f"{imported.paid_count} changed job(s) are still under way: {names}.\n"
            "    Run once with ", KEEP_CHANGED, " to collect them, then with ", RERUN_CHANGED, ".",
        )  # fmt: skip
    return UserError(
        f"{imported.paid_count} job(s) were changed in the manifest after they were submitted: "
        f"{names}.\n    ", KEEP_CHANGED, " leaves them as they were paid for; ",
        RERUN_CHANGED, " generates (and pays for) them anew.",
    )  # fmt: skip
