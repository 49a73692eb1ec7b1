"""One item of a manifest's `jobs`, and what all of them have unless they say otherwise."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from batchgen.core.manifest.rows.cells import CellType
from batchgen.core.manifest.rows.where import CheckCondition, Condition
from batchgen.core.manifest.text.fields import Api, ManifestPart, Params, Price, Scalar, fault
from batchgen.core.manifest.text.templates import FIELD_NAME

RESERVED_FIELDS = frozenset({"id", "model", "index"})
"""Names that `output.filename` gives a meaning of their own."""
MAX_MATRIX_VALUES = 100_000
MAX_SAMPLE = 100_000
"""Rows of a sample that is given as a number: their numbers are kept in memory."""
_SCALAR = (str, int, float, bool, type(None))
_MAPPING = {"type": "object"}
_SHARE_OR_COUNT = {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SAMPLE}


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
            remedy = "remove it; to take several samples, write repeat: 3 beside the matrix"
            raise fault(f"the field {name} lists a value twice: equal jobs, paid twice", remedy)
    return matrix


def _combination(values: dict[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        if not isinstance(value, _SCALAR):
            remedy = "write, for example: {style: ink, seed: 1}"
            raise fault(f"{name!r:.60} is not one value of the matrix", remedy)
    return values


def _sample(value: Any) -> Any:
    is_share = isinstance(value, float) and 0 < value < 1
    is_count = type(value) is int and 1 <= value <= MAX_SAMPLE
    if value is not None and not is_share and not is_count:
        what = "sample is neither a share of the rows nor a number of rows"
        remedy = f"write a share such as 0.01, or a whole number up to {MAX_SAMPLE:,}"
        raise fault(what, remedy)
    return value


_Combinations = Annotated[
    list[Annotated[dict[str, Any], AfterValidator(_combination), WithJsonSchema(_MAPPING)]],
    Field(min_length=1, max_length=1_000),
]
_Type = Annotated[
    CellType, Field(strict=False), WithJsonSchema({"enum": [str(kind) for kind in CellType]})
]


class Defaults(ManifestPart):
    """What every entry of `jobs` has unless it says otherwise."""

    model: Annotated[str | None, Field(examples=["flux-kontext-pro"])] = None
    """The model's slug, as in its URL, or workflows/v2/ and the slug of a workflow."""
    api: Annotated[Api | None, Field(examples=["v2"])] = None
    """v2 (submit and poll), or v1 (one blocking call, in maintenance mode). Default: v2."""
    params: Annotated[Params, Field(examples=[{"output_format": "png"}])] = {}  # noqa: RUF012 - copied
    """Parameters of every job; an entry's own ones go over them, key by key."""
    price: Annotated[Price | None, Field(examples=[0.04])] = None
    """USD a job, where the catalogue does not know it or is wrong."""


class Entry(ManifestPart):
    """One item of `jobs`: a job; with `from` one job a row; with a matrix one for every combination
    of its values."""

    id: Annotated[str | None, Field(min_length=1, max_length=1_000, examples=["cup-{style}"])] = (
        None
    )
    """Unique and a safe file name; a template over the fields and {model}. Default: the model, the
    number of the entry, with rows that of the row, and for a matrix that of the combination."""
    from_: Annotated[
        str | None,
        Field(alias="from", min_length=1, max_length=4_000, examples=["prompts.csv"]),
    ] = None
    """Where rows come from, one job a row: a file (.csv, .tsv, .jsonl, each also .gz or .zst;
    .parquet), several by a pattern such as prompts/*.csv, or pictures, sound and video: a folder
    such as photos/ or a pattern such as photos/*.png. The fields of a row fill the templates, and
    so does {row}, its number from 1. Relative to the manifest."""
    where: Annotated[
        dict[str, Annotated[Any, Condition, CheckCondition]] | None,
        Field(min_length=1, max_length=20, examples=[{"label": ["cat", "dog"]}]),
    ] = None
    """Only rows that fulfil every condition: a value, a list of values, {not: …}, or {min: …,
    max: …}."""
    sample: Annotated[
        int | float | None,
        BeforeValidator(_sample),
        WithJsonSchema({"anyOf": [_SHARE_OR_COUNT, {"type": "null"}]}),
        Field(examples=[0.01, 500]),
    ] = None
    """Only some of the rows that `where` leaves: a share between 0 and 1, or so many rows; the same
    ones in every run."""
    limit: Annotated[Annotated[int, Field(ge=1, le=10_000_000)] | None, Field(examples=[100])] = (
        None
    )
    """Only the first rows of those that `where` and `sample` leave."""
    types: Annotated[
        dict[str, _Type] | None,
        Field(min_length=1, max_length=1_000, examples=[{"seed": "integer", "tags": "json"}]),
    ] = None
    """What the text of fields is read as. Cells of CSV and TSV are text; one that wholly fills a
    parameter which the catalogue knows needs no type here."""
    model: Annotated[str | None, Field(examples=["flux-kontext-pro"])] = None
    """The model's slug, as in its URL, or workflows/v2/ and the slug of a workflow; a template over
    the fields."""
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
    exclude: Annotated[_Combinations | None, Field(examples=[[{"style": "ink", "seed": 3}]])] = None
    """Combinations of the matrix that are left out: values of some of its fields, each list item
    one; what matches all values of an item goes."""
    include: Annotated[_Combinations | None, Field(examples=[[{"style": "pen", "seed": 7}]])] = None
    """Further combinations behind those of the matrix, each with a value for every field of it."""
    repeat: Annotated[Annotated[int, Field(ge=1, le=10_000)] | None, Field(examples=[4])] = None
    """Every job so many times, with seeds of their own; {repeat} counts from 1. A seed that is
    given is the first one's and goes up by one; without one, seeds follow from the id."""
    price: Annotated[Price | None, Field(examples=[0.04])] = None
    """USD a job, over the catalogue's."""
