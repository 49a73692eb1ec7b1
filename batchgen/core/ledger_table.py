"""The ledger as a table: one row a job, or one a POST; and cells that no spreadsheet runs."""

from __future__ import annotations

import json
from typing import Any

from batchgen.core.dataset import Layout
from batchgen.core.dataset_kinds import Kind

JOBS = Layout(
    {"id": Kind.TEXT, "model": Kind.TEXT, "state": Kind.TEXT, "reason": Kind.TEXT},
    {
        "in_manifest": Kind.FLAG,
        "attempts": Kind.WHOLE,
        "request_id": Kind.TEXT,
        "seed": Kind.WHOLE,
        "cost": Kind.NUMBER,
        "submitted_at": Kind.NUMBER,
        "changed_at": Kind.NUMBER,
        "inference_s": Kind.NUMBER,
        "queue_s": Kind.NUMBER,
        "total_s": Kind.NUMBER,
        "files": Kind.JSON,
    },
)
"""Of a row for a job. `cost` in USD, of all its attempts; `files` their names as JSON text."""

ATTEMPTS = Layout(
    {"id": Kind.TEXT, "model": Kind.TEXT, "state": Kind.TEXT},
    {
        "attempt": Kind.WHOLE,
        "attempt_state": Kind.TEXT,
        "request_id": Kind.TEXT,
        "intent_at": Kind.NUMBER,
        "outcome_at": Kind.NUMBER,
        "ended_at": Kind.NUMBER,
        "reserved_usd": Kind.NUMBER,
        "cost_usd": Kind.NUMBER,
        "reason": Kind.TEXT,
    },
)
"""Of a row for a POST. `state` is the job's; instants in seconds since the epoch."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def cell(value: Any) -> str:
    """A value as a cell of a CSV file: nothing for null, `true`, `false`, digits or text.

    Text that a spreadsheet would run as a formula gets an apostrophe before it, as spreadsheets
    themselves write such text. Numbers are left alone.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value)
    return f"'{value}" if value.startswith(_FORMULA) else value
