"""Jobs as rows and back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable
from typing import Any

from batchgen.core.jobs.job import Doubt, Job, JobState, Output, Receipt
from batchgen.core.jobs.spec import Mode

JOB_COLUMNS = (
    "key, id, model, body, stem, api, price_usd, state, attempt, billable, request_id, sent_at, "
    "due_at, trouble, polls, recoveries, unclear_at, doubt, reason, "
    "cost_usd, remaining_credits, inference_s, queue_s, total_s, seed, listed, "
    "input_tokens, output_tokens"
)


def job_of(row: tuple[Any, ...], outputs: Iterable[Output] = ()) -> Job:
    """The job of a row of `JOB_COLUMNS`."""
    (
        key, id_, model, body, stem, api, price_usd, state, attempt, billable, request_id, sent_at,
        due_at, trouble, polls, recoveries, unclear_at, doubt, reason, cost_usd,
        remaining, inference_s, queue_s, total_s, seed, listed, *tokens,
    ) = row  # fmt: skip
    return Job(
        key=key,
        id=id_,
        model=model,
        body=body,
        stem=stem,
        api=Mode(api),
        price_usd=price_usd,
        state=JobState(state),
        attempt=attempt,
        billable=billable,
        request_id=request_id,
        sent_at=sent_at,
        due_at=due_at,
        trouble=trouble,
        polls=polls,
        recoveries=recoveries,
        unclear_at=unclear_at,
        doubt=Doubt(doubt),
        reason=reason,
        listed=bool(listed),
        outputs=tuple(outputs),
        receipt=Receipt(cost_usd, remaining, inference_s, queue_s, total_s, seed_of(seed), *tokens),
    )


def seed_of(text: object) -> int | str | None:
    """Seeds are stored as text: the service may echo numbers beyond 64 bits."""
    if text is None:
        return None
    digits = str(text).removeprefix("-")
    return int(str(text)) if digits.isascii() and digits.isdigit() else str(text)


def outputs_of(connection: sqlite3.Connection, job_key: int) -> list[Output]:
    """The outputs of a job that are known but not necessarily saved."""
    rows = connection.execute(
        "SELECT idx, url, staged, media_type, label FROM outputs WHERE job_key = ? ORDER BY idx",
        (job_key,),
    )
    return [Output(*row) for row in rows]


def pending_of(model: str | None, but_models: Collection[str]) -> tuple[str, str, list[str]]:
    """The index that serves a draw, a condition on the model, and its variables."""
    if model is not None:
        return "jobs_pending_by_model", "AND model = ?", [model]
    if but_models:
        # One variable, however many models: the number of variables has a limit.
        values = "(SELECT value FROM json_each(?))"
        return "jobs_pending", f"AND model NOT IN {values}", [json.dumps(list(but_models))]
    return "jobs_pending", "", []
