"""Whose fault a refused submit is: the job's, its model's or the account's.

One refusal cannot tell. So the job waits, another one is let through, and what becomes of that one
tells: where it passes, the first job is at fault once it is refused again; where it is refused as
well, minutes later, the model takes no jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from batchgen.core.jobs.outcomes import Signal
from batchgen.core.scheduling.gates.holds import Hold, holds_of

MODEL_PAUSE_S = 120.0
"""After its first refusal a model is let through again so much later."""
MODEL_LATER_S = 900.0
"""A model that takes no jobs is asked again so often, while the run has something else to do."""


NONE: Mapping[str, str] = {}


SAME_TIME_S = 60.0
"""Jobs that leave together are answered so close to each other."""


@dataclass(slots=True)
class Refusal:
    """Why a model refused a job, and when the next one may try. `closed`: it did so twice."""

    reason: str
    probe_at: float
    signal: Signal
    closed: bool = False


@dataclass(slots=True)
class Refusals:
    """Fed with refused and accepted submits."""

    pause_s: float = MODEL_PAUSE_S
    models: dict[str, Refusal] = field(default_factory=dict)
    """Models that refused a job of this run."""
    holds: dict[str, Hold] = field(default_factory=dict)
    """Models whose jobs are on hold. One that an earlier run put there is tried again, and is
    closed by its first refusal: that is the second one, minutes after the first."""
    _jobs: dict[int, float] = field(default_factory=dict)
    """When a job was refused last, by key."""
    _passed_at: dict[str, float] = field(default_factory=dict)
    """When a submit was accepted last, by model."""

    def recall(self, note: str | None) -> None:
        """Begin with what earlier runs put on hold."""
        self.holds = holds_of(note)

    def job_due_at(self, at: float) -> float:
        """When a job that was refused is submitted again: after others have shown whose fault it
        is."""
        return at + 1.5 * self.pause_s

    @property
    def closed_models(self) -> Mapping[str, str]:
        """The models that take no jobs, and why."""
        if not self.models:
            return NONE
        return {model: known.reason for model, known in self.models.items() if known.closed}

    def is_the_jobs(self, job_key: int, model: str) -> bool:
        """Whether one more refusal of this job is its own fault: it was refused before, and another
        job of its model (empty: of any) has passed since, or at the same time."""
        refused_at = self._jobs.get(job_key)
        if refused_at is None:
            return False
        passed = [self._passed_at.get(model, 0.0)] if model else self._passed_at.values()
        return max(passed, default=0.0) >= refused_at - SAME_TIME_S

    def was_refused(self, job_key: int) -> bool:
        """Whether the last submit of this job was refused, and nobody knows yet for whose sake."""
        return job_key in self._jobs

    @property
    def any_passed(self) -> bool:
        """Whether any submit was accepted in this process."""
        return bool(self._passed_at)

    def passed_since(self, at: float) -> bool:
        """Whether any submit was accepted since then."""
        return max(self._passed_at.values(), default=0.0) >= at

    def refuse_job(self, job_key: int, at: float) -> None:
        """A submit of this job was refused."""
        self._jobs[job_key] = at

    def refuse_model(
        self, model: str, reason: str, at: float, signal: Signal = Signal.NOT_FOUND
    ) -> None:
        """A submit of this model was refused, perhaps for its sake."""
        known, held = self.models.get(model), self.holds.get(model)
        if known is None and held is None:
            self.models[model] = Refusal(reason, at + self.pause_s, signal)
        elif known is None or at >= known.probe_at:
            # What was under way at the first refusal says no more than it.
            self.models[model] = Refusal(reason, at + MODEL_LATER_S, signal, closed=True)
            self.holds[model] = Hold(signal, reason, held.since_at if held else at)

    def passed(self, job_key: int, model: str, at: float) -> None:
        """A submit was accepted: the model takes jobs."""
        self._jobs.pop(job_key, None)
        self._passed_at[model] = at
        self.models.pop(model, None)
        self.holds.pop(model, None)

    def was_the_key(self) -> None:
        """The key was refused, as far as anybody can tell: that says nothing of the models."""
        for model in self.models:
            self.holds.pop(model, None)
        self.models.clear()

    def probe_at(self, model: str) -> float:
        """From when on one job of the model may be submitted; 0 where nothing speaks against it."""
        known = self.models.get(model)
        return 0.0 if known is None else known.probe_at
