"""A manifest file: read, checked as far as it is small, and ready to be expanded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from batchgen.app.models.catalogue import catalog_for
from batchgen.core.catalog.model import Catalog
from batchgen.core.jobs.spec import JobSpec
from batchgen.core.manifest.from_failures import KEY, is_report
from batchgen.core.manifest.rows.row import SourceError
from batchgen.core.manifest.schema import Manifest, parse_manifest
from batchgen.core.manifest.text.locations import MAX_PROBLEMS, Below, ManifestText, SourceMap
from batchgen.core.manifest.validate.review import Reviewer, Slip, Text
from batchgen.errors import ManifestError, Problem
from batchgen.outputs.reading import own_folders
from batchgen.sources.input_files import FileInputs
from batchgen.sources.rows import FileSources, Stamp
from batchgen.sources.yaml.document import read_document
from batchgen.store.sqlite.inputs import open_known_inputs
from batchgen.system.run_directory import RunDirectory, default_directory

MAX_PRINTED = 50
"""Problems told at once; the rest is counted."""
FIRST_JOBS = 2_000
FIRST_CHARACTERS = 64 * 2**20
"""A manifest of no more jobs, and of no more text in their bodies, is checked as a whole before
anything is made; of a larger one so many jobs are."""


@dataclass(slots=True)
class ManifestFile:
    """A manifest whose shape, and whose first jobs, are right.

    `notices` are warnings, in the order of the text; `slips` are models that may be meant to be
    others. `few` are all its jobs, or None where they are
    too many to be held: then `notices` are about the first, until `jobs` was read to its end.
    `stamps` tell what its files of rows were, by name, before anything of them was read.
    """

    path: Path
    text: Text
    few: tuple[JobSpec, ...] | None = None
    notices: tuple[Problem, ...] = ()
    slips: tuple[Slip, ...] = ()
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    inputs: FileInputs = field(default_factory=lambda: FileInputs(Path()))
    """The local files that its jobs name."""
    files: FileSources = field(default_factory=lambda: FileSources(Path()))
    """The files of rows that its entries name."""

    @property
    def manifest(self) -> Manifest:
        """The manifest as a checked value."""
        return self.text.manifest

    def jobs(self) -> Iterator[JobSpec]:
        """The jobs in the order of the text; anew at each call.

        Jobs that are not `few` are made and checked as they are asked for. Raises `ManifestError`
        after the last one, with everything that is wrong with any of them.
        """
        if self.few is not None:
            yield from self.few
            return
        reviewer = Reviewer(self.text)
        yield from reviewer.jobs()
        self._conclude(reviewer)

    def look_at_first(self) -> None:
        """Make and check the first jobs. Raises `ManifestError`."""
        reviewer = Reviewer(self.text, most_mistakes=FIRST_JOBS)
        jobs: list[JobSpec] = []
        size, is_large = 0, False
        for job in reviewer.jobs():
            jobs.append(job)
            size += len(job.body)
            is_large = len(jobs) > FIRST_JOBS or size > FIRST_CHARACTERS
            if is_large:
                break
        self._conclude(reviewer)
        self.few = None if is_large else tuple(jobs)

    def _conclude(self, reviewer: Reviewer) -> None:
        found = reviewer.conclude()
        if found.problems:
            raise refusal(found.problems)
        self.notices, self.slips = found.notices, found.slips


def read_manifest(path: Path) -> tuple[Manifest, ManifestText]:
    """Read a manifest and check its shape, not its jobs. Raises `ManifestError`."""
    try:
        document = read_document(path)
        value = document.value
        places: SourceMap = document.positions
        if is_report(value):
            value, places = _of_report(value, path), Below(places, (KEY,))
        source = ManifestText(str(path), places)
        return parse_manifest(value, source), source
    except ManifestError as error:
        raise refusal(error.problems) from error


def _of_report(report: Mapping[str, Any], path: Path) -> Any:
    """The manifest in what `status --failed --json` printed. Raises `ManifestError`."""
    if report[KEY] is None:
        remedy = "there is nothing to do; `batchgen status` shows how the run stands"
        raise ManifestError([Problem("no job failed in that run", remedy, str(path))])
    return report[KEY]


def load_manifest(
    path: Path,
    catalog: Catalog | None = None,
    *,
    run_dir: Path | None = None,
    lazily: bool = False,
) -> ManifestFile:
    """Read and check a manifest against a catalogue, by default the one that holds for its folder.

    Local files that its jobs name need not be read where the state of its run (in `run_dir`, else
    where it is by default) knows them, or `lazily` where it cannot know them.
    Every job is checked where they are no more than `FIRST_JOBS`, else the first of them.
    Raises `ManifestError` with all problems of the first stage that has any: YAML, shape of the
    manifest, the user's own models, jobs. At most `MAX_PRINTED` are told, and how many more.
    """
    manifest, source = read_manifest(path)
    directory = RunDirectory(run_dir) if run_dir else default_directory(manifest.name)
    files = FileSources(path.parent, own_folders(manifest.output.dir, path.parent, directory))
    inputs = FileInputs(path.parent, partial(open_known_inputs, directory.state), lazily=lazily)
    models = _catalog(path.parent) if catalog is None else catalog
    return checked(path, Text(manifest, models, source, files, inputs), files, inputs)


def _catalog(folder: Path) -> Catalog:
    """That of a folder. Raises `ManifestError`."""
    try:
        return catalog_for(folder)
    except ManifestError as error:
        raise refusal(error.problems) from error


def checked(path: Path, text: Text, files: FileSources, inputs: FileInputs) -> ManifestFile:
    """A manifest of good shape, its first jobs made and checked; messages call it `path`.

    `files` and `inputs` are those of the text. Raises `ManifestError`.
    """
    stamps = _stamps(text.manifest, files)
    loaded = ManifestFile(path, text, stamps=stamps, inputs=inputs, files=files)
    try:
        loaded.look_at_first()
    finally:
        inputs.release()
    return loaded


def _stamps(manifest: Manifest, files: FileSources) -> dict[str, Stamp]:
    """Those of all sources that are there; a review tells of the others."""
    stamps = {}
    for name in sorted({entry.from_ for entry in manifest.jobs if entry.from_ is not None}):
        with suppress(SourceError):
            stamps[name] = files.stamp(name)
    return stamps


def refusal(problems: tuple[Problem, ...]) -> ManifestError:
    """The error that tells of them, at most `MAX_PRINTED`."""
    return ManifestError(_first(problems))


def _first(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    more = len(problems) - MAX_PRINTED
    if more <= 0:
        return problems
    at_least = " at least" if len(problems) >= MAX_PROBLEMS else ""
    rest = Problem(f"and {more:,} more problems{at_least}", "mend these first", problems[0].file)
    return (*problems[:MAX_PRINTED], rest)
