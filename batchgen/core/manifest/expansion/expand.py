"""Entries of a manifest into jobs, streamed: a million of them never sit in memory.

What a job is made of:
* its fields are those of its row (`from`), of its entry's matrix, or of both: then every row is
  multiplied by the matrix, the last field changing fastest; otherwise there are none. Rows have the
  field `{row}` as well, their number from 1, and with `repeat` there is `{repeat}`, that of the
  copy; they hide fields of that name in the file;
* `model` is a template over the fields; `id` over the fields and `{model}`; `output.filename` over
  the fields, `{id}`, `{model}` and `{index}` (the number of the job in the manifest, from 1);
* params are the entry's over the defaults', key by key; all texts in them are templates over the
  fields. A parameter that is null after that is not sent;
* with `repeat`, copies follow one another, each with a seed of its own; the number of the copy is
  put behind ids that do not name it;
* without `id`, a job is called after its model, the number of its entry, with rows the number of
  its row, and with a matrix the number of its combination: `flux-pro-002-0007`, with rows
  `flux-pro-002-0000017-0007`. Such names move when entries, rows or values are put in before
  them; give an id where that matters;
* in ids and file names, values of fields lose what is unsafe there (`16:9` becomes `16-9`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace

from batchgen.core.catalog.model import Catalog
from batchgen.core.jobs.spec import JobSpec
from batchgen.core.manifest.entry import Entry
from batchgen.core.manifest.expansion.compile import compile_entry, merged_params, model_text
from batchgen.core.manifest.expansion.input_files import InputFiles, InputFinder, NoInputFiles
from batchgen.core.manifest.expansion.job_template import Draft, Recipe, RefusedError
from batchgen.core.manifest.expansion.quick import QuickWay, quick_way
from batchgen.core.manifest.expansion.steps import steps
from batchgen.core.manifest.rows.row import NoSources, Sources
from batchgen.core.manifest.schema import Manifest
from batchgen.core.manifest.text.locations import Diagnostic, ManifestText
from batchgen.core.manifest.text.templates import names_in
from batchgen.errors import ManifestError

NO_SOURCES = NoSources()
NO_INPUTS = NoInputFiles()


class Drafts:
    """The jobs of a manifest in the order of its text; a remark instead of one that cannot be."""

    def __init__(
        self,
        manifest: Manifest,
        catalog: Catalog,
        sources: Sources = NO_SOURCES,
        inputs: InputFiles = NO_INPUTS,
    ) -> None:
        self._manifest = manifest
        self._catalog = catalog
        self._sources = sources
        self._inputs = InputFinder(catalog, inputs)

    def __iter__(self) -> Iterator[Draft | Diagnostic]:
        """Make them anew."""
        for item in self._made(quick=False):
            if not isinstance(item, JobSpec):
                yield item

    def quick(self) -> Iterator[JobSpec | Draft | Diagnostic]:
        """Make them anew; a job about which there is nothing to say comes without its draft."""
        return self._made(quick=True)

    def _made(self, *, quick: bool) -> Iterator[JobSpec | Draft | Diagnostic]:
        jobs_before = 0
        for index, entry in enumerate(self._manifest.jobs):
            try:
                recipe = compile_entry(self._manifest, index)
            except RefusedError as refused:
                yield from refused.remarks
                continue
            way = quick_way(recipe, self._catalog) if quick and entry.repeat is None else None
            jobs_before = yield from self._of_entry(recipe, entry, jobs_before, way)

    def _of_entry(
        self, recipe: Recipe, entry: Entry, jobs_before: int, way: QuickWay | None
    ) -> Generator[JobSpec | Draft | Diagnostic, None, int]:
        """Those of one entry; returns how many jobs there are with them."""
        catalog, place = self._catalog, self._inputs.place
        index = jobs_before
        model = catalog.get(recipe.slug)
        # What is to be said of a model once is said of the draft of its first job.
        is_quick = way is not None and not (model and model.is_remarkable)
        for step in steps(entry, recipe.entry, self._sources):
            index += 1
            if isinstance(step, Diagnostic):
                yield step
                continue
            if is_quick and way is not None and (spec := way(step[0])) is not None:
                yield spec
                continue
            is_quick = True
            try:
                yield place(recipe.make(step, index, catalog))
            except RefusedError as refused:
                _, row, _, _ = step
                for remark in refused.remarks:
                    spot = row.spot if row and recipe.depends_on_fields(remark.path) else None
                    yield replace(remark, spot=spot)
        return index


def expand(
    manifest: Manifest, catalog: Catalog, sources: Sources = NO_SOURCES
) -> Iterator[JobSpec]:
    """The jobs of a reviewed manifest, in the order of its text; prices from the catalogue.

    Raises `ManifestError` at the first job that cannot be; `review` finds them all beforehand.
    """
    for item in Drafts(manifest, catalog, sources).quick():
        if isinstance(item, Diagnostic):
            raise ManifestError([ManifestText().tell(item)])
        yield item if isinstance(item, JobSpec) else item.spec


def unused_fields(manifest: Manifest, index: int) -> frozenset[str]:
    """Matrix fields of an entry that no template of it names: they only multiply equal jobs."""
    entry = manifest.jobs[index]
    if entry.matrix is None:
        return frozenset()
    texts = [entry.id, model_text(manifest, entry), merged_params(manifest, entry)]
    return frozenset(entry.matrix) - names_in([*texts, manifest.output.filename])
