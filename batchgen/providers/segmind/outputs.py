"""Finding the outputs in a final body, whatever shape the model gave it.

Seen shapes: `output` as a URL, a list of URLs, an object holding URLs, a data URI, bare base64,
plain text or JSON; `images: [{url, content_type, …}]`; `video: {url, …}`; media bytes instead of
JSON (see the service's facts in `docs/service.md`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from batchgen.core.common.json import canonical_json
from batchgen.core.common.text import printable
from batchgen.core.media.formats import FAMILIES, FORMATS
from batchgen.core.media.texts import decode_base64_media, decode_data_uri

MAX_OUTPUTS = 1000
"""More than this in one body is refused: no model answers so many, a hostile body might."""
MAX_DEPTH = 8
"""How deep an object is searched for URLs."""

_EXTENSIONS = "|".join(sorted(name for each in FORMATS for name in each.extensions))
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


def find_media(body: dict[str, Any]) -> tuple[FoundOutput, ...]:
    """The media of a final body in their order, URLs named twice taken once; empty when none.

    Raises `TooManyOutputsError` above `MAX_OUTPUTS`.
    """
    found: dict[tuple[str, bytes], FoundOutput] = {}
    for key in MEDIA_KEYS:
        for item in _media_in(body.get(key), 0):
            found.setdefault((item.url, item.data), item)
            if len(found) > MAX_OUTPUTS:
                raise TooManyOutputsError(f"the result names more than {MAX_OUTPUTS} outputs")
    return tuple(found.values())


_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_SPACED_URL = re.compile(rf"https?://\S+ (?:(?!://).)*\.(?:{_EXTENSIONS})(?:\?\S*)?", re.IGNORECASE)
_OTHER_ADDRESS = re.compile(
    rf"(?!https?://)[a-z][a-z0-9+.-]*://\S+|(?=\S*/)(?:\.{{0,2}}/)?[\w%.~/-]+\.(?:{_EXTENSIONS})(?:\?\S*)?",
    re.IGNORECASE,
)
"""Another scheme, or a path without one."""


def is_url(text: str) -> bool:
    """Whether a whole string is one http(s) URL; one with spaces must end like a file.

    Printable, so that it can be stored and logged: JSON can carry halves of surrogate pairs.
    """
    is_one = _URL.fullmatch(text) or _SPACED_URL.fullmatch(text)
    return bool(is_one) and text.isprintable()


def why_no_output(body: dict[str, Any], *, wants_media: bool) -> str:
    """Why a final body without media has no output that counts; empty where its text is one.

    Of a model that makes media (`wants_media`) no text is. An address that cannot be fetched is
    never one.
    """
    output = body.get("output")
    if isinstance(output, list) and len(output) == 1:
        output = output[0]
    if isinstance(output, str) and _OTHER_ADDRESS.fullmatch(output.strip()):
        return f"its output is at an address that cannot be fetched: {printable(output, 200)}"
    said = _said(body)
    if not text_of(body) or (_is_nothing(body.get("output")) and _says_error(body)):
        return f"finished without an output{f': {said}' if said else ''}"
    if not wants_media:
        return ""
    text = printable(output, 200) if isinstance(output, str) else ""
    return f"finished without a file: {said or text or 'its output is not one'}"


def _said(body: dict[str, Any]) -> str:
    for key in ("error", "error_message", "message", "detail"):
        value = body.get(key)
        if value:
            return printable(value if isinstance(value, str) else canonical_json(value), 200)
    return ""


def _says_error(body: dict[str, Any]) -> bool:
    return any(body.get(key) for key in ("error", "error_message"))


def _is_nothing(value: Any) -> bool:
    return value is None or value in ("", [], {})


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


def text_of(body: dict[str, Any]) -> tuple[FoundOutput, ...]:
    """The output of a text or JSON model: its `output` or, without one, everything but the
    accounting, as one text or JSON file; empty when there is nothing."""
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
