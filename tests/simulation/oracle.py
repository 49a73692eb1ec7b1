"""What must hold after any night, judged by the service's own ledger."""

from __future__ import annotations

from collections import Counter

from batchgen.core.jobs.events import Change, EventKind
from batchgen.core.jobs.job import JobState
from batchgen.core.jobs.policies import RateScope
from batchgen.core.scheduling.completion import Verdict
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.providers.segmind.simulator import Endpoint, FaultRule, Outcome
from batchgen.testing.rehearsal import RehearsalReport, Scenario
from tests.simulation.budget_oracle import broken_budgets, uncounted
from tests.simulation.upload_oracle import broken_uploads

_S = JobState
COMING_TO_REST = {_S.DONE, _S.FAILED, _S.UNKNOWN, _S.LOST, _S.REJECTED}
HOUR_S, FILE_DAYS_S = 3600.0, 7 * 86_400.0
"""How long the service knows a request, and how long a file stands."""
BEHIND_HISTORY = {_S.AMBIGUOUS, _S.RECOVERING, _S.PENDING}


def violations(scenario: Scenario, report: RehearsalReport) -> list[str]:
    """Everything that should not be; empty after a good night."""
    return [
        *_unaccounted_bills(report),
        *_double_payments(report),
        *_given_up_too_early(report),
        *_thrown_away(report),
        *_too_many_attempts(scenario, report),
        *_missing_files(report),
        *_unfinished(scenario, report),
        *_broken_budget(scenario, report),
        *broken_budgets(scenario, report),
        *_wrong_money(scenario, report),
        *_leaks(report),
        *_bad_ends(report),
        *broken_uploads(scenario, report),
    ]


def _unaccounted_bills(report: RehearsalReport) -> list[str]:
    """Every bill is in our ledger by its request_id, or its job is in doubt: set aside as unknown,
    or still unclear where a history is dead for good.

    What FAILED is not charged, and a v1 call that FAILED tells no id.
    """
    known = {request_id for *_, request_id in report.attempts() if request_id}
    doubtful = Counter(
        (job.model, job.body)
        for job in report.jobs(JobState.UNKNOWN, JobState.AMBIGUOUS)
        if not job.request_id
    )
    found = []
    for bill in report.service.ledger.bills:
        if bill.request_id in known or bill.outcome is Outcome.FAILED:
            continue
        if doubtful[bill.model, bill.body] <= 0:
            found.append(f"bill {bill.request_id} of {bill.model} is nobody's")
        doubtful[bill.model, bill.body] -= 1
    return found


def _double_payments(report: RehearsalReport) -> list[str]:
    """A job is accepted twice only where its paid result was gone and the policy said: again; what
    FAILED is not paid for."""
    free = {b.request_id for b in report.service.ledger.bills if b.outcome is Outcome.FAILED}
    accepted = Counter(
        key for key, _, state, id_ in report.attempts() if state == "acked" and id_ not in free
    )
    again = report.state.paid_again + report.state.failed_at_once
    return [
        f"job {key} was accepted {count} times, {again[key]} of them by policy"
        for key, count in accepted.items()
        if count > 1 + again[key]
    ]


def _given_up_too_early(report: RehearsalReport) -> list[str]:
    """Within its hour a request is neither lost nor paid for again; nor is it, within their days,
    where the address of its files is known."""
    found = []
    for change in report.progress.changes:
        job, age_s = change.before, change.event.at - change.before.sent_at
        paid_again = change.event.kind is EventKind.AGAIN
        if not (paid_again or change.after.state is JobState.LOST):
            continue
        if age_s < HOUR_S or (job.outputs and age_s < FILE_DAYS_S):
            what = "paid for again" if paid_again else "lost"
            found.append(f"{job.id} is {what} at the age of {age_s:.0f} s: {change.event.reason}")
    return found


def _thrown_away(report: RehearsalReport) -> list[str]:
    """What a rejected job was answered is kept, whole."""
    rejected = [job for job in report.jobs(JobState.REJECTED) if job.request_id]
    return [
        f"what {job.id} was answered is not kept"
        for job in rejected
        if job.stem not in report.outputs.kept
    ]


_MAY_BE_BILLED = {"intent", "acked", "ambiguous", "abandoned"}


def _too_many_attempts(scenario: Scenario, report: RehearsalReport) -> list[str]:
    """`retry.max_attempts` limits the submits of a job that may be billed."""
    billable = Counter(key for key, _, state, _ in report.attempts() if state in _MAY_BE_BILLED)
    most = scenario.limits.max_attempts
    return [f"job {key}: {n} of {most} attempts" for key, n in billable.items() if n > most]


def _missing_files(report: RehearsalReport) -> list[str]:
    """A done job has its files, whole and its own, and nothing else is under a final name."""
    found, expected = [], set()
    rows = report.state.stored.connection.execute(
        "SELECT j.id, o.name, o.sha256, o.size FROM outputs o JOIN jobs j ON j.key = o.job_key "
        "WHERE j.state = 'done'"
    ).fetchall()
    for job_id, name, _, size in rows:
        expected.add(name)
        data = report.outputs.files.get(name)
        if data is None or len(data) != size:
            found.append(f"{job_id}: {name} is not there as recorded")
    with_files = {row[0] for row in rows}
    found += [
        f"{job.id} is done without files"
        for job in report.jobs(JobState.DONE)
        if job.id not in with_files
    ]
    # A file whose record was cut off by a death right after the rename is taken up again, so at
    # the end nothing may be left over for jobs that ended otherwise than by losing their record.
    orphans = set(report.outputs.files) - expected
    # The history names one file a request: the others of a recovered job are left over as well.
    lost = {job.stem for job in report.jobs() if job.state is not JobState.DONE}
    recovered = {change.after.stem for change in _changes(report, EventKind.RECOVERED)}
    return found + [
        f"{name} is nobody's" for name in orphans if _stem(name) not in lost | recovered
    ]


def _changes(report: RehearsalReport, kind: EventKind) -> list[Change]:
    return [change for change in report.progress.changes if change.event.kind is kind]


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0].split("~", maxsplit=1)[0]


def _unfinished(scenario: Scenario, report: RehearsalReport) -> list[str]:
    """Liveness: the faults have stopped, so every job has come to rest.

    Unless money or time ran out for good, the history is dead for good, or a model is closed so.
    """
    gate, found = report.end.gate, []
    if report.end.verdict is not Verdict.COMPLETE:
        capped = scenario.max_spend_usd is not None and gate and gate.kind is GateKind.SPEND_CAP
        if capped:
            return []
        dead = gate and gate.kind is GateKind.HISTORY and _for_ever(scenario, Endpoint.HISTORY)
        dead = dead or (
            gate and gate.kind is GateKind.UPLOADS and _for_ever(scenario, Endpoint.UPLOAD)
        )
        # One text that is refused for ever: nobody is left who could show that it is the text.
        alone = gate and gate.kind is GateKind.CREDITS
        alone = alone and any(rule.text for rule in _for_ever(scenario, Endpoint.SUBMIT))
        # A key that is refused for all that is left, and for the free call, may be a bad one.
        models = [rule.models for rule in _for_ever(scenario, Endpoint.SUBMIT)]
        keyless = gate and gate.kind is GateKind.KEY and _for_ever(scenario, Endpoint.CREDITS)
        alone = alone or (keyless and any(models))
        # An address that is good for one download was spent on one that broke off.
        spent = scenario.service.one_time_urls and gate and gate.kind is GateKind.FILES
        if not (dead or alone or spent) and not (gate and gate.kind is GateKind.TIME):
            return [f"ended as {report.end}"]
    # Behind what a dead history could clear up, others wait for their place or for the money.
    behind = {_S.PENDING} if gate and gate.kind is GateKind.TIME else BEHIND_HISTORY
    waiting = COMING_TO_REST | (behind if gate else set())
    for_ever = _for_ever(scenario, Endpoint.SUBMIT)
    closed = set().union(*(rule.models for rule in for_ever))
    for job in report.jobs():
        alone = any(rule.text and rule.text in job.body for rule in for_ever)
        shut_out = job.state is JobState.PENDING and (job.model in closed or alone)
        # An address that is good for one download was spent on one that broke off.
        spent = job.state in {_S.UNFETCHED, _S.FETCHING} and scenario.service.one_time_urls
        if job.state not in waiting and not (shut_out or spent):
            found.append(f"{job.id} is still {job.state}: {job.reason}")
    return found


def _for_ever(scenario: Scenario, place: Endpoint) -> list[FaultRule]:
    """Faults of a call that never stop."""
    rules = scenario.service.faults
    return [rule for rule in rules if rule.where is place and rule.until_s is None]


def _broken_budget(scenario: Scenario, report: RehearsalReport) -> list[str]:
    """The windows as the service counted them.

    Requests that arrive after the connection died are beyond anybody's counting; so many more are
    forgiven.
    """
    ledger, found = report.service.ledger, []
    late = uncounted(report)
    # What is to be found out binds submits from the first one on.
    is_strict = scenario.limits.rate_scope is RateScope.ALL
    places = () if is_strict else (Endpoint.SUBMIT, Endpoint.SYNC)
    busiest = ledger.busiest_window_count(places=places)
    limit = None if scenario.learns else scenario.requests_per_minute
    if limit is not None and busiest > limit + late:
        found.append(f"{busiest} requests in a minute, {limit} allowed")
    # An endless job is given up after its hour, and then its place is free.
    endless = sum(bill.outcome is Outcome.ENDLESS for bill in ledger.bills)
    peak = ledger.peak_in_flight() - endless
    if peak > scenario.limits.concurrency + late:
        found.append(f"{peak} in flight, {scenario.limits.concurrency} allowed")
    return found


def _wrong_money(scenario: Scenario, report: RehearsalReport) -> list[str]:
    """What we say was spent is what the service charged for the requests we know."""
    known = {request_id for *_, request_id in report.attempts()}
    now = report.service.ledger.bills[-1].finished_at + 1e6 if report.service.ledger.bills else 0.0
    charged = sum(
        bill.charged_usd(now) for bill in report.service.ledger.bills if bill.request_id in known
    )
    settled = report.state.stored.totals().settled_usd
    # Where the service told no cost, the job is reckoned at its price, and that may be too much.
    true_usd = {bill.model: bill.cost_usd for bill in report.service.ledger.bills}
    too_dear = any((job.price_usd or 0.0) > true_usd.get(job.model, 1e9) for job in scenario.specs)
    if settled > charged + 1e-6 and not too_dear:
        return [f"{settled} USD said to be spent, {charged} USD charged"]
    return []


def _leaks(report: RehearsalReport) -> list[str]:
    count = report.service.ledger.leaked_key_count
    return [f"the key reached the CDN {count} times"] if count else []


LONGEST_LAST_WORDS_S = 600.0 + 5.0
"""A v1 call may take so long, and a stopped run waits for it."""


def _bad_ends(report: RehearsalReport) -> list[str]:
    """A stopped or cancelled run brings its POSTs home, in bounded time."""
    found = [f"{job_id} was left submitting" for job_id in report.left_behind]
    slow = [took_s for took_s in report.last_words_s if took_s > LONGEST_LAST_WORDS_S]
    if report.told_too_early:
        found.append(f"{report.told_too_early} changes were told before they were on disk")
    return found + [f"a stopped run took {took_s:.0f} s to end" for took_s in slow]
