"""What the service did and charged: the oracle that tests and users read.

A bill is the whole life of an accepted job: its outcome, start and finish are decided when it is
accepted, so its state and its price at any instant can be read from it.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from batchgen.core.jobs.spec import Mode
from batchgen.providers.segmind.simulator.fault_rules import Endpoint
from batchgen.providers.segmind.simulator.messages import DeliveryFault


class Outcome(StrEnum):
    """How an accepted job ends."""

    COMPLETED = "COMPLETED"
    """With a result."""
    FAILED = "FAILED"
    """With a reason, and not charged."""
    ENDLESS = "ENDLESS"
    """Never: it stays PROCESSING."""
    FILTERED = "FILTERED"
    """COMPLETED and charged, but without any output."""
    VANISHING = "VANISHING"
    """COMPLETED by its status and in history, but its result is a 404."""


@dataclass(frozen=True, slots=True)
class Bill:
    """One accepted job. Instants are seconds since the epoch, `body` is canonical JSON.

    `cost_usd` is taken at acceptance, and given back when the job FAILED.
    """

    request_id: str
    model: str
    api: Mode
    body: str
    accepted_at: float
    started_at: float
    finished_at: float
    cost_usd: float
    seed: int
    output_count: int = 1
    outcome: Outcome = Outcome.COMPLETED
    error: str = ""

    def state_at(self, now: float) -> str:
        """QUEUED, PROCESSING, COMPLETED or FAILED at an instant."""
        if now < self.started_at:
            return "QUEUED"
        if now < self.finished_at or self.outcome is Outcome.ENDLESS:
            return "PROCESSING"
        return "FAILED" if self.outcome is Outcome.FAILED else "COMPLETED"

    def charged_usd(self, now: float) -> float:
        """What it costs the account as seen at an instant."""
        if now < self.accepted_at:
            return 0.0
        refunded = self.outcome is Outcome.FAILED and now >= self.finished_at
        return 0.0 if refunded else self.cost_usd

    def in_flight_at(self, now: float) -> bool:
        """Whether it is accepted and has not ended."""
        ended = now >= self.finished_at and self.outcome is not Outcome.ENDLESS
        return self.accepted_at <= now and not ended

    def params(self) -> dict[str, Any]:
        """The body as an object."""
        params: dict[str, Any] = json.loads(self.body)
        return params

    def to_json(self) -> dict[str, Any]:
        """Every field, as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Bill:
        """The bill that `to_json` wrote; TypeError or ValueError if it is none."""
        known = dict(value)
        known["api"] = Mode(known.get("api", ""))
        known["outcome"] = Outcome(known.get("outcome", ""))
        return cls(**known)


class LogEntry(NamedTuple):
    """One request as it was answered. `status` 0: the connection closed before it was processed."""

    at: float
    place: Endpoint
    status: int
    fate: DeliveryFault
    request_id: str


class BillingLedger:
    """Bills, and counts of every request. Counts are exact; the log keeps the last entries only."""

    def __init__(self, log_limit: int) -> None:
        self.bills: list[Bill] = []
        self.log: deque[LogEntry] = deque(maxlen=log_limit)
        self.counts: Counter[tuple[Endpoint, int]] = Counter()
        self.polls: Counter[str] = Counter()
        self.downloads: Counter[str] = Counter()
        self.uploads: defaultdict[str, list[float]] = defaultdict(list)
        """When each file was uploaded, by its path at the CDN."""
        self.leaked_key_count = 0
        self._by_id: dict[str, Bill] = {}

    def add(self, bill: Bill) -> None:
        """Take up an accepted job."""
        self.bills.append(bill)
        self._by_id[bill.request_id] = bill

    def note(self, entry: LogEntry) -> None:
        """Take up an answered request."""
        self.log.append(entry)
        self.counts[entry.place, entry.status] += 1
        if entry.place is Endpoint.POLL:
            self.polls[entry.request_id] += 1

    def bill(self, request_id: str) -> Bill | None:
        """The accepted job of that request_id."""
        return self._by_id.get(request_id)

    def count(self, place: Endpoint | None = None, status: int | None = None) -> int:
        """How many requests were answered at a place (None: anywhere) with a status (None: any)."""
        return sum(
            number
            for (seen_place, seen_status), number in self.counts.items()
            if place in (None, seen_place) and status in (None, seen_status)
        )

    def charged_usd(self, now: float) -> float:
        """What all bills cost the account as seen at an instant."""
        return sum(bill.charged_usd(now) for bill in self.bills)

    def in_flight_count(self, at: float) -> int:
        """How many jobs were accepted and not ended at an instant."""
        return sum(bill.in_flight_at(at) for bill in self.bills)

    def peak_in_flight(self) -> int:
        """The most jobs that were ever accepted and not ended at one instant.

        An end at the very instant of an acceptance counts first: the slot was free.
        """
        changes = [(bill.accepted_at, 1) for bill in self.bills]
        ended = (bill for bill in self.bills if bill.outcome is not Outcome.ENDLESS)
        changes.extend((bill.finished_at, -1) for bill in ended)
        running = peak = 0
        for _, step in sorted(changes):
            running += step
            peak = max(peak, running)
        return peak

    def busiest_window_count(self, window_s: float = 60.0, places: Iterable[Endpoint] = ()) -> int:
        """The most requests any half-open window of that length saw (no places: the whole API).

        Counts what reached the service, 429s included. Reads the log, so it knows no more than the
        last `log_limit` requests.
        """
        wanted = frozenset(places) or _API_PLACES
        recent: deque[float] = deque()
        busiest = 0
        for entry in sorted(self.log, key=lambda entry: entry.at):
            if entry.place not in wanted:
                continue
            recent.append(entry.at)
            while recent[0] <= entry.at - window_s:
                recent.popleft()
            busiest = max(busiest, len(recent))
        return busiest

    def repeated(self) -> list[tuple[Bill, ...]]:
        """Bills that ask for the same: groups of two or more with equal model, API and body."""
        groups: defaultdict[tuple[str, str, str], list[Bill]] = defaultdict(list)
        for bill in self.bills:
            groups[bill.model, bill.api, bill.body].append(bill)
        return [tuple(group) for group in groups.values() if len(group) > 1]

    def to_json(self, now: float) -> dict[str, Any]:
        """A snapshot as JSON values."""
        counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (place, status), number in sorted(self.counts.items()):
            counts[place][str(status)] = number
        return {
            "at": now,
            "charged_usd": round(self.charged_usd(now), 6),
            "in_flight_count": self.in_flight_count(now),
            "peak_in_flight": self.peak_in_flight(),
            "leaked_key_count": self.leaked_key_count,
            "requests": dict(counts),
            "uploads": {path: len(times) for path, times in sorted(self.uploads.items())},
            "bills": [{**bill.to_json(), "state": bill.state_at(now)} for bill in self.bills],
        }


_API_PLACES = frozenset(Endpoint) - {Endpoint.CDN, Endpoint.ANY}
