"""Jobs as the page is given them: JSON values, with nothing in them that a page should not hold.

A page is passed on, so addresses lose what often is a secret (user names, passwords and
signatures in their queries), and media inside parameters are told by their size alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from batchgen.core.progress.reasons import shown_text, why
from batchgen.store.sqlite.page import ShownFile, ShownJob

_MOST_DEPTH = 8
_PROMPTS = ("prompt", "text", "caption", "input", "description", "query", "messages")
"""What models call the text they work from, in the order of preference."""


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


def prompt_of(parameters: Mapping[str, Any]) -> str:
    """The name of the parameter a job works from; empty where none looks like a text."""
    texts = {name: value for name, value in parameters.items() if isinstance(value, str) and value}
    usual = (name for name in _PROMPTS if name in texts)
    sentences = [name for name, value in texts.items() if " " in value]
    return next(usual, "") or max(sentences, key=lambda name: len(texts[name]), default="")
