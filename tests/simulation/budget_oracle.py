"""What budgets promise, judged by the service's own ledger: models, money, time, the hour."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from batchgen.core.jobs.events import EventKind
from batchgen.core.jobs.policies import RateScope
from batchgen.core.jobs.spec import Mode
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.providers.segmind.simulator import Bill, Endpoint, FaultKind, Outcome
from batchgen.testing.rehearsal import RehearsalReport, Scenario

WINDOW_S = 60.0
TOLERANCE_USD = 1e-6
OK = 200
ON_ITS_WAY_S = 60.0
"""An answer may be slow, and submits decided on before it come after it."""


def broken_budgets(scenario: Scenario, report: RehearsalReport) -> list[str]:
    """Everything that budgets should have prevented."""
    return [
        *_crowded_minutes(scenario, report),
        *_crowded_models(scenario, report),
        *_overspent(scenario, report),
        *_forgotten(scenario, report),
        *_late(scenario, report),
    ]


def uncounted(report: RehearsalReport) -> int:
    """Requests that arrive after the connection died: nobody could count them in time."""
    ghosts = any(rule.kind is FaultKind.GHOST for rule in report.service.config.faults)
    return report.ghosts + (len(report.service.ledger.bills) if ghosts else 0)


def most_in_a_minute(instants: Iterable[float]) -> int:
    """The most of them within any half-open minute."""
    at, first, most = sorted(instants), 0, 0
    for last, instant in enumerate(at):
        while at[first] <= instant - WINDOW_S:
            first += 1
        most = max(most, last - first + 1)
    return most


def most_at_once(bills: Iterable[Bill]) -> int:
    """The most of them accepted and not ended at one instant; endless ones are given up."""
    ending = [bill for bill in bills if bill.outcome is not Outcome.ENDLESS]
    edges = [(bill.accepted_at, 1) for bill in ending] + [(b.finished_at, -1) for b in ending]
    running = most = 0
    for _, step in sorted(edges):
        running += step
        most = max(most, running)
    return most


def _bills(report: RehearsalReport, model: str) -> list[Bill]:
    return [bill for bill in report.service.ledger.bills if bill.model == model]


def _crowded_minutes(scenario: Scenario, report: RehearsalReport) -> Iterator[str]:
    """Of a model with a rate of its own: its bills, or with `all` every request about them."""
    for model, limit in scenario.model_rates.items():
        bills = _bills(report, model)
        instants = [bill.accepted_at for bill in bills]
        if scenario.limits.rate_scope is RateScope.ALL:
            ids = {bill.request_id for bill in bills}
            instants += [e.at for e in report.service.ledger.log if e.request_id in ids]
        busiest = most_in_a_minute(instants)
        if busiest > limit + uncounted(report):
            yield f"{busiest} requests about {model} in a minute, {limit} allowed"


def _crowded_models(scenario: Scenario, report: RehearsalReport) -> Iterator[str]:
    for model, limit in scenario.limits.models.items():
        most = most_at_once(_bills(report, model))
        if most > limit + uncounted(report):
            yield f"{most} of {model} in flight, {limit} allowed"


def _overspent(scenario: Scenario, report: RehearsalReport) -> Iterator[str]:
    """The cap is never overshot where every price is known and true.

    Where one is missing or too low, it is overshot by what nobody could know: see `_surprises`.
    """
    cap_usd, bills = scenario.max_spend_usd, report.service.ledger.bills
    if cap_usd is None or uncounted(report):
        return
    spent_usd = report.service.ledger.charged_usd(math.inf)
    surprises_usd = sum(_surprises(scenario, report, m) for m in {bill.model for bill in bills})
    if spent_usd > cap_usd + surprises_usd + TOLERANCE_USD:
        yield f"{spent_usd} USD charged, {cap_usd} USD allowed, {surprises_usd} USD unforeseeable"


def _surprises(scenario: Scenario, report: RehearsalReport, model: str) -> float:
    """What the jobs of a model cost beyond what could be reckoned with.

    Of unknown price: one job at a time until a cost is known, so one; and before it those whose
    cost never came to be known: their result was lost, or paid for again, or nobody knows whether
    they were accepted. They can be reckoned with only once another one has told what it cost; were
    none begun before, one lost result would end the run. Too cheap: what was accepted before the
    first cost was told.
    """
    bills = _bills(report, model)
    told = {spec.price_usd for spec in scenario.specs if spec.model == model}
    true_usd = max(bill.cost_usd for bill in bills)
    if None in told:
        return true_usd * (1 + report.state.stored.totals().unpriced.get(model, 0))
    missing_usd = true_usd - min(usd for usd in told if usd is not None)
    learned_at = _learned_at(report, model)
    unaware = sum(bill.accepted_at <= learned_at for bill in bills)
    return max(0.0, missing_usd) * unaware


def _learned_at(report: RehearsalReport, model: str) -> float:
    """When every process knew a first cost of this model, by the service's own clock."""
    told = (EventKind.RESULT, EventKind.ANSWERED)
    ids = {
        change.after.request_id
        for change in report.progress.changes
        if change.event.kind in told and change.after.receipt.cost_usd is not None
    }
    bills = {bill.request_id: bill for bill in _bills(report, model) if bill.request_id in ids}
    answered = {id_: b.finished_at for id_, b in bills.items() if b.api is Mode.BLOCKING}
    for entry in report.service.ledger.log:
        if entry.place is Endpoint.RESULT and entry.status == OK and entry.request_id in bills:
            answered[entry.request_id] = entry.at
    return min(answered.values(), default=math.inf) + ON_ITS_WAY_S


def _forgotten(scenario: Scenario, report: RehearsalReport) -> list[str]:
    """No result grows too old while the process lives and nothing strikes it."""
    if not is_quiet(scenario) or report.processes > 1:
        return []
    gone = [c for c in report.progress.changes if c.event.kind is EventKind.GONE]
    return [f"{change.after.id} was not fetched within its hour" for change in gone]


def _late(scenario: Scenario, report: RehearsalReport) -> list[str]:
    """What is paid for is home before the time is over, where nothing strikes."""
    ends_at, gate = scenario.limits.ends_at, report.end.gate
    if ends_at is None or gate is None or gate.kind is not GateKind.TIME or not is_quiet(scenario):
        return []
    saved = [c for c in report.progress.changes if c.event.kind is EventKind.SAVED]
    return [
        f"{change.after.id} came {change.event.at - ends_at:.0f} s after the end"
        for change in saved
        if change.event.at > ends_at
    ]


def is_quiet(scenario: Scenario) -> bool:
    """Whether nothing strikes: no faults, no deaths, no full disk, a true limit, a full account."""
    service = scenario.service
    struck = (
        service.faults
        or scenario.interruptions
        or scenario.save_faults
        or scenario.disk_full_s
        or any(scenario.clock_errors_s)
        or scenario.untold
        or service.vanish_probability
        or service.never_finish_probability
        or service.credits_usd < 100.0
        or scenario.quota_full_s
        or service.burst_limit
        or service.result_lag_s
        or service.status_lag_s
        or service.cdn_lag_s
    )
    limit, asked = service.rate_limit, scenario.requests_per_minute
    return not struck and (limit is None or (asked is not None and limit >= asked))
