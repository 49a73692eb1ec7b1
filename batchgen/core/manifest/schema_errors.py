"""What is wrong with the shape of a manifest, in plain sentences, with the place and a remedy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from batchgen.core.catalog.model import nearest
from batchgen.core.catalog.validation import quoted, shown
from batchgen.core.manifest.text.locations import MAX_PROBLEMS, KeyPath, ManifestText
from batchgen.errors import Problem

_ARTICLES: Mapping[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
}
_BOUNDS: Mapping[str, str] = {"ge": "at least", "gt": "more than", "le": "at most"}
_MATRIX_FIELD = FieldInfo(examples=[[1, 2, 3]])
_NAME_PART = "[key]"
"""What pydantic puts behind the key of a mapping when the key itself is wrong."""
_ROOT = "the manifest"
_MATRIX_VALUE = "text, a number, true, false or null"


def complaints(
    error: ValidationError, root: type[BaseModel], source: ManifestText
) -> list[Problem]:
    """The problems of a validation error, in the order of the text, one for each place.

    Of more than `MAX_PROBLEMS`, so many.
    """
    problems: dict[tuple[KeyPath, bool], Problem] = {}
    for details in error.errors(include_url=False)[:MAX_PROBLEMS]:
        path, field, keys, is_name = _follow(root, details["loc"])
        told = _tell(details, path, field, keys)
        at_key = is_name or details["type"] in {"extra_forbidden", "missing"}
        place = path[:-1] if details["type"] == "missing" else path
        problem = source.problem(place, *told, at_key=at_key)
        problems.setdefault((path, at_key), problem)
    return sorted(problems.values(), key=lambda problem: (problem.line, problem.column))


def _follow(
    model: type[BaseModel], loc: tuple[int | str, ...]
) -> tuple[KeyPath, FieldInfo | None, tuple[str, ...], bool]:
    """The path of an error in the document, the field it is about, its neighbours' keys, and
    whether it is about the name of the last of the path, not its value.

    Pydantic adds the names of union members to a path inside matrix values, and where a value
    tells which of them it is: they are left out.
    """
    path: list[str | int] = []
    here: type[BaseModel] | None = model
    field: FieldInfo | None = None
    keys: tuple[str, ...] = ()
    names_at = -1
    for part in loc:
        if part == _NAME_PART and names_at == len(path) - 1:
            return tuple(path), None, (), True
        if field is not None and field.discriminator is not None:
            break
        if names_at == len(path):
            field = FieldInfo(annotation=here)
        elif here is not None and isinstance(part, str):
            fields = {item.alias or name: item for name, item in here.model_fields.items()}
            keys = tuple(fields)
            field = fields.get(part)
            here = _model_of(field)
            # Below a mapping the user chooses the keys.
            names_at = len(path) + 1 if field and get_origin(field.annotation) is dict else -1
        elif path[2:3] == ["matrix"]:
            field = _MATRIX_FIELD
            if len(path) >= 5:
                break
        path.append(part)
    return tuple(path), field, keys, False


def _model_of(field: FieldInfo | None) -> type[BaseModel] | None:
    """The manifest part a field holds, alone or in a list."""
    annotation = field.annotation if field else None
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _tell(
    details: ErrorDetails, path: KeyPath, field: FieldInfo | None, keys: tuple[str, ...]
) -> tuple[str, str]:
    """What is wrong, and what to type next."""
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    name = _name(path)
    example = _example(name, field)
    if kind == "batchgen":
        return context["what"], context["remedy"]
    if kind == "extra_forbidden":
        what = f"the key {quoted(str(path[-1]))} is unknown here"
        return what, _possible(str(path[-1]), keys)
    if kind == "missing":
        return f"{name} is missing", example
    if kind in {"literal_error", "enum"}:
        return _choice(name, value, context)
    if kind.endswith("too_long"):
        what = f"{name} is too long: {len(value):,}, at most {context['max_length']:,}"
        return what, "shorten it, or split the job"
    if kind.endswith("too_short"):
        return f"{name} is empty", example
    if kind.startswith(("greater_than", "less_than")):
        return _out_of_bounds(name, value, context), example
    if "matrix" in path[2:3] and len(path) >= 5:
        return f"{_kind_of(value)} cannot be a matrix value", f"give {_MATRIX_VALUE}"
    return _wrong_type(name, kind, value, example)


def _wrong_type(name: str, kind: str, value: Any, example: str) -> tuple[str, str]:
    wanted = _ARTICLES.get(kind)
    if value is None:
        return f"{name} is empty, and {wanted or 'a value'} is needed", example
    if wanted is None:
        return f"{name} cannot be {_kind_of(value)}", example
    if kind == "string_type" and not isinstance(value, (dict, list)):
        example = f'put it in quotes: {name}: "{value!s:.60}"'
    return f"{name} is {_kind_of(value)}, and {wanted} is needed", example


def _possible(value: Any, keys: Sequence[str]) -> str:
    close = nearest(value, keys) if isinstance(value, str) else None
    advice = f"did you mean {close}? " if close else ""
    return f"{advice}possible are: {', '.join(keys)}"


def _out_of_bounds(name: str, value: Any, context: Mapping[str, Any]) -> str:
    phrase, limit = next((words, context[key]) for key, words in _BOUNDS.items() if key in context)
    # A text that stands for a number is a duration.
    unit = " s" if isinstance(value, str) else ""
    return f"{name} is {shown(value)}, and must be {phrase} {int(limit):,}{unit}"


def _choice(name: str, value: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    if name == "version":
        return f"version is {shown(value)}, and this batchgen reads version 1", "write version: 1"
    expected = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
    what = f"{name} is {shown(value)}, which is not possible"
    return what, _possible(value, expected.split(", "))


def _name(path: KeyPath) -> str:
    """The last key of a path; list items are called after their list."""
    if not path:
        return _ROOT
    if isinstance(path[-1], int):
        return f"item {path[-1] + 1} of {_name(path[:-1])}"
    return path[-1]


def _kind_of(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return shown(value)


def _example(name: str, field: FieldInfo | None) -> str:
    if name == _ROOT:
        return "begin it with `version: 1`, `name: …` and `jobs:`"
    part = _model_of(field)
    if part is not None and not (field and field.examples):
        keys = (known.alias or name for name, known in part.model_fields.items())
        return f"give it keys ({', '.join(keys)}), or remove it"
    if field is None or not field.examples:
        return "compare it with the examples in jobs/"
    key = name.rsplit(" ", 1)[-1]
    return f"write, for example: {key}: {json.dumps(field.examples[0], ensure_ascii=False)}"
