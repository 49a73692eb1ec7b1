"""What a run found out about the service and the account, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from batchgen.core.jobs.policies import PollWith
from batchgen.core.scheduling.rates.rates import GetScope, Rates
from batchgen.core.scheduling.rates.window import RateWindow
from batchgen.core.scheduling.result_polls import ResultPolls


@dataclass(frozen=True, slots=True)
class FoundOut:
    """One thing that was found out: about what, its value for programs, and the sentence."""

    what: str
    value: str | int
    text: str


def findings(rates: Rates, polls: ResultPolls) -> Iterator[FoundOut]:
    """All that is known by now, beside what the manifest tells."""
    known = _of_scope(rates)
    if known is not None:
        yield known
    if polls.way is not PollWith.STATUS and polls.dump() is not None:
        yield _of_results(polls)
    window = rates.whole
    if window.learned is not None and window.learned.refused and window.limit is not None:
        text = f"the service takes {window.limit:,} requests a minute, as far as it was tried"
        yield FoundOut("requests_per_minute", window.limit, text)
    if window.burst is not None:
        yield _of_burst(window, window.burst)


def _of_scope(rates: Rates) -> FoundOut | None:
    limit = rates.whole.allowed
    apart = None if rates.calls is None else rates.calls.limit
    texts = {
        GetScope.FREE: f"only submits count as requests: they alone are held to {limit} a minute",
        GetScope.COUNTED: f"every call counts as a request: all are held to {limit} a minute",
        GetScope.APART: f"calls beside submits have a limit of their own: {apart} a minute",
    }
    text = texts.get(rates.gets)
    return None if text is None else FoundOut("rate_limit_scope", str(rates.gets), text)


def _of_results(polls: ResultPolls) -> FoundOut:
    text = "the call for a result tells whether its job is done: the status is not asked for"
    if polls.refused_as is not None:
        text = f"a result is refused until its job is done ({polls.refused_as}): that tells as much"
    return FoundOut("early_results", "refused" if polls.refused_as else "running", text)


def _of_burst(window: RateWindow, burst: int) -> FoundOut:
    text = (
        f"the service does not take more than {burst:,} requests at once: they are spaced, "
        f"{burst:,} in any {window.burst_s:.0f} s"
    )
    return FoundOut("burst", burst, text)
