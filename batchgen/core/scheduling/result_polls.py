"""Asking for the result of a request instead of its state: one call less a job.

The address of a result is documented for requests that are done. What it answers for one that runs
is found out by the first polls, which would be made anyway: its running state, or a refusal. Either
way it tells as much as the state would, and brings the result where there is one. So states are
asked for only to understand a refusal: the first ones, and now and then one that goes on. A
refusal is never held against a job.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from batchgen.core.jobs.events import Change, Event, EventKind
from batchgen.core.jobs.job import Job, JobState
from batchgen.core.jobs.outcomes import CallKind, Signal
from batchgen.core.jobs.policies import PollWith

REFUSALS = frozenset(
    {
        Signal.NOT_NOW,
        Signal.MIDDLEMAN,
        Signal.UNREADABLE,
        Signal.BAD_REQUEST,
        Signal.NOT_FOUND,
        Signal.WRONG_METHOD,
        Signal.REFUSED_UNTOLD,
        Signal.PARAMETER_REFUSED,
        Signal.RETIRED,
        Signal.UNPROCESSABLE,
    }
)
"""What a service may say of a result that is asked for too early."""
ENOUGH_REFUSALS = 2
"""Of requests whose state then was that they run: a single one may be a fault."""
CHECKED_EVERY = 4
"""Of the refusals of one request in a row, so many mean that its state is asked for."""


@dataclass(slots=True)
class ResultPolls:
    """Whether results are asked for while requests run, and what is known of the answers.

    `tells`: they tell that a request runs; `refused_as`: they are refused meanwhile, like this.
    """

    way: PollWith = PollWith.STATUS
    tells: bool = False
    refused_as: Signal | None = None
    _refusals: Counter[Signal] = field(default_factory=Counter)
    """Of requests that did run, since the last result that told so."""
    _in_a_row: Counter[int] = field(default_factory=Counter)
    """Refusals of a job's result, by key."""
    _by_state: dict[int, Signal] = field(default_factory=dict)
    """Jobs whose result was refused, by key, and how: their state is asked for next."""

    def are_for(self, job: Job) -> bool:
        """Whether the next call about a submitted job asks for its result."""
        return self.way is not PollWith.STATUS and job.key not in self._by_state

    def understood(self, job: Job, event: Event) -> Event:
        """The event of a job; a refusal of its result becomes what it means: that it runs, or that
        its state is to be asked for at once."""
        response = event.response
        if job.state is not JobState.SUBMITTED or response is None or not self.are_for(job):
            return event
        is_no = response.call is CallKind.RESULT and response.signal in REFUSALS
        if not is_no or event.kind not in {EventKind.TROUBLE, EventKind.GONE}:
            return event
        is_usual = event.kind is EventKind.TROUBLE and response.signal is self.refused_as
        if is_usual and (self._in_a_row[job.key] + 1) % CHECKED_EVERY:
            return Event(EventKind.RUNNING, job.key, event.at, response=response)
        return Event(EventKind.HELD, job.key, event.at, "", event.at, response)

    def learn(self, change: Change) -> None:
        """A call about a submitted job ended, and is recorded."""
        response, key = change.event.response, change.before.key
        if change.before.state is not JobState.SUBMITTED or response is None:
            return
        is_running = change.event.kind is EventKind.RUNNING
        if response.call is not CallKind.RESULT:
            refused = self._by_state.pop(key, None)
            if refused is not None and is_running:
                self._learn_refusal(refused)
        elif response.signal in REFUSALS:
            self._in_a_row[key] += 1
            if change.event.kind is EventKind.HELD:
                self._by_state[key] = response.signal
        elif is_running:
            self.tells, self.refused_as = True, None
            self._refusals.clear()
        if change.after.state is not JobState.SUBMITTED:
            self._by_state.pop(key, None)
            self._in_a_row.pop(key, None)

    def _learn_refusal(self, signal: Signal) -> None:
        self._refusals[signal] += 1
        if self._refusals[signal] >= ENOUGH_REFUSALS:
            self.tells, self.refused_as = False, signal

    def dump(self) -> str | None:
        """What is known, as text: how results are refused, or that they are not."""
        return TELLING if self.tells else self.refused_as

    def recall(self, known: object) -> None:
        """Begin with what an earlier run knew; what nobody can read is as good as nothing."""
        self.tells = known == TELLING
        self.refused_as = next((signal for signal in REFUSALS if signal == known), None)


TELLING = "tells"
