"""Entries of a manifest made into recipes; where their parts were written."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from batchgen.core.jobs.spec import Mode
from batchgen.core.manifest.entry import Entry
from batchgen.core.manifest.expansion.entry_check import entry_faults
from batchgen.core.manifest.expansion.job_template import Recipe, RefusedError, check_slug
from batchgen.core.manifest.expansion.repeat import COPY_NUMBER
from batchgen.core.manifest.schema import Manifest
from batchgen.core.manifest.text.locations import Diagnostic, KeyPath
from batchgen.core.manifest.text.templates import (
    ANY_FIELD,
    FIELD_NAME,
    Filled,
    Template,
    TemplateError,
    compile_value,
    names_in,
    parse,
)

_ID_ALONE = parse("{id}", {"id"})
_ONE_FIELD = re.compile(r"\{(" + FIELD_NAME.pattern + r")\}")


def compile_entry(manifest: Manifest, index: int) -> Recipe:
    """Compile an entry. Raises `RefusedError` with everything that is wrong with it as a whole."""
    entry = manifest.jobs[index]
    wrong = tuple(entry_faults(entry, ("jobs", index)))
    if wrong:
        raise RefusedError(*wrong)
    model = model_text(manifest, entry)
    if model is None:
        remedy = "add model: to it, or to `defaults` for all of them"
        raise RefusedError(Diagnostic(("jobs", index), "the job names no model", remedy))
    compiling = _Compiling(_known(entry))
    recipe = _recipe(manifest, index, model, compiling)
    if compiling.remarks:
        raise RefusedError(*compiling.remarks)
    if recipe.slug:
        check_slug(recipe.slug, recipe.api, recipe.model_path)
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
        api=entry.api or defaults.api or Mode.QUEUED,
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
        cells=_cells(entry, merged),
        needs_seeds=entry.repeat is not None and COPY_NUMBER not in names_in(merged),
    )


def _known(entry: Entry) -> Collection[str]:
    """The fields that templates may name, as far as that can be told from the entry."""
    if entry.from_ is not None:
        return ANY_FIELD
    copies = () if entry.repeat is None else (COPY_NUMBER,)
    return {*(entry.matrix or ()), *copies}


def _cells(entry: Entry, params: Mapping[str, Any]) -> dict[str, str]:
    """Params that are wholly one field of a row, and its name."""
    if entry.from_ is None:
        return {}
    own = {COPY_NUMBER, *(entry.matrix or ())}
    wholly = {name: _ONE_FIELD.fullmatch(v) for name, v in params.items() if isinstance(v, str)}
    return {name: match[1] for name, match in wholly.items() if match and match[1] not in own}


class _Compiling:
    """Compiles texts over known fields; what is wrong is collected in `remarks`."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self.remarks: list[Diagnostic] = []

    def template(self, path: KeyPath, text: str, *more: str) -> Template:
        """One text, over some `more` fields as well."""
        known = self._known if self._known is ANY_FIELD else {*self._known, *more}
        try:
            return parse(text, known)
        except TemplateError as error:
            self.remarks.append(Diagnostic(path, error.what, error.remedy))
            return Template(())

    def value(self, path: KeyPath, value: Any) -> Filled:
        """Every text of a value."""
        try:
            return compile_value(value, self._known)
        except TemplateError as error:
            self.remarks.append(Diagnostic((*path, *error.path), error.what, error.remedy))
            return compile_value(None, ())


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
