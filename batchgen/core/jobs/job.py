"""The values a run is made of: jobs, attempts, outputs, and what was paid for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from batchgen.core.jobs.spec import Mode


class JobState(StrEnum):
    """Where a job stands. The legal moves are the table in `core.jobs.lifecycle`."""

    PENDING = "pending"
    """Waits to be submitted."""
    SUBMITTING = "submitting"
    """Its intent is on disk and its POST may be under way."""
    SUBMITTED = "submitted"
    """The service gave it a request_id; it runs there."""
    FETCHING = "fetching"
    """It is completed there; its result and its files are being brought home."""
    RECOVERING = "recovering"
    """Its record expired or vanished; the account's history is asked for its files."""
    AMBIGUOUS = "ambiguous"
    """Its POST may or may not have been accepted; history decides."""
    DONE = "done"
    """Every output is whole under its final name."""
    FAILED = "failed"
    """The service refused it or ran it without success; nothing was charged."""
    UNKNOWN = "unknown"
    """Nothing could tell what became of its POST; the user decides."""
    LOST = "lost"
    """It was paid for and its result can no longer be had."""
    UNFETCHED = "unfetched"
    """It is finished and paid for; its files could not be fetched so far. The next run tries."""
    REJECTED = "rejected"
    """It is finished and paid for; what came is not what its model makes."""

    __hash__ = str.__hash__  # a member equals its text; Enum's own hash is Python, and slow


class StateGroup(StrEnum):
    """States of a job as people tell them apart: what a page filters by."""

    DONE = "done"
    """Its files are there."""
    RUNNING = "running"
    """It was submitted, and a run still works on it."""
    WAITING = "pending"
    """It is still to be submitted."""
    FAILED = "failed"
    """It ended without files, and nothing was charged."""
    UNKNOWN = "unknown"
    """It ended without files, and may have been billed."""
    LOST = "lost"
    """It ended without files, and was paid for."""
    UNFETCHED = "unfetched"
    """Its files are at the service, and could not be fetched so far."""
    REJECTED = "rejected"
    """It was paid for, and what came is no file of the kind that its model makes."""


@dataclass(frozen=True, slots=True)
class GroupTraits:
    """What holds for all states of a group.

    `title` heads its jobs on the page, `about` says there what became of them. `retry_option` is
    the option of `batchgen retry` that puts them back, and `retry_cost` says what that costs; both
    are empty where nothing is to be put back.
    """

    title: str
    is_end: bool = False
    about: str = ""
    retry_option: str = ""
    retry_cost: str = ""


GROUPS: Mapping[StateGroup, GroupTraits] = {
    StateGroup.DONE: GroupTraits("Done", is_end=True),
    StateGroup.RUNNING: GroupTraits("Running"),
    StateGroup.WAITING: GroupTraits("Waiting"),
    StateGroup.FAILED: GroupTraits(
        "Failed",
        is_end=True,
        about="The service refused them or ran them without success. Nothing was charged.",
        retry_option="--failed",
        retry_cost="not charged",
    ),
    StateGroup.UNKNOWN: GroupTraits(
        "Unknown",
        is_end=True,
        about="Nothing could tell what became of their submits: they may have been billed. "
        "You decide.",
        retry_option="--unknown",
        retry_cost="perhaps billed: says beforehand what may be billed twice",
    ),
    StateGroup.LOST: GroupTraits(
        "Lost",
        is_end=True,
        about="They were paid for, and their results can no longer be had.",
        retry_option="--failed",
        retry_cost="paid, and paid again",
    ),
    StateGroup.UNFETCHED: GroupTraits(
        "To be fetched",
        is_end=True,
        about="They are finished and paid for, and their files could not be fetched so far. The "
        "next run tries them first, free of charge.",
        retry_option="--failed",
        retry_cost="fetched, free",
    ),
    StateGroup.REJECTED: GroupTraits(
        "Rejected",
        is_end=True,
        about="They were paid for, and what came is no file of the kind that their model makes. "
        "It is kept in rejected/. You decide.",
        retry_option="--rejected",
        retry_cost="paid, and paid again",
    ),
}
"""Every group, in the order of the page."""


@dataclass(frozen=True, slots=True)
class StateTraits:
    """What everything but the lifecycle has to know of a state.

    `word` is what the page calls it. A job that `is_in_flight` takes a place of
    `budget.concurrency`: it is (maybe) accepted, and not known to be finished. Of one that
    `is_in_doubt` nobody knows whether it was accepted. `awaits_result` says that the service alone
    has its result.
    """

    group: StateGroup
    word: str
    is_in_flight: bool = False
    is_in_doubt: bool = False
    awaits_result: bool = False


STATES: Mapping[JobState, StateTraits] = {
    JobState.PENDING: StateTraits(StateGroup.WAITING, "waiting"),
    JobState.SUBMITTING: StateTraits(StateGroup.RUNNING, "being submitted", is_in_flight=True),
    JobState.SUBMITTED: StateTraits(
        StateGroup.RUNNING, "running", is_in_flight=True, awaits_result=True
    ),
    JobState.FETCHING: StateTraits(StateGroup.RUNNING, "coming home"),
    JobState.RECOVERING: StateTraits(StateGroup.RUNNING, "being recovered", awaits_result=True),
    JobState.AMBIGUOUS: StateTraits(
        StateGroup.RUNNING, "unclear, being looked up", is_in_flight=True, is_in_doubt=True
    ),
    JobState.DONE: StateTraits(StateGroup.DONE, "done"),
    JobState.FAILED: StateTraits(StateGroup.FAILED, "failed"),
    JobState.UNKNOWN: StateTraits(StateGroup.UNKNOWN, "unknown: you decide", is_in_doubt=True),
    JobState.LOST: StateTraits(StateGroup.LOST, "lost"),
    JobState.UNFETCHED: StateTraits(StateGroup.UNFETCHED, "to be fetched"),
    JobState.REJECTED: StateTraits(StateGroup.REJECTED, "rejected: you decide"),
}
"""Every state. SQL, summaries, messages, the page and the documents are made from these rows."""


def states_of(*groups: StateGroup) -> frozenset[JobState]:
    """The states of some groups."""
    return frozenset(state for state in JobState if STATES[state].group in groups)


ENDED = states_of(*(group for group in StateGroup if GROUPS[group].is_end))
"""States in which a run does nothing more about a job."""

PROBLEMS = ENDED - states_of(StateGroup.DONE)
"""States in which a job ended without files."""

IN_FLIGHT = frozenset(state for state in JobState if STATES[state].is_in_flight)
"""States that take a place of `budget.concurrency`."""

COMING_HOME = states_of(StateGroup.RUNNING) - IN_FLIGHT
"""States of a job that is finished at the service, and whose files are not here yet."""

AWAITING_RESULT = frozenset(state for state in JobState if STATES[state].awaits_result)
"""States of a job whose result is at the service alone. FETCHING is one until its outputs are
known."""


def retry_option(state: JobState) -> str:
    """The option of `batchgen retry` that puts jobs of this state back; empty where none does."""
    return GROUPS[STATES[state].group].retry_option


class AttemptState(StrEnum):
    """What is known of one POST."""

    INTENT = "intent"
    """On disk before a byte leaves; nothing is known yet."""
    ACKED = "acked"
    """Accepted: it has a request_id (or, for v1, was answered) and may be billed."""
    REJECTED = "rejected"
    """Surely not accepted: not billed."""
    AMBIGUOUS = "ambiguous"
    """May have been accepted, may be billed."""
    ABSENT = "absent"
    """Proved not accepted by the account's history: not billed."""
    ABANDONED = "abandoned"
    """Still ambiguous when the user chose to go on without it: may have been billed."""


class Doubt(StrEnum):
    """Why it is not known whether a POST was accepted, as far as it matters to the proof."""

    NONE = ""
    """It is known."""
    OPEN = "open"
    """Nothing speaks for either."""
    SERVER_ERROR = "server error"
    """The answer was a 5xx, which is documented as not accepted."""
    MIDDLEMAN = "middleman"
    """Something between here and the service answered: whether it passed the POST on is open."""
    ACCEPTED = "accepted"
    """It was accepted, but its id is missing or of no use: absence cannot be proved."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a job before it is a file: a URL to download or a staged file at home.

    `index` counts from 0. `media_type` is what the service declared, empty when it did not. `label`
    is what the answer calls it, as it may stand in a file name; empty for an output without a name.
    """

    index: int
    url: str = ""
    staged: str = ""
    media_type: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A finished file. `name` is its path below `outputs/`; width, height in pixels or 0.

    `verified`: its bytes say what it is, and that it is whole. Else it is what the server sent,
    all of it, of a kind that is not known here or with an end that looks cut.
    """

    index: int
    name: str
    size: int
    sha256: str
    media_type: str
    width: int = 0
    height: int = 0
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the service said about a finished request; None where it said nothing.

    Times in seconds, `cost_usd` and `remaining_credits` in USD (`metrics` of the final body, or the
    accounting headers of v1). Tokens are those of a text model, as its maker counts them.
    """

    cost_usd: float | None = None
    remaining_credits: float | None = None
    inference_s: float | None = None
    queue_s: float | None = None
    total_s: float | None = None
    seed: int | str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None

    def updated(self, later: Receipt) -> Receipt:
        """What both say; the later one where both speak."""
        return Receipt(
            *(
                getattr(self if getattr(later, item.name) is None else later, item.name)
                for item in fields(Receipt)
            )
        )


@dataclass(frozen=True, slots=True)
class Job:
    """One job as the run sees it.

    `key` is its row in the state. `attempt` numbers its POSTs from 1 (0: none yet), of which
    `billable` may be billed. `sent_at` is when the POST of the current attempt was about to leave:
    the earliest instant from which its window can count. Nothing is started before `due_at`.
    `trouble` counts consecutive fruitless effects in the present state; `polls` those of the
    current attempt, `recoveries` how often its result had to be asked of the history.
    `unclear_at` is when `doubt` arose about the current attempt. `listed` says that the job is
    (still) in the manifest.
    """

    key: int
    id: str
    model: str
    body: str
    stem: str
    api: Mode = Mode.QUEUED
    price_usd: float | None = None
    state: JobState = JobState.PENDING
    attempt: int = 0
    billable: int = 0
    request_id: str = ""
    sent_at: float = 0.0
    due_at: float = 0.0
    trouble: int = 0
    polls: int = 0
    recoveries: int = 0
    unclear_at: float = 0.0
    doubt: Doubt = Doubt.NONE
    reason: str = ""
    outputs: tuple[Output, ...] = ()
    receipt: Receipt = field(default_factory=Receipt)
    listed: bool = True

    @property
    def ended(self) -> bool:
        """Whether the run does nothing more about it."""
        return self.state in ENDED

    @property
    def cost_usd(self) -> float:
        """What its current attempt costs: as the service said, else as expected."""
        said = self.receipt.cost_usd
        return (self.price_usd or 0.0) if said is None else said

    @property
    def may_be_absent(self) -> bool:
        """Whether absence from the history could prove that its POST was not accepted."""
        return self.doubt is not Doubt.ACCEPTED

    @property
    def documented_absent(self) -> bool:
        """Whether the service documents such an answer as not accepted."""
        return self.doubt is Doubt.SERVER_ERROR

    def file_stem(self, output: Output) -> str:
        """The output's path below `outputs/` without extension.

        One output takes the job's stem; several are numbered after a `~`, which no stem contains.
        There stands the label of one that has one.
        """
        if output.label:
            return f"{self.stem}~{output.label}"
        is_only = sum(not other.label for other in self.outputs) == 1
        return self.stem if is_only else f"{self.stem}~{output.index + 1}"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What pending jobs are reckoned to cost, in USD; `unpriced_count` of them nobody knows."""

    usd: float
    unpriced_count: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What the state holds, counted: jobs by state, and money in USD.

    `unpriced` counts attempts by model that may be billed and are reserved at nothing, since nobody
    knew a price.
    """

    counts: Mapping[str, int]
    settled_usd: float = 0.0
    reserved_usd: float = 0.0
    unpriced: Mapping[str, int] = field(default_factory=dict)
