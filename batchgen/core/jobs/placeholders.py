"""Contents of local files, and what stands for them in a body until they are uploaded.

A body names a content by a *placeholder* that follows from its bytes alone. Once the content stands
at an address of the service, the address takes the placeholder's place, for good: so the body that
is sent is the same in every process, and the account's history can be searched for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from batchgen.core.common.json import canonical_json

MARK = "batchgen-upload:"
"""How a placeholder begins. No text of a user may hold it."""
_PLACEHOLDER = re.compile(rf'"{MARK}([0-9a-f]{{64}})-([0-9]{{1,15}})"')

MAX_INPUT_BYTES = 32 * 2**20
"""The largest file that is uploaded. A guess: the service names no limit, and a call holds the file
as base64 text."""


@dataclass(frozen=True, slots=True, order=True)
class Content:
    """The bytes of a file, by their SHA-256 (hex) and their number."""

    sha256: str
    size: int

    @property
    def placeholder(self) -> str:
        """What stands for it in a body until it is uploaded."""
        return f"{MARK}{self.sha256}-{self.size}"


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A content that stands at an address of the service. `path` is the file it came from."""

    content: Content
    url: str
    at: float
    path: str


def missing(body: str) -> tuple[Content, ...]:
    """The contents that a body still stands for by placeholders, each once, in their order."""
    if MARK not in body:
        return ()
    found = (Content(sha256, int(size)) for sha256, size in _PLACEHOLDER.findall(body))
    return tuple(dict.fromkeys(found))


def is_ready(body: str) -> bool:
    """Whether a body holds no placeholder: it may be sent."""
    return MARK not in body


def placed(body: str, url_of: Callable[[Content], str | None]) -> str:
    """The body with the addresses of the contents that have one; still canonical JSON."""
    if MARK not in body:
        return body

    def address(found: re.Match[str]) -> str:
        url = url_of(Content(found[1], int(found[2])))
        return found[0] if url is None else canonical_json(url)

    return _PLACEHOLDER.sub(address, body)


def waiting_for(content: Content, bodies: Iterable[tuple[int, str]]) -> Iterator[int]:
    """The keys of the jobs whose bodies name a content."""
    quoted = f'"{content.placeholder}"'
    return (key for key, body in bodies if quoted in body)
