"""How many pending jobs to draw from the record: a small stock, so that millions can wait there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from batchgen.core.jobs.job import Job, JobState
from batchgen.core.scheduling.queues import JobQueues

MAX_STOCK = 2_048
"""Pending jobs kept in memory at most."""
MODEL_STOCK = 64
"""Of a model with a limit on its requests only."""


@dataclass(slots=True)
class Drawn:
    """How far some of the pending jobs were drawn, and whether these were the last."""

    last_key: int = 0
    ended: bool = False


@dataclass(slots=True)
class Prefetch:
    """Which pending jobs were drawn.

    Models with limits of their own are drawn apart: else their jobs would stand in the way of all
    others. `quota` is how many more jobs this run may draw; None is all of them.
    """

    quota: int | None = None
    others: Drawn = field(default_factory=Drawn)
    models: dict[str, Drawn] = field(default_factory=dict)

    def separate(self, models: Iterable[str]) -> None:
        """Draw the jobs of these models apart."""
        self.models = {model: Drawn(ended=self.others.ended) for model in sorted(models)}

    def of(self, model: str | None) -> Drawn:
        """How far the jobs of a model were drawn; None is all models that are not drawn apart."""
        return self.others if model is None else self.models[model]

    def allowed(self, count: int) -> int:
        """As many of `count` as this run may still draw."""
        return count if self.quota is None else min(count, self.quota)

    def drew(self, model: str | None, jobs: Sequence[Job], asked: int, known: int = 0) -> None:
        """So many were `asked` for, and these came; `known` of them were drawn before."""
        drawn = self.of(model)
        if self.quota is not None:
            self.quota -= len(jobs) - known
        drawn.ended = self.quota == 0 or len(jobs) < asked
        drawn.last_key = jobs[-1].key if jobs else drawn.last_key

    def rewind(self, count: int) -> None:
        """Draw from the beginning again: so many jobs were let go that may be submitted now."""
        if self.quota is not None:
            self.quota += count
        for drawn in (self.others, *self.models.values()):
            drawn.last_key, drawn.ended = 0, False

    def has_ended(self, closed_models: Collection[str]) -> bool:
        """Whether the record holds no other pending jobs, those of closed models aside."""
        if not (self.others.ended and self.models):
            return self.others.ended
        still_open = self.models.keys() - closed_models
        return all(self.models[model].ended for model in still_open)

    def let_go(self) -> None:
        """One that was drawn is not kept: `rewind` brings it back."""
        if self.quota is not None:
            self.quota += 1

    def to_draw(
        self, queues: JobQueues, closed_models: AbstractSet[str], concurrency: int, stuck: int = 0
    ) -> int:
        """A stock of twice the concurrency is kept, and drawn anew when half of it is gone. So many
        that are `stuck` are none."""
        if self.others.ended:
            return 0
        apart = self.models.keys() | closed_models
        stock = queues.counts[JobState.PENDING] - sum(queues.pending[model] for model in apart)
        return _missing(max(0, stock - stuck), 2 * concurrency)

    def to_draw_of(
        self, queues: JobQueues, closed_models: AbstractSet[str], concurrency: Mapping[str, int]
    ) -> tuple[tuple[str, int], ...]:
        """The same for each model that is drawn apart, by their own concurrency."""
        draws = []
        for model, drawn in self.models.items():
            if drawn.ended or model in closed_models:
                continue
            count = _missing(queues.pending[model], 2 * concurrency.get(model, MODEL_STOCK))
            if count:
                draws.append((model, count))
        return tuple(draws)


def _missing(stock: int, wanted: int) -> int:
    most = min(MAX_STOCK, wanted)
    return most - stock if stock <= most // 2 else 0
