"""What is known of how long each model takes, and when to ask for the state of a request.

Latencies are learned from finished requests, model by model; where the polls then go is decided in
`batchgen.core.scheduling.poll_schedule`.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

from batchgen.core.scheduling.learned import LATENCIES_NOTE, latencies_of

DEFAULT_LATENCY_S = 20.0
"""Assumed where neither the catalogue nor experience says anything; the median of the seeds."""
SAMPLE_COUNT = 200
"""Older results are forgotten: services change over a night."""
STORED_COUNT = 64
"""Kept in the state for the next run, a model."""
MAX_QUANTILES = 48
"""Points a sample is thinned to: more only cost time, the answer hardly moves."""
BELIEVED_COUNT = 24
"""A sample is eked out with the guess up to so many values: the first to end are the quick ones."""
KNOWN_COUNT = 8
"""From so many values on surprises are surprises; half of them are more than a guess."""
GUESS_SPREAD = tuple(0.6 * 3.0 ** (number / 23) for number in range(24))
"""The guess as a sample: what a single typical latency may stand for, from 0.6 to 1.8 of it."""
FLOOR_FACTOR = 1.2
"""A request that runs already so long is guessed to take a fifth more."""
MOST_SCOUTS = 3
"""Of a model without a result, so many requests are worth remembering."""
SURPRISES = 6
"""So many in a row in one tail of a sample say that the service has changed: the chance of that
by accident is 0.05 to the power of 6."""
TAIL = 0.05
LOOKED_EVERY = 8


@dataclass(slots=True)
class _LatencySample:
    """The last latencies of one model, newest last. `surprise`: how many of the newest lie in the
    upper (positive) or lower (negative) tail of those before them."""

    values: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLE_COUNT))
    surprise: int = 0
    late: set[int] = field(default_factory=set)
    """Requests that were seen to run longer than all of the sample, since the last that did not."""
    _known_tails: tuple[float, float] = (-math.inf, math.inf)
    _until_looked: int = 0
    floor_s: float = 0.0
    """The longest that a request was seen to run while too little was known."""
    seen_s: dict[int, float] = field(default_factory=dict)
    """The same of single requests: of the `MOST_SCOUTS` that ran longest."""

    def add(self, latency_s: float) -> None:
        self.surprise = self._surprise(latency_s)
        self.values.append(latency_s)
        if self.surprise == 0:
            self.late.clear()
        if abs(self.surprise) >= SURPRISES:
            newest = list(self.values)[-SURPRISES:]
            self._forget()
            self.values.extend(newest)
            self.surprise = 0

    def _forget(self) -> None:
        self.values.clear()
        self._known_tails, self._until_looked = (-math.inf, math.inf), 0

    def _surprise(self, latency_s: float) -> int:
        low_s, high_s = self._tails()
        if latency_s > high_s:
            return max(0, self.surprise) + 1
        return min(0, self.surprise) - 1 if latency_s < low_s else 0

    def _tails(self) -> tuple[float, float]:
        """Below and above what a latency is a surprise; looked at anew now and then, and never
        while there are surprises, which would move them."""
        self._until_looked -= 1
        if self._until_looked <= 0 and self.surprise == 0 and len(self.values) >= KNOWN_COUNT:
            self._until_looked = LOOKED_EVERY
            ordered = sorted(self.values)
            cut = int(len(ordered) * TAIL)
            self._known_tails = (ordered[cut], ordered[-1 - cut])
        return self._known_tails

    def observe_running(self, request: int, age_s: float) -> bool:
        """A request still runs at this age. Whether that changes what is believed."""
        if len(self.values) >= BELIEVED_COUNT:
            if age_s <= max(self.values):
                return False
            self.late.add(request)
            if len(self.late) < SURPRISES:
                return False
            self._forget()
            self.late.clear()
        known_s = self.floor_s
        self.floor_s = max(known_s, age_s)
        self.seen_s[request] = age_s
        if len(self.seen_s) > MOST_SCOUTS:
            del self.seen_s[min(self.seen_s, key=self.seen_s.__getitem__)]
        return self.floor_s > known_s


@dataclass(slots=True)
class Latencies:
    """Seconds from acceptance to completion, per model: what was seen, and the catalogue's guess.

    `learned` counts what was learned in all, so that whoever plans with it knows when to look anew.
    """

    guesses: Mapping[str, float] = field(default_factory=dict)
    default_s: float = DEFAULT_LATENCY_S
    learned: int = 0
    revised: int = 0
    """How often something was found to be quite different from what was believed."""
    _seen: dict[str, _LatencySample] = field(default_factory=dict)

    def learn(self, model: str, latency_s: float) -> None:
        """One request of this model took so long."""
        self._seen.setdefault(model, _LatencySample()).add(latency_s)
        self.learned += 1

    def observe_running(self, model: str, request: int, age_s: float) -> None:
        """A request (told apart by any number) of this model still runs at this age."""
        if self._seen.setdefault(model, _LatencySample()).observe_running(request, age_s):
            self.revised += 1

    def scouted_s(self, model: str, requests: int = 1) -> float:
        """The age at which so many requests of a model without a result were seen to run still."""
        sample = self._seen.get(model)
        if sample is None or sample.values or len(sample.seen_s) < requests:
            return 0.0
        return sorted(sample.seen_s.values())[-requests]

    def has_result(self, model: str) -> bool:
        """Whether any request of this model is known to have ended."""
        sample = self._seen.get(model)
        return sample is not None and bool(sample.values)

    def is_known(self, model: str) -> bool:
        """Whether the times of this model are more than a guess."""
        sample = self._seen.get(model)
        return sample is not None and len(sample.values) >= KNOWN_COUNT // 2

    def quantiles(self, model: str) -> tuple[float, ...]:
        """Up to `MAX_QUANTILES` latencies of equal weight, ascending: what the next may take."""
        sample = self._seen.get(model)
        values = sorted(sample.values) if sample is not None else []
        missing = BELIEVED_COUNT - len(values)
        if missing > 0:
            guess_s = self.guesses.get(model, self.default_s)
            if values:
                guess_s = fmean(values)
            elif sample is not None:
                guess_s = max(guess_s, FLOOR_FACTOR * sample.floor_s)
            guesses = [guess_s * x for x in GUESS_SPREAD]
            values = sorted([*values, *_thinned(guesses, missing)]) if values else guesses
        return tuple(_thinned(values, MAX_QUANTILES))

    def dump(self) -> str:
        """What was learned, as text: `{model: [seconds, …]}`, newest last."""
        kept = {
            model: [round(value, 3) for value in list(sample.values)[-STORED_COUNT:]]
            for model, sample in self._seen.items()
        }
        return json.dumps(kept, separators=(",", ":"))

    def load(self, text: str | None) -> None:
        """Begin with what an earlier run learned; notes of another shape are as good as none."""
        for model, values in latencies_of({LATENCIES_NOTE: text or "{}"}).items():
            self._seen.setdefault(model, _LatencySample()).values.extend(values)
            self.learned += len(values)


def _thinned(values: list[float], count: int) -> list[float]:
    """`count` of ascending values at even steps, the last always among them."""
    if len(values) <= count:
        return values
    step = len(values) / count
    return [values[int((index + 1) * step + 1e-9) - 1] for index in range(count)]
