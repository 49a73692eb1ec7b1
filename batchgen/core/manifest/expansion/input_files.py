"""Local files as parameters: which texts name one, what fits, and what stands for it in the body.

A parameter that the catalogue types as an address may hold a path; anywhere else, at any depth, a
text that begins with `file:` names one. Addresses and `data:` URIs pass as they are. In a model
whose parameters nobody vouches for, a text that is the path of a media file which is there is a
slip: nobody wants to pay for the text. Where only the service's list types a parameter as an
address, a text that is no file's path is sent as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any, Protocol
from urllib.parse import unquote

from batchgen.core.catalog.model import Catalog, ParameterType
from batchgen.core.catalog.validation import quoted
from batchgen.core.common.json import canonical_json
from batchgen.core.jobs.placeholders import MARK, Content
from batchgen.core.jobs.spec import InputFile
from batchgen.core.manifest.expansion.job_template import Draft, Recipe, RefusedError
from batchgen.core.manifest.text.locations import Diagnostic, KeyPath
from batchgen.core.media.formats import FAMILIES, FORMATS

PREFIX = "file:"
_LONGEST_PATH = 300
"""Longer texts are no paths: a guess, and far above what people write."""
_MEDIA = frozenset(extension for each in FORMATS if each.sign for extension in each.extensions)
"""Extensions of what can be uploaded, since its bytes tell what it is."""
_LONGEST_END = 1 + max(map(len, _MEDIA))
_SLIP = "is a file beside the manifest, and would be sent as that text"
_NAMES_ONE = "any text that begins with file: names one"


class InputError(Exception):
    """A local file that cannot be an input; `remedy` does not depend on which file it is."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class InputFiles(Protocol):
    """Looks at the local files that parameters name."""

    def look(self, path: str) -> InputFile:
        """The file at a path, relative to the manifest. Raises `InputError`."""
        ...

    def is_file(self, path: str) -> bool:
        """Whether there is a file at a path, relative to the manifest; asked of very many."""
        ...


class NoInputFiles:
    """Where no local file can be had."""

    def look(self, path: str) -> InputFile:
        """Always raises `InputError`."""
        what = f"{quoted(path)} is a local file, and none can be read here"
        raise InputError(what, "give an http(s) URL or a data: URI")

    def is_file(self, path: str) -> bool:  # noqa: ARG002  the protocol's signature
        """Never: nobody looks."""
        return False


def path_in(text: str, *, typed: bool) -> str | None:
    """The path of the local file that a text names, None where it names none.

    `typed` says that the catalogue types the parameter as an address.
    """
    if text[:5] == PREFIX:
        rest = text[5:]
        return unquote(rest[2:]) if rest.startswith("///") else rest
    if not typed or not text or "://" in text or text[:5].lower() in {"data:", "http:", "https"}:
        return None
    return text


def family_of(name: str) -> str:
    """The family of files that a parameter of this name takes, such as image; empty for any."""
    words = set(re.findall(r"[a-z]+", name.lower()))
    fitting = [name for name, family in FAMILIES.items() if words & family.parameter_words]
    return fitting[0] if len(fitting) == 1 else ""


class InputFinder:
    """Finds the local files among the params of jobs."""

    def __init__(self, catalog: Catalog, files: InputFiles) -> None:
        self._catalog = catalog
        self._files = files
        self._typed: dict[str, frozenset[str]] = {}

    def place(self, draft: Draft) -> Draft:
        """A job with a placeholder for every content in its params, and its `inputs`.

        Raises `RefusedError` with a remark about each parameter whose file cannot be had.
        """
        recipe, spec, params, _ = draft
        typed = self._typed_in(spec.model)
        if MARK in spec.body:
            what = f"no text of a parameter may hold {MARK}: it stands for uploaded files"
            raise RefusedError(Diagnostic(("jobs", recipe.entry, "params"), what, "take it out"))
        model = self._catalog.get(spec.model)
        if model is None or model.is_third_hand or not model.parameters:
            self._refuse_slips(draft, typed)
        if PREFIX not in spec.body and not (
            typed and any(_is_path(params.get(name)) for name in typed)
        ):
            return draft
        found: dict[str, InputFile] = {}
        remarks: list[Diagnostic] = []
        values: dict[str, Any] = {}
        for name, value in params.items():
            try:
                values[name] = self._placed(value, name, name in typed, found)
            except InputError as error:
                if self._may_be_text(spec.model, value):
                    values[name] = value
                    continue
                path: KeyPath = recipe.paths.get(name, ("jobs", recipe.entry, "params"))
                remedy = error.remedy if name in typed else f"{error.remedy}; {_NAMES_ONE}"
                remarks.append(Diagnostic(path, error.what, remedy))
        if remarks:
            raise RefusedError(*remarks)
        if not found:
            return draft
        placed = spec._replace(body=canonical_json(values), inputs=tuple(found.values()))
        return draft._replace(spec=placed, params=values)

    def _typed_in(self, slug: str) -> frozenset[str]:
        """The parameters of a model that the catalogue types as addresses."""
        known = self._typed.get(slug)
        if known is None:
            model = self._catalog.get(slug)
            parameters = model.parameters.values() if model else ()
            known = frozenset(p.name for p in parameters if p.type is ParameterType.URI)
            self._typed[slug] = known
        return known

    def _refuse_slips(self, draft: Draft, typed: AbstractSet[str]) -> None:
        """Refuse texts that are paths of media files, and would be sent as texts."""
        recipe, slips = draft.recipe, []
        for name, value in draft.params.items():
            is_uploaded = name in typed and isinstance(value, str)
            if is_uploaded or not _may_hold_path(value):
                continue
            for at, text in _media_paths(value):
                if self._files.is_file(text):
                    path = (*recipe.paths[name], *at)
                    remedy = _with_prefix(recipe, name, text)
                    slips.append(Diagnostic(path, f"{quoted(text)} {_SLIP}", remedy))
        if slips:
            raise RefusedError(*slips)

    def _may_be_text(self, slug: str, value: Any) -> bool:
        """Whether a text is called a path by nobody but the service's list."""
        model = self._catalog.get(slug)
        is_named = not isinstance(value, str) or value[:5] == PREFIX
        return model is not None and model.is_third_hand and not is_named

    def _placed(self, value: Any, name: str, typed: bool, found: dict[str, InputFile]) -> Any:
        if isinstance(value, list):
            return [self._placed(item, name, False, found) for item in value]
        if isinstance(value, dict):
            return {key: self._placed(item, key, False, found) for key, item in value.items()}
        path = path_in(value, typed=typed) if isinstance(value, str) else None
        if path is None:
            return value
        file = found.get(path) or self._files.look(path)
        _check_family(name, file)
        found[path] = file
        return Content(file.sha256, file.size).placeholder


def _may_hold_path(value: object) -> bool:
    """Whether a value may hold the path of a media file; asked of all of very many, so it is
    quick."""
    if isinstance(value, str):
        is_media = value[-_LONGEST_END:].rpartition(".")[2].lower() in _MEDIA
        return is_media and len(value) <= _LONGEST_PATH and path_in(value, typed=True) == value
    return isinstance(value, (list, dict))


def _media_paths(value: Any, at: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """What in a value may be the path of a media file, and where in it."""
    if isinstance(value, str):
        yield at, value
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if _may_hold_path(item):
            yield from _media_paths(item, (*at, key))


def _with_prefix(recipe: Recipe, name: str, text: str) -> str:
    """How to have it uploaded; of a text that differs from job to job the same for all of them."""
    if name in recipe.cells:
        where = f"`{PREFIX}{{{recipe.cells[name]}}}` in the manifest, or {PREFIX} before it here,"
    else:
        where = f"`{PREFIX}` before it" if name in recipe.varying else f"`{PREFIX}{text}`"
    return f"write {where} to upload it; if the text is meant, move the file to another folder"


def _is_path(value: object) -> bool:
    return isinstance(value, str) and path_in(value, typed=True) is not None


def _check_family(name: str, file: InputFile) -> None:
    wanted = family_of(name)
    kind = file.media_type.partition("/")[0]
    if wanted and kind != wanted:
        what = f"{name} takes {wanted} files, and {quoted(file.path)} is {file.media_type}"
        raise InputError(what, f"give a file whose content is {wanted}/…")
