"""The workers, the queue and the account behind the API: what becomes of an accepted job.

Everything about a job is decided when it is accepted. Workers are a heap of the instants at which
each is free again, which is a first-in-first-out queue in O(log workers) a job.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterable
from dataclasses import dataclass

from batchgen.core.jobs.spec import Mode
from batchgen.providers.segmind.catalog import Catalog
from batchgen.providers.segmind.simulator.checks import JsonBody
from batchgen.providers.segmind.simulator.config import OutputShape, SimulatorConfig
from batchgen.providers.segmind.simulator.ledger import Bill, BillingLedger, Outcome
from batchgen.providers.segmind.simulator.media.shelf import settings_of

BLOCKED = "Request blocked by content moderation (RAI): the prompt holds a blocked word"
_MAX_SEED = 2**31
_COUNTS = {
    OutputShape.TEXT: 1,
    OutputShape.JSON: 1,
    OutputShape.CHAT: 1,
    OutputShape.VIDEO: 1,
    OutputShape.LAST_FRAME: 2,
    OutputShape.NODES: 2,
}
"""How many files a job of these shapes has, whatever is set."""


@dataclass(frozen=True, slots=True)
class Order:
    """A job as it is asked for. `refused`: its parameters make it FAIL at once, with that error."""

    slug: str
    body: JsonBody
    api: Mode
    refused: str = ""


class Workers:
    """Accepts jobs and keeps the account. Adds every job to the ledger."""

    def __init__(self, config: SimulatorConfig, catalog: Catalog, ledger: BillingLedger) -> None:
        self.team_bills: list[Bill] = []
        self.added_usd = 0.0
        self._config = config
        self._catalog = catalog
        self._ledger = ledger
        self._random = random.Random(f"{config.seed}/jobs/0")
        self._free_at = [-math.inf] * config.workers
        self._charged_usd = 0.0
        self._refunds: list[tuple[float, float]] = []
        self._reserved_usd = 0.0
        self._releases: list[tuple[float, float]] = []

    def price_usd(self, slug: str) -> float:
        """What one job of a model costs."""
        model = self._catalog.get(slug)
        listed = model.price_usd if model else None
        for price in (self._config.settings(slug).price_usd, listed):
            if price is not None:
                return price
        return self._config.default_price_usd

    def charged_usd(self, now: float) -> float:
        """What the account was charged up to an instant, refunds taken off. Instants never fall."""
        while self._refunds and self._refunds[0][0] <= now:
            self._charged_usd -= heapq.heappop(self._refunds)[1]
        return round(self._charged_usd, 6)

    def credits_usd(self, now: float) -> float:
        """What is left in the account, free credits included."""
        paid_in_usd = self._config.credits_usd + self._config.free_credits_usd + self.added_usd
        return round(paid_in_usd - self.charged_usd(now), 6)

    def reserved_usd(self, now: float) -> float:
        """What running jobs hold beside their prices. Instants never fall."""
        while self._releases and self._releases[0][0] <= now:
            self._reserved_usd -= heapq.heappop(self._releases)[1]
        return round(self._reserved_usd, 6)

    def accept(self, order: Order, now: float) -> Bill:
        """Take a job in; it is billed from now on."""
        bill = self._decide(order, now)
        self._occupy(bill)
        self._book(bill)
        return bill

    def imitate(self, order: Order, now: float) -> None:
        """Perhaps a team-mate asks for the very same thing just now."""
        chance = self._config.teammate_probability
        if chance and self._random.random() < chance:
            self.team_bills.append(self._decide(order, now))

    def restore(self, bills: Iterable[Bill]) -> None:
        """Take up bills of an earlier life, in the order of their acceptance."""
        for bill in bills:
            self._occupy(bill)
            self._book(bill)
        # A new stream: the old one would give the old request ids again.
        self._random = random.Random(f"{self._config.seed}/jobs/{len(self._ledger.bills)}")

    def _decide(self, order: Order, now: float) -> Bill:
        slug = order.slug
        request_id = _uuid(self._random)
        if self._config.request_ids == "hex":
            request_id = request_id.replace("-", "")
        seed = order.body.params.get("seed")
        drawn_seed = self._random.randrange(_MAX_SEED)
        latency_s = self._latency_s(slug)
        outcome, error = self._outcome(slug, order.body.text)
        if outcome is Outcome.COMPLETED and self._is_filtered(order.body.text, request_id):
            outcome = Outcome.FILTERED
        if order.refused:
            outcome, error, latency_s = Outcome.FAILED, order.refused, 0.0
        started_at = max(now, self._free_at[0])
        settings = settings_of(slug, self._config, self._catalog)
        return Bill(
            request_id=request_id,
            model=slug,
            api=order.api,
            body=order.body.text,
            accepted_at=now,
            started_at=started_at,
            finished_at=started_at + latency_s,
            cost_usd=self.price_usd(slug),
            seed=seed if type(seed) is int else drawn_seed,
            output_count=_COUNTS.get(settings.shape, settings.outputs_per_job),
            outcome=outcome,
            error=error,
        )

    def _latency_s(self, slug: str) -> float:
        config, model = self._config, self._catalog.get(slug)
        listed = model.latency_s if model else None
        choices = (config.settings(slug).latency_s, config.latency_s, listed)
        base_s = next((c for c in choices if c is not None), config.default_latency_s)
        factor = math.exp(self._random.gauss(0.0, 1.0) * config.latency_jitter)
        cold = self._random.random() < config.cold_start_probability
        return (base_s * factor + (config.cold_start_s if cold else 0.0)) / config.speed

    def _outcome(self, slug: str, body: str) -> tuple[Outcome, str]:
        """The dice are cast in any case: one setting must not change every later draw."""
        config, draw = self._config, self._random.random
        message = self._random.choice(config.failure_messages)
        own = config.settings(slug).failure_probability
        failed = draw() < (config.failure_probability if own is None else own)
        endless, vanishing = draw() < config.never_finish_probability, draw()
        if any(word in body for word in config.blocked_words):
            return Outcome.FAILED, BLOCKED
        if failed:
            return Outcome.FAILED, message
        if endless:
            return Outcome.ENDLESS, ""
        if vanishing < config.vanish_probability:
            return Outcome.VANISHING, ""
        return Outcome.COMPLETED, ""

    def _is_filtered(self, body: str, request_id: str) -> bool:
        """Dice of their own, for the same reason."""
        config = self._config
        if any(word in body for word in config.filtered_words):
            return True
        if not config.filtered_probability:
            return False
        return random.Random(f"{config.seed}/{request_id}").random() < config.filtered_probability

    def _occupy(self, bill: Bill) -> None:
        """An endless job gives its worker back after its usual time: the others must go on."""
        heapq.heapreplace(self._free_at, max(self._free_at[0], bill.finished_at))

    def _book(self, bill: Bill) -> None:
        self._ledger.add(bill)
        self._charged_usd += bill.cost_usd
        extra_usd = bill.cost_usd * self._config.reserved_share
        if extra_usd:
            self._reserved_usd += extra_usd
            heapq.heappush(self._releases, (bill.finished_at, extra_usd))
        if bill.outcome is Outcome.FAILED:
            heapq.heappush(self._refunds, (bill.finished_at, bill.cost_usd))


def _uuid(source: random.Random) -> str:
    """A random UUID (version 4) from a seeded source."""
    bits = source.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | (4 << 76) | (2 << 62)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
