"""What stands above the pictures: how far a run is, what it cost, and how it was set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchgen.core.forecast.run_settings import SETTINGS_NOTE, budget_of
from batchgen.core.jobs.job import ENDED, JobState
from batchgen.core.progress.held_words import documents, in_words, with_held
from batchgen.core.progress.reasons import grouped
from batchgen.core.scheduling.learned import limited_of
from batchgen.providers.registry import SERVICE_NOTE, KnownService, service_of
from batchgen.store.sqlite.page import PageQueries
from batchgen.store.sqlite.queries import Overview
from batchgen.web.rows import shown

_RECENT_MIN = 5.0
"""The reader counts what was done in the last 300 s."""


@dataclass(frozen=True, slots=True)
class Titled:
    """A run as it is called on a page: its name, and what to type for it in a command."""

    name: str
    typed: str


def titled(path: Path) -> Titled:
    """The names of a run directory. One that is not below the current directory loses its place:
    a page that is passed on tells nothing about the machine it was made on."""
    whole = path.resolve()
    try:
        typed = whole.relative_to(Path.cwd()).as_posix()
    except ValueError:
        typed = whole.name
    return Titled(whole.name, typed if typed != "." else whole.name)


def summary_of(gallery: PageQueries, run: Titled, now: float) -> dict[str, Any]:
    """Counts, money and times for the page; None where something is not known."""
    overview = gallery.overview(now)
    counts = {state.value: overview.counts.get(state.value, 0) for state in JobState}
    left = sum(counts[state.value] for state in JobState if state not in ENDED)
    left -= overview.held_count
    pace = overview.recent_done_count / _RECENT_MIN
    limited = limited_of(overview.notes, now)
    service = service_of(overview.notes.get(SERVICE_NOTE))
    return {
        "name": run.name,
        "typed": run.typed,
        "at": round(now, 3),
        "counts": with_held(counts, overview.held_count),
        "held": _held(overview, service),
        "total": sum(counts.values()),
        "spent_usd": round(overview.totals.settled_usd, 6),
        "reserved_usd": round(overview.totals.reserved_usd, 6),
        "cap_usd": budget_of(overview.notes).max_spend,
        "file_count": overview.file_count,
        "byte_count": overview.byte_count,
        "started_at": overview.first_intent_at,
        "last_change_at": overview.last_change_at,
        "deadline_at": service.capabilities.deadline_at(overview.oldest_unfetched_at),
        "limited_until": limited.until if limited else None,
        "done_per_minute": round(pace, 2),
        "eta_s": round(left / pace * 60) if left and pace else None,
        "attempts": dict(overview.attempts),
        "poll_count": gallery.poll_count(),
        "models": gallery.models(),
        "problems": grouped(gallery.reasons()),
        "settings": flat(settings_of(overview.notes)),
    }


def _held(overview: Overview, service: KnownService) -> list[dict[str, Any]]:
    """The models whose jobs are on hold."""
    if not overview.held:
        return []
    return documents(in_words(overview.held, (model.slug for model in service.load_catalog())))


def settings_of(notes: Mapping[str, str]) -> dict[str, Any]:
    """How the last run was set; empty where no note tells, or one of another shape."""
    try:
        value = json.loads(notes.get(SETTINGS_NOTE, "{}"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def flat(settings: Mapping[str, Any], before: str = "") -> list[list[Any]]:
    """Nested settings as rows of a dotted key and its value, without what is not set."""
    rows: list[list[Any]] = []
    for name, value in settings.items():
        if isinstance(value, dict):
            rows += flat(value, f"{before}{name}.")
        elif value is not None:
            rows.append([f"{before}{name}", shown(value)])
    return rows
