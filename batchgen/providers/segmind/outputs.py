"""Finding the outputs in a final body, whatever shape the model gave it.

Seen shapes: `output` as a URL, a list of URLs, an object holding URLs, a data URI, bare base64,
plain text or JSON; `images: [{url, content_type, …}]`; `video: {url, …}`; media bytes instead of
JSON (see the service's facts in `docs/service.md`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from batchgen.core.common.json import canonical_json
from batchgen.core.media.formats import FAMILIES
from batchgen.core.media.texts import decode_base64_media, decode_data_uri

MAX_OUTPUTS = 1000
"""More than this in one body is refused: no model answers so many, a hostile body might."""
MAX_DEPTH = 8
"""How deep an object is searched for URLs."""

MEDIA_KEYS = ("output", *(key for family in FAMILIES.values() for key in family.body_keys))
_ACCOUNTING_KEYS = frozenset(
    {"status", "request_id", "metrics", "status_url", "response_url", "poll_url", "seed", "error"}
)


@dataclass(frozen=True, slots=True)
class FoundOutput:
    """One output as found: a URL, or the bytes themselves. `media_type` as declared, or empty."""

    url: str = ""
    data: bytes = b""
    media_type: str = ""


class TooManyOutputsError(ValueError):
    """A body names more outputs than any model makes."""


def find_outputs(body: dict[str, Any]) -> tuple[FoundOutput, ...]:
    """The outputs of a final body in their order, URLs named twice taken once; empty when none.

    Media found anywhere win; a body without media is a text or JSON model's, whose `output` (or,
    without one, everything but the accounting) becomes one text or JSON file.
    Raises `TooManyOutputsError` above `MAX_OUTPUTS`.
    """
    found: dict[tuple[str, bytes], FoundOutput] = {}
    for key in MEDIA_KEYS:
        for item in _media_in(body.get(key), 0):
            found.setdefault((item.url, item.data), item)
            if len(found) > MAX_OUTPUTS:
                raise TooManyOutputsError(f"the result names more than {MAX_OUTPUTS} outputs")
    if found:
        return tuple(found.values())
    return _text_of(body)


def is_url(text: str) -> bool:
    """Whether a whole string is one http(s) URL.

    Printable, so that it can be stored and logged: JSON can carry halves of surrogate pairs.
    """
    return text.startswith(("https://", "http://")) and text.isprintable() and " " not in text


def _media_in(value: Any, depth: int) -> Iterator[FoundOutput]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, str):
        yield from _media_in_text(value)
    elif isinstance(value, list):
        for item in value:
            yield from _media_in(item, depth + 1)
    elif isinstance(value, dict):
        yield from _media_in_object(value, depth)


def _media_in_object(value: dict[str, Any], depth: int) -> Iterator[FoundOutput]:
    """An object with a `url` is one output; any other is searched for them."""
    url = value.get("url")
    if isinstance(url, str):
        declared = value.get("content_type")
        media_type = declared if isinstance(declared, str) else ""
        for item in _media_in_text(url):
            yield FoundOutput(item.url, item.data, item.media_type or media_type)
        return
    for item in value.values():
        yield from _media_in(item, depth + 1)


def _media_in_text(text: str) -> Iterator[FoundOutput]:
    if is_url(text):
        yield FoundOutput(url=text)
    elif text.startswith("data:"):
        decoded = decode_data_uri(text)
        if decoded is not None:
            media_type, data = decoded
            yield FoundOutput(data=data, media_type=media_type)
    else:
        decoded_bytes = decode_base64_media(text)
        if decoded_bytes is not None:
            yield FoundOutput(data=decoded_bytes)


def _text_of(body: dict[str, Any]) -> tuple[FoundOutput, ...]:
    output = body.get("output")
    if output in (None, "", [], {}):
        output = {key: value for key, value in body.items() if key not in _ACCOUNTING_KEYS}
        output.pop("output", None)
        if not any(value not in (None, "", [], {}) for value in output.values()):
            return ()
    if isinstance(output, str):
        return (FoundOutput(data=_utf8(output), media_type="text/plain"),)
    return (FoundOutput(data=_utf8(canonical_json(output)), media_type="application/json"),)


def _utf8(text: str) -> bytes:
    """Half a surrogate pair, which JSON can carry, has no UTF-8 form and becomes `?`."""
    return text.encode(errors="replace")
