"""A recipe: one entry of a manifest, compiled once and followed for each of its jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from batchgen.core.catalog.model import Catalog, Model
from batchgen.core.catalog.validation import quoted
from batchgen.core.common.json import canonical_json
from batchgen.core.jobs.spec import WORKFLOWS, JobSpec, Mode
from batchgen.core.manifest.expansion.repeat import COPY_NUMBER, SEED, CopyError, seed_of_copy
from batchgen.core.manifest.expansion.selection import no_field
from batchgen.core.manifest.expansion.steps import Step
from batchgen.core.manifest.rows.cells import OF_PARAMETER, CellError, read_cell
from batchgen.core.manifest.rows.row import Row
from batchgen.core.manifest.text.fields import is_slug
from batchgen.core.manifest.text.filenames import (
    NameFaultError,
    check_part,
    check_reserved,
    check_stem,
    safe_text,
)
from batchgen.core.manifest.text.locations import Diagnostic, KeyPath, RowLocation
from batchgen.core.manifest.text.templates import Fields, Filled, Template, TemplateError


class RefusedError(Exception):
    """An entry or a job that cannot be; carries the remarks that say why."""

    def __init__(self, *remarks: Diagnostic) -> None:
        super().__init__()
        self.remarks = remarks


class Draft(NamedTuple):
    """A job with what its review needs: its recipe, its params before JSON, and its row."""

    recipe: Recipe
    spec: JobSpec
    params: Mapping[str, Any]
    row: Row | None = None

    @property
    def spot(self) -> RowLocation | None:
        """Where its row stands, if it has one."""
        return self.row.spot if self.row else None

    @property
    def entry(self) -> int:
        """The index of its entry."""
        return self.recipe.entry


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is the same for all jobs of one entry.

    `slug` is the model where it does not depend on fields, else empty. `varying` names the params
    that do depend on fields. `cells` are params that are wholly one field of a row, with its name.
    `filename` is None where the output path is the id. `needs_seeds` where copies differ by nothing
    else.
    """

    entry: int
    api: Mode
    price_usd: float | None
    slug: str
    model: Template
    model_path: KeyPath
    id: Template | None
    filename: Template | None
    params: Mapping[str, Filled]
    paths: Mapping[str, KeyPath]
    varying: frozenset[str]
    cells: Mapping[str, str]
    needs_seeds: bool = False

    def make(self, step: Step, index: int, catalog: Catalog) -> Draft:
        """One job; `index` is its number in the manifest, from 1. Raises `RefusedError`."""
        fields, row, _, copy = step
        params = self._filled(fields)
        slug = self.slug or self._slug(fields)
        model = catalog.get(slug)
        if self.cells and model is not None and row is not None and row.untyped:
            self._read_cells(params, model)
        job_id = self._name(step, fields, slug)
        if copy and (self.id is None or COPY_NUMBER not in self.id.names):
            job_id += f"-{copy}"
        self._check_id(job_id)
        if self.needs_seeds:
            params[SEED] = self._seed(params, step, slug, model)
        if self.filename is None:
            stem = job_id
        else:
            stem = self._stem(
                self.filename, fields, {"id": job_id, "model": safe_text(slug), "index": index}
            )
        price_usd = self.price_usd
        if price_usd is None and model is not None:
            price_usd = model.price_usd
        body = self._body(params)
        spec = JobSpec(job_id, slug, body, stem, self.api, price_usd, fields)
        return Draft(self, spec, params, row)

    def depends_on_fields(self, path: KeyPath) -> bool:
        """Whether what stands at a path of the manifest may differ from job to job."""
        named = path[path.index("params") + 1 :] if "params" in path else ()
        return not named or named[0] in self.varying

    def _filled(self, fields: Fields) -> dict[str, Any]:
        params: dict[str, Any] = {}
        name = ""
        try:
            for name, fill in self.params.items():
                value = fill(fields)
                if value is not None:
                    params[name] = value
        except (KeyError, TemplateError) as error:
            raise _unfilled(self.paths[name], fields, error) from None
        return params

    def _slug(self, fields: Fields) -> str:
        try:
            slug = self.model.text(fields)
        except (KeyError, TemplateError) as error:
            raise _unfilled(self.model_path, fields, error) from None
        check_slug(slug, self.api, self.model_path)
        return slug

    def _read_cells(self, params: dict[str, Any], model: Model) -> None:
        """Text cells that wholly fill a parameter which the model declares as something else."""
        wrong: list[Diagnostic] = []
        for name, field in self.cells.items():
            value, parameter = params.get(name), model.parameters.get(name)
            kind = OF_PARAMETER.get(parameter.type) if parameter else None
            if kind is None or not isinstance(value, str):
                continue
            try:
                params[name] = read_cell(value, kind)
            except CellError as error:
                if model.is_third_hand:
                    continue  # sent as it stands; its check says that it is odd
                wrong.append(
                    Diagnostic(self.paths[name], f"the field {field} {error}", error.remedy)
                )
        if wrong:
            raise RefusedError(*wrong)

    def _seed(self, params: Mapping[str, Any], step: Step, slug: str, model: Model | None) -> int:
        fields, _, _, copy = step
        if self.id is not None and COPY_NUMBER in self.id.names:
            fields = {**fields, COPY_NUMBER: 1}
        try:
            return seed_of_copy(params, copy, self._name(step, fields, slug), slug, model)
        except CopyError as error:
            path = self.paths.get(SEED, ("jobs", self.entry, "repeat"))
            raise RefusedError(Diagnostic(path, str(error), error.remedy)) from None

    def _check_id(self, job_id: str) -> None:
        """An id is one part of a path, and the whole of it where files are named after it."""
        remedy = "ids become file names: use letters, digits, - and _"
        try:
            if self.id is not None or self.filename is None:
                check_part(job_id)
            remedy = "choose another id"
            if self.filename is None:
                check_reserved(job_id)
        except NameFaultError as error:
            what = f"the id {quoted(job_id)} {error}"
            raise RefusedError(Diagnostic(("jobs", self.entry, "id"), what, remedy)) from None

    def _name(self, step: Step, fields: Fields, slug: str) -> str:
        """The id as the template makes it of `fields`, or the name of a job without one."""
        if self.id is None:
            return f"{safe_text(slug)}-{self.entry + 1:03d}{_own_name(step)}"
        try:
            if "model" in self.id.names:
                fields = {**fields, "model": slug}
            return self.id.text(fields, safe_text)
        except (KeyError, TemplateError) as error:
            raise _unfilled(("jobs", self.entry, "id"), fields, error) from None

    def _stem(self, filename: Template, fields: Fields, own: Mapping[str, Any]) -> str:
        """The output path. The id goes in as it is, being checked; fields are made safe."""
        path: KeyPath = ("output", "filename")
        try:
            named = filename.names & fields.keys()
            stem = filename.text({**{n: safe_text(fields[n]) for n in named}, **own})
            check_stem(stem)
        except NameFaultError as error:
            remedy = "write a relative path of safe names without extension, such as {model}/{id}"
            what = f"the file name {quoted(stem)} {error}"
            raise RefusedError(Diagnostic(path, what, remedy)) from None
        except (KeyError, TemplateError) as error:
            raise _unfilled(path, fields, error) from None
        return stem

    def _body(self, params: Mapping[str, Any]) -> str:
        try:
            return canonical_json(params)
        except (TypeError, ValueError) as error:
            what = f"the params cannot be sent as JSON: {error}"
            remedy = (
                "use text, finite numbers, true, false, null, lists and mappings with text keys"
            )
            raise RefusedError(Diagnostic(("jobs", self.entry, "params"), what, remedy)) from None


def _own_name(step: Step) -> str:
    """How the name of a job without an id ends; copies have the same."""
    _, row, combination, _ = step
    name = f"-{row.number:07d}" if row else ""
    return name + (f"-{combination:04d}" if combination else "")


def check_slug(slug: str, api: Mode, path: KeyPath) -> None:
    """Refuse (`RefusedError`) a model that cannot be called so, or not through this API."""
    if not is_slug(slug):
        what = f"the model {quoted(slug)} cannot be: it would be part of a URL"
        remedy = "give a slug such as flux-kontext-pro, as it stands in the URL of the model's page"
        raise RefusedError(Diagnostic(path, what, remedy))
    if slug.startswith(WORKFLOWS) and api is Mode.BLOCKING:
        what = f"the workflow {quoted(slug)} cannot be called through v1"
        raise RefusedError(
            Diagnostic(path, what, "remove `api: v1`: workflows are submitted on v2")
        )


def _unfilled(path: KeyPath, fields: Fields, error: Exception) -> RefusedError:
    """A template that its row does not fill."""
    if isinstance(error, TemplateError):
        return RefusedError(Diagnostic(path, error.what, error.remedy))
    what = no_field(error.args[0], fields)
    remedy = "give every row that field (null leaves a parameter out), or mend the template"
    return RefusedError(Diagnostic(path, what, remedy))
