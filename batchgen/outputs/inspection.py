"""Looking into a file: what it is, whether it is whole, how big its picture is.

What was paid for is never thrown away for being unknown here: such a file is kept, and said to be
so. Refused is only what surely is no output: nothing at all, and the error page of a web server.
"""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from batchgen.core.media import wholeness
from batchgen.core.media.formats import (
    BY_EXTENSION,
    BY_MIME,
    FILE,
    FORMATS,
    SNIFF_BYTES,
    MediaType,
    Preview,
    dimensions,
    is_whole,
    kind_of,
)
from batchgen.core.media.texts import is_error_document, is_html, text_kind
from batchgen.core.media.wholeness import ReadAt
from batchgen.ports import SaveError, SaveFault

MAX_TEXT_BYTES = 64 * 2**20
"""Longer texts are not taken for text: all of it is read to tell. A guess."""

_EXTENSION = re.compile(r"[a-z0-9]{1,8}")
_OURS = frozenset({"jsonl", "md", "part"})
"""Of files of our own among the outputs: an output so called could take their name."""
_PAGES = frozenset({"htm", "html", "xhtml", "shtml", "php", "asp", "aspx", "jsp", "cgi"})
"""Of addresses that lead to a program, and of files that a browser would run."""
_BY_ALIAS = {extension: each for each in FORMATS for extension in each.extensions}
_NAMED = mimetypes.types_map | mimetypes.common_types
_BY_NAME = {mime: extension[1:] for extension, mime in reversed(_NAMED.items())}


class Flaw(StrEnum):
    """Why a file that is kept is not verified."""

    UNKNOWN = "its kind is not known here"
    CUT = wholeness.CUT


@dataclass(frozen=True, slots=True)
class Claims:
    """What others say of a file, which is hearsay: `declared` by the service, `called` by the web
    server, and the `address` it came from; each may be empty.

    `ours`: the bytes came inside an answer of the service itself, and not from a web server with
    error pages.
    """

    declared: str = ""
    called: str = ""
    address: str = ""
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a file is. `size` in bytes; width and height in pixels or 0; None for no `flaw`."""

    media_type: MediaType
    size: int
    width: int = 0
    height: int = 0
    flaw: Flaw | None = None


def inspect(size: int, read_at: ReadAt, claims: Claims) -> Inspected:
    """What a file of `size` bytes is. Raises `SaveError` for what is no output at all."""
    head = read_at(0, SNIFF_BYTES)
    if size <= SNIFF_BYTES and not head.strip(b"\0 \t\r\n\xef\xbb\xbf"):
        raise SaveError(SaveFault.BAD_CONTENT, "it is empty")
    kind = kind_of(size, read_at)
    if kind is None:
        return _of_text(size, read_at, claims)
    flaw = None if is_whole(kind, size, read_at) else Flaw.CUT
    return Inspected(kind, size, *dimensions(kind, read_at), flaw)


def _of_text(size: int, read_at: ReadAt, claims: Claims) -> Inspected:
    """A file without a sign: a text, or of a kind unknown here."""
    head = read_at(0, SNIFF_BYTES)
    if is_html(head) and not (claims.ours and _announces_text(claims.declared)):
        raise SaveError(SaveFault.BAD_CONTENT, f"it is a web page ({size} bytes)")
    kind = text_kind(read_at(0, size)) if size <= MAX_TEXT_BYTES else None
    if kind is not None and _announces_text(claims.declared):
        return Inspected(kind, size)
    if kind is not None:
        _refuse_error_page(kind, head, size, claims)
        if kind is BY_EXTENSION["json"]:
            return Inspected(hearsay(claims, kind), size)
    return Inspected(hearsay(claims, kind), size, flaw=Flaw.UNKNOWN)


def _announces_text(declared: str) -> bool:
    name = _mime(declared)
    return name.startswith("text/") or name == "application/json" or name.endswith("+json")


def _refuse_error_page(kind: MediaType, head: bytes, size: int, claims: Claims) -> None:
    """Raise `SaveError` for a text in the place of something else.

    JSON is an output where the address says so; the type of an answer does not tell, as that of an
    error is the same. A plain text is an error where a picture, sound or film was to come.
    """
    named = _named_extension(claims.address)
    wanted = _BY_ALIAS.get(named) or BY_MIME.get(_mime(claims.declared))
    in_stead = wanted is not None and _is_opened(wanted)
    if kind is BY_EXTENSION["json"] and (in_stead or not named):
        what = "it is JSON, such as an error"
    elif in_stead:
        what = "it is plain text, such as an error"
    elif is_error_document(head):
        what = "it is an error in XML"
    else:
        return
    raise SaveError(SaveFault.BAD_CONTENT, f"{what} ({size} bytes)")


def hearsay(claims: Claims, otherwise: MediaType | None = None) -> MediaType:
    """What a file may be that has no sign: by what it was called, else by its address.

    A kind that anybody opens on trust is told by its bytes or not at all. The MIME type is one of
    ours or says nothing: pages go by it.
    """
    for name in (claims.declared, claims.called):
        mime = _mime(name)
        if mime not in ("", "text/plain", "application/octet-stream", "binary/octet-stream"):
            found = _kept(BY_MIME[mime].extension if mime in BY_MIME else _BY_NAME.get(mime, ""))
            if found is not None:
                return found
    found = _kept(_named_extension(claims.address))
    return found or otherwise or _unknown("bin")


def _kept(extension: str) -> MediaType | None:
    """The kind of an extension, where it may be had by hearsay."""
    if not _EXTENSION.fullmatch(extension) or extension in _OURS | _PAGES:
        return None
    known = _BY_ALIAS.get(extension)
    return None if known and _is_opened(known) else known or _unknown(extension)


def _is_opened(kind: MediaType) -> bool:
    return kind.preview not in (Preview.NONE, Preview.TEXT)


def _unknown(extension: str) -> MediaType:
    return MediaType(extension, "application/octet-stream", FILE)


def _mime(text: str) -> str:
    return text.partition(";")[0].strip().lower()


def _named_extension(address: str) -> str:
    """Of the last part of a path: without the dot, in lower case; empty where there is none."""
    try:
        last = unquote(urlsplit(address).path).rpartition("/")[2]
    except ValueError:
        return ""
    return last.rpartition(".")[2].lower() if "." in last else ""
