"""What is told to people who are not there, and to the command that runs at the end.

Only counts, money and reasons of the run itself: a reason of a single job may quote its prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.jobs.job import ENDED, GROUPS, JobState, StateGroup, states_of
from batchgen.core.manifest.notice_kinds import NoticeKind
from batchgen.core.progress.advice import advice_of
from batchgen.core.progress.gate_words import gate_words
from batchgen.core.progress.held_words import HeldModel, with_held
from batchgen.core.progress.tally import duration
from batchgen.core.scheduling.spending import WARNING_SHARE


@dataclass(frozen=True, slots=True)
class Notice:
    """One message."""

    kind: NoticeKind
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run came to. `resume` is the command that goes on; `reason` why it stopped early.

    `simulated` says that it was a rehearsal, `held` which models' jobs are on hold.
    """

    name: str
    simulated: bool
    run: str
    manifest: str
    outputs: str
    exit_code: int
    reason: str
    counts: Mapping[JobState, int]
    spent_usd: float
    elapsed_s: float
    resume: str
    held: tuple[HeldModel, ...] = ()

    @property
    def held_count(self) -> int:
        """Pending jobs that are on hold."""
        return sum(one.jobs for one in self.held)

    def count(self, states: Iterable[JobState]) -> int:
        """Jobs in any of these states."""
        return sum(self.counts.get(state, 0) for state in states)

    @property
    def left_count(self) -> int:
        """Jobs that have not ended, and are not on hold."""
        return self.count(state for state in JobState if state not in ENDED) - self.held_count


def end_notice(facts: Facts) -> Notice:
    """The message at the end."""
    finished = facts.exit_code in {ExitCode.COMPLETED, ExitCode.UNFINISHED}
    kind = NoticeKind.FINISHED if finished else NoticeKind.STOPPED
    counts = with_held({state: facts.count([state]) for state in JobState}, facts.held_count)
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    lines = [
        *([facts.reason] if facts.reason else []),
        ", ".join(parts) or "no jobs",
        f"${facts.spent_usd:.2f} spent, {duration(facts.elapsed_s)}",
        *(one.text for one in facts.held),
    ]
    if not finished or facts.left_count or facts.held:
        lines.append(f"resume: {facts.resume}")
    elif facts.exit_code == ExitCode.UNFINISHED:
        lines.append(f"reasons: batchgen status {facts.run} --failed")
        if facts.count([JobState.UNFETCHED]):
            lines.append(f"fetch the unfetched ones, free: {facts.resume}")
    how = "finished" if finished else "stopped early"
    return Notice(kind, f"{called(facts.name, simulated=facts.simulated)}: {how}", "\n".join(lines))


def called(name: str, *, simulated: bool) -> str:
    """A run in a message: nobody should take a rehearsal for the night itself."""
    return f"{name} (rehearsal)" if simulated else name


def unknown_notice(name: str, run: str) -> Notice:
    """A job was set aside."""
    body = (
        "nothing could tell what became of a job's submit: it may have been billed, and is set "
        f"aside while the others go on.\nlook: batchgen status {run} --failed\n"
        f"decide: batchgen retry {run} --unknown"
    )
    return Notice(NoticeKind.DECISION, f"{name}: a job needs a decision", body)


def gate_notice(name: str, gate: str, reason: str) -> Notice | None:
    """A gate stays closed; None for one that nobody but the run itself opens."""
    words = gate_words(gate)
    if words is None or not words.message:
        return None
    advice = advice_of(reason)
    body = f"the run waits{f': {reason}' if reason else ''}" + (f"\n{advice}" if advice else "")
    return Notice(NoticeKind.DECISION, f"{name}: {words.message}", body)


def held_notice(name: str, text: str) -> Notice:
    """A model takes no jobs."""
    return Notice(NoticeKind.DECISION, f"{name}: a model takes no jobs", text)


def budget_notice(name: str, text: str) -> Notice:
    """The cap comes near."""
    title = f"{name}: {WARNING_SHARE:.0%} of max_spend are used up"
    return Notice(NoticeKind.BUDGET, title, text.removeprefix("warning: "))


def environment(facts: Facts) -> dict[str, str]:
    """The variables of `on_finish`. Money in USD, time in seconds; jobs by how they ended."""
    ends = [group for group in StateGroup if GROUPS[group].is_end]
    return {
        "BATCHGEN_NAME": facts.name,
        "BATCHGEN_SIMULATED": str(int(facts.simulated)),
        "BATCHGEN_RUN": facts.run,
        "BATCHGEN_MANIFEST": facts.manifest,
        "BATCHGEN_OUTPUTS": facts.outputs,
        "BATCHGEN_EXIT_CODE": str(facts.exit_code),
        "BATCHGEN_REASON": facts.reason,
        "BATCHGEN_JOBS": str(sum(facts.counts.values())),
        "BATCHGEN_LEFT": str(facts.left_count),
        "BATCHGEN_HELD": str(facts.held_count),
        **{f"BATCHGEN_{end.upper()}": str(facts.count(states_of(end))) for end in ends},
        "BATCHGEN_SPENT_USD": f"{facts.spent_usd:.6f}",
        "BATCHGEN_ELAPSED_S": f"{facts.elapsed_s:.3f}",
    }
