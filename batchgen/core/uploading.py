"""What became of an upload: where the content stands, or what is done about it."""

from __future__ import annotations

from collections.abc import Iterable

from batchgen.core.event import Event, EventKind
from batchgen.core.retry import backoff_at
from batchgen.core.signals import TABLE, CallKind, Signal, Treatment, signal_of
from batchgen.core.treatment import PATIENCE, Outcome, describe, reset_wait_s
from batchgen.core.uploads import Content, UploadDesk
from batchgen.core.urls import check_media_url
from batchgen.errors import TransportError

_ITS_FAULT = frozenset(
    {Signal.LOST, Signal.UNREADABLE, Signal.SERVER_ERROR, Signal.GATEWAY_TIMEOUT}
)
"""Signals that may be the content's own doing."""


def read_upload(outcome: Outcome, now: float) -> tuple[Event, str]:
    """A word for the gates, and the address of the content; no address where it is not there."""
    signal = signal_of(outcome)
    if signal is Signal.OK:
        url = "" if isinstance(outcome, TransportError) else _address(outcome.object())
        if url:
            return Event(EventKind.HELD, 0, now, call=CallKind.UPLOAD, signal=signal), url
        signal = Signal.UNREADABLE
    limited = signal is Signal.RATE_LIMITED
    word = Event(
        EventKind.HELD,
        0,
        now,
        reason=describe(signal, outcome),
        retry_at=now + reset_wait_s(outcome.headers, now) if limited else 0.0,
        call=CallKind.UPLOAD,
        signal=signal,
    )
    return word, ""


def _address(body: dict[str, object]) -> str:
    """The one address an answer names. It is a stranger's text, and goes into bodies.

    An address of this machine or network may pass: nothing of ours fetches it.
    """
    urls = body.get("file_urls")
    if not isinstance(urls, list) or len(urls) != 1 or not isinstance(urls[0], str):
        return ""
    url = urls[0]
    fit = url.isascii() and url.isprintable() and check_media_url(url, allow_private=True) is None
    return url if fit else ""


def take_in_failure(desk: UploadDesk, content: Content, word: Event) -> str:
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
