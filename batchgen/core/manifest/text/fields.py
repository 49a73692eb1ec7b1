"""What the parts of a manifest share: how they are checked, and kinds of values."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from batchgen.core.jobs.spec import WORKFLOWS, Mode
from batchgen.core.manifest.text.filenames import NameFaultError, check_part

_SLUG = re.compile(rf"(?:{WORKFLOWS})?[A-Za-z0-9][A-Za-z0-9._-]{{0,99}}")
_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?")
Scalar = str | int | float | bool | None
"""A value that a field of a matrix may take."""


def fault(what: str, remedy: str) -> PydanticCustomError:
    """The error of a validator, in the form `batchgen.core.manifest.schema_errors` tells."""
    return PydanticCustomError("batchgen", "{what}", {"what": what, "remedy": remedy})


def safe_name(name: str) -> str:
    """A name that may stand for a file or a folder, unchanged. Raises what pydantic collects."""
    try:
        check_part(name)
    except NameFaultError as error:
        remedy = "use letters, digits, - and _; it names the run directory"
        raise fault(f"the name {error}", remedy) from None
    return name


def is_slug(text: str) -> bool:
    """Whether a model, or a workflow, may be called so: it becomes a part of a URL."""
    return bool(_SLUG.fullmatch(text))


def _slug(text: str) -> str:
    if not is_slug(text):
        remedy = "give a slug such as flux-kontext-pro, as it stands in the URL of the model's page"
        raise fault(f"{text!r:.60} cannot be the slug of a model", remedy)
    return text


def _seconds(value: Any) -> Any:
    """A text such as 1h30m as seconds; anything else is left to the type."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None or not value.strip():
        remedy = "write seconds, or hours, minutes and seconds such as 8h, 90m or 1h30m"
        raise fault(f"{value!r:.40} is not a duration", remedy)
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600.0 + minutes * 60.0 + seconds


class ManifestPart(BaseModel):
    """What all parts share: unknown keys refused, values taken as they are, nothing changed."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


Slug = Annotated[str, AfterValidator(_slug)]
Params = dict[str, Any]
Price = Annotated[float, Field(ge=0, le=10_000)]
Api = Annotated[Mode, Field(strict=False)]
Duration = Annotated[
    float,
    BeforeValidator(_seconds, json_schema_input_type=float | str),
    Field(gt=0, le=31 * 86_400),
]
