"""From a signal to an event: the treatments of `core.jobs.outcomes` carried out for one job."""

from __future__ import annotations

import math
from collections.abc import Mapping

from batchgen.core.common.text import printable
from batchgen.core.common.timestamps import instant_of
from batchgen.core.jobs.backoff import backoff_at, lookup_delay_s
from batchgen.core.jobs.events import DoubtEvent, Event, EventKind
from batchgen.core.jobs.job import Doubt, Job, JobState
from batchgen.core.jobs.outcomes import TABLE, CallKind, Response, Signal, Treatment
from batchgen.core.net.http import CallOutcome
from batchgen.core.reconciliation.history import MAX_LAG_S
from batchgen.core.scheduling.policy import PATIENCE
from batchgen.errors import TransportError
from batchgen.providers.segmind.errors import error_text

WINDOW_S = 3600.0
"""The service forgets a request an hour after it was submitted (its model pages say so)."""
MIN_RESET_S, MAX_RESET_S, DEFAULT_RESET_S = 1.0, 600.0, 5.0
"""Bounds of a wait after a 429, and the wait where no header names one. Guesses."""
FILES_S = 7 * 86_400.0
"""Finished files stand so long after their end (its documentation says so)."""
SLACK_S = 300.0
"""So much later than the hour a record counts as gone: its clock began when the submit arrived,
and deletion is lazy. A guess."""
HISTORY_PAUSE_S = 30.0
"""Between lookups while the history refuses them."""
NO_CREDITS_PAUSE_S = 30.0
"""Between calls that are not submits, where these are refused for want of credits."""


def failed_call(  # noqa: PLR0913  one call's whole circumstances
    call: CallKind,
    job: Job,
    outcome: CallOutcome,
    signal: Signal,
    now: float,
    reason: str = "",
) -> Event:
    """The event of a call that did not bring what was asked for.

    `reason` replaces the description made from the outcome.
    """
    treatment = TABLE[signal][call]
    kind = _submit_kind(treatment) if call is CallKind.SUBMIT else _get_kind(job, treatment, now)
    reason = reason or describe(signal, outcome)
    retry_at = _retry_at(job, treatment, signal, outcome, now)
    response = Response(call, signal, now, reason, retry_at)
    if kind is EventKind.UNCLEAR:
        doubt = _doubt(signal, outcome)
        return DoubtEvent(kind, job.key, now, reason, retry_at, response, doubt=doubt)
    return Event(kind, job.key, now, reason, retry_at, response)


def _doubt(signal: Signal, outcome: CallOutcome) -> Doubt:
    """A 2xx, whole or broken off, is accepted as far as anybody can tell: absence is not believed.

    `signal` may say more than the status: an answer without what it must carry is unreadable, a
    page of somebody else says nothing, and so does an error under 200.
    """
    if signal in {Signal.MIDDLEMAN, Signal.REDIRECT}:
        return Doubt.MIDDLEMAN
    if not isinstance(outcome, TransportError) and outcome.object().get("error"):
        return Doubt.SERVER_ERROR if signal is Signal.SERVER_ERROR else Doubt.OPEN
    if 200 <= outcome.status < 300 or signal is Signal.UNREADABLE:
        return Doubt.ACCEPTED
    return Doubt.SERVER_ERROR if signal is Signal.SERVER_ERROR else Doubt.OPEN


def _submit_kind(treatment: Treatment) -> EventKind:
    if treatment in {Treatment.AMBIGUOUS, Treatment.AMBIGUOUS_OR_RETRY}:
        return EventKind.UNCLEAR
    if treatment is Treatment.FINAL:
        return EventKind.REFUSED
    return EventKind.NOT_ACCEPTED


def _get_kind(job: Job, treatment: Treatment, now: float) -> EventKind:
    if treatment is Treatment.BY_AGE:
        return _by_age(job, now)
    if treatment is Treatment.NO_PROOF:
        return _unlisted(job, now)
    return EventKind.TROUBLE


def _unlisted(job: Job, now: float) -> EventKind:
    """The history does not know an id: a young one may come, an old one will not."""
    if job.state is JobState.RECOVERING:
        return EventKind.GIVEN_UP if is_over(job, now) else EventKind.TROUBLE
    return EventKind.SET_ASIDE if now - job.unclear_at > MAX_LAG_S else EventKind.TROUBLE


def _by_age(job: Job, now: float) -> EventKind:
    """A 404: within the hour it may be a record that is not visible yet; after it, it is gone.

    Of a request that is finished the history is asked as well, meanwhile.
    """
    if job.state is JobState.RECOVERING:
        return EventKind.TROUBLE  # the history is asked in turn, and says when that is all
    asks_history = job.state is JobState.FETCHING and job.trouble >= PATIENCE
    return EventKind.GONE if is_over(job, now) or asks_history else EventKind.TROUBLE


def is_over(job: Job, now: float) -> bool:
    """Whether the hour of a request is surely over."""
    return now - job.sent_at >= WINDOW_S + SLACK_S


def _retry_at(
    job: Job, treatment: Treatment, signal: Signal, outcome: CallOutcome, now: float
) -> float:
    """The next try; 0 where the number of fruitless tries says when, and one more is counted."""
    if signal is Signal.RATE_LIMITED:
        return now + reset_wait_s(outcome.headers, now)
    if treatment is Treatment.GATE_HISTORY:
        return now + HISTORY_PAUSE_S
    if treatment is Treatment.SUSPECT:
        return now  # who waits how long follows from what else was refused
    if job.state is JobState.SUBMITTING:
        counted = signal in {Signal.NOT_NOW, Signal.WRONG_METHOD}
        return 0.0 if counted else backoff_at(now, 2, job.key ^ int(now * 1000))
    if treatment is Treatment.GATE_CREDITS:
        return now + NO_CREDITS_PAUSE_S
    if job.state is JobState.AMBIGUOUS:
        return now + lookup_delay_s(now - job.unclear_at)  # its count is that of refused submits
    return 0.0


def describe(signal: Signal, outcome: CallOutcome) -> str:
    """One line for a person: what came back, with the service's own words where it has any."""
    if isinstance(outcome, TransportError):
        status = f"HTTP {outcome.status}, " if outcome.status else ""
        return printable(f"{status}{outcome}")
    text = error_text(outcome)
    if signal is Signal.UNREADABLE:
        return f"HTTP {outcome.status} with an answer that cannot be read"
    if signal is Signal.UNROUTED:
        said = text or printable(outcome.body[:200].decode("ascii", "replace"))
        shown = "" if said.startswith("<") else f" ({said})"
        return f"HTTP {outcome.status}, nothing of the service is at this address{shown}"
    if signal is Signal.MIDDLEMAN and not text:
        return f"HTTP {outcome.status} with a page that is not the service's own"
    if signal is Signal.REDIRECT:
        return f"HTTP {outcome.status}, a redirect, which is not followed with an API key"
    return f"HTTP {outcome.status}" + (f": {text}" if text else "")


def reset_wait_s(headers: Mapping[str, str], now: float) -> float:
    """How long to wait after a 429, in seconds, within [1 s, 10 min].

    `Retry-After` if it ever comes, else `x-rate-limit-reset-at-utc` minus the answer's own `Date`,
    so that a wrong clock on either side does no harm; without a usable header 5 s.
    """
    base = instant_of(headers.get("date", "")) or now
    retry_after = headers.get("retry-after", "")
    wait = _seconds(retry_after)
    if wait is None:
        at = instant_of(retry_after) or instant_of(headers.get("x-rate-limit-reset-at-utc", ""))
        wait = DEFAULT_RESET_S if at is None else at - base
    return min(MAX_RESET_S, max(MIN_RESET_S, wait))


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value < 1e9 else None
