"""Everything about the simulated service that can be set, checked by pydantic.

`SimulatorConfig()` is a service in good health; `SimulatorConfig.model_validate(mapping)` reads
what a YAML or JSON file says.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from batchgen.providers.segmind.simulator.fault_rules import (
    FaultRule,
    Probability,
    Seconds,
    as_text,
)
from batchgen.providers.segmind.simulator.media.tiny import MAKERS

Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class OutputShape(StrEnum):
    """How a model's final body carries its media."""

    URL = "url"
    """`output` is a URL."""
    URLS = "urls"
    """`output` is a list of URLs."""
    OBJECT = "object"
    """`output` is an object that holds URLs."""
    DATA_URI = "data_uri"
    """`output` is a data: URI."""
    BASE64 = "base64"
    """`output` is bare base64."""
    TEXT = "text"
    """`output` is plain text."""
    JSON = "json"
    """`output` is a JSON object without media."""
    IMAGES = "images"
    """`images` is a list of objects with url, content_type, file_name and file_size."""
    VIDEO = "video"
    """An object with a url, under the name of its family: `video` for an MP4."""
    MEDIA = "media"
    """The answer is the media itself instead of JSON."""


def _made(extension: str) -> str:
    if extension not in MAKERS:
        raise ValueError(f"the simulator makes {', '.join(MAKERS)}")
    return extension


class ModelSettings(BaseModel):
    """What differs for one model; None means what the catalogue or the service says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latency_s: Seconds | None = None
    price_usd: Usd | None = None
    shape: OutputShape = OutputShape.URL
    format: Annotated[str, AfterValidator(_made)] | None = None
    """The extension of its files. None: as the shape has it, else a picture as it is asked for."""
    outputs_per_job: Annotated[int, Field(ge=1)] = 1
    failure_probability: Probability | None = None


_NO_SETTINGS = ModelSettings()

DEFAULT_FAILURE_MESSAGES = (
    "Inference failed: the worker ran out of memory",
    "Request blocked by content moderation (RAI): the prompt was flagged",
    "Input image could not be read",
)


class SimulatorConfig(BaseModel):
    """The whole configuration; every value has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    """Where all randomness begins."""
    speed: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Divides latencies and cold starts: 20 makes a job of 20 s one of 1 s."""
    scale_windows: bool = False
    """Whether `speed` also divides the retention and the rate window."""

    keys: frozenset[str] = frozenset()
    """The accepted API keys; none: every well-formed one."""
    credits_usd: Usd = 1000.0
    """What the account holds at the start."""
    free_credits_usd: Usd = 0.0
    """What it holds beside that, spent last."""
    spend_limit_usd: Usd | None = None
    """The team's limit on everything spent; None: no limit."""
    default_price_usd: Usd = 0.05
    """The price of models that have none in the catalogue."""

    rate_limit: Annotated[int, Field(ge=1)] | None = None
    """Requests in any `rate_window_s`; None: as many as come."""
    rate_limit_scope: Literal["all", "submit"] = "all"
    """Whether every call to the API counts against it, or only POSTs of jobs."""
    rate_window_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0

    workers: Annotated[int, Field(ge=1)] = 50
    """Jobs that run at the same time; the others queue, first in, first out."""
    latency_s: Seconds | None = None
    """Replaces the catalogue's latencies (`models` still wins)."""
    default_latency_s: Seconds = 20.0
    """The latency of models that have none in the catalogue."""
    latency_jitter: Annotated[float, Field(ge=0, le=3)] = 0.15
    """Sigma of the log-normal factor on latencies; 0: none."""
    cold_start_probability: Probability = 0.0
    cold_start_s: Seconds = 180.0
    """Added to the latency of a job that meets a cold worker."""
    sync_timeout_s: Seconds = 600.0
    """When the gateway gives a v1 call up (504), although the job goes on and is billed."""

    models: dict[str, ModelSettings] = Field(default_factory=dict)
    """What differs for single models. Models named here are known."""
    extra_models: frozenset[str] = frozenset()
    """Known models beside the catalogue's."""
    unknown_models: Annotated[Literal["accept", "404"], BeforeValidator(as_text)] = "404"
    forbidden_models: frozenset[str] = frozenset()
    """Models that answer 403."""
    retired_models: frozenset[str] = frozenset()
    """Models that answer 410."""
    late_validation: bool = False
    """Accept bad parameters, and report them later as FAILED."""

    failure_probability: Probability = 0.0
    failure_messages: Annotated[tuple[str, ...], Field(min_length=1)] = DEFAULT_FAILURE_MESSAGES
    blocked_words: tuple[str, ...] = ()
    """A body that holds one of them FAILS as blocked by moderation."""
    failed_status: Literal[422, 200] = 422
    """The HTTP status under which FAILED is served."""
    never_finish_probability: Probability = 0.0
    """Jobs that stay PROCESSING for ever."""
    vanish_probability: Probability = 0.0
    """Jobs that are COMPLETED by their status while their result is a 404."""

    retention_s: Seconds = 3600.0
    """How long after its submission a request is remembered outside history."""
    output_retention_s: Seconds = 7 * 86400.0
    """How long after its end a job's files stand on the CDN."""
    fresh_404_s: Seconds = 0.0
    """How long after its submission a request is not found yet."""
    status_origin: str = ""
    """Another origin for `status_url` and `response_url`, to see whether a client follows them."""

    history_lag_s: Seconds = 1.0
    """How long after its submission a request appears in history."""
    history_zone_s: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    """How far its times are from UTC, without saying so."""
    history_envelope: Literal["data", "results", "list"] = "data"
    """Where the rows of a page stand; `list`: at the top level, without paging fields."""
    history_body_as_text: bool = False
    """Whether rows hold the inputs as JSON text instead of an object."""
    teammate_probability: Probability = 0.0
    """How often a team-mate submits the very same body at the same instant as a v2 submit."""

    faults: tuple[FaultRule, ...] = ()
    """Of several rules the first that fires decides."""

    pictures: Literal["drawn", "tiny"] = "drawn"
    """Drawn by Pillow, or 4 × 4 PNGs that need nothing."""
    megapixels: Annotated[float, Field(gt=0, le=2)] = 0.25
    """The area of a drawn picture."""
    cached_pictures: Annotated[int, Field(ge=1)] = 64
    """Drawn pictures kept in memory by the server."""
    keepalive_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 75.0
    """When the server closes an idle connection."""
    log_limit: Annotated[int, Field(ge=0)] = 200_000
    """Requests the ledger remembers one by one."""

    def settings(self, slug: str) -> ModelSettings:
        """What is set for one model."""
        return self.models.get(slug, _NO_SETTINGS)

    @property
    def window_s(self) -> float:
        """The length of the rate window in effect."""
        return self.rate_window_s / (self.speed if self.scale_windows else 1.0)

    @property
    def record_s(self) -> float:
        """The retention in effect."""
        return self.retention_s / (self.speed if self.scale_windows else 1.0)
