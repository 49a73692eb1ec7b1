"""What a text is: a web page, plain text or JSON, or a media file in base64.

Safe on hostile texts: nothing here raises over what they say.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from urllib.parse import unquote_to_bytes

from batchgen.core.media.formats import BY_EXTENSION, SNIFF_BYTES, MediaType, sniff

MIN_BASE64_CHARACTERS = 64
"""Shorter texts are words that happen to be base64, never media."""
_HTML_MARKS = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script")
_ERROR_XML = re.compile(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?<Error\b")
_TEXT, _JSON = BY_EXTENSION["txt"], BY_EXTENSION["json"]


def is_html(head: bytes) -> bool:
    """Whether a file with this beginning is a web page, such as a gateway's error page."""
    text = head[:SNIFF_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return text.startswith(_HTML_MARKS) or (text.startswith(b"<") and b"<html" in text)


def is_error_document(head: bytes) -> bool:
    """Whether it is the XML in which object stores say what is wrong."""
    return _ERROR_XML.match(head) is not None


def text_kind(data: bytes) -> MediaType | None:
    """Text or JSON (objects and lists) for what a text model answered; None for binary."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    if text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return _TEXT
        return _JSON
    return _TEXT


def decode_data_uri(text: str) -> tuple[str, bytes] | None:
    """MIME type and bytes of a `data:` URI; None unless it is well-formed and holds media.

    The type is the declared one in lower case without parameters, or what the bytes are.
    """
    head, comma, payload = text.partition(",")
    if not comma or head[:5].lower() != "data:":
        return None
    declared, *parameters = head[5:].strip().lower().split(";")
    if parameters and parameters[-1].strip() == "base64":
        data = _decode_base64(payload)
    elif payload.isascii():
        data = unquote_to_bytes(payload)
    else:
        return None
    found = sniff(data) if data else None
    return (declared.strip() or found.mime, data) if data and found else None


def decode_base64_media(text: str) -> bytes | None:
    """The bytes of a text that is nothing but the base64 of media; None for any other text."""
    if len(text) < MIN_BASE64_CHARACTERS:
        return None
    # The beginning decides cheaply: most texts that come here are prose.
    head = _decode_base64(text[:SNIFF_BYTES] if len(text) > SNIFF_BYTES else text)
    if not head or sniff(head) is None:
        return None
    return head if len(text) <= SNIFF_BYTES else _decode_base64(text)


def _decode_base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
