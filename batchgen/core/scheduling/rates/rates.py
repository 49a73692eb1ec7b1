"""All rate windows of a run, and which of them a refusal is about.

Nobody says whether calls beside submits count against the limit of an account. So with the scope
`auto` they are let go beside it, one at a time beyond what has passed, until something tells: one
that is refused counts, many that pass beyond the limit do not. Where a submit is refused that
should have passed alone, the next call beside submits tells what it was refused for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from batchgen.core.jobs.policies import RateScope
from batchgen.core.scheduling.rates.learning import Raise
from batchgen.core.scheduling.rates.lessons import Lessons
from batchgen.core.scheduling.rates.pacing import Pacing
from batchgen.core.scheduling.rates.window import RateWindow

WHOLE, SUBMITS, CALLS = "whole", "submits", "calls"
FIRST_LIMIT = 50
"""Requests a minute where the manifest promises none: what is documented for the Pro plan."""
FREE_SHARE, FREE_CALLS = 1.2, 15
"""Calls beside submits are free when so much more than the limit passed in a minute, so many of
them beside submits."""
PROMPT_S = 1.0
"""A call that passes so soon after a submit was refused does not count: later, there may be room
again for all."""
APART_SHARE, APART_SHARE_UNKNOWN = 1.5, 4.0
"""They are counted apart when they are refused at so much more than the limit of submits, or than
where a limit that is to be found out begins."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The limits as the manifest and the command line set them; None is no limit.

    `learns`: nobody promised `requests_per_minute`, it is only where to begin.
    """

    requests_per_minute: int | None = FIRST_LIMIT
    learns: bool = False
    scope: RateScope = RateScope.ALL
    models: Mapping[str, int] = field(default_factory=dict)


class GetScope(StrEnum):
    """How calls beside submits count, as far as it is known."""

    UNKNOWN = "unknown"
    FREE = "free"
    COUNTED = "counted"
    """With the submits, against one limit."""
    APART = "apart"
    """Against a limit of their own."""


class GetPrice(StrEnum):
    """What a call beside submits costs of the budget."""

    FREE = "free"
    ASSUMED_FREE = "assumed free"
    """Nothing, unless it turns out otherwise: a useful one is made, a needless one is not."""
    COUNTED = "counted"


@dataclass(slots=True)
class Rates:
    """The windows of a run: one over what counts, and one for each model with a limit of its own.

    `whole` is over submits, and over all other calls where these count with them. `calls` is over
    all calls where it is to be found out whether those beside submits count, and over these alone
    where they have a limit of their own. Requests are named by their model; what is about no model
    has the empty name.
    """

    whole: RateWindow
    models: dict[str, RateWindow] = field(default_factory=dict)
    scope: RateScope = RateScope.ALL
    gets: GetScope = GetScope.UNKNOWN
    calls: RateWindow | None = None
    _suspected: int = 0
    """So many calls had passed in a minute when a submit was refused that was within its limit."""
    _suspected_at: float = 0.0
    _blocked_before: float = 0.0
    """Until when submits were held before that."""
    _asked: int | None = None
    """The limit at the beginning."""
    _was_refused: bool = False
    """Whether a call beside submits was refused although all calls were within the limit."""
    _gets_under_way: Counter[str] = field(default_factory=Counter)

    @property
    def counts_gets(self) -> bool:
        """Whether calls beside submits take slots of the whole."""
        return self.scope is RateScope.ALL or self.gets is GetScope.COUNTED

    @property
    def windows(self) -> dict[str, RateWindow]:
        """The windows over all models, by name."""
        return {WHOLE: self.whole} | ({} if self.calls is None else {CALLS: self.calls})

    def windows_of(self, *, submit: bool) -> list[str]:
        """The names of those that a call takes a slot of."""
        whole = [WHOLE] if submit or self.counts_gets else []
        is_apart = submit and self.gets is GetScope.APART
        return whole if self.calls is None or is_apart else [*whole, CALLS]

    def watches(self, *, submit: bool) -> bool:
        """Whether a call is to be started and answered here."""
        return bool(self.windows_of(submit=submit))

    @property
    def get_price(self) -> GetPrice:
        """What a call beside submits costs of the budget, as far as it is known."""
        window = self.of_gets
        if window is not None and window.allowed is not None:
            return GetPrice.COUNTED
        is_open = window is not None and window is self.calls and self.gets is GetScope.UNKNOWN
        return GetPrice.ASSUMED_FREE if is_open else GetPrice.FREE

    @property
    def of_gets(self) -> RateWindow | None:
        """The window that limits calls beside submits; None where nothing does."""
        return self.whole if self.counts_gets else self.calls

    def free_at(self, now: float, *, submit: bool) -> float | None:
        """When a call may be started; None while that depends on answers."""
        instants = [self.windows[name].next_free_at(now) for name in self.windows_of(submit=submit)]
        known = [at for at in instants if at is not None]
        return None if len(known) < len(instants) else max(known, default=now)

    def advance(self, now: float) -> None:
        """Bring all windows to an instant."""
        for window in (*self.windows.values(), *self.models.values()):
            window.advance(now)

    def start(self, model: str, now: float = 0.0, *, submit: bool = True) -> None:
        """A request begins."""
        if not submit:
            self._gets_under_way[model] += 1
        for window in self._of(model, submit=submit):
            window.start(1, now)

    def answered(
        self, model: str, now: float, *, submit: bool = True, refused_until: float | None = None
    ) -> None:
        """A request ended; `refused_until` where it was refused for its rate."""
        if not submit:
            self._gets_under_way[model] -= 1
        for window in self._of(model, submit=submit):
            window.answered(now, refused=refused_until is not None)
        if refused_until is not None:
            self._refused(refused_until, now, submit=submit)
        elif not submit:
            self._get_passed(now)

    def _refused(self, until: float, now: float, *, submit: bool) -> None:
        calls = self.calls
        if calls is None:
            self.whole.refuse_until(until, now)
        elif calls.limit is not None:
            (self.whole if submit else calls).refuse_until(until, now)
        elif submit:
            self._submit_refused(calls, until, now)
        else:
            self._get_refused(calls, until, now)

    def _submit_refused(self, calls: RateWindow, until: float, now: float) -> None:
        """It is about submits, unless others went out that may count as well."""
        alone = calls.passed(now) <= self.whole.passed(now)
        if alone or self.gets is GetScope.FREE:
            self.whole.refuse_until(until, now)
        elif self._suspected and now >= self.whole.blocked_until:
            self._suspected = 0
            self.whole.refuse_until(until, now)  # no other call told
        elif not self._suspected:
            self._suspected, self._suspected_at = calls.passed(now), now
            self._blocked_before = self.whole.blocked_until
            self.whole.blocked_until = max(self.whole.blocked_until, until)

    def _get_refused(self, calls: RateWindow, until: float, now: float) -> None:
        """It counts. Within the limit one refusal alone may have been for another reason."""
        if self._exceeds(calls, now) or self._suspected:
            self._count_gets(calls, until, now)
            return
        is_again = self._was_refused and now >= calls.blocked_until
        self._was_refused = True
        calls.blocked_until = max(calls.blocked_until, until)
        if is_again:
            self._count_gets(calls, until, now)

    def _exceeds(self, calls: RateWindow, now: float) -> bool:
        """Whether all calls together were more than submits alone may be."""
        allowed = self.whole.allowed
        if allowed is not None and calls.passed(now) >= allowed:
            return True
        burst = self.whole.burst
        return burst is not None and calls.passed_since(now - self.whole.burst_s) >= burst

    def _count_gets(self, calls: RateWindow, until: float, now: float) -> None:
        """Calls beside submits count: with them, or apart where far more of them passed."""
        passed, whole = calls.passed(now), self.whole
        allowed = whole.allowed
        is_known = whole.learned is None or whole.learned.refused
        share = APART_SHARE if is_known else APART_SHARE_UNKNOWN
        self._suspected = 0
        if allowed is not None and passed >= share * allowed:
            self.gets = GetScope.APART
            calls.limit, calls.learned = passed - whole.passed(now), Raise()
            calls.take_over(calls, self._gets_under_way.total())
            calls.refuse_until(until, now)
            if calls.pacing is not None:
                calls.pacing.refused(now, calls.limit)
            return
        self.gets, self.calls = GetScope.COUNTED, None
        whole.take_over(calls, calls.under_way)
        whole.unlearn(self._asked)
        for model, count in self._gets_under_way.items():
            if model in self.models:
                self.models[model].start(count, now)
        if self._asked is None or passed < self._asked:
            whole.refuse_until(until, now)
            return
        whole.blocked_until = max(whole.blocked_until, until)
        if whole.learned is not None:
            whole.limit = passed
            whole.learned.refuse(passed, now)

    def _get_passed(self, now: float) -> None:
        calls, allowed = self.calls, self.whole.allowed
        if calls is None or allowed is None or self.gets is not GetScope.UNKNOWN:
            return
        passed = calls.passed(now)
        is_prompt = now < min(self._suspected_at + PROMPT_S, self.whole.blocked_until)
        if self._suspected and passed > self._suspected and is_prompt:
            self.gets, self._suspected = GetScope.FREE, 0
            until, self.whole.blocked_until = self.whole.blocked_until, self._blocked_before
            self.whole.refuse_until(until, now)
        elif passed > FREE_SHARE * allowed and passed - self.whole.passed(now) >= FREE_CALLS:
            self.gets = GetScope.FREE

    def note(self, submits: Iterable[str], now: float, others: Iterable[str] = ()) -> str | None:
        """What must be durable before these submits and other calls, named by their models, start;
        None when it is."""
        asked, other = Counter(submits), Counter(others)
        every = asked + other
        counts = every if self.counts_gets else asked
        totals = {WHOLE: counts.total(), CALLS: every.total()}
        due = {name: (window, totals[name]) for name, window in self.windows.items()}
        own = {model: (window, counts[model]) for model, window in self.models.items()}
        if all(window.covers(count) for window, count in (*due.values(), *own.values())):
            return None
        return _text(
            {name: window.allow(count, now) for name, (window, count) in due.items()},
            {model: window.allow(count, now) for model, (window, count) in own.items()},
        )

    def snapshot(self, now: float) -> str:
        """All logs as text."""
        logs = {name: window.snapshot(now) for name, window in self.windows.items()}
        return _text(logs, {m: window.snapshot(now) for m, window in self.models.items()})

    def lessons(self) -> dict[str, Any]:
        """What was learned of the account, for the next run; see `recall`."""
        known: dict[str, Any] = {"gets": str(self.gets)}
        known[CALLS if self.counts_gets else SUBMITS] = self.whole.lessons()
        if self.calls is not None:
            known[CALLS] = self.calls.lessons()
        return known

    @classmethod
    def restore(
        cls,
        asked: RateLimits,
        text: str | None,
        now: float,
        known: object = None,
    ) -> Rates:
        """The windows after a restart, under the limits as they are configured now; `known` is
        what an earlier run learned."""
        stored, learned = json.loads(text) if text else {}, Lessons.of(known)
        kept, limit, scope = stored.get("models", {}), asked.requests_per_minute, asked.scope
        if limit is None and scope is RateScope.AUTO:
            scope = RateScope.ALL  # nothing to find out; a refusal teaches a limit of all calls
        rates = cls(RateWindow(limit), {}, scope)
        if scope is RateScope.AUTO:
            rates.gets = next((g for g in GetScope if g == learned.text("gets")), rates.gets)
        # Where all calls count now, those of the last process do as well.
        log = stored.get(CALLS, stored) if rates.counts_gets else stored
        rates.whole = RateWindow.restore(limit, log or None, now)
        rates.models = {
            m: RateWindow.restore(most, kept.get(m), now) for m, most in asked.models.items()
        }
        rates._asked = limit
        if limit is None:
            return rates
        rates.whole.pacing, rates.whole.learned = Pacing(), Raise() if asked.learns else None
        rates.whole.recall(learned.part(CALLS if rates.counts_gets else SUBMITS), now)
        if scope is RateScope.AUTO and not rates.counts_gets:
            rates.calls = _calls(learned.part(CALLS), stored.get(CALLS), rates.gets, now)
        return rates

    def _of(self, model: str, *, submit: bool) -> list[RateWindow]:
        windows = [self.windows[name] for name in self.windows_of(submit=submit)]
        counted, own = submit or self.counts_gets, self.models.get(model)
        return [*windows, own] if counted and own is not None else windows


def _calls(
    known: Lessons, stored: Mapping[str, Any] | None, gets: GetScope, now: float
) -> RateWindow:
    """The window over all calls, with the limit that those beside submits have apart."""
    limit = known.count("limit", least=1) if gets is GetScope.APART else None
    calls = RateWindow.restore(limit, stored, now)
    calls.pacing, calls.learned = Pacing(), Raise() if limit else None
    calls.recall(known, now)
    return calls


def _text(logs: Mapping[str, dict[str, Any]], models: Mapping[str, dict[str, Any]]) -> str:
    others = {name: log for name, log in logs.items() if name != WHOLE}
    return json.dumps(logs[WHOLE] | others | {"models": models})
