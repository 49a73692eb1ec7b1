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
        self._left = scheduler.rate.free(now)
        self._of_models = {model: own.free(now) for model, own in scheduler.rates.models.items()}
        self.wanted = False
        """Whether something had to stay behind for want of a slot of the whole."""
        self._wanted_of: set[str] = set()

    def take(self, job: Job | None) -> bool:
        """Take one for a call about a job, or about none; False where there is none left."""
        if self._left <= 0:
            self.wanted = True
            return False
        if job is not None and self._of_models.get(job.model, 1) <= 0:
            self._wanted_of.add(job.model)
            return False
        self._left -= 1
        if job is not None and job.model in self._of_models:
            self._of_models[job.model] -= 1
        return True

    def are_limited(self, job: Job | None) -> bool:
        """Whether calls about a job are limited at all."""
        limited_model = job is not None and job.model in self._of_models
        return self._rates.whole.allowed is not None or limited_model

    def next_at(self) -> Iterator[float]:
        """When there will be one for what had to stay behind."""
        windows = [(self._rates.whole, self._left)] if self.wanted else []
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
