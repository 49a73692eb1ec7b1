"""The limits and policies of a run, as the manifest and the command line set them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class RateScope(StrEnum):
    """Which calls count against `requests_per_minute`."""

    ALL = "all"
    """Every call to Segmind's hosts."""
    SUBMIT = "submit"
    """Submits only."""
    AUTO = "auto"
    """Submits, and what else turns out to count."""


class PollWith(StrEnum):
    """Which call tells whether a request is done."""

    STATUS = "status"
    """That of its state; its result is asked for once it is done."""
    RESULT = "result"
    """That of its result, which also tells that it still runs: one call less a job."""
    AUTO = "auto"
    """Whichever takes fewer calls: the result."""


class OnExpired(StrEnum):
    """What to do about a paid result whose record is gone."""

    RECOVER = "recover"
    """Look in the history; where that fails, pay again."""
    RECOVER_ONLY = "recover-only"
    """Look in the history; where that fails, the job is lost."""
    FAIL = "fail"
    """The job is lost."""


class WhenAbsent(StrEnum):
    """What to do about a submit that history proves absent."""

    RESUBMIT = "resubmit"
    """Submit it again."""
    HOLD = "hold"
    """Leave it to the user."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The budget and the policies of a run, as the manifest and the command line set them."""

    concurrency: int = 16
    rate_scope: RateScope = RateScope.ALL
    poll_with: PollWith = PollWith.STATUS
    max_attempts: int = 3
    on_expired: OnExpired = OnExpired.RECOVER
    when_absent: WhenAbsent = WhenAbsent.RESUBMIT
    settle_s: float = 120.0
    save_concurrency: int = 16
    models: Mapping[str, int] = field(default_factory=dict)
    """Models with a concurrency of their own."""
    ends_at: float | None = None
    """When the run is to be over, with everything it paid for collected; None: when it is done."""
