"""What a run came to: money by model, the slowest jobs, and failures with what deals with them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from batchgen.core.jobs.job import JobState, retry_option
from batchgen.core.progress.advice import advice_of
from batchgen.core.progress.held_words import HeldModel, in_words
from batchgen.core.scheduling.gates.holds import HeldJobs
from batchgen.providers.registry import SERVICE_NOTE, service_of

RUN_AGAIN = "batchgen run MANIFEST"
"""What resumes a run whose manifest is not known."""


def epilogue_of(run: Path, again: str = RUN_AGAIN) -> dict[str, Any]:
    """A run as its state tells it; `again` is the command that resumes it. Money in USD, times in
    seconds. Raises `StateError`."""
    from contextlib import closing

    from batchgen.core.progress.reasons import grouped
    from batchgen.store.sqlite.status import StatusQueries

    with closing(StatusQueries(run / "state.db", is_known=True)) as reader, reader.snapshot():
        return {
            "models": {
                account.model: {
                    "jobs": account.job_count,
                    "done": account.done_count,
                    "spent_usd": round(account.spent_usd, 6),
                }
                for account in reader.accounts()
            },
            "slowest": [
                {"id": slow.id, "model": slow.model, "seconds": round(slow.seconds, 3)}
                for slow in reader.slowest()
            ],
            "texts": [
                {"model": one.model, "count": one.count, "example": one.example}
                for one in reader.texts_beside_media()
            ],
            "tried_again": reader.tried_again(),
            "tokens": dict(zip(("read", "written"), reader.tokens(), strict=True)),
            "failures": _failures(run, again, grouped(reader.reasons()), reader.problem_counts()),
        }


def _failures(
    run: Path, again: str, groups: list[dict[str, Any]], counts: Mapping[str, int]
) -> list[dict[str, Any]]:
    """The groups, and one more of each state whose reasons were too many to be told."""
    rows = [(one["state"], one["said"], one["count"], one["example"]) for one in groups]
    for state, count in counts.items():
        rest = count - sum(row[2] for row in rows if row[0] == state)
        rows += [(state, "other reasons", rest, "")] if rest > 0 else []
    return [
        {
            "state": state,
            "reason": reason,
            "count": count,
            "example": example,
            "advice": advice_of(reason),
            "command": next_command(run, state, again),
        }
        for state, reason, count, example in rows
    ]


def held_models(
    held: Sequence[HeldJobs], notes: Mapping[str, str], manifest: str = "the manifest"
) -> tuple[HeldModel, ...]:
    """Jobs on hold in words; `notes` are those of their state."""
    if not held:
        return ()
    catalog = service_of(notes.get(SERVICE_NOTE)).load_catalog()
    return in_words(held, (model.slug for model in catalog), manifest)


def next_command(run: Path, state: str, again: str) -> str:
    """What to type next for the jobs of an ended state.

    `again` resumes the run, and so fetches what is paid for. A `retry --failed` would put lost jobs
    back as well, which are paid for again.
    """
    if state == JobState.UNFETCHED:
        return again
    return shlex.join(["batchgen", "retry", str(run), retry_option(JobState(state))])
