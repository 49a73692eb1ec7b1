"""The manifest as a checked value: its shape, its bounds, its defaults, and its JSON Schema.

Descriptions and examples here feed `batchgen schema`, the documents and the error messages. What
an entry expands to stands in `batchgen.core.manifest.expansion.expand`; how errors are told in
`batchgen.core.manifest.schema_errors`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
)

from batchgen.core.jobs.policies import OnExpired, PollWith, RateScope, WhenAbsent
from batchgen.core.manifest.entry import Defaults, Entry
from batchgen.core.manifest.notify import Notify, OnFinish, OnFinishForm
from batchgen.core.manifest.schema_errors import complaints
from batchgen.core.manifest.text.destination import checked_dir
from batchgen.core.manifest.text.fields import Duration, ManifestPart, Slug, fault, safe_name
from batchgen.core.manifest.text.locations import ManifestText
from batchgen.errors import ManifestError

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def _whole(version: Any) -> Any:
    """Python holds true and 1.0 for 1; a version is the whole number."""
    if version == 1 and type(version) is not int:
        raise fault("version must be the whole number 1", "write version: 1")
    return version


def _number_or_auto(value: Any) -> str:
    return "auto" if value == "auto" else "number"


class ModelBudget(ManifestPart):
    """The limits of one model, within those of the run."""

    concurrency: Annotated[Annotated[int, Field(ge=1, le=10_000)] | None, Field(examples=[4])] = (
        None
    )
    """Jobs of this model accepted by the service and not yet finished, at most."""
    requests_per_minute: Annotated[
        Annotated[int, Field(ge=1, le=1_000_000)] | None, Field(examples=[10])
    ] = None
    """Requests about this model in any 60 seconds, at most, counted by the same scope."""


class Budget(ManifestPart):
    """The limits of a run. They hold in every sliding window, across restarts too."""

    concurrency: Annotated[int, Field(ge=1, le=10_000, examples=[16])] = 16
    """Jobs accepted by the service and not yet finished, at most."""
    requests_per_minute: Annotated[
        Annotated[Annotated[int, Field(ge=1, le=1_000_000)] | None, Tag("number")]
        | Annotated[Literal["auto"], Tag("auto")],
        Field(examples=[50], discriminator=Discriminator(_number_or_auto)),
    ] = "auto"
    """Requests in any 60 seconds: a number is never exceeded, and meant for those who know theirs,
    or want to leave a share to others. auto: begin with 50 and find out. null: no limit."""
    rate_limit_scope: Annotated[RateScope, Field(strict=False, examples=["all"])] = RateScope.AUTO
    """Which calls count as requests: all of them, submits only, or what turns out to count."""
    poll_with: Annotated[PollWith, Field(strict=False, examples=["status"])] = PollWith.AUTO
    """How a job is asked for: by its status and then its result, by its result alone (one call less
    a job), or in the way that takes fewest calls, which is the latter."""
    max_spend: Annotated[
        Annotated[float, Field(gt=0, le=10_000_000)] | None,
        Field(examples=[20.0]),
    ] = None
    """USD that may be spent, at most; jobs of unknown price do not start under it. null: no cap."""
    max_duration: Annotated[Duration | None, Field(examples=["8h", 1800])] = None
    """How long one run may work: a number of seconds, or a text such as 8h, 90m or 1h30m. Submits
    end early enough that what was paid for is still collected in time. null: until it is done."""
    models: Annotated[
        dict[Slug, ModelBudget],
        Field(examples=[{"flux-pro": {"concurrency": 4, "requests_per_minute": 10}}]),
    ] = {}  # noqa: RUF012 - pydantic copies it
    """Limits of single models, by slug."""


class Retry(ManifestPart):
    """How often a job may be paid for."""

    max_attempts: Annotated[int, Field(ge=1, le=20, examples=[3])] = 3
    """Submits per job that may be billed, the first one included. What ran and failed, which is
    free, is tried again within the same bound, unless its reason holds for the next try as well:
    moderation, a bad parameter."""


class Reconcile(ManifestPart):
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


class OutputSettings(ManifestPart):
    """Where finished files go."""

    filename: Annotated[
        str, Field(min_length=1, max_length=1_000, examples=["{id}", "{model}/{id}"])
    ] = "{id}"
    """Path below outputs/ without extension, which comes from the content. A template over {id},
    {model}, {index} (number of the job in the manifest, from 1) and the fields."""
    dir: Annotated[
        Annotated[str, Field(min_length=1, max_length=1_000), AfterValidator(checked_dir)] | None,
        Field(examples=["s3://bucket/cups", "/mnt/big/cups"]),
    ] = None
    """Where the files go instead of the run directory's outputs/: another folder, relative to the
    manifest, or a bucket: s3://, gs:// or az://, then its name and a prefix. The record stays in
    the run directory."""


class Manifest(ManifestPart):
    """A batch of media generation jobs on Segmind, and the limits it runs within."""

    version: Annotated[Literal[1], Field(examples=[1]), BeforeValidator(_whole)]
    """Version of this format."""
    name: Annotated[str, Field(examples=["street-portraits"]), AfterValidator(safe_name)]
    """Name of the batch, a safe file name; its run directory is runs/<name>."""
    budget: Budget = Budget()
    """The limits of a run."""
    retry: Retry = Retry()
    """How often a job may be paid for."""
    reconcile: Reconcile = Reconcile()
    """What becomes of lost answers and expired results."""
    output: OutputSettings = OutputSettings()
    """Where finished files go."""
    notify: Notify = Notify()
    """Who is told that a run has finished, has stopped or needs a decision."""
    on_finish: Annotated[OnFinishForm, Field(examples=["./done.sh"])] = OnFinish()
    """A command that is run at the end of each run; short for the key command below."""
    defaults: Defaults = Defaults()
    """What every entry has unless it says otherwise."""
    jobs: Annotated[
        list[Entry],
        Field(min_length=1, examples=[[{"id": "cup", "params": {"prompt": "a cup"}}]]),
    ]
    """What to generate."""


def parse_manifest(value: Any, source: ManifestText | None = None) -> Manifest:
    """Check a manifest given as plain values (dict, list, str, numbers).

    Raises `ManifestError` with everything that is wrong about its shape. What can only be seen job
    by job (templates, parameters, names) is `batchgen.core.manifest.validate.review`'s.
    """
    try:
        return Manifest.model_validate(value)
    except ValidationError as error:
        problems = complaints(error, Manifest, source or ManifestText())
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
