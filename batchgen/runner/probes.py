"""What probes bring, and what the disk said: onto the gates of the board."""

from __future__ import annotations

from dataclasses import replace

from batchgen.core.scheduling.effects import EffectKind
from batchgen.core.scheduling.gates import GateKind
from batchgen.core.scheduling.state import SchedulerState
from batchgen.ports import SaveFault
from batchgen.runner.effects import gate_of
from batchgen.runner.outcome import Landed

DISK_CHECK_S = 5.0


def take_in_probe(board: SchedulerState, landed: Landed, now: float) -> None:
    """Take in the end of an effect that is about no job."""
    gates = board.gates
    board.probing = False
    if landed.effect.kind is EffectKind.CREDITS:
        board.wants_credits = landed.event is None
    if landed.event is not None:
        gates.probed(landed.event)
    elif landed.effect.kind is EffectKind.CHECK_DISK:
        if landed.fault is None:
            gates.open(GateKind.DISK)
        else:
            gates.put_off(GateKind.DISK, now + DISK_CHECK_S)


def observe_fault(board: SchedulerState, landed: Landed, now: float) -> None:
    """A fault of the storage closes a gate, or makes downloads fewer."""
    if landed.fault is None or landed.effect.job is None:
        return
    if landed.fault is SaveFault.TOO_MANY_FILES:
        fewer = max(1, board.limits.save_concurrency // 2)
        board.limits = replace(board.limits, save_concurrency=fewer)
    gate = gate_of(landed.fault)
    if gate is not None:
        board.gates.close(gate, landed.detail, now)
