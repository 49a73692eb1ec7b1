"""The part of a final body that carries the media, in every shape models were seen to use."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from batchgen.core.media.formats import BY_EXTENSION
from batchgen.providers.segmind.simulator.config import ChatStyle, OutputShape
from batchgen.providers.segmind.simulator.fault_rules import FaultKind, FaultRule
from batchgen.providers.segmind.simulator.ledger import Bill, Outcome
from batchgen.providers.segmind.simulator.media.shelf import MediaIndex
from batchgen.providers.segmind.simulator.media.tiny import answer_text
from batchgen.providers.segmind.simulator.messages import MediaRef

Render = Callable[[MediaRef], bytes]
"""Makes the bytes of media that a body itself carries."""

Carry = Callable[[MediaIndex, Bill, Render], dict[str, Any]]

_MANY = 10_000


def output_fields(
    shelf: MediaIndex, bill: Bill, render: Render, rule: FaultRule | None
) -> dict[str, Any]:
    """The fields of the final body that hold the outputs; spoiled if a rule says so."""
    kind = rule.kind if rule else None
    if kind is FaultKind.NO_OUTPUT:
        return {"output": None}
    if rule and kind is FaultKind.OUTPUT_FIELDS:
        return dict(rule.body)
    if rule and kind is FaultKind.HOSTILE_URL:
        return {"output": rule.location or "file:///etc/passwd"}
    if kind is FaultKind.MANY_OUTPUTS:
        first = shelf.urls(bill)[0]
        return {"output": [f"{first}?copy={number}" for number in range(_MANY)]}
    if bill.outcome is Outcome.FILTERED:
        return dict(shelf.config.filtered_fields)
    return _CARRIERS[shelf.shape(bill.model)](shelf, bill, render)


def _one_or_all(values: list[str]) -> dict[str, Any]:
    return {"output": values[0] if len(values) == 1 else values}


def _url(shelf: MediaIndex, bill: Bill, _render: Render) -> dict[str, Any]:
    return _one_or_all(shelf.urls(bill))


def _urls(shelf: MediaIndex, bill: Bill, _render: Render) -> dict[str, Any]:
    return {"output": shelf.urls(bill)}


def _object(shelf: MediaIndex, bill: Bill, _render: Render) -> dict[str, Any]:
    numbered = enumerate(shelf.urls(bill), start=1)
    return {"output": {f"image_{number}": url for number, url in numbered}}


def _data_uri(shelf: MediaIndex, bill: Bill, render: Render) -> dict[str, Any]:
    refs = shelf.refs(bill)
    return _one_or_all([f"data:{ref.media_type};base64,{_base64(render(ref))}" for ref in refs])


def _bare_base64(shelf: MediaIndex, bill: Bill, render: Render) -> dict[str, Any]:
    return _one_or_all([_base64(render(ref)) for ref in shelf.refs(bill)])


def _text(shelf: MediaIndex, bill: Bill, _render: Render) -> dict[str, Any]:
    return {"output": answer_text(shelf.ref(bill, 0))}


def _json(shelf: MediaIndex, bill: Bill, _render: Render) -> dict[str, Any]:
    return {"output": {"answer": answer_text(shelf.ref(bill, 0)), "score": 0.5}}


def chat_answer(shelf: MediaIndex, bill: Bill) -> dict[str, Any]:
    """What the maker of a text model answers, with what it refers to."""
    text = answer_text(shelf.ref(bill, 0))
    style = shelf.config.settings(bill.model).chat_style
    if style is ChatStyle.ANTHROPIC:
        usage = {"input_tokens": 12, "output_tokens": len(text)}
        return {"role": "assistant", "content": [{"type": "text", "text": text}], "usage": usage}
    if style is ChatStyle.GEMINI:
        counted = {"promptTokenCount": 12, "candidatesTokenCount": len(text)}
        content = {"role": "model", "parts": [{"text": text}]}
        return {"candidates": [{"content": content}], "usageMetadata": counted}
    return {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}],
        "citations": [{"url": f"{shelf.origins.cdn}/assets/cited.png"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": len(text)},
    }


def _chat(shelf: MediaIndex, bill: Bill, _render: Render) -> dict[str, Any]:
    return {"output": json.dumps(chat_answer(shelf, bill))}


def _last_frame(shelf: MediaIndex, bill: Bill, _render: Render) -> dict[str, Any]:
    film, frame = shelf.urls(bill)
    told = {"url": film, "content_type": "video/mp4", "last_frame_url": frame}
    return {"output": film, "video": told}


def _nodes(shelf: MediaIndex, bill: Bill, _render: Render) -> dict[str, Any]:
    portrait, mask = shelf.urls(bill)
    nodes = [
        {"keyname": "portrait", "value": portrait},
        {"keyname": "mask", "value": {"url": mask}},
        {"keyname": "caption", "value": answer_text(shelf.ref(bill, 0))},
    ]
    return {"output": json.dumps(nodes)}


def _images(shelf: MediaIndex, bill: Bill, render: Render) -> dict[str, Any]:
    items = [
        {
            "url": url,
            "content_type": ref.media_type,
            "file_name": url.rpartition("/")[2],
            "file_size": len(render(ref)),
        }
        for url, ref in zip(shelf.urls(bill), shelf.refs(bill), strict=True)
    ]
    return {"output": None, "images": items}


def _named(shelf: MediaIndex, bill: Bill, _render: Render) -> dict[str, Any]:
    ref = shelf.ref(bill, 0)
    url = shelf.urls(bill)[0]
    known = BY_EXTENSION.get(ref.extension)
    name = known.family.name if known else "file"
    return {"output": None, name: {"url": url, "content_type": ref.media_type}}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


_CARRIERS: Mapping[OutputShape, Carry] = {
    OutputShape.URL: _url,
    OutputShape.URLS: _urls,
    OutputShape.OBJECT: _object,
    OutputShape.DATA_URI: _data_uri,
    OutputShape.BASE64: _bare_base64,
    OutputShape.TEXT: _text,
    OutputShape.JSON: _json,
    OutputShape.IMAGES: _images,
    OutputShape.VIDEO: _named,
    OutputShape.LAST_FRAME: _last_frame,
    OutputShape.CHAT: _chat,
    OutputShape.NODES: _nodes,
    OutputShape.MEDIA: _url,
}
