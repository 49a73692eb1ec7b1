"""What one pass of the planner has left to give: slots of the rate windows, places, and money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from batchgen.core.jobs.job import Job
from batchgen.core.jobs.spec import Mode
from batchgen.core.scheduling.state import SchedulerState


class Slots:
    """Counted down as effects are decided on; the scheduler is read once."""

    def __init__(self, scheduler: SchedulerState, now: float) -> None:
        self._rates = scheduler.rates
        self._now = now
        self._left = {name: window.free(now) for name, window in self._rates.windows.items()}
        self._of_models = {model: own.free(now) for model, own in self._rates.models.items()}
        self._wanted: set[str] = set()
        """The windows for want of whose slots something had to stay behind."""
        self._wanted_of: set[str] = set()

    def are_gone(self, *, submit: bool) -> bool:
        """Whether a submit, or another call, had to stay behind for want of a slot of the whole."""
        return not self._wanted.isdisjoint(self._rates.windows_of(submit=submit))

    def take(self, job: Job | None, *, submit: bool = False) -> bool:
        """Take one for a call about a job, or about none; False where there is none left."""
        names = self._rates.windows_of(submit=submit)
        full = [name for name in names if self._left[name] <= 0]
        if full:
            self._wanted.update(full)
            return False
        own = self._own(job, submit=submit)
        if own is not None and self._of_models[own] <= 0:
            self._wanted_of.add(own)
            return False
        for name in names:
            self._left[name] -= 1
        if own is not None:
            self._of_models[own] -= 1
        return True

    def are_limited(self, job: Job | None) -> bool:
        """Whether calls beside submits, about a job, are limited at all."""
        window = self._rates.of_gets
        is_limited = window is not None and (window.allowed or window.pacing) is not None
        return is_limited or self._own(job, submit=False) is not None

    def _own(self, job: Job | None, *, submit: bool) -> str | None:
        """The model of a job, where it has a limit of its own that counts such calls."""
        counts = submit or self._rates.counts_gets
        return job.model if job is not None and counts and job.model in self._of_models else None

    def next_at(self) -> Iterator[float]:
        """When there will be one for what had to stay behind."""
        windows = [(self._rates.windows[name], self._left[name]) for name in self._wanted]
        windows += [
            (self._rates.models[model], self._of_models[model]) for model in self._wanted_of
        ]
        for window, left in windows:
            taken = window.free(self._now) - left
            at = window.next_free_at(self._now, taken)
            if at is not None:
                yield at


@dataclass(slots=True)
class Submits:
    """The submits decided on in this pass: which, how many of each model, and what they cost."""

    places: int
    usd: float = 0.0
    polled: int = 0
    keys: set[int] = field(default_factory=set)
    models: Counter[str] = field(default_factory=Counter)
    held: set[str] = field(default_factory=set)
    """Models of which no more can be submitted now."""

    def take(self, job: Job, price_usd: float | None) -> None:
        """One more is decided on."""
        self.places -= 1
        self.usd += price_usd or 0.0
        self.polled += job.api is Mode.QUEUED
        self.keys.add(job.key)
        self.models[job.model] += 1
