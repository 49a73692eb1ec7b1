"""Values the tests of the core are made of: jobs in each state, answers, boards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from batchgen.core.jobs.events import (
    AnswerEvent,
    DoubtEvent,
    Event,
    EventKind,
    FailedEvent,
    IntentEvent,
    SavedEvent,
)
from batchgen.core.jobs.job import Job, JobState, Output, SavedFile
from batchgen.core.jobs.outcomes import CallKind, Response
from batchgen.core.jobs.policies import Limits
from batchgen.core.net.http import Answer
from batchgen.core.scheduling.gates.gates import Gates
from batchgen.core.scheduling.prefetch import Drawn, Prefetch
from batchgen.core.scheduling.rates.rates import Rates
from batchgen.core.scheduling.rates.window import RateWindow
from batchgen.core.scheduling.spending import Money
from batchgen.core.scheduling.state import SchedulerState
from batchgen.providers.segmind.provider import CAPABILITIES

NOW = 1_800_000_000.0
"""An instant in 2027; the hour around it has nothing special."""

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 60 + b"\0\0\0\0IEND\xaeB`\x82"
"""Bytes that begin and end as a PNG does; long enough to pass for media in base64."""

WITH_ID = frozenset({JobState.SUBMITTED, JobState.FETCHING, JobState.RECOVERING})


def job(state: JobState = JobState.PENDING, key: int = 1, **changes: Any) -> Job:
    """A job as it would stand in this state after its first POST, ten seconds ago."""
    made = Job(key, f"job-{key}", "flux-pro", '{"prompt":"a cup"}', f"job-{key}", state=state)
    if state is not JobState.PENDING:
        made = replace(made, attempt=1, sent_at=NOW - 10.0)
    if state not in {JobState.PENDING, JobState.SUBMITTING, JobState.FAILED}:
        made = replace(made, billable=1)
    if state in WITH_ID:
        made = replace(made, request_id=f"req-{key}")
    return replace(made, **changes)


def event(kind: EventKind, at: float = NOW, **fields: Any) -> Event:
    """An event of job 1, of the class that has these fields."""
    call, signal = fields.pop("call", CallKind.STATUS), fields.pop("signal", None)
    if signal is not None:
        told = (fields.get("reason", ""), fields.get("retry_at", 0.0))
        fields["response"] = Response(call, signal, at, *told)
    found = next(owner for owner in _EVENTS if fields.keys() <= set(owner.__match_args__))
    if kind is EventKind.UNCLEAR:
        found = DoubtEvent
    return found(kind, fields.pop("job_key", 1), at, **fields)


_EVENTS = (Event, IntentEvent, SavedEvent, AnswerEvent, DoubtEvent, FailedEvent)


def answer(body: Any = None, status: int = 200, **headers: str) -> Answer:
    """An answer with a JSON body; `_` in header names stands for `-`."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): text for name, text in headers.items()}, raw)


def saved(index: int = 0, name: str = "job-1.png") -> SavedFile:
    """A finished file of 3 × 2 pixels."""
    return SavedFile(index, name, 72, "0" * 64, "image/png", 3, 2)


def output(index: int = 0) -> Output:
    """An output to be downloaded."""
    return Output(index, url=f"https://cdn.example/{index}.png")


def scheduler(jobs: Iterable[Job] = (), **parts: Any) -> SchedulerState:
    """A scheduler without limits on requests and money, and nothing left to draw."""
    limits = parts.pop("limits", Limits())
    made = SchedulerState(
        limits=limits,
        rates=parts.pop(
            "rates", Rates(parts.pop("rate", RateWindow(None)), scope=limits.rate_scope)
        ),
        capabilities=CAPABILITIES,
        money=parts.pop("money", Money()),
        gates=parts.pop("gates", Gates()),
        prefetch=Prefetch(others=Drawn(ended=parts.pop("all_drawn", True))),
        **parts,
    )
    made.put(jobs)
    return made


def everything(value: Any) -> Any:
    """A value with all that is in it, private and uncompared fields included, as plain values."""
    if isinstance(value, str | int | float | bool | None | frozenset):
        return value
    if isinstance(value, Mapping):
        return {key: everything(item) for key, item in value.items() if item or item == ""}
    if isinstance(value, set):
        return frozenset(map(everything, value))
    if isinstance(value, Iterable):
        return [everything(item) for item in value]
    names = [*getattr(value, "__dict__", {}), *_slots(type(value))]
    return type(value).__name__, {name: everything(getattr(value, name)) for name in names}


def _slots(kind: type) -> list[str]:
    found = []
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        found += [slots] if isinstance(slots, str) else slots
    return [name for name in found if not name.startswith("__")]
