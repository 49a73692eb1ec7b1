"""The calls of the service, and the rules by which they go wrong."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def as_text(value: Any) -> Any:
    """A number as text: YAML reads `kind: 429` as one."""
    return str(value) if type(value) is int else value


Probability = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Endpoint(StrEnum):
    """The calls of the service, as the ledger counts them and fault rules name them."""

    SUBMIT = "submit"
    """POST /v2/{slug} or /workflows/v2/{slug}"""
    SYNC = "sync"
    """POST /v1/{slug}"""
    POLL = "poll"
    """GET /v2/requests/{id}/status"""
    RESULT = "result"
    """GET /v2/requests/{id}"""
    HISTORY = "history"
    """GET /inference-request/request-history, a page or one request"""
    HISTORY_LIST = "history_list"
    """In rules only: a page of the history"""
    HISTORY_RECORD = "history_record"
    """In rules only: the history of one request"""
    CREDITS = "credits"
    """GET /v1/get-user-credits"""
    UPLOAD = "upload"
    """POST /upload-asset"""
    CATALOG = "catalog"
    """GET /inference-model-information/list"""
    LLMS = "llms"
    """GET /llms.txt"""
    CDN = "cdn"
    """A download, from the CDN's own origin"""
    ANY = "any"
    """In rules only: every call of the API, the CDN not included"""
    OTHER = "other"
    """In the ledger only: a path that is none of these"""


class FaultKind(StrEnum):
    """What a fault rule does to a call."""

    REFUSE = "refuse"
    """The connection is reset before the request is processed; the same as `drop_before`."""
    DROP_BEFORE = "drop_before"
    """The connection is reset before the request is processed."""
    DROP_AFTER = "drop_after"
    """Processed and billed; the connection closes without an answer."""
    GHOST = "ghost"
    """Submits: no answer, and the request is processed only `delay_s` later."""
    STALL = "stall"
    """Processed; headers, then nothing."""
    CUT = "cut"
    """Processed; half of the body although its length was promised."""
    CUT_SILENTLY = "cut_silently"
    """Processed; half of the body, without a length, closed as if it were the end."""
    GARBLED = "garbled"
    """Processed; a 200 nobody can read."""
    DRIP = "drip"
    """Processed; a few bytes at a time."""
    SLOW = "slow"
    """Processed; the answer leaves `delay_s` late."""
    ANSWER = "answer"
    """Any call: the answer is `status`, `body`, `headers` and `content_type`; processed first if
    `accepted`."""
    HEADERS = "headers"
    """Processed; `headers` beside its own, and one of `header_bytes` bytes."""
    BROTLI = "brotli"
    """Processed; `Content-Encoding: br`, for which nobody asked."""
    WRONG_LENGTH = "wrong_length"
    """Processed; the whole body, under a Content-Length of half of it."""
    PARTIAL = "partial"
    """CDN: 206 and all of the file, although no part was asked for."""
    HTTP_400 = "400"
    """Malformed, it says."""
    HTTP_401 = "401"
    """The key is refused."""
    HTTP_402 = "402"
    """Insufficient credits, as the v2 calls say it."""
    HTTP_403 = "403"
    """Not for this account."""
    HTTP_404 = "404"
    """Not found."""
    HTTP_405 = "405"
    """Wrong method, as HTML."""
    CREDITS_406 = "406_credits"
    """Insufficient credits."""
    LIMIT_406 = "406_limit"
    """Team spend limit."""
    PARAMETER_406 = "406_parameter"
    """A parameter value refused."""
    CONTENT_TYPE_406 = "406_content_type"
    """Wrong content type."""
    HTTP_410 = "410"
    """The model is retired."""
    HTTP_429 = "429"
    """Rate limited; `reset` says what the reset header looks like."""
    HTTP_500 = "http_500"
    """Server error as JSON; processed all the same if `accepted`."""
    HTTP_502 = "http_502"
    """Bad gateway as HTML; processed all the same if `accepted`."""
    HTTP_503 = "http_503"
    """Unavailable as JSON; processed all the same if `accepted`."""
    HTTP_504 = "http_504"
    """Gateway timeout as HTML; processed all the same if `accepted`."""
    REDIRECT = "redirect"
    """302 to `location`; without one, to the same address, which then answers."""
    NO_ID = "no_id"
    """Submits: accepted, but the answer names no request_id."""
    DUPLICATE_ID = "duplicate_id"
    """Submits: accepted, but the answer names the request_id of the job before."""
    UNKNOWN_STATE = "unknown_state"
    """Polls: a state nobody documented; THROTTLED, or what `body` says."""
    BACKWARDS = "backwards"
    """Polls: QUEUED, whatever was said before."""
    NO_OUTPUT = "no_output"
    """Results: COMPLETED without any output."""
    OUTPUT_FIELDS = "output_fields"
    """Results: COMPLETED with the fields of `body`, an object, instead of the outputs."""
    MANY_OUTPUTS = "many_outputs"
    """Results: ten thousand URLs."""
    HOSTILE_URL = "hostile_url"
    """Results: the output is `location`, or else a file: URL."""
    HTML_AS_MEDIA = "html_as_png"
    """CDN: an error page under 200 and the type of a picture."""


class CdnHost(StrEnum):
    """The hosts at which files stand."""

    CDN = "cdn"
    """The usual one"""
    CDN2 = "cdn2"
    """The other one: see `second_cdn_every` and `second_cdn_models`"""


class ResetHeader(StrEnum):
    """The `x-rate-limit-reset-at-utc` of a 429 made by a rule."""

    TRUE = "true"
    """A minute from now."""
    MISSING = "missing"
    """Not there."""
    PAST = "past"
    """An hour ago."""
    ABSURD = "absurd"
    """In ten years."""


class FaultRule(BaseModel):
    """One way in which calls go wrong. Of several rules the first that fires decides.

    A rule concerns the calls that fit all its conditions. Of these it leaves the first `after`
    alone, fires at each `every`-th of the others, and `count` times at most.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    where: Endpoint
    kind: Annotated[FaultKind, BeforeValidator(as_text)]
    models: frozenset[str] = frozenset()
    """Condition: the models it is for; none named: all."""
    text: str = ""
    """Condition: the job's body holds this text."""
    since_s: Seconds = 0.0
    """Condition: so long after the service's start."""
    until_s: Seconds | None = None
    """Condition: not so long after it any more."""
    age_min_s: Seconds | None = None
    """Condition: the request was submitted so long ago; at the CDN: it was finished so long ago."""
    age_max_s: Seconds | None = None
    """Condition: not so long ago yet."""
    host: CdnHost | None = None
    """Condition: which of the two hosts of the CDN was asked."""
    probability: Probability = 1.0
    after: Annotated[int, Field(ge=0)] = 0
    every: Annotated[int, Field(ge=1)] = 1
    count: Annotated[int, Field(ge=0)] | None = None
    """null: without an end."""
    per_request: bool = False
    """Whether `after`, `every` and `count` count for each request by itself: submits of one body,
    GETs about one request, downloads of one file."""
    accepted: bool = False
    """Whether the call is processed (and billed) before it goes wrong, where the kind leaves it
    open."""
    status: Annotated[int, Field(ge=200, le=599)] = 200
    """`answer`: the status."""
    body: Any = ""
    """`answer`: text as it is, anything else as JSON."""
    content_type: str = ""
    """`answer`: empty for the usual one of HTML, text or JSON."""
    headers: dict[str, str] = Field(default_factory=dict)
    """`answer` and `headers`."""
    header_bytes: Annotated[int, Field(ge=0, le=2**20)] = 0
    """`answer` and `headers`: the size of one more header; 0: none."""
    delay_s: Seconds = 5.0
    """`ghost` and `slow`."""
    reset: ResetHeader = ResetHeader.TRUE
    """`429`."""
    location: str = ""
    """`redirect` and `hostile_url`."""

    @model_validator(mode="after")
    def _has_fields(self) -> Self:
        if self.kind is FaultKind.OUTPUT_FIELDS and not isinstance(self.body, dict):
            raise ValueError("body: an object is needed for output_fields")
        return self
