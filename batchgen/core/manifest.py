"""The manifest as a checked value: its shape, its bounds, its defaults, and its JSON Schema.

Descriptions and examples here feed `batchgen schema`, the documents and the error messages. What
an entry expands to stands in `batchgen.core.expand`; how errors are told in
`batchgen.core.complaints`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from batchgen.core.complaints import complaints
from batchgen.core.limits import OnExpired, RateScope, WhenAbsent
from batchgen.core.names import NameFaultError, check_part
from batchgen.core.place import Source
from batchgen.core.spec import ApiVersion
from batchgen.core.templates import FIELD_NAME
from batchgen.errors import ManifestError

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
RESERVED_FIELDS = frozenset({"id", "model", "index"})
"""Names that `output.filename` gives a meaning of their own."""
MAX_MATRIX_VALUES = 100_000

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?")
_Scalar = str | int | float | bool | None


def _fault(what: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("batchgen", "{what}", {"what": what, "remedy": remedy})


def _safe_name(name: str) -> str:
    try:
        check_part(name)
    except NameFaultError as error:
        remedy = "use letters, digits, - and _; it names the run directory"
        raise _fault(f"the name {error}", remedy) from None
    return name


def _whole(version: Any) -> Any:
    """Python holds true and 1.0 for 1; a version is the whole number."""
    if version == 1 and type(version) is not int:
        raise _fault("version must be the whole number 1", "write version: 1")
    return version


def _matrix(matrix: dict[str, list[_Scalar]]) -> dict[str, list[_Scalar]]:
    for name, values in matrix.items():
        if not FIELD_NAME.fullmatch(name):
            what = f"{name!r:.60} cannot be a field: templates could not name it"
            raise _fault(what, "use letters, digits and _, beginning with a letter")
        if name in RESERVED_FIELDS:
            remedy = f"call it something else, such as {name}_of"
            raise _fault(f"the field {name} has a meaning of its own in templates", remedy)
        seen = {(type(value), value) for value in values}
        if len(seen) < len(values):
            remedy = "remove it; to take several samples, add a field such as take: [1, 2, 3]"
            raise _fault(f"the field {name} lists a value twice: equal jobs, paid twice", remedy)
    return matrix


def is_slug(text: str) -> bool:
    """Whether a model may be called so: it becomes a part of a URL."""
    return bool(_SLUG.fullmatch(text))


def _slug(text: str) -> str:
    if not is_slug(text):
        remedy = "give a slug such as flux-kontext-pro, as it stands in the URL of the model's page"
        raise _fault(f"{text!r:.60} cannot be the slug of a model", remedy)
    return text


def _seconds(value: Any) -> Any:
    """A text such as 1h30m as seconds; anything else is left to the type."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None or not value.strip():
        remedy = "write seconds, or hours, minutes and seconds such as 8h, 90m or 1h30m"
        raise _fault(f"{value!r:.40} is not a duration", remedy)
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600.0 + minutes * 60.0 + seconds


class _Part(BaseModel):
    """What all parts share: unknown keys refused, values taken as they are, nothing changed."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


_Params = dict[str, Any]
_Price = Annotated[float, Field(ge=0, le=10_000)]
_Api = Annotated[ApiVersion, Field(strict=False)]
_Duration = Annotated[
    float,
    BeforeValidator(_seconds, json_schema_input_type=float | str),
    Field(gt=0, le=31 * 86_400),
]


class ModelBudget(_Part):
    """The limits of one model, within those of the run."""

    concurrency: Annotated[Annotated[int, Field(ge=1, le=10_000)] | None, Field(examples=[4])] = (
        None
    )
    """Jobs of this model accepted by the service and not yet finished, at most."""
    requests_per_minute: Annotated[
        Annotated[int, Field(ge=1, le=1_000_000)] | None, Field(examples=[10])
    ] = None
    """Requests about this model in any 60 seconds, at most, counted by the same scope."""


class Budget(_Part):
    """The limits of a run. They hold in every sliding window, across restarts too."""

    concurrency: Annotated[int, Field(ge=1, le=10_000, examples=[16])] = 16
    """Jobs accepted by the service and not yet finished, at most."""
    requests_per_minute: Annotated[
        Annotated[int, Field(ge=1, le=1_000_000)] | None, Field(examples=[50])
    ] = 50
    """Requests in any 60 seconds, at most: 5 on the free plan, 50 on Pro. null: no limit."""
    rate_limit_scope: Annotated[RateScope, Field(strict=False, examples=["all"])] = RateScope.ALL
    """Which calls count as requests: all of them, or submits only."""
    max_spend: Annotated[
        Annotated[float, Field(gt=0, le=10_000_000)] | None,
        Field(examples=[20.0]),
    ] = None
    """USD that may be spent, at most; jobs of unknown price do not start under it. null: no cap."""
    max_duration: Annotated[_Duration | None, Field(examples=["8h", 1800])] = None
    """How long one run may work: a number of seconds, or a text such as 8h, 90m or 1h30m. Submits
    end early enough that what was paid for is still collected in time. null: until it is done."""
    models: Annotated[
        dict[Annotated[str, AfterValidator(_slug)], ModelBudget],
        Field(examples=[{"flux-pro": {"concurrency": 4, "requests_per_minute": 10}}]),
    ] = {}
    """Limits of single models, by slug."""


class Retry(_Part):
    """How often a job may be paid for."""

    max_attempts: Annotated[int, Field(ge=1, le=20, examples=[3])] = 3
    """Submits per job that may be billed, the first one included."""


class Reconcile(_Part):
    """What becomes of a submit whose answer was lost, and of a result whose hour is over."""

    settle: Annotated[float, Field(ge=0, le=3_600, examples=[120])] = 120.0
    """Seconds after the submit before its absence from the history may count as proof."""
    when_absent: Annotated[WhenAbsent, Field(strict=False, examples=["resubmit"])] = (
        WhenAbsent.RESUBMIT
    )
    """A submit that history proves absent: resubmit it, or hold it for the user."""
    on_expired: Annotated[OnExpired, Field(strict=False, examples=["recover"])] = OnExpired.RECOVER
    """A paid result whose record expired. recover: from history, else pay again; recover-only:
    from history, else the job is lost; fail: the job is lost."""


class Output(_Part):
    """Where finished files go."""

    filename: Annotated[
        str, Field(min_length=1, max_length=1_000, examples=["{id}", "{model}/{id}"])
    ] = "{id}"
    """Path below outputs/ without extension, which comes from the content. A template over {id},
    {model}, {index} (number of the job in the manifest, from 1) and the fields."""


class Defaults(_Part):
    """What every entry of `jobs` has unless it says otherwise."""

    model: Annotated[str | None, Field(examples=["flux-kontext-pro"])] = None
    """The model's slug, as in its URL."""
    api: Annotated[_Api | None, Field(examples=["v2"])] = None
    """v2 (submit and poll), or v1 (one blocking call, in maintenance mode). Default: v2."""
    params: Annotated[_Params, Field(examples=[{"output_format": "png"}])] = {}
    """Parameters of every job; an entry's own ones go over them, key by key."""
    price: Annotated[_Price | None, Field(examples=[0.04])] = None
    """USD a job, where the catalogue does not know it or is wrong."""


class Entry(_Part):
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
    api: Annotated[_Api | None, Field(examples=["v2"])] = None
    """v2 (submit and poll), or v1 (one blocking call)."""
    params: Annotated[_Params, Field(examples=[{"prompt": "a cup, {style} painting"}])] = {}
    """Parameters as the model takes them; texts are templates over the fields of the matrix and the
    row. A parameter that is null is not sent, which also undoes a default."""
    matrix: Annotated[
        Annotated[
            dict[str, Annotated[list[_Scalar], Field(min_length=1, max_length=MAX_MATRIX_VALUES)]],
            Field(min_length=1, max_length=20),
            AfterValidator(_matrix),
        ]
        | None,
        Field(examples=[{"style": ["ink", "oil"], "seed": [1, 2, 3]}]),
    ] = None
    """Fields and their values: one job for every combination, the last field changing fastest; with
    `from`, so many for every row."""
    price: Annotated[_Price | None, Field(examples=[0.04])] = None
    """USD a job, over the catalogue's."""


class Manifest(_Part):
    """A batch of media generation jobs on Segmind, and the limits it runs within."""

    version: Annotated[Literal[1], Field(examples=[1]), BeforeValidator(_whole)]
    """Version of this format."""
    name: Annotated[str, Field(examples=["street-portraits"]), AfterValidator(_safe_name)]
    """Name of the batch, a safe file name; its run directory is runs/<name>."""
    budget: Budget = Budget()
    """The limits of a run."""
    retry: Retry = Retry()
    """How often a job may be paid for."""
    reconcile: Reconcile = Reconcile()
    """What becomes of lost answers and expired results."""
    output: Output = Output()
    """Where finished files go."""
    defaults: Defaults = Defaults()
    """What every entry has unless it says otherwise."""
    jobs: Annotated[
        list[Entry],
        Field(min_length=1, examples=[[{"id": "cup", "params": {"prompt": "a cup"}}]]),
    ]
    """What to generate."""


def parse_manifest(value: Any, source: Source | None = None) -> Manifest:
    """Check a manifest given as plain values (dict, list, str, numbers).

    Raises `ManifestError` with everything that is wrong about its shape. What can only be seen job
    by job (templates, parameters, names) is `batchgen.core.review`'s.
    """
    try:
        return Manifest.model_validate(value)
    except ValidationError as error:
        problems = complaints(error, Manifest, source or Source())
        raise ManifestError(problems) from None


def json_schema() -> dict[str, Any]:
    """The manifest's JSON Schema, for editors."""
    schema: dict[str, Any] = _one_line_descriptions(Manifest.model_json_schema())
    return {"$schema": SCHEMA_DIALECT, **schema}


def _one_line_descriptions(node: Any) -> Any:
    """Docstrings are wrapped for the source; an editor wraps them for its own width."""
    if isinstance(node, list):
        return [_one_line_descriptions(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: " ".join(value.split())
        if key == "description" and isinstance(value, str)
        else _one_line_descriptions(value)
        for key, value in node.items()
    }
