"""Input files on their way to the service: read, sent, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from batchgen.core.jobs.events import Event
from batchgen.core.jobs.placeholders import Uploaded
from batchgen.core.scheduling.effects import Effect, EffectKind
from batchgen.core.scheduling.state import SchedulerState
from batchgen.core.scheduling.uploads import take_in_failure, without_input
from batchgen.ports import State

if TYPE_CHECKING:
    from batchgen.runner.outcome import Landed

UNKNOWN_FILE = "no local file is known to hold it any more; run again"


async def with_files(effects: Sequence[Effect], state: State) -> Sequence[Effect]:
    """The effects, uploads among them with the files that hold their content."""
    if not any(effect.kind is EffectKind.UPLOAD for effect in effects):
        return effects
    return [
        effect
        if effect.content is None
        else replace(effect, files=tuple(await state.input_files(effect.content)))
        for effect in effects
    ]


def take_in_upload(
    board: SchedulerState, landed: Landed, now: float
) -> tuple[Uploaded | None, list[Event]]:
    """An upload to be recorded, or the end of the jobs that need what cannot be had.

    Neither where it was cut off, or is tried again.
    """
    content, desk = landed.effect.content, board.uploads
    if content is None:
        return None, []
    desk.release(content)
    if landed.event is not None:
        board.gates.observe(landed.event)
        board.on_response(landed.event)
    if landed.url:
        return Uploaded(content, landed.url, now, landed.detail), []
    reason = landed.detail
    if landed.event is not None:
        reason = take_in_failure(desk, content, landed.event)
        reason = f"{landed.detail} is not uploaded: {reason}" if reason else ""
    if not reason:
        return None, []
    desk.forget(content)
    return None, without_input(board.waiting_for(content), reason, now)
