"""What became of an upload: where the content stands, or what is done about it."""

from __future__ import annotations

from collections.abc import Iterable

from batchgen.core.jobs.backoff import backoff_at
from batchgen.core.jobs.events import Event, EventKind
from batchgen.core.jobs.outcomes import TABLE, CallKind, Signal, Treatment
from batchgen.core.jobs.placeholders import Content, UploadQueue
from batchgen.core.scheduling.policy import PATIENCE

_ITS_FAULT = frozenset(
    {Signal.LOST, Signal.UNREADABLE, Signal.SERVER_ERROR, Signal.GATEWAY_TIMEOUT}
)
"""Signals that may be the content's own doing."""


def take_in_failure(desk: UploadQueue, content: Content, word: Event) -> str:
    """Put off the next try of a content; or why there is none, which ends the jobs that need it."""
    if word.signal is None:
        return ""
    treatment = TABLE[word.signal][CallKind.UPLOAD]
    if treatment is Treatment.FINAL:
        return word.reason
    if treatment not in {Treatment.RETRY, Treatment.RETRY_THEN_FINAL}:
        return ""  # a gate holds it back until it opens
    trouble = desk.failed(content, word.at, counts=word.signal in _ITS_FAULT)
    salt = int(content.sha256[:8], 16)
    trouble.due_at = word.retry_at or backoff_at(word.at, max(1, trouble.tries), salt)
    bounded = treatment is Treatment.RETRY_THEN_FINAL and trouble.tries >= PATIENCE
    return word.reason if bounded or desk.is_hopeless(content) else ""


def without_input(keys: Iterable[int], reason: str, now: float) -> list[Event]:
    """The end of jobs whose file cannot be had, or is refused."""
    return [Event(EventKind.NO_INPUT, key, now, reason=reason) for key in keys]
