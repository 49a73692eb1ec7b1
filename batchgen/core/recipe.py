"""One entry of a manifest, compiled: made once, followed for each of its jobs."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from batchgen.core.check import quoted
from batchgen.core.entry import Entry
from batchgen.core.http import canonical_json
from batchgen.core.manifest import Manifest
from batchgen.core.model import Catalog
from batchgen.core.names import NameFaultError, check_part, check_reserved, check_stem, safe_text
from batchgen.core.part import is_slug
from batchgen.core.place import KeyPath, Remark
from batchgen.core.rows import ROW_NUMBER
from batchgen.core.spec import ApiVersion, JobSpec
from batchgen.core.templates import (
    ANY_FIELD,
    Fields,
    Filled,
    Template,
    TemplateError,
    compile_value,
    names_in,
    parse,
)

MAX_JOBS = 10_000_000
"""Jobs one entry may expand to: a slip in a matrix makes billions."""

_ID_ALONE = parse("{id}", {"id"})


class RefusedError(Exception):
    """An entry or a job that cannot be; carries the remarks that say why."""

    def __init__(self, *remarks: Remark) -> None:
        super().__init__()
        self.remarks = remarks


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is the same for all jobs of one entry.

    `slug` is the model where it does not depend on fields, else empty. `varying` names the params
    that do depend on fields. `filename` is None where the output path is the id.
    """

    entry: int
    api: ApiVersion
    price_usd: float | None
    slug: str
    model: Template
    model_path: KeyPath
    id: Template | None
    filename: Template | None
    params: Mapping[str, Filled]
    paths: Mapping[str, KeyPath]
    varying: frozenset[str]

    def make(
        self, fields: Fields, own: str, index: int, catalog: Catalog
    ) -> tuple[JobSpec, dict[str, Any]]:
        """One job, and its params before they became JSON. Raises `RefusedError`.

        `own` ends its name where it has no id; `index` is its number in the manifest, from 1.
        """
        params = self._filled(fields)
        slug = self.slug or self._slug(fields)
        job_id = self._id(fields, slug, own)
        if self.filename is None:
            stem = self._id_as_stem(job_id)
        else:
            stem = self._stem(self.filename, fields, {"id": job_id, "model": slug, "index": index})
        price_usd = self.price_usd
        if price_usd is None and (model := catalog.get(slug)) is not None:
            price_usd = model.price_usd
        body = self._body(params)
        return JobSpec(job_id, slug, body, stem, self.api, price_usd, fields), params

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
        _check_slug(slug, self.model_path)
        return slug

    def _id(self, fields: Fields, slug: str, own: str) -> str:
        if self.id is None:
            return f"{slug}-{self.entry + 1:03d}{own}"
        path: KeyPath = ("jobs", self.entry, "id")
        try:
            job_id = self.id.text({**fields, "model": slug}, safe_text)
            check_part(job_id)
        except NameFaultError as error:
            remedy = "ids become file names: use letters, digits, - and _"
            raise RefusedError(Remark(path, f"the id {quoted(job_id)} {error}", remedy)) from None
        except (KeyError, TemplateError) as error:
            raise _unfilled(path, fields, error) from None
        return job_id

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
            raise RefusedError(Remark(path, what, remedy)) from None
        except (KeyError, TemplateError) as error:
            raise _unfilled(path, fields, error) from None
        return stem

    def _id_as_stem(self, job_id: str) -> str:
        try:
            if self.id is None:
                check_part(job_id)
            check_reserved(job_id)
        except NameFaultError as error:
            what = f"the file name {quoted(job_id)} {error}"
            path: KeyPath = ("jobs", self.entry, "id")
            raise RefusedError(Remark(path, what, "choose another id")) from None
        return job_id

    def _body(self, params: Mapping[str, Any]) -> str:
        try:
            return canonical_json(params)
        except (TypeError, ValueError) as error:
            what = f"the params cannot be sent as JSON: {error}"
            remedy = (
                "use text, finite numbers, true, false, null, lists and mappings with text keys"
            )
            raise RefusedError(Remark(("jobs", self.entry, "params"), what, remedy)) from None


def compile_entry(manifest: Manifest, index: int) -> Recipe:
    """Compile an entry. Raises `RefusedError` with everything that is wrong with it as a whole."""
    entry = manifest.jobs[index]
    matrix = entry.matrix or {}
    if math.prod(map(len, matrix.values())) > MAX_JOBS:
        what = f"the matrix makes more than {MAX_JOBS:,} jobs"
        raise RefusedError(Remark(("jobs", index, "matrix"), what, "take values or fields out"))
    if ROW_NUMBER in matrix and entry.from_ is not None:
        what = f"the field {ROW_NUMBER} is the number of the row"
        remedy = f"call it something else, such as {ROW_NUMBER}_of"
        raise RefusedError(Remark(("jobs", index, "matrix", ROW_NUMBER), what, remedy, at_key=True))
    model = model_text(manifest, entry)
    if model is None:
        remedy = "add model: to it, or to `defaults` for all of them"
        raise RefusedError(Remark(("jobs", index), "the job names no model", remedy))
    compiling = _Compiling(matrix if entry.from_ is None else ANY_FIELD)
    recipe = _recipe(manifest, index, model, compiling)
    if compiling.remarks:
        raise RefusedError(*compiling.remarks)
    if recipe.slug:
        _check_slug(recipe.slug, recipe.model_path)
    return recipe


def _recipe(manifest: Manifest, index: int, model: str, compiling: _Compiling) -> Recipe:
    entry, defaults = manifest.jobs[index], manifest.defaults
    merged = merged_params(manifest, entry)
    slug = compiling.template(model_path(manifest, index), model)
    filename = compiling.template(
        ("output", "filename"), manifest.output.filename, "id", "model", "index"
    )
    return Recipe(
        entry=index,
        api=entry.api or defaults.api or ApiVersion.V2,
        price_usd=defaults.price if entry.price is None else entry.price,
        slug="" if slug.names else slug.literal,
        model=slug,
        model_path=model_path(manifest, index),
        id=compiling.template(("jobs", index, "id"), entry.id, "model") if entry.id else None,
        filename=None if filename == _ID_ALONE else filename,
        params={
            name: compiling.value(param_path(manifest, index, name), value)
            for name, value in merged.items()
        },
        paths={name: param_path(manifest, index, name) for name in merged},
        varying=frozenset(name for name, value in merged.items() if names_in(value)),
    )


class _Compiling:
    """Compiles texts over known fields; what is wrong is collected in `remarks`."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self.remarks: list[Remark] = []

    def template(self, path: KeyPath, text: str, *more: str) -> Template:
        """One text, over some `more` fields as well."""
        known = self._known if self._known is ANY_FIELD else {*self._known, *more}
        try:
            return parse(text, known)
        except TemplateError as error:
            self.remarks.append(Remark(path, error.what, error.remedy))
            return Template(())

    def value(self, path: KeyPath, value: Any) -> Filled:
        """Every text of a value."""
        try:
            return compile_value(value, self._known)
        except TemplateError as error:
            self.remarks.append(Remark((*path, *error.path), error.what, error.remedy))
            return compile_value(None, ())


def _check_slug(slug: str, path: KeyPath) -> None:
    if not is_slug(slug):
        what = f"the model {quoted(slug)} cannot be: it would be part of a URL"
        remedy = "give a slug such as flux-kontext-pro, as it stands in the URL of the model's page"
        raise RefusedError(Remark(path, what, remedy))


def _unfilled(path: KeyPath, fields: Fields, error: Exception) -> RefusedError:
    """A template that its row does not fill."""
    if isinstance(error, TemplateError):
        return RefusedError(Remark(path, error.what, error.remedy))
    named = ", ".join(sorted(fields.keys() - {ROW_NUMBER})) or "none"
    shown = named if len(named) <= 100 else f"{named[:99]}…"
    what = f"the row has no field {error.args[0]}; its fields: {shown}"
    remedy = "give every row that field (null leaves a parameter out), or mend the template"
    return RefusedError(Remark(path, what, remedy))


def merged_params(manifest: Manifest, entry: Entry) -> dict[str, Any]:
    """The params of an entry over those of the defaults."""
    return {**manifest.defaults.params, **entry.params}


def model_text(manifest: Manifest, entry: Entry) -> str | None:
    """The model of an entry, a template, or None where neither it nor the defaults name one."""
    return manifest.defaults.model if entry.model is None else entry.model


def param_path(manifest: Manifest, index: int, name: str) -> KeyPath:
    """Where a parameter of an entry's jobs was written: in the entry, or in the defaults."""
    if name in manifest.jobs[index].params:
        return ("jobs", index, "params", name)
    if name in manifest.defaults.params:
        return ("defaults", "params", name)
    return ("jobs", index, "params") if manifest.jobs[index].params else ("jobs", index)


def model_path(manifest: Manifest, index: int) -> KeyPath:
    """Where the model of an entry was written."""
    own = manifest.jobs[index].model is not None
    return ("jobs", index, "model") if own else ("defaults", "model")
