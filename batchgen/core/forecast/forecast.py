"""What a manifest will come to, before anything is spent: jobs, money and disk.

How long it takes is reckoned in `batchgen.core.forecast.duration`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from batchgen.core.catalog.model import Catalog
from batchgen.core.forecast.diff import TO_SUBMIT, JobDiff
from batchgen.core.forecast.upload_volume import UploadVolume
from batchgen.core.jobs.spec import JobSpec, Mode
from batchgen.core.media.formats import FILE

STATE_BYTES = 600
"""A job in the state beside its body and its fields, with its attempt, its output and indexes:
measured over a million jobs, rounded up."""


class PriceSource(StrEnum):
    """Who says what a job costs."""

    MANIFEST = "manifest"
    """`price:` in the manifest."""
    CATALOGUE = "catalogue"
    """The page of the model, or the service's list: an average, and so an estimate."""
    OWN_FILE = "own file"
    """The user's file in `models/` beside the manifest."""
    SEEN = "seen"
    """What finished jobs of this run cost."""


@dataclass(frozen=True, slots=True)
class Experience:
    """What finished jobs of one model tell: how many there are, the least and the most that one of
    them cost (USD), and the bytes that one of them left. None where none told."""

    done_count: int = 0
    low_usd: float | None = None
    high_usd: float | None = None
    bytes_a_job: float | None = None


NO_EXPERIENCE = Experience()


@dataclass(slots=True)
class ModelForecast:
    """Jobs of one model.

    `submits` are those that this run will submit, `unpriced` those of them whose price nobody
    knows; the others cost from `lowest_usd` to `highest_usd`. `rerun_usd` is what contested jobs
    would cost once more. `blocking` counts submits of the first API. `output_bytes` are files still
    to come, by what finished jobs left (`is_size_known`) or by a guess; `state_bytes` is what new
    jobs take in the state. `ranges` are the least and the most a job costs, by its own price.
    """

    model: str
    bytes_a_job: float
    is_size_known: bool
    count: int = 0
    standings: Counter[JobDiff] = field(default_factory=Counter)
    submits: int = 0
    blocking: int = 0
    unpriced: int = 0
    lowest_usd: float = 0.0
    highest_usd: float = 0.0
    ranges: dict[float | None, tuple[float, float] | None] = field(default_factory=dict)
    sources: set[PriceSource] = field(default_factory=set)
    rerun_usd: float = 0.0
    rerun_unpriced: int = 0
    output_bytes: float = 0.0
    state_bytes: int = 0

    @property
    def low_usd(self) -> float | None:
        """The least that one of its jobs costs; None where no price is known."""
        return min((prices[0] for prices in self.ranges.values() if prices), default=None)

    @property
    def high_usd(self) -> float | None:
        """The most that one of them costs."""
        return max((prices[1] for prices in self.ranges.values() if prices), default=None)

    @property
    def under_way(self) -> int:
        """Jobs that are to be brought home."""
        return self.standings[JobDiff.UNDER_WAY]


class Forecast:
    """Takes the jobs of a manifest one by one, each with its standing, and keeps sums only.

    With a `limit`, so many of the jobs to be submitted count as work, the first of the manifest.
    """

    def __init__(
        self,
        catalog: Catalog,
        experience: Mapping[str, Experience] | None = None,
        limit: int | None = None,
    ) -> None:
        self._catalog = catalog
        self._experience = experience or {}
        self._limit = limit
        self.upload_volume = UploadVolume()
        """The local files of what is to be submitted, uploaded already or not."""
        self.models: dict[str, ModelForecast] = {}
        self.estimated: set[str] = set()
        """The days (ISO dates) of which the catalogue's prices are averages."""
        self.standings: Counter[JobDiff] = Counter()
        self.submits = 0

    @property
    def count(self) -> int:
        """Jobs of the manifest."""
        return self.standings.total()

    @property
    def left(self) -> int:
        """Jobs that are to be submitted at some time, within the limit or not."""
        return sum(self.standings[standing] for standing in TO_SUBMIT)

    @property
    def unpriced(self) -> int:
        """Submits whose price nobody knows."""
        return sum(model.unpriced for model in self.models.values())

    @property
    def lowest_usd(self) -> float:
        """What the others cost at least, if no contested job is generated anew."""
        return sum(model.lowest_usd for model in self.models.values())

    @property
    def highest_usd(self) -> float:
        """What the others cost at most, beside contested jobs: their lot is not decided."""
        return sum(model.highest_usd for model in self.models.values())

    @property
    def rerun_usd(self) -> float:
        """What it costs to generate all contested jobs anew, as far as their prices are known."""
        return sum(model.rerun_usd for model in self.models.values())

    @property
    def output_bytes(self) -> float:
        """What the files still to come take."""
        return sum(model.output_bytes for model in self.models.values())

    @property
    def state_bytes(self) -> int:
        """What new jobs take in the state."""
        return sum(model.state_bytes for model in self.models.values())

    @property
    def is_size_known(self) -> bool:
        """Whether finished jobs of every model tell how large its files are."""
        return all(model.is_size_known for model in self.models.values() if model.output_bytes)

    def add(self, spec: JobSpec, standing: JobDiff) -> None:
        """One more job of the manifest."""
        model = self.models.get(spec.model) or self._model(spec.model)
        model.count += 1
        model.standings[standing] += 1
        self.standings[standing] += 1
        if standing is JobDiff.NEW:
            # The body once more for its fields, which mostly went into it.
            model.state_bytes += STATE_BYTES + 2 * len(spec.body)
        if standing in TO_SUBMIT:
            if self._limit is None or self.submits < self._limit:
                self._submit(model, spec)
        elif standing is JobDiff.UNDER_WAY:
            model.output_bytes += model.bytes_a_job
        elif standing is JobDiff.CONTESTED:
            prices = self._range(model, spec.price_usd)
            model.rerun_usd += prices[1] if prices else 0.0
            model.rerun_unpriced += prices is None

    def _model(self, slug: str) -> ModelForecast:
        seen = self._experience.get(slug, NO_EXPERIENCE).bytes_a_job
        known = self._catalog.get(slug)
        guess = (known.output if known else FILE).typical_bytes
        made = ModelForecast(slug, guess if seen is None else seen, seen is not None)
        self.models[slug] = made
        return made

    def _submit(self, model: ModelForecast, spec: JobSpec) -> None:
        self.submits += 1
        model.submits += 1
        model.blocking += spec.api is Mode.BLOCKING
        model.output_bytes += model.bytes_a_job
        for file in spec.inputs:
            self.upload_volume.add(file.sha256, file.size)
        prices = self._range(model, spec.price_usd)
        if prices is None:
            model.unpriced += 1
            return
        model.lowest_usd += prices[0]
        model.highest_usd += prices[1]

    def _range(self, model: ModelForecast, price_usd: float | None) -> tuple[float, float] | None:
        """What a submit of this price costs at least and at most; None where nobody knows."""
        if price_usd not in model.ranges:
            seen = self._experience.get(model.model, NO_EXPERIENCE)
            prices = [usd for usd in (seen.low_usd, seen.high_usd, price_usd) if usd is not None]
            model.ranges[price_usd] = (min(prices), max(prices)) if prices else None
            if seen.low_usd is not None:
                model.sources.add(PriceSource.SEEN)
            if price_usd is not None:
                known = self._catalog.get(model.model)
                if known is None or known.price_usd != price_usd:
                    model.sources.add(PriceSource.MANIFEST)
                elif known.estimated:
                    model.sources.add(PriceSource.CATALOGUE)
                    self.estimated.add(known.estimated)
                else:
                    model.sources.add(PriceSource.OWN_FILE)
        return model.ranges[price_usd]
