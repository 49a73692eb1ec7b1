"""Receipts: what the service says a request cost and how long it took."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from batchgen.core.common.text import printable
from batchgen.core.jobs.job import Receipt
from batchgen.providers.segmind.chat import usage_of


def read_receipt(body: dict[str, Any], headers: Mapping[str, str] | None = None) -> Receipt:
    """What was paid and how long it took: `metrics` of a body, or the headers of a v1 answer."""
    metrics = body.get("metrics")
    metrics = metrics if isinstance(metrics, dict) else {}
    headers = headers or {}
    seed = body.get("seed", headers.get("x-seed-value"))
    usage = usage_of(body)
    return Receipt(
        cost_usd=amount(metrics.get("cost", headers.get("x-cost"))),
        remaining_credits=amount(
            metrics.get("remaining_credits", headers.get("x-remaining-credits"))
        ),
        inference_s=amount(metrics.get("inference_time", headers.get("x-generation-time"))),
        queue_s=amount(metrics.get("queue_time")),
        total_s=amount(metrics.get("total_time")),
        seed=_seed(seed),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
    )


def _seed(value: Any) -> int | str | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    text = printable(str(value), 40)
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() else text or None


def read_credits(body: dict[str, Any]) -> float | None:
    """What the account holds, free credits included, in USD; None when the answer does not say."""
    parts = [amount(body.get(name)) for name in ("credits", "free-credits")]
    return None if parts[0] is None else parts[0] + (parts[1] or 0.0)


def amount(value: Any) -> float | None:
    """A finite, non-negative number, also from text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None
