"""The uploads of a run: those under way, and those that failed so far."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from batchgen.core.jobs.backoff import backoff_at
from batchgen.core.jobs.outcomes import TABLE, CallKind, Response, Signal, Treatment
from batchgen.core.jobs.placeholders import Content, Uploaded
from batchgen.core.scheduling.policy import PATIENCE

UPLOADS_AT_ONCE = 4
"""How many calls may be under way, and how many jobs are made ready ahead of the free places."""
BYTES_AT_ONCE = 32 * 2**20
"""Files of so many bytes together may be under way: each is held in memory about four times."""
HOPELESS_TRIES = 8
"""After so many fruitless tries it is the content's fault, if others were uploaded meanwhile."""
_PUT_OFF = frozenset({Treatment.RETRY, Treatment.RETRY_THEN_FINAL, Treatment.GATE_UPLOADS})
"""A storage that is full for one content is next tried with another: the limit may be its own."""
_NOT_ITS_FAULT = frozenset({Signal.NOT_SENT, Signal.NOT_NOW, Signal.RATE_LIMITED})
"""Signals that cannot be the content's own doing."""


@dataclass(slots=True)
class Trouble:
    """A content that could not be uploaded so far: how often, since when, and when to try again."""

    first_at: float
    tries: int = 0
    due_at: float = 0.0


@dataclass(slots=True)
class UploadQueue:
    """Written by what starts and by what ends; asked by the planner."""

    under_way: set[Content] = field(default_factory=set)
    troubles: dict[Content, Trouble] = field(default_factory=dict)
    last_success_at: float = 0.0

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

    def tries(self, content: Content) -> int:
        """How often it was tried in vain."""
        trouble = self.troubles.get(content)
        return 0 if trouble is None else trouble.tries

    def begin(self, content: Content) -> None:
        """Its upload starts."""
        self.under_way.add(content)

    def release(self, content: Content) -> None:
        """Its upload ended, however."""
        self.under_way.discard(content)

    def failed(self, content: Content, response: Response) -> str:
        """Put off its next try; or return why there is none, which ends the jobs that need it."""
        treatment = TABLE[response.signal][CallKind.UPLOAD]
        if treatment is Treatment.FINAL:
            return response.reason
        if treatment not in _PUT_OFF:
            return ""  # a gate holds it back until it opens
        trouble = self.troubles.setdefault(content, Trouble(response.at))
        trouble.tries += response.signal not in _NOT_ITS_FAULT
        salt = int(content.sha256[:8], 16)
        backoff = backoff_at(response.at, max(1, trouble.tries), salt)
        trouble.due_at = response.retry_at or backoff
        bounded = treatment is Treatment.RETRY_THEN_FINAL and trouble.tries >= PATIENCE
        return response.reason if bounded or self.is_hopeless(content) else ""

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
        """Contents are uploaded, and recorded."""
        for upload in done:
            self.forget(upload.content)
            self.last_success_at = max(self.last_success_at, upload.at)
