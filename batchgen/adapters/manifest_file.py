"""A manifest file: read, checked as a whole, and ready to be expanded as often as needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batchgen.adapters.yaml_document import read_document
from batchgen.catalog import Catalog, load
from batchgen.core.expand import expand
from batchgen.core.manifest import Manifest, parse_manifest
from batchgen.core.place import MAX_PROBLEMS, Source
from batchgen.core.review import review
from batchgen.core.spec import JobSpec
from batchgen.errors import ManifestError, Problem

MAX_PRINTED = 50
"""Problems told at once; the rest is counted."""


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A manifest without problems. `notices` are warnings, in the order of the text."""

    path: Path
    manifest: Manifest
    notices: tuple[Problem, ...]
    job_count: int
    catalog: Catalog

    def jobs(self) -> Iterator[JobSpec]:
        """The jobs in the order of the text, made as they are asked for; anew at each call."""
        return expand(self.manifest, self.catalog)


def load_manifest(path: Path, catalog: Catalog | None = None) -> ManifestFile:
    """Read and check a manifest against a catalogue, by default the one that ships.

    Raises `ManifestError` with all problems of the first of three stages that has any: YAML, shape
    of the manifest, jobs. At most `MAX_PRINTED` are told, and the number of the others.
    """
    models = load() if catalog is None else catalog
    try:
        document = read_document(path)
        source = Source(str(path), document.positions)
        manifest = parse_manifest(document.value, source)
    except ManifestError as error:
        raise ManifestError(_first(error.problems)) from error
    found = review(manifest, models, source)
    if found.problems:
        raise ManifestError(_first(found.problems))
    return ManifestFile(path, manifest, found.notices, found.job_count, models)


def _first(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    more = len(problems) - MAX_PRINTED
    if more <= 0:
        return problems
    at_least = " at least" if len(problems) >= MAX_PROBLEMS else ""
    rest = Problem(f"and {more:,} more problems{at_least}", "mend these first", problems[0].file)
    return (*problems[:MAX_PRINTED], rest)
