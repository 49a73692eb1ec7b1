"""What probes bring, and what the disk said: onto the gates of the board."""

from __future__ import annotations

from dataclasses import replace

from batchgen.core.board import Board
from batchgen.core.effect import EffectKind
from batchgen.core.gates import GateKind
from batchgen.ports import SaveFault
from batchgen.runner.effects import Landed, gate_of

DISK_CHECK_S = 5.0


def take_in_probe(board: Board, landed: Landed, now: float) -> None:
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


def observe_fault(board: Board, landed: Landed, now: float) -> None:
    """A fault of the storage closes a gate, or makes downloads fewer."""
    if landed.fault is None or landed.effect.job is None:
        return
    if landed.fault is SaveFault.TOO_MANY_FILES:
        fewer = max(1, board.limits.save_concurrency // 2)
        board.limits = replace(board.limits, save_concurrency=fewer)
    gate = gate_of(landed.fault)
    if gate is not None:
        board.gates.close(gate, landed.detail, now)
