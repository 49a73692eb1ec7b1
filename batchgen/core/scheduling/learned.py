"""What a run has learned about the service, as the notes of its state tell it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

LATENCIES_NOTE = "latencies"
"""`{"<model>": [seconds, …]}`, newest last."""
PRICES_NOTE = "prices"
"""`{"<model>": USD}`: the highest cost of a job that was seen."""
MEDIA_NOTE = "media models"
"""`["<model>", …]`: those that are known to make media."""
CLOCKS_NOTE = "clocks"
"""`{"<job key>": seconds, …, "untold": [job key, …], "lost": [job key, …], "last": seconds,
"moved": true or false}`: by how much the service's clock was ahead of the one that dates a POST
whose end is not known yet. `untold` are those that the last process dated before an answer told it,
`lost` those of which nobody can tell any more. `last` is the clock of the last process, and `moved`
says whether clocks differed."""
ACCOUNT_NOTE = "account"
"""`{"rates": {…}, "results": true, false or null}`: what was found out about the account and the
service; see `Rates.lessons` and `ResultPolls`."""
LIMITED_NOTE = "limited"
"""`{"until": epoch seconds, "requests_per_minute": number or null}`."""
LESSON_NOTES = (LATENCIES_NOTE, PRICES_NOTE, MEDIA_NOTE, ACCOUNT_NOTE)
"""What the next run begins with."""


@dataclass(frozen=True, slots=True)
class Learned:
    """How long requests of one model took: the median, and what 10 % and 90 % stayed within."""

    count: int
    median_s: float
    p10_s: float
    p90_s: float


@dataclass(frozen=True, slots=True)
class Limited:
    """Until when the service takes no requests, and how many a minute after that, if known."""

    until: float
    requests_per_minute: int | None


def latencies_of(notes: Mapping[str, str]) -> dict[str, list[float]]:
    """Seconds of the last requests by model; nothing where no note is, or one of another shape."""
    noted = _noted(notes, LATENCIES_NOTE)
    lists = {model: values for model, values in noted.items() if isinstance(values, list)}
    return {model: [float(v) for v in values if _is_number(v)] for model, values in lists.items()}


def learned_of(notes: Mapping[str, str]) -> dict[str, Learned]:
    """What is known of each model, by slug."""
    known = {}
    for model, values in sorted(latencies_of(notes).items()):
        seconds = sorted(values)
        if seconds:
            known[model] = Learned(
                len(seconds),
                median_s=quantile(seconds, 0.5),
                p10_s=quantile(seconds, 0.1),
                p90_s=quantile(seconds, 0.9),
            )
    return known


def media_models_of(notes: Mapping[str, str]) -> list[str]:
    """The models that were seen to make media; none where no note is, or one of another shape."""
    try:
        told = json.loads(notes.get(MEDIA_NOTE, "[]"))
    except (ValueError, RecursionError):
        return []
    return [model for model in told if isinstance(model, str)] if isinstance(told, list) else []


def account_of(notes: Mapping[str, str]) -> Mapping[str, Any]:
    """What was found out about the account, as `ACCOUNT_NOTE` has it."""
    return _noted(notes, ACCOUNT_NOTE)


def prices_of(notes: Mapping[str, str]) -> dict[str, float]:
    """The highest cost of a job that was seen, by model."""
    noted = _noted(notes, PRICES_NOTE)
    return {model: float(usd) for model, usd in noted.items() if _is_number(usd)}


@dataclass(frozen=True, slots=True)
class NotedClocks:
    """The clocks by which POSTs are dated, as `CLOCKS_NOTE` has them."""

    of_jobs: dict[int, float]
    untold: set[int]
    lost: set[int]
    last_s: float | None
    were_moved: bool


def clocks_of(notes: Mapping[str, str]) -> NotedClocks:
    """The clocks of the processes before."""
    noted = _noted(notes, CLOCKS_NOTE)
    of_jobs = {int(key): float(s) for key, s in noted.items() if key.isdigit() and _is_number(s)}
    last_s = noted.get("last")
    return NotedClocks(
        of_jobs,
        _keys(noted.get("untold")),
        _keys(noted.get("lost")),
        last_s if _is_number(last_s) else None,
        noted.get("moved") is True,
    )


def _keys(noted: object) -> set[int]:
    return {key for key in noted if isinstance(key, int)} if isinstance(noted, list) else set()


def limited_of(notes: Mapping[str, str], now: float) -> Limited | None:
    """The limit the service has set, while it holds."""
    noted = _noted(notes, LIMITED_NOTE)
    until, pace = noted.get("until"), noted.get("requests_per_minute")
    if not _is_number(until) or until <= now:
        return None
    return Limited(float(until), int(pace) if _is_number(pace) else None)


def quantile(ascending: Sequence[float], share: float) -> float:
    """The value that this share (0 to 1) of them does not exceed, between two neighbours."""
    at = share * (len(ascending) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (at - below) * (ascending[above] - ascending[below])


def _noted(notes: Mapping[str, str], name: str) -> Mapping[str, Any]:
    """A note that other versions may have written: what cannot be read is as good as absent."""
    try:
        value = json.loads(notes.get(name, "{}"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value)
