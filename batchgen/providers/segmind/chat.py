"""What text models answer: their makers' own JSON, in three shapes.

The official client reads the same (`segmind` 1.3.0, `chat.py`): `choices[].message.content`,
`content[].text`, `candidates[].content.parts[].text`; on v2 as a text in `output`, on v1 as the
body itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_INPUT_KEYS = ("prompt_tokens", "input_tokens", "promptTokenCount")
_OUTPUT_KEYS = ("completion_tokens", "output_tokens", "candidatesTokenCount")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the maker of the model counts them; None where it does not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None


NO_USAGE = Usage()


def told_json(value: Any) -> Any:
    """A text that is a JSON object or list as that; anything else as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        decoded = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return decoded if isinstance(decoded, dict | list) else value


def chat_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The answer of a text model in a final body: its `output`, or all of it; None without one."""
    for value in (told_json(body.get("output")), body):
        if isinstance(value, Mapping) and texts_of(value) is not None:
            return value
    return None


def texts_of(value: Mapping[str, Any]) -> tuple[str, ...] | None:
    """What a text model says, one text a choice; None for a value of another shape."""
    choices, candidates = _objects(value.get("choices")), _objects(value.get("candidates"))
    if choices and all(isinstance(one.get("message"), dict) for one in choices):
        return tuple(_text_of_message(one["message"]) for one in choices)
    if candidates and any(isinstance(one.get("content"), dict) for one in candidates):
        return tuple(_joined(_parts(one.get("content"))) for one in candidates)
    content = _objects(value.get("content"))
    if content and any(isinstance(one.get("text"), str) for one in content):
        return (_joined(content),)
    return None


def usage_of(body: Mapping[str, Any]) -> Usage:
    """How many tokens an answer counts: beside its texts, or in the body around them."""
    for value in (chat_of(body) or {}, body):
        for key in ("usage", "usageMetadata"):
            told = value.get(key)
            if isinstance(told, dict):
                return Usage(_count(told, _INPUT_KEYS), _count(told, _OUTPUT_KEYS))
    return NO_USAGE


def _text_of_message(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        content = _joined(_objects(content))
    refusal = message.get("refusal")
    said = content if isinstance(content, str) and content else refusal
    return said if isinstance(said, str) else ""


def _parts(content: Any) -> list[Mapping[str, Any]]:
    """Without what the model thought on the way."""
    parts = content.get("parts") if isinstance(content, dict) else None
    return [part for part in _objects(parts) if part.get("thought") is not True]


def _joined(parts: list[Mapping[str, Any]]) -> str:
    return "".join(_said(parts))


def _said(parts: list[Mapping[str, Any]]) -> Iterator[str]:
    for part in parts:
        text = part.get("text")
        if isinstance(text, str):
            yield text


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; of a list that holds anything else, none."""
    is_fit = isinstance(value, list) and all(isinstance(item, dict) for item in value)
    return value if is_fit else []


def _count(told: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    for key in keys:
        value = told.get(key)
        if type(value) is int and 0 <= value < 2**53:
            return value
    return None
