"""Calls to the service and its answers as plain values: what travels, without anything that sends.

The shell sends a `Call` and brings back an `Answer` or a `TransportError`; what either means is
decided in `batchgen.providers.segmind.responses`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from batchgen.errors import TransportError

MAX_JSON_BYTES = 64 * 2**20
"""Cap of a JSON answer. A guess: base64 videos stay far below, a 200 MB body is refused."""
MAX_MEDIA_BYTES = 512 * 2**20
"""Cap of an answer that may be media (v1, and `response_url` of some models). A guess."""

MAX_JSON_DEPTH = 100
"""Deeper answers are refused: no model nests so, and writing them again could fail."""


class Host(StrEnum):
    """The service's hosts by role; a client maps a role to an origin."""

    API = "api"
    HISTORY = "history"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP call. `path` begins with `/`; `body` is JSON text or None; times in seconds."""

    method: str
    path: str
    host: Host = Host.API
    query: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    timeout_s: float = 30.0
    max_bytes: int = MAX_JSON_BYTES


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `headers` has lower-case names; `body` is complete."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    _parsed: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)
    """The body's JSON, once it was asked for: an answer is read for its signal and its content."""

    def json(self) -> Any:
        """The body as JSON, not to be changed; ValueError when it is none.

        That includes NaN, infinite numbers and nesting beyond `MAX_JSON_DEPTH`: whoever handles the
        value may walk it and write it again without further care.
        """
        if self._parsed:
            return self._parsed[0]
        try:
            text = self.body.decode(json.detect_encoding(self.body), "surrogatepass")
            value = _DECODER.decode(text)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        opened = self.body.count(b"[") + self.body.count(b"{")
        if opened > MAX_JSON_DEPTH and is_deep(value, MAX_JSON_DEPTH):
            raise ValueError("nested too deeply")
        self._parsed.append(value)
        return value

    def object(self) -> dict[str, Any]:
        """The body as a JSON object, or an empty one when it is anything else."""
        try:
            value = self.json()
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite_number(text: str) -> float:
    """`1e999` is valid JSON and an infinite float, which could not be written again."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is out of range")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite_number)
"""Made once: `json.loads` would make one for every answer."""


def is_deep(value: Any, most: int) -> bool:
    """Whether lists and mappings nest in more than `most` levels.

    Level by level, because a recursion is what this guards against.
    """
    level = [value]
    for _ in range(most):
        inner: list[Any] = []
        for item in level:
            inner += item.values() if isinstance(item, dict) else item
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return False
    return True


CallOutcome = Answer | TransportError
"""What a call came to."""
