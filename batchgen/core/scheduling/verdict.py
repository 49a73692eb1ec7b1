"""From the end of a run to its exit code."""

from __future__ import annotations

from collections.abc import Mapping

from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.jobs.job import JobState
from batchgen.core.scheduling.completion import Verdict
from batchgen.core.scheduling.gates import Gate, GateKind


def exit_code(verdict: Verdict, gate: Gate | None, counts: Mapping[JobState, int]) -> ExitCode:
    """The exit code of a run that ended so, with jobs in these states.

    Signals are told apart by the shell, which knows which one came.
    """
    if verdict is Verdict.STOP:
        stopped_by_user = gate is not None and gate.kind is GateKind.STOP
        return ExitCode.INTERRUPTED if stopped_by_user else ExitCode.STOPPED
    unfinished = sum(count for state, count in counts.items() if state is not JobState.DONE)
    return ExitCode.UNFINISHED if unfinished else ExitCode.COMPLETED
