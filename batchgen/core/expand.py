"""Entries of a manifest into jobs, streamed: a matrix of a million jobs never sits in memory.

What a job is made of:
* its fields are those of its entry's matrix; without a matrix there are none;
* `model` is a template over the fields; `id` over the fields and `{model}`; `output.filename` over
  the fields, `{id}`, `{model}` and `{index}` (the number of the job in the manifest, from 1);
* params are the entry's over the defaults', key by key; all texts in them are templates over the
  fields. A parameter that is null after that is not sent;
* without `id`, a job is called after its model, the number of its entry and, with a matrix, the
  number of its combination: `flux-pro-002-0007`. Such names move when entries or values are put
  in before them; give an id where that matters;
* in ids and file names, values of fields lose what is unsafe there (`16:9` becomes `16-9`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from batchgen.core.check import quoted
from batchgen.core.http import canonical_json
from batchgen.core.manifest import Entry, Manifest, is_slug
from batchgen.core.model import Catalog
from batchgen.core.names import NameFaultError, check_part, check_stem, safe_text
from batchgen.core.place import KeyPath, Remark, Source
from batchgen.core.spec import ApiVersion, JobSpec
from batchgen.core.templates import (
    Fields,
    Filled,
    Template,
    TemplateError,
    compile_value,
    names_in,
    parse,
)
from batchgen.errors import ManifestError

MAX_JOBS = 10_000_000
"""Jobs one entry may expand to: a slip in a matrix makes billions."""

_ID_ALONE = parse("{id}", {"id"})


@dataclass(frozen=True, slots=True)
class Draft:
    """A job with what its review needs: the index of its entry, and its params before JSON."""

    entry: int
    spec: JobSpec
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Plan:
    """One entry, compiled: everything that is the same for all its jobs."""

    index: int
    entry: Entry
    api: ApiVersion
    price_usd: float | None
    model: Template
    id: Template | None
    filename: Template
    params: Mapping[str, Filled]


class _RefusedError(Exception):
    """An entry or a job that cannot be; carries the remarks that say why."""

    def __init__(self, *remarks: Remark) -> None:
        super().__init__()
        self.remarks = remarks


def expand(manifest: Manifest, catalog: Catalog) -> Iterator[JobSpec]:
    """The jobs of a reviewed manifest, in the order of its text; prices from the catalogue.

    Raises `ManifestError` at the first job that cannot be; `review` finds them all beforehand.
    """
    for item in drafts(manifest, catalog):
        if isinstance(item, Remark):
            raise ManifestError([Source().problem(item.path, item.what, item.remedy)])
        yield item.spec


def drafts(manifest: Manifest, catalog: Catalog) -> Iterator[Draft | Remark]:
    """The jobs of a manifest in the order of its text; a remark instead of one that cannot be."""
    number = 0
    for index, entry in enumerate(manifest.jobs):
        try:
            plan = _compile(manifest, index, entry)
        except _RefusedError as refused:
            yield from refused.remarks
            continue
        for combination, fields in enumerate(_combinations(entry), start=1):
            number += 1
            try:
                yield _draft(plan, fields, (combination, number), catalog)
            except _RefusedError as refused:
                yield from refused.remarks


def unused_fields(manifest: Manifest, index: int) -> frozenset[str]:
    """Matrix fields of an entry that no template of it names: they only multiply equal jobs."""
    entry = manifest.jobs[index]
    if entry.matrix is None:
        return frozenset()
    texts = [entry.id, _model_text(manifest, entry), _merged(manifest, entry)]
    return frozenset(entry.matrix) - names_in([*texts, manifest.output.filename])


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


def _merged(manifest: Manifest, entry: Entry) -> dict[str, Any]:
    return {**manifest.defaults.params, **entry.params}


def _model_text(manifest: Manifest, entry: Entry) -> str | None:
    return manifest.defaults.model if entry.model is None else entry.model


def _combinations(entry: Entry) -> Iterator[Fields]:
    """The fields of each job: the product of the matrix, the last field changing fastest."""
    matrix = entry.matrix or {}
    for values in product(*matrix.values()):
        yield dict(zip(matrix, values, strict=True))


def _compile(manifest: Manifest, index: int, entry: Entry) -> _Plan:
    """Compile an entry. Raises `_RefusedError` with everything that is wrong with it as a whole."""
    matrix = entry.matrix or {}
    if math.prod(map(len, matrix.values())) > MAX_JOBS:
        what = f"the matrix makes more than {MAX_JOBS:,} jobs"
        raise _RefusedError(Remark(("jobs", index, "matrix"), what, "take values or fields out"))
    model = _model_text(manifest, entry)
    if model is None:
        remedy = "add model: to it, or to `defaults` for all of them"
        raise _RefusedError(Remark(("jobs", index), "the job names no model", remedy))
    remarks: list[Remark] = []

    def template(path: KeyPath, text: str, *more: str) -> Template:
        try:
            return parse(text, {*matrix, *more})
        except TemplateError as error:
            remarks.append(Remark(path, error.what, error.remedy))
            return Template(())

    price = manifest.defaults.price if entry.price is None else entry.price
    plan = _Plan(
        index=index,
        entry=entry,
        api=entry.api or manifest.defaults.api or ApiVersion.V2,
        price_usd=price,
        model=template(model_path(manifest, index), model),
        id=template(("jobs", index, "id"), entry.id, "model") if entry.id else None,
        filename=template(("output", "filename"), manifest.output.filename, "id", "model", "index"),
        params=_compile_params(manifest, index, remarks),
    )
    if remarks:
        raise _RefusedError(*remarks)
    return plan


def _compile_params(manifest: Manifest, index: int, remarks: list[Remark]) -> dict[str, Filled]:
    known = frozenset(manifest.jobs[index].matrix or ())
    compiled: dict[str, Filled] = {}
    for name, value in _merged(manifest, manifest.jobs[index]).items():
        try:
            compiled[name] = compile_value(value, known)
        except TemplateError as error:
            path = (*param_path(manifest, index, name), *error.path)
            remarks.append(Remark(path, error.what, error.remedy))
    return compiled


def _draft(plan: _Plan, fields: Fields, numbers: tuple[int, int], catalog: Catalog) -> Draft:
    """One job. `numbers`: of its combination in the entry, and of the job in the manifest."""
    combination, number = numbers
    slug = _slug(plan, fields)
    job_id = _id(plan, fields, slug, combination)
    params = {
        name: value for name, fill in plan.params.items() if (value := fill(fields)) is not None
    }
    price_usd = plan.price_usd
    if price_usd is None and (model := catalog.get(slug)) is not None:
        price_usd = model.price_usd
    spec = JobSpec(
        id=job_id,
        model=slug,
        body=_body(plan, params),
        stem=_stem(plan, fields, {"id": job_id, "model": slug, "index": number}),
        api=plan.api,
        price_usd=price_usd,
        fields=fields,
    )
    return Draft(plan.index, spec, params)


def _slug(plan: _Plan, fields: Fields) -> str:
    slug = plan.model.text(fields)
    if not is_slug(slug):
        own = plan.entry.model is not None
        path: KeyPath = ("jobs", plan.index, "model") if own else ("defaults", "model")
        what = f"the model {quoted(slug)} cannot be: it would be part of a URL"
        remedy = "give a slug such as flux-kontext-pro, as it stands in the URL of the model's page"
        raise _RefusedError(Remark(path, what, remedy))
    return slug


def _id(plan: _Plan, fields: Fields, slug: str, combination: int) -> str:
    if plan.id is None:
        job_id = f"{slug}-{plan.index + 1:03d}"
        return f"{job_id}-{combination:04d}" if plan.entry.matrix else job_id
    job_id = plan.id.text({**fields, "model": slug}, safe_text)
    try:
        check_part(job_id)
    except NameFaultError as error:
        remedy = "ids become file names: use letters, digits, - and _"
        path: KeyPath = ("jobs", plan.index, "id")
        raise _RefusedError(Remark(path, f"the id {quoted(job_id)} {error}", remedy)) from None
    return job_id


def _stem(plan: _Plan, fields: Fields, own: Mapping[str, Any]) -> str:
    """The output path. The id goes in as it is, being checked; fields are made safe."""
    if plan.filename == _ID_ALONE:
        stem = str(own["id"])
    else:
        safe = {name: safe_text(value) for name, value in fields.items()}
        stem = plan.filename.text({**safe, **own})
    try:
        check_stem(stem)
    except NameFaultError as error:
        id_alone = plan.filename == _ID_ALONE
        path: KeyPath = ("jobs", plan.index, "id") if id_alone else ("output", "filename")
        remedy = "write a relative path of safe names without extension, such as {model}/{id}"
        what = f"the file name {quoted(stem)} {error}"
        remedy = "choose another id" if id_alone else remedy
        raise _RefusedError(Remark(path, what, remedy)) from None
    return stem


def _body(plan: _Plan, params: Mapping[str, Any]) -> str:
    try:
        return canonical_json(params)
    except (TypeError, ValueError) as error:
        what = f"the params cannot be sent as JSON: {error}"
        remedy = "use text, finite numbers, true, false, null, lists and mappings with text keys"
        raise _RefusedError(Remark(("jobs", plan.index, "params"), what, remedy)) from None
