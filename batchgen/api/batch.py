"""A batch made from Python values: what a manifest says, without the file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from batchgen.api.plain import PARAMS, ROWS, SETTINGS, PlainKind, plain
from batchgen.app.manifest_file import ManifestFile, checked, refusal
from batchgen.app.models.catalogue import catalog_for
from batchgen.core.manifest.schema import Manifest, parse_manifest
from batchgen.core.manifest.text.locations import ManifestText
from batchgen.core.manifest.validate.review import Text
from batchgen.errors import ManifestError, Problem
from batchgen.outputs.reading import own_folders
from batchgen.sources.input_files import FileInputs
from batchgen.sources.rows.spooled import Spool, SpooledSources
from batchgen.store.sqlite.inputs import open_known_inputs
from batchgen.system.run_directory import RunDirectory, default_directory

_ROWS_AND_FROM = "rows= and from_= both say where rows come from"
_KINDS: Mapping[str, PlainKind] = {
    "params": PARAMS,
    "defaults": PARAMS,
    "matrix": ROWS,
    "exclude": ROWS,
    "include": ROWS,
}
"""What the values of keys are for, unless they are settings."""


class EntryKeys(TypedDict, total=False):
    """The keys of an entry, as `jobs:` of a manifest has them; `from` is a word of Python."""

    id: str | None
    model: str | None
    api: Literal["v1", "v2"] | None
    params: Mapping[str, Any]
    price: float | None
    matrix: Mapping[str, Sequence[Any]] | None
    exclude: Sequence[Mapping[str, Any]] | None
    include: Sequence[Mapping[str, Any]] | None
    repeat: int | None
    from_: str | os.PathLike[str] | None
    where: Mapping[str, Any] | None
    sample: float | None
    limit: int | None
    types: Mapping[str, str] | None


class Batch:
    """Jobs and their limits, made from Python values; everything a manifest can say.

    `name` is a safe file name and names the run directory, `runs/<name>`. `defaults`, `budget` and
    the other keys of a manifest (`retry`, `reconcile`, `output`, …) are mappings as they stand
    there. Paths are relative to `folder`, by default the current directory.

    Nothing is checked before the batch is run, rows aside. The same batch in the same run directory
    resumes: build it by the same code, and give ids that stay.
    """

    def __init__(
        self,
        name: str,
        *,
        defaults: Mapping[str, Any] | None = None,
        budget: Mapping[str, Any] | None = None,
        folder: str | os.PathLike[str] = ".",
        **parts: Any,
    ) -> None:
        if "jobs" in parts:
            raise TypeError("jobs are added by `add`, one entry after the other")
        self.name = name
        self._folder = Path(folder)
        given = {"defaults": defaults, "budget": budget, **parts}
        self._parts = {
            key: plain(value, _KINDS.get(key, SETTINGS))
            for key, value in given.items()
            if value is not None
        }
        self._jobs: list[dict[str, Any]] = []
        self._spool = Spool()

    def __repr__(self) -> str:
        count = len(self._jobs)
        return f"<Batch {self.name!r}: {count} {'entry' if count == 1 else 'entries'}>"

    def add(
        self, *, rows: Iterable[Mapping[str, Any]] | None = None, **entry: Unpack[EntryKeys]
    ) -> None:
        """Add an entry: one job; with `rows` one a row; with a `matrix` one a combination.

        Texts are templates over the fields of rows and matrix, as in a manifest: a brace that
        shall be one is doubled, which `batchgen.literal` does. A `Path` as a parameter is a local
        file, uploaded once.

        `rows` is any iterable of mappings. It is read here and now, once, into a temporary file:
        a million rows take no memory. Raises `ManifestError` with the rows that cannot be.
        """
        index = len(self._jobs)
        made = {
            "from" if key == "from_" else key: plain(value, _KINDS.get(key, SETTINGS))
            for key, value in entry.items()
            if value is not None
        }
        if rows is not None:
            if "from" in made:
                raise ManifestError([Problem(_ROWS_AND_FROM, "give one", key=f"jobs[{index}]")])
            made["from"] = self._take(rows, f"jobs[{index}].rows")
        self._jobs.append(made)

    def _take(self, rows: Iterable[Mapping[str, Any]], name: str) -> str:
        values = (plain(row, ROWS) for row in rows)
        faults = self._spool.put(name, values)
        if faults:
            problems = [Problem(f.what, f.remedy, f.spot.file, f.spot.line) for f in faults]
            raise refusal(tuple(problems))
        return name

    def manifest(self) -> Manifest:
        """The manifest that this is. Raises `ManifestError` with everything wrong in its shape."""
        value = {"version": 1, "name": self.name, **self._parts, "jobs": self._jobs}
        try:
            return parse_manifest(value, ManifestText())
        except ManifestError as error:
            raise refusal(error.problems) from None

    def loaded(self, run_dir: Path | None) -> ManifestFile:
        """The manifest and its first jobs, checked. Raises `ManifestError`."""
        manifest = self.manifest()
        directory = RunDirectory(run_dir) if run_dir else default_directory(manifest.name)
        own = own_folders(manifest.output.dir, self._folder, directory)
        files = SpooledSources(self._folder, self._spool, own)
        inputs = FileInputs(self._folder, partial(open_known_inputs, directory.state))
        text = Text(manifest, catalog_for(self._folder), ManifestText(), files, inputs)
        return checked(self._folder / f"batch {manifest.name}", text, files, inputs)
