"""What became of an upload, and where the content stands."""

from __future__ import annotations

import re

from batchgen.core.jobs.outcomes import CallKind, Response, Signal
from batchgen.core.net.http import CallOutcome
from batchgen.core.net.urls import check_media_url
from batchgen.errors import TransportError
from batchgen.providers.segmind.errors import error_text, signal_of
from batchgen.providers.segmind.treatments import describe, reset_wait_s

_ADDRESS_KEYS = ("file_urls", "urls", "fileUrls", "file_url", "url")
"""The official client reads the first, the service's storage pages show the second; clients in the
wild rely on either."""


def read_upload(outcome: CallOutcome, now: float) -> tuple[Response, str]:
    """What came of an upload, and the address of the content; empty where it is not there."""
    signal = _signal_of_upload(outcome)
    if signal is Signal.OK:
        url = "" if isinstance(outcome, TransportError) else _address(outcome.object())
        if url:
            return Response(CallKind.UPLOAD, signal, now), url
        signal = Signal.UNREADABLE
    limited = signal is Signal.RATE_LIMITED
    retry_at = now + reset_wait_s(outcome.headers, now) if limited else 0.0
    reason = describe(signal, outcome)
    return Response(CallKind.UPLOAD, signal, now, reason, retry_at), ""


_IS_FULL = re.compile(
    r"quota|disk full|no space|(?=.*(storage|space|disk))"
    r".*(full|exceed|limit|insufficient|not enough|out of|reached|upgrade)",
    re.DOTALL,
)
"""Words of a storage that takes no more. What a full one really says is not known: assumed."""
_OWN_WORDS = frozenset({Signal.KEY_REFUSED, Signal.RATE_LIMITED, Signal.UNROUTED})
"""Signals that are what they are, whatever words stand beside them."""


def _signal_of_upload(outcome: CallOutcome) -> Signal:
    """An upload costs nothing: a refusal for money or space is one of the account's storage."""
    signal = signal_of(outcome)
    if signal in _OWN_WORDS:
        return signal
    if signal is Signal.NO_CREDITS or outcome.status == 507:
        return Signal.QUOTA_REACHED
    if isinstance(outcome, TransportError) or (signal is Signal.OK and _address(outcome.object())):
        return signal
    is_full = _IS_FULL.search(error_text(outcome).lower())
    return Signal.QUOTA_REACHED if is_full else signal


def _address(body: dict[str, object]) -> str:
    """The one address an answer names. It is a stranger's text, and goes into bodies.

    An address of this machine or network may pass: nothing of ours fetches it.
    """
    told = next((body[key] for key in _ADDRESS_KEYS if body.get(key)), None)
    urls = told if isinstance(told, list) else [told]
    if len(urls) != 1 or not isinstance(urls[0], str):
        return ""
    url = urls[0]
    fit = url.isascii() and url.isprintable() and check_media_url(url, allow_private=True) is None
    return url if fit else ""
