"""A file of `models/` beside a manifest: what its user knows of a model, over all other sources.

It has the form of the data files that ship with batchgen
(`batchgen/providers/segmind/catalog/models`); everything but `slug` may be left out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from batchgen.core.catalog.facts import ModelFacts, facts_of
from batchgen.core.catalog.model import ParameterType
from batchgen.core.manifest.schema_errors import complaints
from batchgen.core.manifest.text.fields import Api, ManifestPart, Price, Slug, fault
from batchgen.core.manifest.text.locations import ManifestText
from batchgen.errors import ManifestError, Problem

FOLDER = "models"
"""Beside the manifest."""
_NUMBERS = (ParameterType.INTEGER, ParameterType.NUMBER)
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Type = Annotated[ParameterType, Field(strict=False)]


class ParameterPart(ManifestPart):
    """One parameter; see `batchgen.core.catalog.model.Parameter`."""

    type: Annotated[_Type, Field(examples=["integer"])] = ParameterType.ANY
    required: bool = False
    default: Any = None
    range: Annotated[
        list[_Number | None] | None, Field(min_length=2, max_length=2, examples=[[1, 50]])
    ] = None
    range_is_told: bool = False
    maximum_with_image: _Number | None = None
    allowed: Annotated[list[Any], Field(max_length=1_000, examples=[["png", "jpg"]])] = []  # noqa: RUF012 - copied
    allowed_is_cut: bool = False
    description: str = ""
    affects_price: bool = False

    @model_validator(mode="after")
    def _only_numbers_have_ranges(self) -> ParameterPart:
        low, high = self.range or (None, None)
        if low is not None and high is not None and low > high:
            raise fault(f"the range begins at {low:g} and ends at {high:g}", "write range: [1, 50]")
        if self.range is not None and self.type not in _NUMBERS:
            raise fault(
                "only numbers have a range", "write type: integer or type: number beside it"
            )
        return self


class ModelPart(ManifestPart):
    """One file; see `batchgen.core.catalog.model.Model`."""

    slug: Annotated[Slug, Field(examples=["flux-kontext-pro"])]
    name: Annotated[str | None, Field(max_length=1_000)] = None
    summary: Annotated[str | None, Field(max_length=1_000)] = None
    page_api: Api | None = None
    latency_s: Annotated[
        float | None, Field(gt=0, le=86_400, allow_inf_nan=False, examples=[21.8])
    ] = None
    price_usd: Annotated[Price | None, Field(examples=[0.05])] = None
    estimated: Annotated[str | None, Field(max_length=40, examples=["2026-08-19"])] = None
    output: Annotated[
        Literal["image", "video", "audio", "model", "text", "file"] | None,
        Field(examples=["image"]),
    ] = None
    deprecated: bool | None = None
    parameters: Annotated[
        dict[str, ParameterPart] | None,
        Field(max_length=500, examples=[{"seed": {"type": "integer"}}]),
    ] = None
    example: dict[str, Any] | None = None


def parse_model_file(value: Any, source: ManifestText) -> ModelFacts:
    """What a parsed file says. Raises `ManifestError` with everything that is wrong about it."""
    if not isinstance(value, dict):
        what = f"a file of {FOLDER}/ beside a manifest tells of one model, and this one does not"
        remedy = "write slug: and what you know of it; a file for something else belongs elsewhere"
        raise ManifestError([Problem(what, remedy, source.name, 1, 1)])
    try:
        part = ModelPart.model_validate(value)
    except ValidationError as error:
        raise ManifestError(complaints(error, ModelPart, source)) from None
    return facts_of(part.model_dump(exclude_unset=True))
