"""How an effect ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batchgen.core.jobs.events import Event
from batchgen.core.reconciliation.history import HistoryRow
from batchgen.core.scheduling.effects import Effect
from batchgen.ports import SaveFault


@dataclass(frozen=True, slots=True)
class Landed:
    """How an effect ended: its event, and what the disk said.

    `event` is None for an effect without a job (probes and reads bring one for the gates only),
    and for one that was cut off. `rows` is the page of a read, None when it failed; `foreign` says
    that a confirmation was denied. `credits_usd` is what the account holds, where that was asked.
    `url` is where an uploaded content stands; `detail` names its file, or without an event says
    why none can be had.
    """

    effect: Effect
    event: Event | None = None
    fault: SaveFault | None = None
    detail: str = ""
    rows: Sequence[HistoryRow] | None = None
    foreign: bool = False
    credits_usd: float | None = None
    url: str = ""
