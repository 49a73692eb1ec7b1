"""One item of a manifest's `jobs`, and what all of them have unless they say otherwise."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from batchgen.core.part import Api, Params, Part, Price, Scalar, fault
from batchgen.core.templates import FIELD_NAME

RESERVED_FIELDS = frozenset({"id", "model", "index"})
"""Names that `output.filename` gives a meaning of their own."""
MAX_MATRIX_VALUES = 100_000


def _matrix(matrix: dict[str, list[Scalar]]) -> dict[str, list[Scalar]]:
    for name, values in matrix.items():
        if not FIELD_NAME.fullmatch(name):
            what = f"{name!r:.60} cannot be a field: templates could not name it"
            raise fault(what, "use letters, digits and _, beginning with a letter")
        if name in RESERVED_FIELDS:
            remedy = f"call it something else, such as {name}_of"
            raise fault(f"the field {name} has a meaning of its own in templates", remedy)
        seen = {(type(value), value) for value in values}
        if len(seen) < len(values):
            remedy = "remove it; to take several samples, add a field such as take: [1, 2, 3]"
            raise fault(f"the field {name} lists a value twice: equal jobs, paid twice", remedy)
    return matrix


class Defaults(Part):
    """What every entry of `jobs` has unless it says otherwise."""

    model: Annotated[str | None, Field(examples=["flux-kontext-pro"])] = None
    """The model's slug, as in its URL."""
    api: Annotated[Api | None, Field(examples=["v2"])] = None
    """v2 (submit and poll), or v1 (one blocking call, in maintenance mode). Default: v2."""
    params: Annotated[Params, Field(examples=[{"output_format": "png"}])] = {}  # noqa: RUF012 - copied
    """Parameters of every job; an entry's own ones go over them, key by key."""
    price: Annotated[Price | None, Field(examples=[0.04])] = None
    """USD a job, where the catalogue does not know it or is wrong."""


class Entry(Part):
    """One item of `jobs`: a job; with `from` one job a row; with a matrix one for every combination
    of its values."""

    id: Annotated[str | None, Field(min_length=1, max_length=1_000, examples=["cup-{style}"])] = (
        None
    )
    """Unique and a safe file name; a template over the fields and {model}. Default: the model, the
    number of the entry, with rows that of the row, and for a matrix that of the combination."""
    from_: Annotated[
        str | None,
        Field(alias="from", min_length=1, max_length=4_000, examples=["prompts.jsonl"]),
    ] = None
    """A file of rows, one job a row: its fields fill the templates, and so does {row}, the number
    of the row from 1. JSON Lines (.jsonl), one object a line. Relative to the manifest."""
    model: Annotated[str | None, Field(examples=["flux-kontext-pro"])] = None
    """The model's slug, as in its URL; a template over the fields."""
    api: Annotated[Api | None, Field(examples=["v2"])] = None
    """v2 (submit and poll), or v1 (one blocking call)."""
    params: Annotated[Params, Field(examples=[{"prompt": "a cup, {style} painting"}])] = {}  # noqa: RUF012 - copied
    """Parameters as the model takes them; texts are templates over the fields of the matrix and the
    row. A parameter that is null is not sent, which also undoes a default."""
    matrix: Annotated[
        Annotated[
            dict[str, Annotated[list[Scalar], Field(min_length=1, max_length=MAX_MATRIX_VALUES)]],
            Field(min_length=1, max_length=20),
            AfterValidator(_matrix),
        ]
        | None,
        Field(examples=[{"style": ["ink", "oil"], "seed": [1, 2, 3]}]),
    ] = None
    """Fields and their values: one job for every combination, the last field changing fastest; with
    `from`, so many for every row."""
    price: Annotated[Price | None, Field(examples=[0.04])] = None
    """USD a job, over the catalogue's."""
