"""YAML text into plain values and the places where they stand.

The parser's event stream is composed by hand, without recursion: PyYAML's own loader takes the
last of two equal keys, turns `16:9` into a number, and dies of 200,000 brackets. What a plain
scalar means stands in `batchgen.core.manifest.text.scalars`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from batchgen.core.common.json import canonical_json
from batchgen.errors import ManifestError, Problem
from batchgen.sources.yaml.composer import Composer
from batchgen.sources.yaml.positions import Positions
from batchgen.sources.yaml.syntax_errors import complaint, problem_after

MAX_BYTES = 64 * 2**20
"""Cap of a document: some 300,000 jobs written out one by one."""

_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_PARSERS: tuple[Any, Any] = (getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document.

    `value` is made of dict (keys are str), list, str, int, float, bool and None; values reached by
    an alias are the same object as their anchor's, so nothing of it is to be changed in place.
    """

    value: Any
    positions: Positions


def read_document(path: Path) -> Document:
    """Read and parse a file of UTF-8 text. Raises `ManifestError`, also when it cannot be read."""
    name = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ManifestError([_unreadable(error, name)]) from error
    return parse_document(data, name)


def parse_document(data: bytes | str, name: str = "", *, pure: bool = False) -> Document:
    """Parse one document. `name` goes into the problems; `pure` avoids the parser in C.

    Raises `ManifestError`: with every duplicate key, tag and bad scalar at once, or with the first
    error of syntax, which ends the reading.
    """
    text = _text(data, name)
    composer = Composer(name)
    parser = _PARSERS[pure](text)
    try:
        value = composer.compose(parser, text)
        # The parser in Python lets the escape of half a surrogate pair pass; the one in C does not.
        if _PARSERS[pure] is yaml.SafeLoader and not composer.problems:
            canonical_json(value).encode()
    except yaml.YAMLError as error:
        composer.problems.append(complaint(error, text, name))
    except UnicodeEncodeError:
        what = "an escape (\\u…) in double quotes is no character"
        composer.problems.append(Problem(what, "write the character itself", name))
    finally:
        parser.dispose()
    if composer.problems:
        raise ManifestError(composer.problems)
    return Document(value, composer.positions)


def _text(data: bytes | str, name: str) -> str:
    """The text without byte order mark; refused when too large, not UTF-8 or not printable."""
    try:
        raw = data.encode() if isinstance(data, str) else data
        if len(raw) > MAX_BYTES:
            what = f"the file is larger than {MAX_BYTES // 2**20} MiB"
            remedy = "write a matrix instead of single jobs, or split it into several manifests"
            raise ManifestError([Problem(what, remedy, name)])
        text = raw.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        raise ManifestError([_not_utf8(before, error, name)]) from error
    except UnicodeEncodeError as error:
        what = "the text holds half a surrogate pair, which is no character"
        raise ManifestError(
            [problem_after(str(data)[: error.start], what, "remove it", name)]
        ) from error
    found = _UNPRINTABLE.search(text)
    if found:
        what = f"the file holds the control character U+{ord(found.group()):04X}"
        remedy = "remove it, or write it as an escape in double quotes"
        raise ManifestError([problem_after(text[: found.start()], what, remedy, name)])
    return text


def _not_utf8(before: str, error: UnicodeDecodeError, name: str) -> Problem:
    if error.object[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return Problem("the file is UTF-16", "save it as UTF-8", name, 1, 1)
    what = f"the byte 0x{error.object[error.start]:02X} is not UTF-8"
    return problem_after(before, what, "save the file as UTF-8", name)


def _unreadable(error: OSError | ValueError, name: str) -> Problem:
    if isinstance(error, FileNotFoundError):
        return Problem("there is no such file", "give the path of a manifest, or write one", name)
    if isinstance(error, IsADirectoryError):
        return Problem("this is a directory", "give the path of a manifest in it", name)
    reason = getattr(error, "strerror", None) or str(error)
    return Problem(f"the file cannot be read: {reason}", "give a file you may read", name)
