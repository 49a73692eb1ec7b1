"""The service's answers in its own words: JSON, errors, HTML of its gateways, the Date header.

Status codes, bodies and the several meanings of 406 follow the service's documentation as far as it
goes; the sentences are ours, and hold the words by which the meanings are told apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from batchgen.providers.segmind.simulator.messages import Reply

_encode = json.JSONEncoder(separators=(",", ":")).encode

JSON = "application/json"
PLAIN = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"

RESET = "x-rate-limit-reset-at-utc"

REASONS: Mapping[int, str] = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Time-out",
}

NO_KEY = "Missing Authorization or x-api-key in header"
BAD_KEY = "Unauthorized. API key is invalid or may have expired"
NO_RECORD = "No credits found for the user"
POLLING_ERROR = "Internal Polling Error"
UNROUTED = "Incorrect or Missing host header"
SPEND_LIMIT = "Team spend limit reached"
WRONG_TYPE = "Invalid content type"
RATE_LIMITED = "Rate limit exceeded"
RETIRED = "This model is retired"
FORBIDDEN = "This account may not call this model"
UNKNOWN_REQUEST = "Request not found"
UNKNOWN_MODEL = "Model information not found"
SERVER_ERROR = "Internal server error"
UNAVAILABLE = "Service unavailable"


def json_reply(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON answer. ASCII on the wire, so that any text survives."""
    body = _encode(value).encode()
    return Reply(status, {"content-type": JSON, **(headers or {})}, body)


def error_reply(status: int, message: str) -> Reply:
    """`{"error": message}`; the auth surface (401) has its own three fields."""
    if status == 401:
        fields = {"error": message, "error_description": message, "status_code": 401}
        return json_reply(status, fields)
    return json_reply(status, {"error": message})


def no_credits(left_usd: float) -> str:
    """What is said where the account does not cover a job."""
    return f"Insufficient credits. You have {max(0.0, left_usd)} credits."


def html_reply(status: int) -> Reply:
    """The page of a gateway, or of a framework for a wrong method."""
    title = f"{status} {REASONS[status]}"
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Reply(status, {"content-type": HTML}, page.encode())


def unrouted_reply() -> Reply:
    """What the edge says of a path that it routes nowhere."""
    return Reply(400, {"content-type": PLAIN}, UNROUTED.encode())


def rate_limited_reply(reset: Mapping[str, str]) -> Reply:
    """429, with the headers that tell when there is room again."""
    return json_reply(429, {"error": RATE_LIMITED}, {"x-rate-limit-remaining": "0", **reset})


def iso_instant(at: float) -> str:
    """Seconds since the epoch as `2027-01-15T08:00:00.250000Z`."""
    return f"{local_time(at, 0.0)}Z"


def local_time(at: float, offset_s: float) -> str:
    """The same as `2027-01-15T13:30:00.250000`, so many seconds ahead of UTC and without saying."""
    return datetime.fromtimestamp(at + offset_s, UTC).isoformat(timespec="microseconds")[:-6]


def not_found_reply(request_id: str) -> Reply:
    """404 to a request that is not known, not known yet, or not any more."""
    return error_reply(404, f"Request {request_id[:100]} not found")


@lru_cache(maxsize=8)
def http_date(second: int) -> str:
    """A whole second since the epoch as an HTTP date."""
    return formatdate(second, usegmt=True)
