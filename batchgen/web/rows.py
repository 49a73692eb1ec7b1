"""Jobs as the page is given them: JSON values, with nothing in them that a page should not hold.

A page is passed on, so addresses lose what often is a secret (user names, passwords and
signatures in their queries), and media inside parameters are told by their size alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from batchgen.adapters.sqlite.gallery import ShownFile, ShownJob, Told

MOST_TEXT = 8_000
"""Characters of one text that are shown; the state and `metadata.jsonl` hold all of it."""
MOST_GROUPS = 100
"""Reasons of different kinds that are listed, the commonest."""
_MOST_DEPTH = 8
_PROMPTS = ("prompt", "text", "caption", "input", "description", "query", "messages")
"""What models call the text they work from, in the order of preference."""
_DATA_URI = re.compile(r"data:([\w.+-]*/?[\w.+-]*)[^,]*,", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{512,}={0,2}")
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://\S+", re.IGNORECASE)
_VARIABLE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{12,}\b|\d+(?:[.,:]\d+)*", re.IGNORECASE
)
"""What differs from job to job in reasons that are the same: ids, counts, instants."""


_ZERO_TOLD = frozenset({"seed", "cost"})
"""Of these zero is something; elsewhere it is nothing, and left out."""


def row_of(job: ShownJob) -> dict[str, Any]:
    """One job for the page: what is empty is left out. Instants in epoch seconds.

    `by` names the parameter with the prompt; `why` is the reason's group.
    """
    parameters = _parameters(job.body)
    row = {
        "key": job.key,
        "id": job.id,
        "model": job.model,
        "state": job.state,
        "by": prompt_of(parameters),
        "params": parameters,
        "price": job.price_usd if job.cost_usd is None else None,
        "attempts": job.attempts,
        "polls": job.polls,
        "request_id": job.request_id,
        "queue_s": job.queue_s,
        "inference_s": job.inference_s,
        "total_s": job.total_s,
        "sent_at": round(job.sent_at, 3),
        "changed_at": round(job.changed_at, 3),
        "files": [_file(file) for file in job.files],
    }
    seed = parameters.get("seed") if job.seed is None else job.seed
    row |= {} if seed is None else {"seed": seed}
    row |= {} if job.cost_usd is None else {"cost": job.cost_usd}
    if job.reason:
        row |= {"reason": shown_text(job.reason), "why": why(job.reason)}
    return {name: value for name, value in row.items() if name in _ZERO_TOLD or value}


def _file(file: ShownFile) -> dict[str, Any]:
    row = {
        "i": file.index,
        "name": file.name,
        "type": file.media_type,
        "size": file.size,
        "w": file.width,
        "h": file.height,
        "sha256": file.sha256,
    }
    return {name: value for name, value in row.items() if name == "i" or value}


def _parameters(body: str) -> dict[str, Any]:
    value = shown(json.loads(body))
    return value if isinstance(value, dict) else {"body": value}


def shown(value: Any, depth: int = 0) -> Any:
    """A parameter's value as a page may show it, at any depth."""
    if isinstance(value, str):
        return shown_text(value)
    if depth >= _MOST_DEPTH and isinstance(value, (dict, list)):
        return "…"
    if isinstance(value, dict):
        return {str(name): shown(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [shown(item, depth + 1) for item in value]
    return value


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


def prompt_of(parameters: Mapping[str, Any]) -> str:
    """The name of the parameter a job works from; empty where none looks like a text."""
    texts = {name: value for name, value in parameters.items() if isinstance(value, str) and value}
    usual = (name for name in _PROMPTS if name in texts)
    sentences = [name for name, value in texts.items() if " " in value]
    return next(usual, "") or max(sentences, key=lambda name: len(texts[name]), default="")


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
