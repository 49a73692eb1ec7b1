"""Effects: what the planner can ask the shell to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from batchgen.core.jobs.job import Job
from batchgen.core.jobs.placeholders import Content
from batchgen.core.jobs.spec import InputFile
from batchgen.core.reconciliation.history import HistoryRead


class EffectKind(StrEnum):
    """What the shell can be asked to do. Every effect ends in exactly one event."""

    SUBMIT = "submit"
    UPLOAD = "upload"
    """A file that pending jobs name, so that their bodies can name its address."""
    POLL = "poll"
    FETCH = "fetch"
    SAVE = "save"
    RECOVER = "recover"
    READ_HISTORY = "read history"
    """The next page of the account's history, for every ambiguous job at once."""
    CONFIRM = "confirm"
    """Ask whether a row of the history is ours."""
    CREDITS = "credits"
    """Ask what the account holds, once, to compare it with what the jobs will cost."""
    PROBE = "probe"
    """A free GET while the key or the service is in doubt."""
    CHECK_DISK = "check disk"
    """A look at the free space while it is short."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One action. `counts` says that it takes a slot of the rate window.

    `job` is None for probes, uploads and reads of the history. The shell fills in what the effect
    is about when it starts: `read` for a page of the history, `request_id` for a confirmation,
    `files` that hold the `content` of an upload.
    """

    kind: EffectKind
    job: Job | None = None
    counts: bool = True
    read: HistoryRead | None = None
    request_id: str = ""
    at_once: bool = False
    """Of a poll: where requests are not limited, a result that is there is fetched with it."""
    content: Content | None = None
    files: tuple[InputFile, ...] = ()

    @property
    def model(self) -> str:
        """The model it is about; empty for what is about none."""
        return "" if self.job is None else self.job.model
