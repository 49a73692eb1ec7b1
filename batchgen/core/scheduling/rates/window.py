"""Requests in a sliding minute, and what refusals teach about how many the service takes.

The window is an exact sliding log, not a token bucket: a bucket of 60 a minute lets 119 through in
one minute.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, takewhile
from typing import Any

from batchgen.core.scheduling.rates.learning import Raise
from batchgen.core.scheduling.rates.lessons import Lessons
from batchgen.core.scheduling.rates.pacing import BURST_S, STEP_S, Pacing

RATE_WINDOW_S = 60.0
MARGIN_S = 0.02
"""Added to the window: the service's own edge may include the sixtieth second."""
_BUCKETS_PER_S = 4
"""Resolution of the stored log; instants are rounded up, so a restart errs to the safe side."""
NO_LIMIT = 1_000_000
SLOWEST = 5
"""A limit nobody told us of is not guessed below the smallest plan's."""
SAME_CONGESTION_S = 10.0
LATE_ANSWERS = 2
"""So many calls at most are under way beyond what has passed; all others have passed as well."""
STRAGGLERS_S = 2.0
"""The same where only what has passed before goes out together."""
RECOVERY_S = 300.0
LONGEST_RECOVERY_S = 3600.0
LONGEST_BLOCK_S = 600.0
CUT = 0.8
"""Of what went through in the last minute, so much is asked for after a refusal."""
RESET_SLACK_S = 5.0
"""A refusal that is to last longer than a burst would by so much is not about the burst."""
ALL_SHARE = 0.9
"""Refused when so much of the limit had passed, it is the limit that was reached."""
LOOK_S = 5.0
"""Whether a burst is all in use is looked at so often."""
BURST_SHARE = 0.6
"""A burst of more than this share of the limit is as good as the limit itself."""
_ROUNDING = 1e-9


@dataclass(slots=True)
class RateWindow:
    """At most `limit` requests in any 60 s as the service counts them; None is no limit.

    The service counts a request at some instant between its sending and its answer, so a slot is
    taken when the request starts and comes free a window after its answer.

    What was used must be known after a crash, too. So requests are only started within a durable
    *allowance*: a snapshot of the log that already counts them. A snapshot allows a few more than
    needed now (a twentieth of the limit), so that high rates do not write for every request.

    A limit of the manifest is a promise: refusals only lower it, by a `ceiling` that rises again. A
    limit that is `learned` moves both ways. A service may enforce either in shorter windows, or as
    a bucket of tokens: then no more than `burst` go out in the share of a minute that they are of
    the limit, which fits into both.
    """

    limit: int | None
    blocked_until: float = 0.0
    """Set by a 429: nothing is started before it."""
    ceiling: int | None = None
    _moved_at: float = -math.inf
    """When the ceiling was lowered or raised last."""
    _cut_at: float = -math.inf
    _recovery_s: float = RECOVERY_S
    learned: Raise | None = None
    """Of a limit that nobody promised: when a higher one is tried."""
    burst: int | None = None
    _bursts: Raise = field(default_factory=Raise)
    _ceilings: Raise = field(default_factory=Raise)
    pacing: Pacing | None = None
    """What has passed before; None: whatever is due goes out at once."""
    _refused_at: deque[float] = field(default_factory=deque)
    """The refused ones among the answers."""
    _left_at: deque[float] = field(default_factory=deque)
    """When those under way left, as if the first one were always answered first."""
    _answered_at: deque[float] = field(default_factory=deque)
    _under_way: int = 0
    _allowance: int = 0

    @property
    def allowed(self) -> int | None:
        """The limit that holds now: the configured one, or the ceiling."""
        if self.limit is None or self.ceiling is None:
            return self.limit if self.ceiling is None else self.ceiling
        return min(self.limit, self.ceiling)

    def advance(self, now: float) -> None:
        """Bring the window to an instant: forget what has left it, and try again what was refused
        long ago."""
        self._expire(now)
        if self.pacing is not None:
            self.pacing.advance(now)
        if now < self.blocked_until:
            return
        if self.ceiling is not None:
            self._recover(now)
        if self.burst is not None and now >= self._bursts.rest_until:
            self._raise_burst(self.burst, now)
        if self.learned is not None and self.limit is not None and self._wants_more(now):
            self.limit = self.learned.raised(self.limit, now)

    def used(self, now: float) -> int:
        """How many slots are taken. Changes nothing, and costs least right after `advance`."""
        left_count = sum(1 for _ in self._leaving(now))
        return self._under_way + len(self._answered_at) - left_count

    def passed(self, now: float) -> int:
        """How many requests of the last minute were answered otherwise than by a refusal."""
        return self._not_refused(now) - self._under_way

    def _not_refused(self, now: float) -> int:
        return self.used(now) - sum(_free_again_at(at) > now for at in self._refused_at)

    def passed_since(self, since: float) -> int:
        """The same of those answered after an instant."""
        logs = (self._answered_at, self._refused_at)
        answered, refused = (sum(1 for _ in _after(log, since)) for log in logs)
        return answered - refused

    @property
    def burst_s(self) -> float:
        """The time in which `burst` may go out."""
        return RATE_WINDOW_S * (self.burst or 0) / (self.allowed or 1)

    def free(self, now: float) -> int:
        """How many requests may start now; a large number when there is no limit."""
        if now < self.blocked_until:
            return 0
        allowed, free = self.allowed, NO_LIMIT
        used = self.used(now)
        if allowed is not None:
            free = max(0, allowed - used)
        if free and self.burst is not None:
            free = min(free, max(0, self.burst - self._in_burst(now)))
        if free and self.pacing is not None:
            free = min(free, self.pacing.free(now, used, self._under_way))
        return free

    def next_free_at(self, now: float, taken: int = 0) -> float | None:
        """When a slot comes free beside `taken` ones; None while that depends on answers."""
        if self.free(now) > taken:
            return now
        instants = [self.blocked_until] if now < self.blocked_until else []
        allowed, used = self.allowed, self.used(now)
        over = -1 if allowed is None else used - allowed
        if over + taken >= 0:
            # A lowered ceiling may leave more requests in the window than it allows.
            left_count = sum(1 for _ in self._leaving(now))
            last = len(self._answered_at) - 1
            if left_count > last:
                return max(instants, default=None)
            index = left_count + max(0, over)
            instants.append(_free_again_at(self._answered_at[min(index, last)]))
        if self.burst is not None and self._in_burst(now) + taken >= self.burst:
            recent = sorted([*self._answered_at, *self._left_at])[-self._in_burst(now) :]
            index = max(0, self._in_burst(now) - self.burst)
            instants.append(self._out_of_burst_at(recent[index] if recent else now))
        if self.pacing is not None:
            paced = self.pacing.free(now, used, self._under_way)
            if paced <= taken:
                instants.append(now + STEP_S if paced else self.pacing.next_at(used))
        return max(instants, default=None)

    def start(self, count: int = 1, now: float = 0.0) -> None:
        """Requests begin. They must have been `allow`ed."""
        self._under_way += count
        self._allowance -= count
        self._left_at.extend([now] * count)
        if self.pacing is not None:
            self.pacing.started(now)

    def answered(self, now: float, *, refused: bool = False) -> None:
        """One request ended, by an answer, by a refusal for its rate, or by a fault."""
        self._under_way -= 1
        if self._left_at:
            self._left_at.popleft()
        self._answered_at.append(now)
        if refused:
            self._refused_at.append(now)
        elif self.pacing is not None:
            self.pacing.passed(now, self.passed(now))
        if self.limit is None:
            self._expire(now)

    def refuse_until(self, at: float, now: float) -> None:
        """The service refused a request by its rate: it names when to come back.

        What was due together may have been too much at once; else the limit is lower than the one
        that holds here: another client on the same key, a smaller plan. Once per congestion: what
        is refused while nothing new may start was on its way before.
        """
        same_s = SAME_CONGESTION_S if self.pacing is None else STRAGGLERS_S
        same = now < max(self.blocked_until, self._cut_at + same_s)
        is_known = self.ceiling is not None or self._cut_at > -math.inf
        self.blocked_until = max(self.blocked_until, at)
        if same and is_known:
            return
        self._cut_at = now
        passed, trusted = self.passed(now), self._trusted
        if trusted is not None and passed >= ALL_SHARE * trusted:
            self._lower(passed, now)
        elif not self._learn_burst(passed, at - now, now):
            self.burst = None
            self._lower(passed, now)
        if self.pacing is not None:
            self.pacing.refused(now, passed)

    def _lower(self, passed: int, now: float) -> None:
        """The limit is lower: so much passed."""
        if self.learned is None:
            self._lower_ceiling(now)
            return
        # Calls that take minutes have passed long before they are answered.
        passed += max(0, self._under_way - LATE_ANSWERS)
        self.limit = max(SLOWEST, min(passed, self.limit or NO_LIMIT))
        self.learned.refuse(passed, now)

    @property
    def _trusted(self) -> int | None:
        """The limit that there is reason to believe in: not one that is only tried."""
        return self.allowed if self.learned is None else self.learned.proved or self.limit

    def _lower_ceiling(self, now: float) -> None:
        """To less than went through, for others may need a share; refused at the same place again,
        it is a limit, and tried again ever more rarely."""
        went = min(self._not_refused(now), self.allowed or NO_LIMIT)
        half = (self.allowed or 0) // 2
        known = self.ceiling is not None
        self._set_ceiling(went, now)
        share = 1.0 if known and self._ceilings.again else CUT
        floor = min(SLOWEST, self.limit or SLOWEST)
        self.ceiling = max(floor, half, int(went * share))

    def _set_ceiling(self, most: int, now: float) -> None:
        if self.ceiling is not None:
            self._recovery_s = min(LONGEST_RECOVERY_S, 2 * self._recovery_s)
        self._ceilings.refuse(most, now)
        if self._ceilings.again:
            self._recovery_s = LONGEST_RECOVERY_S
        self.ceiling, self._moved_at = most, now

    def _learn_burst(self, passed: int, wait_s: float, now: float) -> bool:
        """How many at once were too many; whether that is what was refused.

        A bucket that is filled at the rate of the limit holds at least what went out beyond that
        rate. Where more than that passed at once before, or as much was spaced already, or the
        refusal is to last longer, it is not what was refused. Where no more went out at once than
        is known to pass, it may do so less often.
        """
        limit, known = self._trusted, self.burst
        if self.pacing is None or limit is None:
            return False
        per_s = limit / RATE_WINDOW_S
        burst = math.ceil(self._most_beyond(per_s) - _ROUNDING)
        if wait_s > max(burst, known or 0) / per_s + RESET_SLACK_S:
            return False
        if known is None:
            passed_more = self.pacing.burst - per_s * BURST_S > burst + 1
            if passed_more or not max(1, min(2, passed)) <= burst <= BURST_SHARE * limit:
                return False
            known = burst
        elif known > self._bursts.refused:
            known = self._bursts.refused  # a larger one was tried
        elif known / 2 <= burst < known:
            known = burst
        elif burst >= known:
            self._lower_by_a_tenth(now)
        else:
            return False
        self.burst = max(1, known)
        self._bursts.refuse(self.burst, now)
        return True

    def _lower_by_a_tenth(self, now: float) -> None:
        """The same burst, less often."""
        less = max(SLOWEST, (self.allowed or 0) * 9 // 10)
        if self.learned is None:
            self._set_ceiling(min(less, self.allowed or NO_LIMIT), now)
        else:
            self.limit = less
            self.learned.refuse(less, now)

    def _most_beyond(self, per_s: float) -> float:
        """The most that passed beyond so many a second, over any time up to now."""
        refused, count, most = Counter(self._refused_at), 0, 0.0
        last_at = self._answered_at[-1] if self._answered_at else 0.0
        for at, some in groupby(reversed(self._answered_at)):
            count += len(list(some)) - refused[at]
            most = max(most, count - per_s * (last_at - at))
        return most

    def _in_burst(self, now: float) -> int:
        """Requests of the last `burst_s`, and those that left in it; a call may take minutes."""
        logs = (self._answered_at, self._left_at)
        recent = (takewhile(lambda at: self._out_of_burst_at(at) > now, reversed(x)) for x in logs)
        return sum(1 for log in recent for _ in log)

    def _out_of_burst_at(self, answered_at: float) -> float:
        return answered_at + (self.burst_s + MARGIN_S)

    def _wants_more(self, now: float) -> bool:
        """Whether a whole window passed at the limit, and a higher one may be tried."""
        learned = self.learned
        if learned is None or self.limit is None or now < learned.rest_until:
            return False
        return self.passed(now) >= self.limit

    def _raise_burst(self, burst: int, now: float) -> None:
        """Try a larger one, where all of this one went out at once."""
        allowed = self.allowed or 0
        if self._in_burst(now) < burst:
            return
        if self._most_beyond(allowed / RATE_WINDOW_S) <= burst - 1:
            self._bursts.rest_until = now + LOOK_S
            return
        more = self._bursts.raised(burst, now)
        self.burst = more if more < BURST_SHARE * allowed else None

    def _recover(self, now: float) -> None:
        """A tenth more after every while without a refusal: to ask for too much costs a minute, so
        the while is twice as long after each time."""
        while self.ceiling is not None and now - self._moved_at >= self._recovery_s:
            self.ceiling += max(1, self.ceiling // 10)
            self._moved_at += self._recovery_s
            if self.limit is not None and self.ceiling >= self.limit:
                self.ceiling = None

    def covers(self, count: int) -> bool:
        """Whether the durable allowance covers starting `count` requests more."""
        return self.limit is None or count <= self._allowance

    def allow(self, count: int, now: float) -> dict[str, Any]:
        """A snapshot to be made durable before `count` requests more are started."""
        spare = 0 if self.limit is None else self.limit // 20
        self._allowance = max(count, spare)
        return self.snapshot(now, self._allowance)

    def snapshot(self, now: float, allowance: int = 0) -> dict[str, Any]:
        """The log as JSON: buckets of answered requests, and how many may be under way."""
        self._expire(now)
        buckets: dict[int, int] = {}
        is_kept = self.limit is not None or self.pacing is not None
        for at in self._answered_at if is_kept else ():
            bucket = int(-(-at * _BUCKETS_PER_S // 1))
            buckets[bucket] = buckets.get(bucket, 0) + 1
        log = [[bucket / _BUCKETS_PER_S, count] for bucket, count in buckets.items()]
        known: dict[str, Any] = {"answered": log, "under_way": self._under_way + allowance}
        if self.blocked_until > now:
            known["blocked_until"] = self.blocked_until
        if self.ceiling is not None:
            known |= {"ceiling": self.ceiling, "moved_at": self._moved_at}
        return known

    @property
    def under_way(self) -> int:
        """Requests that are not answered yet."""
        return self._under_way

    def take_over(self, other: RateWindow, under_way: int) -> None:
        """Count from now on what another window has counted, which counted all of this one's; so
        many of those under way will be answered here."""
        self._answered_at, self._refused_at = other._answered_at, other._refused_at
        self._under_way, self._allowance = under_way, 0
        self._left_at = deque(list(other._left_at)[-under_way:] if under_way else ())
        self.pacing = other.pacing

    def unlearn(self, limit: int | None) -> None:
        """Begin again with a limit: what refusals taught was not about this window's requests."""
        self.limit, self.ceiling, self.burst = limit, None, None
        self._cut_at, self._bursts, self._ceilings = -math.inf, Raise(), Raise()
        if self.learned is not None:
            self.learned = Raise()

    def lessons(self) -> dict[str, Any]:
        """What was learned of the service, for the next run."""
        known: dict[str, Any] = {"bursts": self._bursts.dump()}
        if self.burst is not None:
            known["burst"] = self._bursts.known(self.burst)
        if self.pacing is not None:
            known["passed"] = self.pacing.dump()
        if self.learned is not None:
            limit = None if self.limit is None else self.learned.known(self.limit)
            known |= {"limit": limit, "raise": self.learned.dump()}
        if self.ceiling is not None:
            known |= {"ceiling": self.ceiling, "moved_at": self._moved_at}
            known |= {"recovery_s": self._recovery_s, "ceilings": self._ceilings.dump()}
        return known

    def recall(self, known: Lessons, now: float) -> None:
        """Begin with what an earlier run learned."""
        self.burst = known.count("burst", least=1)
        self._bursts = Raise.restore(known.part("bursts"), now)
        if self.pacing is not None:
            self.pacing = Pacing.restore(known.part("passed"))
        if self.learned is not None:
            self.limit = known.count("limit", SLOWEST) or self.limit
            self.learned = Raise.restore(known.part("raise"), now)
        elif self.ceiling is None:
            self._recall_ceiling(known, now)

    def _recall_ceiling(self, known: Lessons, now: float) -> None:
        self.ceiling = known.count("ceiling", least=1)
        self._moved_at = min(now, known.seconds("moved_at", now))
        recovery_s = known.seconds("recovery_s", RECOVERY_S)
        self._recovery_s = min(LONGEST_RECOVERY_S, max(RECOVERY_S, recovery_s))
        self._ceilings = Raise.restore(known.part("ceilings"), now)

    @classmethod
    def restore(cls, limit: int | None, stored: Mapping[str, Any] | None, now: float) -> RateWindow:
        """The log after a restart. What was under way, or dated in the future, counts as now."""
        window = cls(limit)
        if stored is None:
            return window
        instants = [min(at, now) for at, count in stored["answered"] for _ in range(count)]
        instants += [now] * int(stored["under_way"])
        window._answered_at.extend(sorted(instants))
        window.ceiling = stored.get("ceiling")
        # A clock that was put back must not make it wait for longer than a reset takes.
        window.blocked_until = min(now + LONGEST_BLOCK_S, stored.get("blocked_until", 0.0))
        window._moved_at = min(now, stored.get("moved_at", now))
        return window

    def _leaving(self, now: float) -> Iterator[float]:
        """Answers that have left the window by now, and are not forgotten yet."""
        # The same sum as in `next_free_at`: rounded otherwise, a timer could fire just too early.
        return takewhile(lambda at: _free_again_at(at) <= now, self._answered_at)

    def _expire(self, now: float) -> None:
        for log in (self._answered_at, self._refused_at):
            while log and _free_again_at(log[0]) <= now:
                log.popleft()


def _after(log: deque[float], since: float) -> Iterator[float]:
    return takewhile(lambda at: at > since, reversed(log))


def _free_again_at(answered_at: float) -> float:
    return answered_at + RATE_WINDOW_S + MARGIN_S
