"""What effects brought: sorted onto the board, and into what is to be recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from batchgen.core.jobs.events import Event
from batchgen.core.jobs.placeholders import Uploaded
from batchgen.core.scheduling.effects import EffectKind
from batchgen.core.scheduling.state import SchedulerState
from batchgen.runner.history import reject_candidate, take_in_page
from batchgen.runner.outcome import Landed
from batchgen.runner.probes import observe_fault, take_in_probe
from batchgen.runner.uploads import take_in_upload


@dataclass(slots=True)
class Mail:
    """Events and uploads to be recorded; `credits_usd` is what the account holds, if it was asked.

    None of it is on the board yet.
    """

    events: list[Event] = field(default_factory=list)
    uploaded: list[Uploaded] = field(default_factory=list)
    credits_usd: float | None = None


def sort_mail(board: SchedulerState, landed: Sequence[Landed], now: float) -> Mail:
    """Take in what needs no record: gates, pages, who is no longer busy."""
    mail = Mail()
    for item in landed:
        observe_fault(board, item, now)
        if item.effect.kind is EffectKind.UPLOAD:
            _take_in_upload(board, item, mail, now)
        elif item.effect.kind is EffectKind.READ_HISTORY:
            take_in_page(board, item)
        elif item.effect.job is None:
            take_in_probe(board, item, now)
            if item.credits_usd is not None:
                mail.credits_usd = item.credits_usd
        else:
            board.release(item.effect.job.key)
            if item.foreign:
                reject_candidate(board, item.effect.job.key)
            if item.event is not None:
                mail.events.append(item.event)
    return mail


def _take_in_upload(board: SchedulerState, item: Landed, mail: Mail, now: float) -> None:
    """A job may wait for several contents that cannot be had: it ends once."""
    done, events = take_in_upload(board, item, now)
    if done is not None:
        mail.uploaded.append(done)
    ended = {event.job_key for event in mail.events}
    mail.events += [event for event in events if event.job_key not in ended]
