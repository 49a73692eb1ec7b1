"""Contents of local files: what stands for them in a body, and what is being done to upload them.

A body names a content by a *placeholder* that follows from its bytes alone. Once the content stands
at an address of the service, the address takes the placeholder's place, for good: so the body that
is sent is the same in every process, and the account's history can be searched for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from batchgen.core.common.json import canonical_json

MARK = "batchgen-upload:"
"""How a placeholder begins. No text of a user may hold it."""
_PLACEHOLDER = re.compile(rf'"{MARK}([0-9a-f]{{64}})-([0-9]{{1,15}})"')

MAX_INPUT_BYTES = 32 * 2**20
"""The largest file that is uploaded. A guess: the service names no limit, and a call holds the file
as base64 text."""
UPLOADS_AT_ONCE = 4
"""How many calls may be under way, and how many jobs are made ready ahead of the free places."""
BYTES_AT_ONCE = 32 * 2**20
"""Files of so many bytes together may be under way: each is held in memory about four times."""
HOPELESS_TRIES = 8
"""After so many fruitless tries it is the content's fault, if others were uploaded meanwhile."""


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


@dataclass(slots=True)
class Trouble:
    """A content that could not be uploaded so far: how often, since when, and when to try again."""

    first_at: float
    tries: int = 0
    due_at: float = 0.0


@dataclass(slots=True)
class UploadQueue:
    """The uploads of a run: those under way, and those that were fruitless so far."""

    under_way: set[Content] = field(default_factory=set)
    troubles: dict[Content, Trouble] = field(default_factory=dict)
    last_success_at: float = 0.0
    count: int = 0
    """Contents uploaded by this run."""
    size: int = 0
    """Their bytes."""

    @property
    def has_room(self) -> bool:
        """Whether anything more may be under way."""
        return len(self.under_way) < UPLOADS_AT_ONCE

    def takes(self, content: Content, beside: Collection[Content] = ()) -> bool:
        """Whether one more may be under way, beside some just decided on; one that is larger than
        all may be together goes alone."""
        out = [*self.under_way, *beside]
        size = sum(other.size for other in out)
        return not out or (len(out) < UPLOADS_AT_ONCE and size + content.size <= BYTES_AT_ONCE)

    def due_at(self, content: Content) -> float:
        """The earliest instant of its next try; 0 for at once."""
        trouble = self.troubles.get(content)
        return 0.0 if trouble is None else trouble.due_at

    def begin(self, content: Content) -> None:
        """Its upload starts."""
        self.under_way.add(content)

    def release(self, content: Content) -> None:
        """Its upload ended, however."""
        self.under_way.discard(content)

    def failed(self, content: Content, now: float, *, counts: bool) -> Trouble:
        """One more fruitless try; it `counts` where it may be the content's own fault."""
        trouble = self.troubles.setdefault(content, Trouble(now))
        trouble.tries += counts
        return trouble

    def is_hopeless(self, content: Content) -> bool:
        """Whether the fault can only be the content's: others came through meanwhile."""
        trouble = self.troubles.get(content)
        if trouble is None or trouble.tries < HOPELESS_TRIES:
            return False
        return self.last_success_at > trouble.first_at

    def forget(self, content: Content) -> None:
        """Nothing is to be tried again."""
        self.troubles.pop(content, None)

    def succeeded(self, done: Iterable[Uploaded]) -> None:
        """Contents that are uploaded, and recorded."""
        for upload in done:
            self.forget(upload.content)
            self.last_success_at = max(self.last_success_at, upload.at)
            self.count += 1
            self.size += upload.content.size


def waiting_for(content: Content, bodies: Iterable[tuple[int, str]]) -> Iterator[int]:
    """The keys of the jobs whose bodies name a content."""
    quoted = f'"{content.placeholder}"'
    return (key for key, body in bodies if quoted in body)
