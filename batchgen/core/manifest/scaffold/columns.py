"""Which column of a file fits which parameter of a model: by its name, and by what stands in it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from batchgen.core.catalog.model import Model, Parameter, ParameterType
from batchgen.core.catalog.validation import Severity, check
from batchgen.core.manifest.rows.cells import OF_PARAMETER, CellError, read_cell
from batchgen.core.manifest.rows.row import ROW_NUMBER, Row
from batchgen.core.manifest.text.templates import FIELD_NAME

_ALIKE: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompts", "caption", "text", "instruction", "description", "title"),
    "negative_prompt": ("negative",),
    "aspect_ratio": ("ratio", "aspect"),
    "seed": ("random_seed",),
}
"""What else people call a parameter, the likelier first."""
_PICTURES = ("image", "image_url", "image_path", "img", "picture", "photo", "input", "url", "path")
"""What people call the column of a picture to work on; it fits the first address of a model."""
_SENTENCE = 12
"""So many characters on average, and a column of text may well be the prompts."""


@dataclass(frozen=True, slots=True)
class GuessedColumn:
    """A column with what stands in it in the first rows, nulls left out.

    `untyped` where all cells are text because their format knows nothing else; `is_everywhere` says
    that no row is without it.
    """

    name: str
    values: tuple[Any, ...]
    untyped: bool = False
    is_everywhere: bool = True

    @property
    def can_be_named(self) -> bool:
        """Whether a template can say `{name}`."""
        return FIELD_NAME.fullmatch(self.name) is not None

    @property
    def is_usable(self) -> bool:
        """Whether a template can say so for every row."""
        return self.can_be_named and self.is_everywhere


@dataclass(frozen=True, slots=True)
class Fit:
    """Columns by the parameter they fill. `guessed` are parameters whose column only looks right.

    `others` fill none; `near` are those of them, by parameter, that are only called like it.
    """

    columns: Mapping[str, GuessedColumn]
    guessed: frozenset[str]
    others: tuple[GuessedColumn, ...]
    near: Mapping[str, GuessedColumn]


def columns_of(rows: Iterable[Row]) -> tuple[GuessedColumn, ...]:
    """The columns of some rows, in the order in which they turn up."""
    some = list(rows)
    names = dict.fromkeys(name for row in some for name in row.fields)
    return tuple(
        GuessedColumn(
            name,
            tuple(row.fields[name] for row in some if row.fields.get(name) is not None),
            untyped=any(row.untyped for row in some),
            is_everywhere=all(name in row.fields for row in some),
        )
        for name in names
        if name != ROW_NUMBER
    )


def fit(columns: Sequence[GuessedColumn], model: Model) -> Fit:
    """The columns that fill the parameters of a model; none fills two."""
    left = {column.name: column for column in columns}
    found: dict[str, GuessedColumn] = {}
    near: dict[str, GuessedColumn] = {}
    for parameter in model.parameters.values():
        for column in _called_alike(parameter, model, left.values()):
            if _fits(column, parameter, model):
                found[parameter.name] = left.pop(column.name)
                near.pop(parameter.name, None)
                break
            near.setdefault(parameter.name, column)
    guessed: frozenset[str] = frozenset()
    sentences = _sentences(left.values())
    if "prompt" in model.parameters and "prompt" not in found and sentences is not None:
        found["prompt"] = left.pop(sentences.name)
        guessed = frozenset({"prompt"})
        near.pop("prompt", None)
    return Fit(found, guessed, tuple(left.values()), near)


def _called_alike(
    parameter: Parameter, model: Model, columns: Collection[GuessedColumn]
) -> list[GuessedColumn]:
    """Columns whose names say that they may be this parameter, the likeliest first."""
    names = [parameter.name, *_ALIKE.get(parameter.name, ())]
    if parameter is _first_address(model):
        names += _PICTURES
    ranks = {name: rank for rank, name in enumerate(names)}
    if parameter.name == "prompt":
        for column in columns:
            words = _plain(column.name).split("_")
            if "prompt" in words and "negative" not in words:
                ranks.setdefault(_plain(column.name), len(names))
    alike = [column for column in columns if _plain(column.name) in ranks]
    return sorted(alike, key=lambda c: (ranks[_plain(c.name)], c.name != parameter.name))


def _first_address(model: Model) -> Parameter | None:
    return next((p for p in model.parameters.values() if p.type is ParameterType.URI), None)


def _plain(name: str) -> str:
    """A name without case, spaces and signs: `Aspect Ratio` is `aspect_ratio`."""
    return re.sub(r"[\W_]+", "_", name.lower()).strip("_")


def _fits(column: GuessedColumn, parameter: Parameter, model: Model) -> bool:
    """Whether a template can name it, and what stands in the first rows could be sent."""
    return column.is_usable and all(
        _suits(value, column, parameter, model) for value in column.values
    )


def _suits(value: Any, column: GuessedColumn, parameter: Parameter, model: Model) -> bool:
    if parameter.type is ParameterType.URI:
        return isinstance(value, str)  # a path, perhaps; whether the file is there is told later
    kind = OF_PARAMETER.get(parameter.type)
    if column.untyped and kind is not None:
        try:
            value = read_cell(value, kind)
        except CellError:
            return False
    findings = check(model, {parameter.name: value})
    return not any(f.param == parameter.name and f.severity is Severity.ERROR for f in findings)


def _sentences(columns: Iterable[GuessedColumn]) -> GuessedColumn | None:
    """The column with the longest texts, if they are long enough to be prompts."""
    prose = (column for column in columns if column.is_usable and _is_prose(column.values))
    longest = max(prose, key=_length, default=None)
    return longest if longest is not None and _length(longest) >= _SENTENCE else None


def _length(column: GuessedColumn) -> float:
    return fmean(map(len, column.values))


def _is_prose(values: Sequence[Any]) -> bool:
    return bool(values) and all(
        isinstance(text, str) and "://" not in text and " " in text.strip() for text in values
    )
