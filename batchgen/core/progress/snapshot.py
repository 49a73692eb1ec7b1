"""What a display shows of a run at one instant, and how it fits into a line.

A line is made of *segments*. Each has forms, from the longest to the shortest, and a rank: in a
narrow line those of the lowest ranks stay. Nothing here reads a clock or knows a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from batchgen.core.common.formatting import size_text
from batchgen.core.jobs.job import (
    COMING_HOME,
    ENDED,
    GROUPS,
    IN_FLIGHT,
    JobState,
    StateGroup,
    states_of,
)
from batchgen.core.progress.tally import duration

SOON_S = 600.0
"""A deadline so near comes before everything else."""
_BETWEEN = ", "
_WITHOUT_FILES = tuple(
    group for group in StateGroup if GROUPS[group].is_end and group is not StateGroup.DONE
)


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """A run at one instant; None is what is not known, or does not apply.

    `submits` and `polls` count the last minute, `calls` all requests of it that count against
    `allowed`. `limited_until`, `deadline_at` and `at` are instants. `waiting_for` names closed
    gates. `bytes_per_s` is the download rate of the last minute. `faltering` has a reason for each
    job whose files do not come. `held_count` are pending jobs that are on hold.
    """

    at: float
    counts: Mapping[JobState, int]
    spent_usd: float = 0.0
    reserved_usd: float | None = None
    cap_usd: float | None = None
    submits: int | None = None
    polls: int | None = None
    calls: int | None = None
    allowed: int | None = None
    limited_until: float | None = None
    waiting_for: tuple[str, ...] = ()
    eta_s: float | None = None
    deadline_at: float | None = None
    bytes_per_s: float = 0.0
    uploading_count: int = 0
    uploaded_count: int = 0
    uploaded_bytes: int = 0
    faltering: tuple[str, ...] = ()
    held_count: int = 0

    @property
    def total(self) -> int:
        """All jobs."""
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        """Jobs the run does nothing more about."""
        return self.count(ENDED)

    def count(self, states: Iterable[JobState]) -> int:
        """Jobs in any of these states."""
        return sum(self.counts.get(state, 0) for state in states)


@dataclass(frozen=True, slots=True)
class Segment:
    """One fact of a line: its `forms`, the longest first. The lower the `rank`, the longer it
    stays."""

    rank: int
    forms: tuple[str, ...] = field(default=())


Clock = Callable[[float], str]
"""An instant as the reader's clock shows it: `07:41:05`."""


def fitted(segments: Sequence[Segment], width: int) -> str:
    """The segments in their order, as many and as long as fit into `width` characters.

    The lowest rank is always there, cut off where even its shortest form is too long.
    """
    by_rank = sorted((s for s in segments if s.forms), key=lambda segment: segment.rank)
    chosen: dict[int, str] = {}

    def line(changed: Mapping[int, str]) -> str:
        forms = chosen | dict(changed)
        return _BETWEEN.join(forms[id(s)] for s in segments if id(s) in forms)

    for segment in by_rank:
        if len(line({id(segment): segment.forms[-1]})) <= width:
            chosen[id(segment)] = segment.forms[-1]
    for segment in by_rank:
        if id(segment) in chosen:
            fitting = (f for f in segment.forms if len(line({id(segment): f})) <= width)
            chosen[id(segment)] = next(fitting, chosen[id(segment)])
    if not chosen and by_rank:
        return by_rank[0].forms[-1][: max(0, width)]
    return line({})


def end_segments(snapshot: RunSnapshot) -> list[Segment]:
    """How far it is and when it ends: behind the bar."""
    if not snapshot.total:
        return []
    segments = [Segment(1, (f"{100 * snapshot.ended // snapshot.total} %",))]
    if snapshot.eta_s is not None and snapshot.ended < snapshot.total:
        eta = duration(snapshot.eta_s)
        segments.append(Segment(0, (f"ETA {eta}", eta)))
    return segments


def job_segments(snapshot: RunSnapshot) -> list[Segment]:
    """Where the jobs are, and what moves."""
    told = [
        (0, snapshot.count(states_of(StateGroup.DONE)), "done", True),
        (2, snapshot.count(IN_FLIGHT), "running", True),
        (4, snapshot.count(COMING_HOME), "fetching", False),
        (3, snapshot.count(states_of(StateGroup.WAITING)) - snapshot.held_count, "queued", False),
        (1, snapshot.held_count, "held", False),
        *((1, snapshot.count(states_of(group)), group.value, False) for group in _WITHOUT_FILES),
    ]
    segments = [
        Segment(rank, (f"{count} {word}",)) for rank, count, word, always in told if count or always
    ]
    if snapshot.faltering:
        again = f"{len(snapshot.faltering)} tried again"
        segments.append(Segment(4, (f"{again} ({snapshot.faltering[0]})", again)))
    if snapshot.bytes_per_s >= 1:
        segments.append(Segment(5, (f"{size_text(snapshot.bytes_per_s)}/s",)))
    if snapshot.uploading_count:
        segments.append(Segment(5, (f"{snapshot.uploading_count} uploading",)))
    if snapshot.uploaded_count:
        size = size_text(snapshot.uploaded_bytes)
        count = f"{snapshot.uploaded_count} uploaded"
        segments.append(Segment(6, (f"{count} ({size})", count)))
    return segments


def budget_segments(snapshot: RunSnapshot, clock: Clock) -> list[Segment]:
    """What holds it back, what it costs, which requests it makes, and until when to fetch."""
    segments = []
    if snapshot.waiting_for:
        segments.append(Segment(0, (f"waits: {' and '.join(snapshot.waiting_for)}",)))
    if snapshot.limited_until is not None:
        segments.append(Segment(0, (f"limited until {clock(snapshot.limited_until)}",)))
    segments += [_money(snapshot), *_calls(snapshot)]
    if snapshot.deadline_at is not None:
        left_s = snapshot.deadline_at - snapshot.at
        by = f"fetch by {clock(snapshot.deadline_at)}"
        urgent = left_s < SOON_S
        segments.append(
            Segment(
                0 if urgent else 3, (f"{by} ({duration(left_s)} left)", by) if urgent else (by,)
            )
        )
    return segments


def _money(snapshot: RunSnapshot) -> Segment:
    spent = f"${snapshot.spent_usd:.2f}"
    reserved = f"${snapshot.reserved_usd:.2f}" if snapshot.reserved_usd else ""
    cap = "" if snapshot.cap_usd is None else f"${snapshot.cap_usd:.2f}"
    long = f"{spent} spent" + (f" + {reserved} reserved" if reserved else "")
    both = f"{spent}+{reserved}" if reserved else spent
    return Segment(
        1,
        (
            f"{long} of {cap}" if cap else long,
            f"{both}/{cap}" if cap else both,
            f"{spent}/{cap}" if cap else spent,
        ),
    )


def _calls(snapshot: RunSnapshot) -> list[Segment]:
    parts = [
        f"{count} {word}"
        for count, word in ((snapshot.submits, "submits"), (snapshot.polls, "polls"))
        if count is not None
    ]
    told = " + ".join(parts)
    if snapshot.calls is None or snapshot.allowed is None:
        return [Segment(2, (f"{told}/min",))] if parts else []
    budget = f"{snapshot.calls}/{snapshot.allowed} requests/min"
    return [Segment(2, (f"{budget} ({told})", budget) if parts else (budget,))]


def one_line(snapshot: RunSnapshot, clock: Clock) -> str:
    """Everything in one line, however long: where there is no terminal."""
    count = Segment(0, (f"{snapshot.ended}/{snapshot.total}",))
    segments = [count, *end_segments(snapshot), *job_segments(snapshot)]
    return fitted([*segments, *budget_segments(snapshot, clock)], 10_000)
