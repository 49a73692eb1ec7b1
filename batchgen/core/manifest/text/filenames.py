"""Which names are safe as files, here and on the machines the files are copied to.

An id is one path part; a stem is up to `MAX_FOLDERS` folders and a last part, without extension.
Two names that differ only by case or by Unicode normalisation are one file on many disks: compare
them by `collision_key`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from batchgen.core.manifest.text.templates import as_text

MAX_PART_BYTES = 200
"""Of 255 that file systems take; the rest is for `~2`, the extension and `.part`."""
MAX_FOLDERS = 8
MAX_FIELD_BYTES = 80
"""What one field may put into a name; longer text is cut."""

_FORBIDDEN = frozenset('/\\:*?"<>|~')
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"}
    | {f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789"}
)
_MAX_DEVICE_CHARACTERS = max(map(len, _DEVICES))
_RESERVED_STEMS = frozenset({"metadata", "metadata.jsonl", "readme", "readme.md"})
"""Beside these files of ours in `outputs/` nothing similar may stand."""
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")
_PLAIN = re.compile(r"[A-Za-z0-9_-](?:[A-Za-z0-9_.-]*[A-Za-z0-9_-])?")
"""Surely safe: most names are, and the others are looked at character by character."""
_UNWANTED = re.compile(r"[^\w.+=,@()-]+")


class NameFaultError(ValueError):
    """A name that is not safe as a file; the text says why, as the end of "the id … "."""


def check_part(part: str) -> None:
    """Refuse (`NameFaultError`) a path part that is unsafe on some system."""
    if len(part) <= MAX_PART_BYTES and _PLAIN.fullmatch(part):
        if "." in part or len(part) <= _MAX_DEVICE_CHARACTERS:
            _check_device(part)
        return
    if not part:
        raise NameFaultError("is empty")
    if len(part) > MAX_PART_BYTES or len(_utf8(part)) > MAX_PART_BYTES:
        raise NameFaultError(f"is longer than {MAX_PART_BYTES} bytes")
    for character in part:
        if character in _FORBIDDEN:
            raise NameFaultError(f"holds {character}")
        if not character.isprintable():
            raise NameFaultError(f"holds the unprintable character U+{ord(character):04X}")
    if part[0] in ". " or part[-1] in ". ":
        raise NameFaultError("begins or ends with a dot or a space")
    _check_device(part)


def _check_device(part: str) -> None:
    if part.partition(".")[0].casefold() in _DEVICES:
        raise NameFaultError("is the name of a device on Windows")


def check_stem(stem: str) -> None:
    """Refuse (`NameFaultError`) an output path that is unsafe, or that outputs/ has a use for."""
    *folders, last = stem.split("/")
    if len(folders) > MAX_FOLDERS:
        raise NameFaultError(f"has more than {MAX_FOLDERS} folders")
    for part in (*folders, last):
        try:
            check_part(part)
        except NameFaultError as error:
            raise NameFaultError(f"is unsafe: its part {part!r:.60} {error}") from None
    for folder in folders:
        if _EXTENSION.search(folder):
            raise NameFaultError(f"has a folder {folder!r:.60} that looks like a file")
    if not folders:
        check_reserved(last)


def is_surely_safe(name: str) -> bool:
    """A cheap test: it passes only names that `check_part` and `check_reserved` let pass."""
    return (
        _MAX_DEVICE_CHARACTERS < len(name) <= MAX_PART_BYTES
        and "." not in name
        and _PLAIN.fullmatch(name) is not None
        and name.lower() not in _RESERVED_STEMS
    )


def check_reserved(name: str) -> None:
    """Refuse (`NameFaultError`) a name that outputs/ has a use for."""
    if name.casefold() in _RESERVED_STEMS:
        raise NameFaultError("is taken: outputs/ holds a file of that name")


def safe_text(value: Any) -> str:
    """A field's value as it may stand in a name.

    Runs of characters other than letters, digits and ``_ . + = , @ ( ) -`` become one `-`; dots at
    the ends go; more than `MAX_FIELD_BYTES` are cut; nothing at all becomes `-`.
    """
    is_number = type(value) is int
    written = str(value) if is_number else as_text(value)
    if len(written) <= MAX_FIELD_BYTES and (is_number or _PLAIN.fullmatch(written)):
        return written
    text = _UNWANTED.sub("-", unicodedata.normalize("NFC", written[: 4 * MAX_FIELD_BYTES]))
    cut = text.encode("utf-8", "ignore")[:MAX_FIELD_BYTES].decode("utf-8", "ignore")
    return cut.strip(".") or "-"


def collision_key(name: str) -> str:
    """Equal for names that some file system holds for one: caseless, normalised to NFC."""
    if name.isascii():
        return name.lower()
    folded = unicodedata.normalize("NFD", name).casefold()
    return unicodedata.normalize("NFC", folded)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise NameFaultError("holds half a surrogate pair") from None
