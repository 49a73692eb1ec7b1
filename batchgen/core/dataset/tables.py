"""The ledger as a table: one row a job, or one a POST; and cells that no spreadsheet runs."""

from __future__ import annotations

import json
from typing import Any

from batchgen.core.dataset.columns import TOKENS, Layout
from batchgen.core.dataset.types import ColumnType

JOBS = Layout(
    {
        "id": ColumnType.TEXT,
        "model": ColumnType.TEXT,
        "state": ColumnType.TEXT,
        "reason": ColumnType.TEXT,
    },
    {
        "in_manifest": ColumnType.FLAG,
        "attempts": ColumnType.WHOLE,
        "request_id": ColumnType.TEXT,
        "seed": ColumnType.WHOLE,
        "cost": ColumnType.NUMBER,
        "submitted_at": ColumnType.NUMBER,
        "changed_at": ColumnType.NUMBER,
        "inference_s": ColumnType.NUMBER,
        "queue_s": ColumnType.NUMBER,
        "total_s": ColumnType.NUMBER,
        "files": ColumnType.JSON,
        "verified": ColumnType.FLAG,
    },
    TOKENS,
)
"""Of a row for a job. `cost` in USD, of all its attempts; `files` their names as JSON text;
`verified` whether all of them are, null without files."""

ATTEMPTS = Layout(
    {"id": ColumnType.TEXT, "model": ColumnType.TEXT, "state": ColumnType.TEXT},
    {
        "attempt": ColumnType.WHOLE,
        "attempt_state": ColumnType.TEXT,
        "request_id": ColumnType.TEXT,
        "intent_at": ColumnType.NUMBER,
        "outcome_at": ColumnType.NUMBER,
        "ended_at": ColumnType.NUMBER,
        "reserved_usd": ColumnType.NUMBER,
        "cost_usd": ColumnType.NUMBER,
        "reason": ColumnType.TEXT,
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
