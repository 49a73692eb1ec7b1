"""Finding the outputs in a final body, whatever shape the model gave it.

Seen shapes: `output` as a URL, a list of URLs, an object holding URLs, a data URI, bare base64,
plain text or JSON; `images: [{url, content_type, …}]`; `video: {url, last_frame_url, …}`; media
bytes instead of JSON; `output` as JSON inside a text: what a text model answers (`chat`), or the
named outputs of a workflow (see the service's facts in `docs/service.md`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from batchgen.core.common.json import canonical_json
from batchgen.core.common.text import printable
from batchgen.core.jobs.spec import ModelKind
from batchgen.core.media.formats import FAMILIES, FORMATS
from batchgen.core.media.texts import decode_base64_media, decode_data_uri
from batchgen.providers.segmind.chat import chat_of, texts_of, told_json

MAX_OUTPUTS = 1000
"""More than this in one body is refused: no model answers so many, a hostile body might."""
MAX_DEPTH = 8
"""How deep an object is searched for URLs."""
MAX_LABEL_BYTES = 32
"""Longer names of outputs are cut: they stand in file names behind the name of the job."""
WHOLE_LABEL, TEXT_LABEL = "answer", "text"
"""What the whole answer of a text model is called beside its text, and its text beside media."""

_EXTENSIONS = "|".join(sorted(name for each in FORMATS for name in each.extensions))
MEDIA_KEYS = ("output", *(key for family in FAMILIES.values() for key in family.body_keys))
_LINKS = frozenset({"status_url", "response_url", "poll_url"})
_ACCOUNTING_KEYS = _LINKS | {
    "status", "request_id", "metrics", "seed", "error", "timings", "prompt", "reasoning", "partial",
    "grounding",
}  # fmt: skip
"""Keys beside an output that are none themselves (the official package's, and seen in bodies)."""
_SAYING = ("error", "error_message", "message", "detail", "reason", "refusal", "description")
_CITING = frozenset({
    "citations", "annotations", "grounding", "grounding_metadata", "groundingMetadata",
    "search_results", "sources", "references", "web_search",
})  # fmt: skip
"""Keys whose addresses are what a text refers to, never what was made."""
_UNWANTED = re.compile(r"[^\w.+=@()-]+")


@dataclass(frozen=True, slots=True)
class FoundOutput:
    """One output as found: a URL, or the bytes themselves. `media_type` as declared, or empty;
    `label` is what the answer calls it."""

    url: str = ""
    data: bytes = b""
    media_type: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class FoundOutputs:
    """The outputs of a final body in their order, or why nothing in it counts as one."""

    found: tuple[FoundOutput, ...] = ()
    refusal: str = ""


class TooManyOutputsError(ValueError):
    """A body names more outputs than any model makes."""


def outputs_of(
    body: dict[str, Any], kind: ModelKind = ModelKind.UNKNOWN, sent: str = ""
) -> FoundOutputs:
    """The outputs of a final body of a model of this `kind`; `sent` is the body that asked for it.

    What a text model answers is never searched for addresses. Raises `TooManyOutputsError` above
    `MAX_OUTPUTS`.
    """
    chat = chat_of(body)
    if chat is not None:
        return _of_chat(body, chat, kind)
    found = _named_outputs(told_json(body.get("output"))) or find_media(body, kind, sent)
    if found:
        return FoundOutputs(_with_own_labels(found))
    refusal = why_no_output(body, wants_media=kind is ModelKind.MEDIA)
    return FoundOutputs(refusal=refusal) if refusal else FoundOutputs(text_of(body))


def _of_chat(body: dict[str, Any], chat: Mapping[str, Any], kind: ModelKind) -> FoundOutputs:
    """Each text as a file and the whole beside it; or media that came inside, and the text beside
    them."""
    texts = [text for text in texts_of(chat) or () if text.strip()]
    media = tuple(_limited(_inside(chat, 0)))
    if media:
        beside = [_text_file(text, TEXT_LABEL) for text in texts]
        return FoundOutputs(_with_own_labels((*media, *beside)))
    if kind is ModelKind.MEDIA:
        said = printable(" ".join(texts), 200) or _said(body) or "it answered as a text model does"
        return FoundOutputs(refusal=f"finished without a file: {said}")
    output = body.get("output")
    whole = output if isinstance(output, str) else canonical_json(dict(chat))
    label = WHOLE_LABEL if texts else ""
    answer = FoundOutput(data=_utf8(whole), media_type="application/json", label=label)
    return FoundOutputs((*map(_text_file, texts), answer))


def _text_file(text: str, label: str = "") -> FoundOutput:
    return FoundOutput(data=_utf8(text), media_type="text/plain", label=label)


def _inside(value: Any, depth: int) -> Iterator[FoundOutput]:
    """Media as data, at any place; never an address."""
    if depth > 2 * MAX_DEPTH:
        return
    if isinstance(value, str):
        yield from (item for item in _media_in_text(value) if not item.url)
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _inside(item, depth + 1)


def _named_outputs(output: Any) -> tuple[FoundOutput, ...]:
    """The outputs of a workflow, one an output node: a list of objects with `keyname` and `value`.

    A value is media, a text or an object. Of one node alone the file is called like the job.
    """
    nodes, keys = output if isinstance(output, list) else [], {"keyname", "value"}
    if not nodes or not all(isinstance(node, dict) and keys <= node.keys() for node in nodes):
        return ()
    found: list[FoundOutput] = []
    for node in nodes:
        label = _label(node["keyname"])
        found += [replace(item, label=item.label or label) for item in _of_node(node["value"])]
    if len(nodes) == 1:
        found = [replace(item, label="") for item in found]
    return tuple(_limited(found))


def _of_node(value: Any) -> tuple[FoundOutput, ...]:
    """The value of an output node: media, what a text model answers, a text or an object."""
    told = told_json(value)
    if _is_nothing(told):
        return ()
    texts = texts_of(told) if isinstance(told, dict) else None
    if texts is not None:
        return _of_chat({"output": value}, told, ModelKind.TEXT).found
    return tuple(_media_in(told, 0)) or (_written(value),)


def _written(value: Any) -> FoundOutput:
    """A text or an object as a file."""
    if isinstance(value, str) and not isinstance(told_json(value), dict | list):
        return _text_file(value)
    text = value if isinstance(value, str) else canonical_json(value)
    return FoundOutput(data=_utf8(text), media_type="application/json")


def find_media(
    body: dict[str, Any], kind: ModelKind = ModelKind.UNKNOWN, sent: str = ""
) -> tuple[FoundOutput, ...]:
    """The media of a final body in their order, URLs named twice taken once; empty when none.

    Addresses that were `sent` are an echo of what was asked for, if there are others. In a text,
    and of a model that makes texts, only the address of a file is one. Raises
    `TooManyOutputsError` above `MAX_OUTPUTS`.
    """
    output = told_json(body.get("output"))
    told = {**body, "output": output}
    found = tuple(_limited(item for key in MEDIA_KEYS for item in _media_in(told.get(key), 0)))
    if not found:
        found = tuple(_limited(_beside(body)))
        found = (replace(found[0], label=""),) if len(found) == 1 else found
    made = tuple(item for item in found if not (item.url and item.url in sent))
    found = made or found
    is_text = kind is ModelKind.TEXT
    if is_text or (kind is ModelKind.UNKNOWN and output is not body.get("output")):
        return tuple(item for item in found if not item.url or _names_file(item.url))
    return found


def _limited(items: Iterable[FoundOutput]) -> Iterator[FoundOutput]:
    """Each of them once."""
    seen: set[tuple[str, bytes]] = set()
    for item in items:
        if (item.url, item.data) in seen:
            continue
        seen.add((item.url, item.data))
        if len(seen) > MAX_OUTPUTS:
            raise TooManyOutputsError(f"the result names more than {MAX_OUTPUTS} outputs")
        yield item


def _with_own_labels(found: tuple[FoundOutput, ...]) -> tuple[FoundOutput, ...]:
    """No two have the same label, whatever the disk holds for the same."""
    taken: set[str] = set()
    named = []
    for item in found:
        label, number = item.label, 1
        while label and label.casefold() in taken:
            number += 1
            label = f"{item.label}-{number}"
        taken.add(label.casefold())
        named.append(replace(item, label=label))
    return tuple(named)


def _label(name: Any) -> str:
    """A name from outside as it may stand in a file name."""
    text = unicodedata.normalize("NFC", name[:200]) if isinstance(name, str) else ""
    plain = _UNWANTED.sub("-", text).encode("utf-8", "ignore")[:MAX_LABEL_BYTES]
    return plain.decode("utf-8", "ignore").strip("-. ") or "output"


_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_SPACED_URL = re.compile(rf"https?://\S+ (?:(?!://).)*\.(?:{_EXTENSIONS})(?:\?\S*)?", re.IGNORECASE)
_FILE_ADDRESS = re.compile(rf"[^?#]*\.(?:{_EXTENSIONS})(?:[?#].*)?", re.IGNORECASE)
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


def _names_file(url: str) -> bool:
    return _FILE_ADDRESS.fullmatch(url) is not None


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
    """What is said in place of an output, in the body or in its output."""
    output = told_json(body.get("output"))
    for said in (body, output):
        for key in _SAYING if isinstance(said, dict) else ():
            value = said.get(key)
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
    """An object with a `url` is one output, with others beside it; any other is searched for them,
    but for what it refers to."""
    url = value.get("url")
    if isinstance(url, str):
        declared = value.get("content_type")
        media_type = declared if isinstance(declared, str) else ""
        for item in _media_in_text(url):
            yield FoundOutput(item.url, item.data, item.media_type or media_type)
        yield from _beside(value)
        return
    for key, item in value.items():
        if key not in _CITING:
            yield from _media_in(item, depth + 1)


def _beside(value: Mapping[str, Any]) -> Iterator[FoundOutput]:
    """Media under keys such as `last_frame_url`, each called as its key says."""
    for key, item in value.items():
        if key.endswith("_url") and key not in _LINKS and isinstance(item, str):
            for found in _media_in_text(item):
                yield replace(found, label=_label(key.removesuffix("_url")))


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
    accounting, as one text or JSON file; empty when there is nothing, or a message alone."""
    output = body.get("output")
    if _is_nothing(output):
        rest = {key: value for key, value in body.items() if key not in _ACCOUNTING_KEYS}
        rest.pop("output", None)
        if all(_is_nothing(value) for key, value in rest.items() if key not in _SAYING):
            return ()
        output = rest
    return (_written(output),)


def _utf8(text: str) -> bytes:
    """Half a surrogate pair, which JSON can carry, has no UTF-8 form and becomes `?`."""
    return text.encode(errors="replace")
