"""Everything about the simulated service that can be set, checked by pydantic.

`SimulatorConfig()` is a service in good health; `SimulatorConfig.model_validate(mapping)` reads
what a YAML or JSON file says.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from batchgen.core.jobs.spec import WORKFLOWS
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
    LAST_FRAME = "last_frame"
    """A `video` object with the address of its last frame beside its `url`."""
    CHAT = "chat"
    """`output` is the JSON of a text model's maker as text; on v1 that JSON is the body."""
    NODES = "nodes"
    """`output` is the JSON text of named outputs, as workflows answer: two pictures and a text."""
    MEDIA = "media"
    """The answer is the media itself instead of JSON."""


class ChatStyle(StrEnum):
    """Whose JSON a text model answers."""

    OPENAI = "openai"
    """`choices[].message.content`, and addresses under `citations`."""
    ANTHROPIC = "anthropic"
    """`content[].text`"""
    GEMINI = "gemini"
    """`candidates[].content.parts[].text`"""


State = Annotated[str, Field(pattern="^(QUEUED|PROCESSING|COMPLETED|FAILED)$")]


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
    chat_style: ChatStyle = ChatStyle.OPENAI
    """Of the shape `chat`."""
    format: Annotated[str, AfterValidator(_made)] | None = None
    """The kind of its files, by extension. None: as the shape has it, else a picture as it is asked
    for."""
    outputs_per_job: Annotated[int, Field(ge=1)] = 1
    failure_probability: Probability | None = None


_NO_SETTINGS = ModelSettings()
_WORKFLOW = ModelSettings(shape=OutputShape.NODES)

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
    credits_status: Literal[402, 406] = 402
    """The status of a v2 submit for which the account has too little."""
    credits_status_v1: Literal[402, 406] = 406
    """The same of a v1 call."""
    reserved_share: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """What the account must hold for a job beside its price, as a share of it, from its submission
    to its end; the balance shows nothing of it."""
    credits_record: bool = True
    """Whether the account has a balance record; without one the credits are a 404."""
    default_price_usd: Usd = 0.05
    """The price of models that have none in the catalogue."""

    rate_limit: Annotated[int, Field(ge=1)] | None = None
    """Requests in any `rate_window_s`; None: as many as come."""
    rate_limit_scope: Literal["all", "submit", "apart"] = "all"
    """Whether every call to the API counts against it, or only POSTs of jobs; `apart`: the others
    count against `get_limit`."""
    get_limit: Annotated[int, Field(ge=1)] | None = None
    """With `rate_limit_scope: apart`: calls beside POSTs of jobs in any `rate_window_s`; None: ten
    times `rate_limit`."""
    rate_limit_form: Literal["sliding", "fixed", "bucket"] = "sliding"
    """How limits are enforced: in any window, in the windows of a clock, or as a bucket of
    `burst_limit` tokens that is filled with `rate_limit` in `rate_window_s`."""
    rate_window_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    burst_limit: Annotated[int, Field(ge=1)] | None = None
    """Requests in any `burst_window_s`, beside `rate_limit`; None: no second limit."""
    burst_window_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    reset_form: Literal["utc", "epoch_s", "epoch_ms", "retry_after", "retry_date", "none"] = "utc"
    """How a 429 tells when there is room again: in `x-rate-limit-reset-at-utc` as an ISO instant or
    a number, in `Retry-After` as seconds or a date, or not at all."""

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

    sync_breaks_after_s: Seconds | None = None
    """When a v1 call breaks off with a 500 and "Internal Polling Error", although the job goes on
    and is billed: other clients saw it after about 100 s. None: never."""

    models: dict[str, ModelSettings] = Field(default_factory=dict)
    """What differs for single models. Models named here are known."""
    extra_models: frozenset[str] = frozenset()
    """Known models beside the catalogue's, and workflows, such as `workflows/v2/portrait`."""
    workflow_history: Literal["slug", "path", "none"] = "slug"
    """How history calls the requests of a workflow; `none`: it does not list them."""
    unknown_models: Annotated[Literal["accept", "404"], BeforeValidator(as_text)] = "404"
    forbidden_models: frozenset[str] = frozenset()
    """Models that answer 403."""
    retired_models: frozenset[str] = frozenset()
    """Models that answer 410."""
    deprecated_models: frozenset[str] = frozenset()
    """Models that the list of models calls deprecated; they work as before."""
    catalog_form: Literal["usual", "broken_rows", "no_list", "html"] = "usual"
    """What the list of models and llms.txt look like: with rows that nobody can read among the
    others, without any row, or a web page in their stead."""
    late_validation: bool = False
    """Accept bad parameters, and report them later as FAILED."""

    failure_probability: Probability = 0.0
    failure_messages: Annotated[tuple[str, ...], Field(min_length=1)] = DEFAULT_FAILURE_MESSAGES
    blocked_words: tuple[str, ...] = ()
    """A body that holds one of them FAILS as blocked by moderation."""
    failed_status: Literal[422, 200] = 422
    """The HTTP status under which FAILED is served."""
    filtered_words: tuple[str, ...] = ()
    """A body that holds one of them is COMPLETED and charged, but without an output."""
    filtered_probability: Probability = 0.0
    """How often others are, too."""
    filtered_fields: dict[str, Any] = Field(default_factory=lambda: {"output": None})
    """The fields of such a final body that stand in place of its outputs."""
    state_words: dict[State, str] = Field(default_factory=dict)
    """Other words for the states in polls and results: `{COMPLETED: Succeeded}`."""
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
    status_lag_s: Seconds = 0.0
    """How long after its end a poll says PROCESSING."""
    early_result: Literal[200, 202, 404, 409, 425] = 200
    """The status of a result that is asked for while the request runs: with its state under 200 or
    202, or refused."""
    result_lag_s: Seconds = 0.0
    """How long after its end a result is not found yet."""
    sync_failures_told: bool = False
    """Whether a v1 answer that says FAILED has its request_id in `x-request-id`."""
    request_ids: Literal["uuid", "hex"] = "uuid"
    """Whether they have dashes."""
    status_origin: str = ""
    """Another origin for `status_url` and `response_url`, to see whether a client follows them."""

    history_lag_s: Seconds = 1.0
    """How long after its submission a request appears in history."""
    record_lag_s: Seconds | None = None
    """How long after its submission it is found there by its id; None: the same."""
    history_end_lag_s: Seconds = 0.0
    """How long after its end history calls a request PENDING."""
    history_offset_s: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Times in history are local ones without a zone, so many seconds ahead of UTC; None: UTC."""
    date_error_s: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    """How wrong the `Date` of every answer is."""
    history_envelope: Literal["data", "results", "list"] = "data"
    """Where the rows of a page stand; `list`: at the top level, without paging fields."""
    history_body_as_text: bool = False
    """Whether rows hold the inputs as JSON text instead of an object."""
    teammate_probability: Probability = 0.0
    """How often a team-mate submits the very same body at the same instant as a v2 submit."""

    upload_key: Literal["file_urls", "urls", "fileUrls", "url"] = "file_urls"
    """Where the answer to an upload has the addresses; `url`: the first one only, as text."""
    storage_bytes: Annotated[int, Field(ge=0)] | None = None
    """What the account's storage takes of uploads; None: all. What a full one really answers is
    not known."""
    storage_status: Annotated[int, Field(ge=400, le=599)] = 507
    """The status of an upload for which there is no room."""
    storage_message: str = "Storage quota exceeded. Upgrade your plan to store more files."
    """What it says."""
    cdn_lag_s: Seconds = 0.0
    """How long after its end the files of a job are not found yet."""
    second_cdn_models: frozenset[str] = frozenset()
    """Models whose files stand at the second host of the CDN."""
    second_cdn_every: Annotated[int, Field(ge=1)] | None = None
    """About one of so many other files stands there, too; None: none."""
    one_time_urls: bool = False
    """Whether an address of a file is good for one download; each answer has a new one."""

    unrouted_paths: tuple[str, ...] = ()
    """Beginnings of paths that the edge routes nowhere, as a wrong base URL would lead to: a 400 as
    plain text, before anything else is looked at."""
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
        others = _WORKFLOW if slug.startswith(WORKFLOWS) else _NO_SETTINGS
        return self.models.get(slug, others)

    @property
    def has_second_cdn(self) -> bool:
        """Whether any file may stand at the second host of the CDN."""
        return bool(self.second_cdn_models or self.second_cdn_every)

    @property
    def windows(self) -> tuple[tuple[int, float], ...]:
        """The limits in effect: so many requests in any so many seconds."""
        is_bucket = self.rate_limit_form == "bucket"
        limits = (
            (self.rate_limit, self.rate_window_s / self._factor),
            (None if is_bucket else self.burst_limit, self.burst_window_s / self._factor),
        )
        return tuple((most, window_s) for most, window_s in limits if most is not None)

    @property
    def get_windows(self) -> tuple[tuple[int, float], ...]:
        """The same of calls beside POSTs of jobs, where these count apart."""
        most = self.get_limit or (10 * self.rate_limit if self.rate_limit else None)
        return () if most is None else ((most, self.rate_window_s / self._factor),)

    @property
    def _factor(self) -> float:
        return self.speed if self.scale_windows else 1.0

    @property
    def record_s(self) -> float:
        """The retention in effect."""
        return self.retention_s / self._factor
