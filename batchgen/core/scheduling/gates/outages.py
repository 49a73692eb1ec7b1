"""Which calls the service does not answer: each is found out, and comes back, by itself.

A call that fails says nothing about the others: a status that answers 500 leaves submits and
results alone. So each call has a count of its own, is held by its own failures, and is let through
again, one at a time, until it is answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from batchgen.core.jobs.backoff import probe_delay_s
from batchgen.core.jobs.outcomes import CallKind, Response, Signal

OUTAGE_AFTER = 3
"""Fruitless calls in a row, none answered between, that make an outage."""
MAX_PROBE_DELAY_S, MAX_SUBMIT_DELAY_S = 60.0, 600.0
"""Between two probes at most. A submit that fails may have been accepted, and leaves a doubt."""
FRUITLESS = frozenset(
    {
        Signal.NOT_SENT,
        Signal.LOST,
        Signal.UNREADABLE,
        Signal.REDIRECT,
        Signal.MIDDLEMAN,
        Signal.UNROUTED,
        Signal.WRONG_METHOD,
        Signal.SERVER_ERROR,
        Signal.GATEWAY_TIMEOUT,
    }
)
"""Signals that are no answer of the service to what was asked."""


ABOUT_A_REQUEST = frozenset({CallKind.STATUS, CallKind.RESULT, CallKind.HISTORY})
"""Calls that may fail for the sake of the one request that they are about."""


@dataclass(slots=True)
class Outage:
    """A call that is not answered: why, since when, how often probed, and when to probe next."""

    reason: str
    since_at: float
    probe_at: float
    probes: int = 0


@dataclass(slots=True)
class Outages:
    """Fed with the responses of all calls; asked which of them may be made."""

    down: dict[CallKind, Outage] = field(default_factory=dict)
    _in_a_row: dict[CallKind, list[int]] = field(default_factory=dict)
    """The jobs that a call failed for since it was answered last; 0 for none."""

    def observe(self, response: Response, job_key: int = 0) -> None:
        """Learn from what came of a call about a job; 0: about none."""
        call = response.call
        if response.signal not in FRUITLESS:
            self._answered(call, response.at)
            return
        failed = self._in_a_row.setdefault(call, [])
        failed.append(job_key)
        if call in self.down:
            self._probed(call, response.at)
        elif is_outage(response, failed):
            self.mark(call, response.reason, response.at)

    def mark(self, call: CallKind, reason: str, at: float) -> None:
        """A call is held back, and probed."""
        self.down.setdefault(call, Outage(reason, at, at + 1.0))

    def _answered(self, call: CallKind, at: float) -> None:
        self._in_a_row.pop(call, None)
        if self.down.pop(call, None) is not None:
            # What one call found out is true of the others often enough to look at once.
            for outage in self.down.values():
                outage.probe_at = min(outage.probe_at, at)

    def _probed(self, call: CallKind, at: float) -> None:
        outage = self.down[call]
        most = MAX_SUBMIT_DELAY_S if call is CallKind.SUBMIT else MAX_PROBE_DELAY_S
        if at >= outage.probe_at:  # not a call that left before the outage was noticed
            outage.probes += 1
            outage.probe_at = at + probe_delay_s(outage.probes, most)

    def is_held(self, call: CallKind, now: float) -> bool:
        """Whether a call may not be made now, not even as a probe."""
        outage = self.down.get(call)
        return outage is not None and now < outage.probe_at

    def first(self, calls: Iterable[CallKind]) -> Outage | None:
        """The outage among these calls that began first."""
        found = [self.down[call] for call in calls if call in self.down]
        return min(found, key=lambda outage: outage.since_at, default=None)


def is_outage(response: Response, failed: list[int]) -> bool:
    """Whether it is the call that fails: what fails for one job only is that job's trouble."""
    if len(failed) < OUTAGE_AFTER:
        return False
    is_of_one = len(set(failed)) == 1 and failed[0] != 0
    if response.signal is Signal.NOT_SENT:
        return True  # nothing was reached at all
    return not (is_of_one and response.call in ABOUT_A_REQUEST)
