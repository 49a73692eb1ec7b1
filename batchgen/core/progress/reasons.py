"""Why jobs ended without files: texts fit to be shown, and those of one kind together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Told:
    """So many jobs ended in a state for a reason; `example` is the id of one of them."""

    state: str
    reason: str
    count: int
    example: str


MOST_TEXT = 8_000
"""Characters of one text that are shown; the state and `metadata.jsonl` hold all of it."""


MOST_GROUPS = 100
"""Reasons of different kinds that are listed, the commonest."""


_DATA_URI = re.compile(r"data:([\w.+-]*/?[\w.+-]*)[^,]*,", re.IGNORECASE)


_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{512,}={0,2}")


_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://\S+", re.IGNORECASE)


_VARIABLE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{12,}\b|\d+(?:[.,:]\d+)*", re.IGNORECASE
)
"""What differs from job to job in reasons that are the same: ids, counts, instants."""


def shown_text(text: str) -> str:
    """A text without media, without the secrets of addresses, and not too long."""
    media = _DATA_URI.match(text)
    if media:
        return f"data:{media[1]} ({_size(len(text))})"
    if _BASE64.fullmatch(text.replace("\n", "").replace("\r", "")):
        return f"base64 ({_size(len(text))})"
    begun = _ADDRESS.sub(lambda match: plain_address(match[0]), text[:MOST_TEXT])
    return begun if len(text) <= MOST_TEXT else f"{begun}… ({len(text)} characters)"


def plain_address(url: str) -> str:
    """An address without user, password, query and fragment; `?…` stands for what was there."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition("?")[0]
    host = parts.netloc.rpartition("@")[2]
    hidden = "?…" if parts.query or parts.fragment else ""
    return f"{parts.scheme}://{host}{parts.path}{hidden}"


def why(reason: str) -> str:
    """A reason without what differs from job to job: equal ones are one group on the page."""
    return _VARIABLE.sub("…", shown_text(reason))


def grouped(told: Iterable[Told]) -> list[dict[str, Any]]:
    """Reasons of one kind together, the commonest first: state, why, count, example, said."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for reason in told:
        key = reason.state, why(reason.reason)
        group = groups.setdefault(
            key,
            {
                "state": reason.state,
                "why": key[1],
                "count": 0,
                "example": reason.example,
                "said": shown_text(reason.reason),
            },
        )
        group["count"] += reason.count
    return sorted(groups.values(), key=lambda group: -group["count"])[:MOST_GROUPS]


def _size(count: int) -> str:
    return f"{count / 1000:,.0f} KB" if count >= 1000 else f"{count} characters"
