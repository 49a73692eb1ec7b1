"""What a run may spend, has spent, and may still have to pay; in USD.

An attempt is reserved before it is submitted and settled on what it cost. Attempts of which nobody
knows stay reserved; where nobody knew a price either, at what the model is seen to cost later on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from batchgen.core.jobs.job import Job, JobState, Totals
from batchgen.core.scheduling.learned import PRICES_NOTE, prices_of

TOLERANCE_USD = 1e-6
"""A millionth of a dollar: sums of floats must not cost the last job."""
WARNING_SHARE = 0.8


@dataclass(slots=True)
class Money:
    """The cap and everything held against it.

    `settled_usd` is known cost. `standing_usd` is reserved for attempts of jobs that ended without
    a known cost (unknown, abandoned). `learned` is the highest cost seen of each model.
    """

    cap_usd: float | None = None
    settled_usd: float = 0.0
    standing_usd: float = 0.0
    reserved: dict[int, float] = field(default_factory=dict)
    """Expected prices of attempts that are not settled, by job key. Changed by `reserve` only."""
    allow_unknown: bool = False
    """Whether jobs of unknown price start under a cap: one at a time of each model, until the
    first has told its cost."""
    unpriced: Counter[str] = field(default_factory=Counter)
    """Attempts of neither a known price nor a known cost that ended, by model."""
    _open: dict[int, str] = field(default_factory=dict)
    """The same of attempts that may still tell their cost: the models by job key."""
    learned: dict[str, float] = field(default_factory=dict)
    _reserved_usd: float = 0.0
    _told: dict[int, float] = field(default_factory=dict)
    """Costs that are known of jobs whose files are not here yet; reserved until they are."""

    def __post_init__(self) -> None:
        """The sum is kept: there may be thousands."""
        self._reserved_usd = sum(self.reserved.values())

    @classmethod
    def of(cls, cap_usd: float | None, totals: Totals, active: Iterable[Job]) -> Money:
        """What earlier processes spent and reserved, without the active jobs: those are accounted
        for when they come into memory."""
        under_way = [job for job in active if job.state is not JobState.PENDING]
        known = sum(job.cost_usd for job in under_way if job.receipt.cost_usd is not None)
        hoped = sum(job.cost_usd for job in under_way if job.receipt.cost_usd is None)
        settled_usd = max(0.0, totals.settled_usd - known)
        money = cls(cap_usd, settled_usd, max(0.0, totals.reserved_usd - hoped))
        money.unpriced = Counter(totals.unpriced) - Counter(
            job.model for job in under_way if _is_unpriced(job)
        )
        return money

    @property
    def committed_usd(self) -> float:
        """Spent, or perhaps spent: what the cap is held against."""
        known_usd = self.settled_usd + self.standing_usd + self._reserved_usd
        return known_usd + self._unpriced_usd() if self.unpriced or self._open else known_usd

    def _unpriced_usd(self) -> float:
        counts = self.unpriced + Counter(self._open.values())
        return sum(count * self.learned.get(model, 0.0) for model, count in counts.items())

    @property
    def spent_usd(self) -> float:
        """What is known to be spent: for jobs that ended, and for those that finished."""
        return self.settled_usd + sum(self._told.values())

    @property
    def is_nearly_spent(self) -> bool:
        """Whether `WARNING_SHARE` of the cap is spent or reserved."""
        return self.cap_usd is not None and self.committed_usd >= WARNING_SHARE * self.cap_usd

    def reserve(self, job_key: int, usd: float) -> None:
        """Hold an expected price, or a cost that is known but not final, against the cap."""
        self.release(job_key)
        self.reserved[job_key] = usd
        self._reserved_usd += usd

    def release(self, job_key: int) -> float:
        """Take a reservation back; returns what it was, 0 where there was none."""
        usd = self.reserved.pop(job_key, 0.0)
        self._reserved_usd = self._reserved_usd - usd if self.reserved else 0.0
        return usd

    def account(self, job: Job, *, paid_in_vain: bool = False) -> None:
        """Hold a job against the cap: reserved while an attempt may be billed, settled once its
        cost is known.

        What was `paid_in_vain` stays spent when the job goes back to pending.
        """
        reserved = job.key in self.reserved
        released_usd = self.release(job.key)
        self._told.pop(job.key, None)
        was_open = self._open.pop(job.key, None)
        if paid_in_vain:
            self.standing_usd += released_usd
            self.unpriced[job.model] += was_open is not None
        if job.state is JobState.PENDING or job.state is JobState.FAILED:
            return
        if _is_unpriced(job):
            if job.ended:
                self.unpriced[job.model] += 1
            else:
                self._open[job.key] = job.model
        cost = job.cost_usd
        if not job.ended or job.state is JobState.UNFETCHED:  # which the next process takes up
            # A price that changed on the way does not move what was reserved; a known cost does.
            keeps = reserved and job.receipt.cost_usd is None
            self.reserve(job.key, released_usd if keeps else cost)
            if job.receipt.cost_usd is not None:
                self._told[job.key] = cost
        elif job.state is JobState.UNKNOWN:
            self.standing_usd += cost
        else:
            self.settled_usd += cost

    def learn(self, model: str, cost_usd: float) -> None:
        """A job of this model cost so much."""
        self.learned[model] = max(cost_usd, self.learned.get(model, 0.0))

    def expected_usd(self, job: Job) -> float | None:
        """What a submit of the job is reckoned with: its price, or what the model was seen to cost
        if that is more. None while nobody knows."""
        prices = [usd for usd in (job.price_usd, self.learned.get(job.model)) if usd is not None]
        return max(prices, default=None)

    def affords(self, price_usd: float | None, beside_usd: float = 0.0) -> bool:
        """Whether a submit of this price, beside others just decided on, keeps the cap."""
        if self.cap_usd is None:
            return True
        if price_usd is None:
            return self.allow_unknown and self.committed_usd + beside_usd < self.cap_usd
        return self.committed_usd + beside_usd + price_usd <= self.cap_usd + TOLERANCE_USD

    def dump(self) -> str:
        """The learned prices as text."""
        return json.dumps(self.learned, separators=(",", ":"))

    def load(self, text: str | None) -> None:
        """Begin with the prices an earlier process learned."""
        for model, usd in prices_of({PRICES_NOTE: text or "{}"}).items():
            self.learn(model, usd)


def _is_unpriced(job: Job) -> bool:
    """Whether nobody knows what its attempt costs, nor what it was expected to."""
    return job.price_usd is None and job.receipt.cost_usd is None
