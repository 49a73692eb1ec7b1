"""Where polls go: the instants at which asking for a request's state is worth a request.

For one model, with latencies l₁ ≤ … ≤ lₘ of equal weight and a *price* of c seconds of delay a
poll, polls at instants t₁ < t₂ < … cost a request c for every poll until it is found done, and the
delay from being done to being found. The best instants lie at the lᵢ themselves, since any other
could be moved back to the one before it without finding fewer. So with f(i) the cost of the
requests that are not done by the i-th value

    f(i) = min over j ≥ i of  (m - i)·c + Σ_{i ≤ x ≤ j} (lⱼ - lₓ) + f(j + 1),    f(m) = 0

which is dynamic programming over a sorted sample (as in optimal one-dimensional clustering, of
which this is the case with one-sided distances and a price in the place of a number of clusters).

The price is what the budget says. With R requests a second, C places and a job of k more requests
(submit and result; the submit alone, where polls ask for the result), the requests allow
R / (k + polls) jobs a second, the places C / (latency + delay). A
higher price means fewer polls and more delay: the best one is where both meet. Where places bind
at the lowest price, polls are free; where requests bind at the highest, a job is asked for once.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate

from batchgen.core.jobs.job import Job
from batchgen.core.scheduling.latency import Latencies
from batchgen.core.scheduling.rates.window import RATE_WINDOW_S

OTHER_CALLS = 2
"""Calls of a job beside its polls: submit and result; one, where polls ask for the result."""
EARLY_S = 1.0
"""Where polls are free, a model that nobody has seen is asked for after so long, then ever more
rarely."""
FREE_PRICE_S = 0.04
FREE_PRICE_SHARE = 0.0045
"""The price where polls cost nothing: the greater of 0.04 s and 0.45 % of the mean. Guesses: with
them a job of 22 ± 4 s is asked for about five times and found half a second late; one of 1 to 2 s
three to four times, and found an eighth of a second late."""
ENOUGH_POLLS = 1.03
"""So few polls a job are as good as one: a still higher price would only find jobs later."""
REBATE = 0.9
"""The balance is one of means. Chance leaves requests over, more of them the wider the latencies
spread; measured, a tenth off the price gains most where they spread and loses little elsewhere."""
GROWTH = 1.4
"""Past every known latency polls grow apart geometrically: nothing is known there."""
FIRST_TAIL_SHARE = 0.1
MIN_INTERVAL_S, MAX_INTERVAL_S = 0.25, 120.0
NEW_SHARE = 0.1
"""Schedules are made anew when the samples have grown by this share, at most once in `REST_S`."""
REST_S = 1.0
SCOUTING_SHARE = 0.1
"""The price of a poll, as a share of the latency, while times are a guess."""
UNKNOWN_AGE_S = 52 * 60.0
"""What a model that nobody knows may take, to be safe."""
PUNCTUAL_SHARE = 0.9
"""What is in flight may take so much of the hour to come home."""
FETCHING_S = 300.0
"""Before the window of a request ends, so much is left to fetch its result."""
_ROUNDS = 14
_SETTLING_S = 0.001


@dataclass(frozen=True, slots=True)
class Schedule:
    """The polls of one model. `following[i]`: which latency to poll at when i of them are past.

    `polls` and `delay_s` are means a job, `latency_s` the mean of the sample.
    """

    quantiles: tuple[float, ...]
    following: tuple[int, ...]
    polls: float
    delay_s: float
    latency_s: float

    def next_age_s(self, age_s: float) -> float:
        """The age at which a request of this age, not done yet, is asked for next."""
        passed = bisect_right(self.quantiles, age_s)
        if passed < len(self.quantiles):
            return self.quantiles[self.following[passed]]
        last_s = self.quantiles[-1]
        step_s = max(MIN_INTERVAL_S, FIRST_TAIL_SHARE * last_s)
        # Steps of ×GROWTH from the last known latency on; the next one beyond the present age.
        beyond = (age_s - last_s) * (GROWTH - 1) / step_s + 1
        step_count = math.floor(math.log(max(1.0, beyond), GROWTH) + 1e-9) + 1
        next_s = last_s + step_s * (GROWTH**step_count - 1) / (GROWTH - 1)
        return min(next_s, age_s + MAX_INTERVAL_S)


def next_step_s(age_s: float) -> float:
    """The next of the ages 1, 2.4, 4.4, 7.1 … s, each step `GROWTH` times the one before."""
    next_s = step_s = EARLY_S
    while next_s <= age_s + _SETTLING_S:
        step_s = min(GROWTH * step_s, MAX_INTERVAL_S)
        next_s += step_s
    return next_s


@lru_cache(64)
def schedule(quantiles: tuple[float, ...], price_s: float) -> Schedule:
    """The cheapest schedule at a price; see the module for the recurrence.

    It is remembered: the search for a price comes by the same ones while samples stay the same.
    """
    count = len(quantiles)
    sums = [0.0, *accumulate(quantiles)]
    cost = [0.0] * (count + 1)
    following = [0] * count
    for start in range(count - 1, -1, -1):
        left, before = count - start, sums[start]
        best, best_end = math.inf, start
        for end in range(start, count):
            waited = (end + 1 - start) * quantiles[end] - sums[end + 1] + before
            if waited >= best:
                break  # it only grows, and no cost is below zero
            here = waited + cost[end + 1]
            if here < best:
                best, best_end = here, end
        cost[start] = best + left * price_s
        following[start] = best_end
    polls = _polls(following) / count
    delay_s = cost[0] / count - polls * price_s
    return Schedule(quantiles, tuple(following), polls, delay_s, sums[-1] / count)


def _polls(following: Sequence[int]) -> int:
    """Polls over the whole sample, one a request that is not found yet at each instant."""
    total = start = 0
    while start < len(following):
        total += len(following) - start
        start = following[start] + 1
    return total


@dataclass(frozen=True, slots=True)
class PollBudget:
    """What polls compete for. `requests_per_s` is None where polls are free.

    `other_calls` are those of a job beside its polls. `is_assumed`: polls are taken to be free, so
    they hold nothing back, and are few until that is known.
    """

    requests_per_s: float | None
    places: int
    other_calls: int = OTHER_CALLS
    is_assumed: bool = False

    @property
    def binding_per_s(self) -> float | None:
        """The requests a second that submits have to share with polls; None: they need not."""
        return None if self.is_assumed else self.requests_per_s


@dataclass(frozen=True, slots=True)
class Load:
    """Means over all jobs, by the mix of models: polls, seconds of latency and of delay a job."""

    polls: float
    latency_s: float
    delay_s: float


@dataclass(slots=True)
class PollScheduler:
    """Poll schedules of all models under one budget, kept up to date as latencies are learned."""

    latencies: Latencies = field(default_factory=Latencies)
    budget: PollBudget = field(default_factory=lambda: PollBudget(None, 1))
    price_s: float = 0.0
    load: Load = field(default_factory=lambda: Load(1.0, 0.0, 0.0))
    trip_s: float = 0.0
    """From a submit to its answer: a latency counts from somewhere in between."""
    retention_s: float = math.inf
    """How long the service remembers a request."""
    _schedules: dict[str, Schedule] = field(default_factory=dict)
    _mix: Counter[str] = field(default_factory=Counter)
    _learned: int = 0
    _revised: int = 0
    _made_at: float = -math.inf

    @property
    def last_chance_s(self) -> float:
        """Nobody waits past this age without a look."""
        return self.retention_s - FETCHING_S

    def next_poll_at(self, job: Job, asked_at: float) -> float:
        """When to poll a submitted job that was not done at `asked_at`; may lie in the past."""
        made = self._schedules.get(job.model) or self._guessed(job.model)
        # Nobody asked yet: even at no age at all it may be done.
        asked_s = -1.0 if job.polls == 0 else max(0.0, asked_at - job.sent_at - self.trip_s)
        next_s = self._next_age_s(job.model, made, asked_s)
        if job.polls == 0:
            # A latency in wrong units must not put it behind the end of the window.
            next_s = min(next_s, self.retention_s / 2)
        if asked_s < self.last_chance_s:
            next_s = min(next_s, self.last_chance_s)
        return job.sent_at + self.trip_s + next_s + _SETTLING_S

    def _next_age_s(self, model: str, made: Schedule, asked_s: float) -> float:
        """As placed; of a model without any result also early, where polls are free."""
        budget = self.budget
        if budget.binding_per_s is not None or self.latencies.has_result(model):
            return made.next_age_s(asked_s)
        next_s = next_step_s(asked_s + EARLY_S / 2)
        if not budget.is_assumed:
            next_s = min(next_s, max(made.next_age_s(asked_s), asked_s + EARLY_S / 2))
        return next_s

    def accepted(self, job: Job, now: float) -> None:
        """A job was accepted: what is in the mix, and how long a submit takes."""
        self._mix[job.model] += 1
        if self._mix[job.model] > 200:
            for model in self._mix:
                self._mix[model] = (self._mix[model] + 1) // 2
        trip_s = min(10.0, max(0.0, now - job.sent_at))
        self.trip_s += (trip_s - self.trip_s) * (0.1 if self.trip_s else 1.0)

    def update(self, budget: PollBudget, now: float) -> bool:
        """Look at the budget and at what was learned; whether the schedules changed."""
        if not self._schedules:
            self.budget = budget
            return False
        if now - self._made_at < REST_S or not self._is_stale(budget):
            return False
        self.budget = budget
        self._renew(now)
        return True

    def drainable(self, model: str) -> float:
        """How many jobs in flight the requests suffice for: more would only grow old.

        As many as come home while others leave: by Little's law the rate of jobs times the age at
        which each is seen to be done, and three standard deviations of a Poisson number beside it.
        Polls wait up to a window for their slots, so a window is added to the age. By the same law
        so many jobs are of the age n / rate when they come home, which must be within the hour.

        Of a model whose times are a guess no more is counted on than was seen: the age that some
        request has without being done. Beside those that come home at this pace there may be as
        many as polls and results still fit into the hour for, were all done at `UNKNOWN_AGE_S`.
        """
        requests_per_s = self.budget.binding_per_s
        if requests_per_s is None:
            return math.inf
        load, a_window = self.load, self.jobs_per_window()
        if self.latencies.is_known(model):
            mean = a_window * (load.latency_s + load.delay_s + RATE_WINDOW_S) / RATE_WINDOW_S
            oldest = PUNCTUAL_SHARE * a_window * self.last_chance_s / RATE_WINDOW_S
            return min(mean + 3.0 * math.sqrt(mean), max(1.0, oldest))
        in_time = (self.last_chance_s - UNKNOWN_AGE_S) * requests_per_s / self.budget.other_calls
        seen_s = self.latencies.scouted_s(model) + RATE_WINDOW_S
        return max(1.0, in_time, a_window * seen_s / RATE_WINDOW_S)

    def foreseen(self, mix: Mapping[str, int]) -> Mapping[str, Schedule]:
        """The schedules of models in this proportion, before any job of them was accepted."""
        self._mix = Counter(mix)
        self._renew(self._made_at)
        return self._schedules

    def jobs_per_window(self) -> float:
        """How many jobs a minute the requests suffice for; infinite where they are not counted."""
        requests_per_s = self.budget.binding_per_s
        if requests_per_s is None:
            return math.inf
        return requests_per_s * RATE_WINDOW_S / (self.budget.other_calls + self.load.polls)

    def longest_s(self, models: Iterable[str]) -> float:
        """How long the slowest known request of these models takes."""
        return max((self.latencies.quantiles(model)[-1] for model in models), default=0.0)

    def _is_stale(self, budget: PollBudget) -> bool:
        latencies, known = self.latencies, self.budget
        grown = latencies.learned - self._learned
        if grown > NEW_SHARE * min(latencies.learned, 200) or latencies.revised > self._revised:
            return True
        if replace(budget, places=known.places) != known:
            return True
        return abs(budget.places - known.places) > NEW_SHARE * known.places

    def add(self, model: str) -> None:
        """Count in a model whose jobs are about to come: all schedules share the price."""
        if model not in self._schedules:
            self._mix.setdefault(model, 1)
            self._renew(self._made_at)

    def _guessed(self, model: str) -> Schedule:
        """A schedule at today's price for a model that was not counted in."""
        return schedule(self.latencies.quantiles(model), max(FREE_PRICE_S, self.price_s))

    def _renew(self, now: float) -> None:
        latencies = self.latencies
        self._learned, self._revised = latencies.learned, latencies.revised
        self._made_at = now
        samples = {model: latencies.quantiles(model) for model in self._mix}
        lowest, highest = FREE_PRICE_S, 4.0 * max(sample[-1] for sample in samples.values())
        self._place(samples, lowest)
        if self._is_within_requests():
            return
        for _ in range(_ROUNDS):
            middle = math.sqrt(lowest * highest)
            self._place(samples, middle)
            if self._is_within_requests():
                highest = middle
            else:
                lowest = middle
        self._place(samples, highest)
        if self.load.polls > ENOUGH_POLLS:
            self._place(samples, max(FREE_PRICE_S, REBATE * highest))

    def _place(self, samples: dict[str, tuple[float, ...]], price_s: float) -> None:
        self.price_s = price_s
        polls = latency_s = delay_s = 0.0
        weight = sum(self._mix.values())
        for model, sample in samples.items():
            free_s = FREE_PRICE_SHARE * sum(sample) / len(sample)
            made = self._schedules[model] = schedule(sample, max(price_s, free_s))
            if not self.latencies.is_known(model):
                # Few ask for all, so they may ask more often.
                scouting_s = SCOUTING_SHARE * sum(sample) / len(sample)
                self._schedules[model] = schedule(sample, min(price_s, max(free_s, scouting_s)))
            share = self._mix[model] / weight
            polls += share * made.polls
            latency_s += share * made.latency_s
            delay_s += share * made.delay_s
        self.load = Load(polls, latency_s, delay_s)

    def _is_within_requests(self) -> bool:
        """Whether the places, not the requests, bind at this price; or a poll less brings nothing.

        R / (other calls + polls) ≥ C / (latency + delay), both in jobs a second.
        """
        requests_per_s, load = self.budget.requests_per_s, self.load
        if requests_per_s is None or load.polls <= ENOUGH_POLLS:
            return True
        stay_s = load.latency_s + load.delay_s + self.trip_s
        return requests_per_s * stay_s >= self.budget.places * (
            self.budget.other_calls + load.polls
        )
