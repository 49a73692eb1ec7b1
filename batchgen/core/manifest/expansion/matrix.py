"""The combinations of a matrix: the product of its values, less what is excluded, and some more.

A combination keeps its number when others are excluded or included, since jobs without an id are
called after it: numbers count the whole product from 1, and what is included comes behind it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from batchgen.core.manifest.entry import Entry
from batchgen.core.manifest.text.locations import Diagnostic, KeyPath
from batchgen.core.manifest.text.templates import Fields

_Values = tuple[tuple[type, Any], ...]


def combinations(entry: Entry) -> Iterator[tuple[int, Fields]]:
    """Each with its number, the last field changing fastest; (0, no fields) without a matrix."""
    matrix = entry.matrix
    if matrix is None:
        yield 0, {}
        return
    names = tuple(matrix)
    excluded = _excluded(entry.exclude or (), names)
    number = 0
    for number, values in enumerate(product(*matrix.values()), start=1):
        if not excluded or not _is_excluded(values, excluded):
            yield number, dict(zip(names, values, strict=True))
    for further, fields in enumerate(entry.include or (), start=number + 1):
        yield further, {name: fields[name] for name in names}


def combination_count(matrix: Mapping[str, Sequence[Any]] | None) -> int:
    """How many the matrix alone makes; 1 without one."""
    return math.prod(map(len, (matrix or {}).values()))


def combination_faults(entry: Entry, path: KeyPath) -> Iterator[Diagnostic]:
    """What is wrong with `exclude` and `include`; `path` is the entry's."""
    matrix = entry.matrix or {}
    wrong = [
        remark
        for number, partial in enumerate(entry.exclude or ())
        for remark in _exclude_faults(partial, matrix, (*path, "exclude", number))
    ]
    yield from wrong
    if not wrong:
        yield from _include_faults(entry, matrix, path)
        if entry.exclude and next(combinations(entry), None) is None:
            what = "exclude leaves no combination of the matrix"
            yield Diagnostic((*path, "exclude"), what, "take items out of it")


def _include_faults(
    entry: Entry, matrix: Mapping[str, Sequence[Any]], path: KeyPath
) -> Iterator[Diagnostic]:
    taken: set[_Values] = set()
    names = tuple(matrix)
    excluded = _excluded(entry.exclude or (), names)
    for number, fields in enumerate(entry.include or ()):
        here = (*path, "include", number)
        if fields.keys() != matrix.keys():
            remedy = f"give a value for each of: {', '.join(matrix)}"
            yield Diagnostic(here, "it does not have the fields of the matrix", remedy)
            continue
        values = tuple(fields[name] for name in names)
        in_matrix = all(_is_in(value, matrix[name]) for name, value in fields.items())
        if _typed(values) in taken or (in_matrix and not _is_excluded(values, excluded)):
            what = "the combination is there already: equal jobs, paid twice"
            yield Diagnostic(here, what, "remove it; to take several samples, write repeat: 2")
        taken.add(_typed(values))


def _exclude_faults(
    partial: Mapping[str, Any], matrix: Mapping[str, Sequence[Any]], path: KeyPath
) -> Iterator[Diagnostic]:
    if not partial:
        yield Diagnostic(path, "it names no field, and would leave out everything", "remove it")
    for name, value in partial.items():
        if name not in matrix:
            remedy = f"the fields of the matrix are: {', '.join(matrix)}"
            yield Diagnostic((*path, name), f"the matrix has no field {name!r:.60}", remedy)
        elif not _is_in(value, matrix[name]):
            what = f"the field {name} of the matrix never has this value: nothing is left out"
            remedy = f"write one of its values as it stands there: {matrix[name]!r:.100}"
            yield Diagnostic((*path, name), what, remedy)


_Excluded = tuple[tuple[tuple[int, ...], frozenset[_Values]], ...]


def _excluded(partials: Sequence[Mapping[str, Any]], names: tuple[str, ...]) -> _Excluded:
    """The values to leave out, by the positions of the fields they are values of."""
    groups: dict[tuple[int, ...], set[_Values]] = {}
    for partial in partials:
        positions = tuple(index for index, name in enumerate(names) if name in partial)
        values = tuple(partial[names[position]] for position in positions)
        groups.setdefault(positions, set()).add(_typed(values))
    return tuple((positions, frozenset(values)) for positions, values in groups.items())


def _is_excluded(values: Sequence[Any], excluded: _Excluded) -> bool:
    return any(
        _typed([values[position] for position in positions]) in combos
        for positions, combos in excluded
    )


def _typed(values: Sequence[Any]) -> _Values:
    """Comparable: Python holds 1, 1.0 and True for the same."""
    return tuple((type(value), value) for value in values)


def _is_in(value: Any, values: Sequence[Any]) -> bool:
    return any(type(value) is type(item) and value == item for item in values)
