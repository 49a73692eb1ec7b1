"""The calls of the service, and the rules by which they go wrong."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def as_text(value: Any) -> Any:
    """A number as text: YAML reads `kind: 429` as one."""
    return str(value) if type(value) is int else value


Probability = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Endpoint(StrEnum):
    """The calls of the service, as the ledger counts them and fault rules name them."""

    SUBMIT = "submit"
    """POST /v2/{slug}"""
    SYNC = "sync"
    """POST /v1/{slug}"""
    POLL = "poll"
    """GET /v2/requests/{id}/status"""
    RESULT = "result"
    """GET /v2/requests/{id}"""
    HISTORY = "history"
    """GET /inference-request/request-history, a page or one request"""
    CREDITS = "credits"
    """GET /v1/get-user-credits"""
    UPLOAD = "upload"
    """POST /upload-asset"""
    CATALOG = "catalog"
    """GET /inference-model-information/list"""
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
    HTTP_400 = "400"
    """Malformed, it says."""
    HTTP_401 = "401"
    """The key is refused."""
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
    """Polls: a state nobody documented."""
    BACKWARDS = "backwards"
    """Polls: QUEUED, whatever was said before."""
    NO_OUTPUT = "no_output"
    """Results: COMPLETED without any output."""
    MANY_OUTPUTS = "many_outputs"
    """Results: ten thousand URLs."""
    HOSTILE_URL = "hostile_url"
    """Results: the output is `location`, or else a file: URL."""
    HTML_AS_MEDIA = "html_as_png"
    """CDN: an error page under 200 and the type of a picture."""


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

    The rule leaves the first `after` calls alone, fires `count` times at most (None: always), only
    for `models` (empty: all), and only from `since_s` until `until_s` after the service's start.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    where: Endpoint
    kind: Annotated[FaultKind, BeforeValidator(as_text)]
    probability: Probability = 1.0
    after: Annotated[int, Field(ge=0)] = 0
    count: Annotated[int, Field(ge=0)] | None = None
    models: frozenset[str] = frozenset()
    accepted: bool = False
    delay_s: Seconds = 5.0
    reset: ResetHeader = ResetHeader.TRUE
    location: str = ""
    since_s: Seconds = 0.0
    until_s: Seconds | None = None
