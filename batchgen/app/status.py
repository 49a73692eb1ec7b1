"""How a run is doing, as its state and the end of its log tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from batchgen.app.summary import RUN_AGAIN, epilogue_of, held_models
from batchgen.core.jobs.job import ENDED, JobState
from batchgen.core.progress.held_words import documents, with_held
from batchgen.providers.registry import SERVICE_NOTE, service_of

if TYPE_CHECKING:
    from batchgen.core.progress.finding_words import FoundOut
    from batchgen.store.sqlite.queries import JobQueries, Overview
    from batchgen.store.sqlite.status import StatusQueries
    from batchgen.system.clock import SystemClock
    from batchgen.system.run_directory import RunDirectory


_NO_EPILOGUE: dict[str, Any] = dict.fromkeys(
    ("models", "slowest", "texts", "tried_again", "tokens", "failures")
)
"""While a run works: to read it would take long, and it is not the end of the matter."""


def report_of(
    directory: RunDirectory, again: str = RUN_AGAIN, manifest: str = "the manifest"
) -> dict[str, Any]:
    """Everything `status` tells; `again` is the command that resumes the run, `manifest` what its
    manifest is called. Raises `StateError`."""
    from batchgen.app.older_ledger.evidence import newer_facts
    from batchgen.core.progress.gate_words import short_words
    from batchgen.observe.log_tail import tail_of
    from batchgen.store.sqlite.status import StatusQueries
    from batchgen.system.run_holder import holder_of

    # Before the state: what a run that has just ended wrote last is then seen.
    process = holder_of(directory.path)
    tail = tail_of(directory.log)
    with closing(StatusQueries(directory.state, is_known=True)) as reader:
        now = _clock_of(reader).now()
        overview = reader.overview(now)
        report = _report(str(directory.path), overview)
        report["held"] = documents(held_models(overview.held, overview.notes, manifest))
        report |= _learned(overview.notes, now)
        report |= _times(reader, overview.notes, report, process)
    report["outputs"] = directory.place
    report["process"] = process
    report["newer"] = [] if process else list(newer_facts(directory).told())
    report["waiting_for"] = list(tail.gates) if process else []
    if short_words(report["waiting_for"]):
        report["eta_s"] = None  # nobody knows how long it waits
    report["stopped"] = None if process or not report["left"] else tail.reason
    return report | (_NO_EPILOGUE if process else epilogue_of(directory.path, again))


def _times(
    reader: StatusQueries, notes: Mapping[str, str], report: dict[str, Any], process: int | None
) -> dict[str, Any]:
    """How long the rest takes: of a run that works, or of one that would go on now."""
    from batchgen.app.remaining import by_budget_s, eta_s

    left = report["left"]
    if not left:
        return {"eta_s": None}
    now = _clock_of(reader).now()
    seconds = eta_s(reader, notes, left, now) if process else by_budget_s(reader, notes)
    return {"eta_s": None if seconds is None else round(seconds)}


def _clock_of(reader: JobQueries) -> SystemClock:
    """The clock of the run: that of this machine may have been put forward or back since."""
    from batchgen.system.clock import SystemClock

    return SystemClock(reader.note("clock"))


def _report(path: str, overview: Overview) -> dict[str, Any]:
    counts = {state.value: overview.counts.get(state.value, 0) for state in JobState}
    minutes = 5.0
    rate = overview.recent_done_count / minutes
    service = service_of(overview.notes.get(SERVICE_NOTE))
    left = sum(counts[state.value] for state in JobState if state not in ENDED)
    left -= overview.held_count
    return {
        "run": path,
        "jobs": sum(counts.values()),
        "counts": with_held(counts, overview.held_count),
        "attempts": dict(overview.attempts),
        "dropped": overview.dropped_count,
        "spent_usd": round(overview.totals.settled_usd, 6),
        "reserved_usd": round(overview.totals.reserved_usd, 6),
        "files": overview.file_count,
        "bytes": overview.byte_count,
        "uploads": {"files": overview.uploaded_count, "bytes": overview.uploaded_bytes},
        "done_per_minute": round(rate, 2),
        "left": left,
        "next_deadline_at": service.capabilities.deadline_at(overview.oldest_unfetched_at),
        "started_at": overview.first_intent_at,
        "last_change_at": overview.last_change_at,
    }


def _learned(notes: Mapping[str, str], now: float) -> dict[str, Any]:
    from batchgen.core.scheduling.learned import learned_of, limited_of

    limited = limited_of(notes, now)
    return {
        "limited": asdict(limited) if limited else None,
        "found_out": [asdict(one) for one in _found_out(notes, now)],
        "learned": {model: asdict(known) for model, known in learned_of(notes).items()},
    }


def _found_out(notes: Mapping[str, str], now: float) -> Iterable[FoundOut]:
    """What the run found out about the service and the account."""
    from batchgen.core.forecast.run_settings import budget_of, rate_limits_of
    from batchgen.core.jobs.policies import PollWith
    from batchgen.core.progress.finding_words import findings
    from batchgen.core.scheduling.learned import account_of
    from batchgen.core.scheduling.rates.rates import Rates
    from batchgen.core.scheduling.result_polls import ResultPolls

    budget, known = budget_of(notes), account_of(notes)
    polls = ResultPolls(PollWith(budget.poll_with))
    polls.recall(known.get("results"))
    return findings(Rates.restore(rate_limits_of(budget), None, now, known.get("rates")), polls)


def failed_of(directory: RunDirectory) -> dict[str, Any]:
    """The jobs with their reasons, and the manifest, None when there are none.

    Raises `StateError`.
    """
    from batchgen.core.manifest.from_failures import BESIDE, KEY, manifest_of
    from batchgen.store.sqlite.results import ResultQueries

    with closing(ResultQueries(directory.state)) as reader:
        failures = list(reader.failures())
    return {BESIDE: failures, KEY: manifest_of(directory.path.resolve().name, failures)}
