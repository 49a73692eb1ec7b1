"""The judge of the nights finds every kind of guilt: a good night, spoiled in one way at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.policies import Limits, RateScope
from batchgen.core.scheduling.completion import Verdict
from batchgen.core.scheduling.gates.gates import Gate, GateKind
from batchgen.providers.segmind.simulator import Outcome
from batchgen.runner.runner import RunEnd
from batchgen.testing.rehearsal import RehearsalReport, Scenario, rehearse
from batchgen.testing.virtual_time import START_AT
from tests.simulation.nights import PRICE_USD, jobs, service
from tests.simulation.oracle import violations
from tests.simulation.uploading import naming, path_of, picture

MODEL = "flux-kontext-max"


def good_night() -> tuple[Scenario, RehearsalReport]:
    """Four jobs, two of which name a picture; all done."""
    scenario = Scenario(
        [naming(spec, [0]) if n > 1 else spec for n, spec in enumerate(jobs(4))],
        service(history_lag_s=1.0),
        Limits(concurrency=2),
        inputs={path_of(0): picture(0)},
    )
    return scenario, rehearse(scenario)


@dataclass
class Night:
    """A night that may be spoiled."""

    scenario: Scenario
    report: RehearsalReport

    @property
    def bills(self):
        return self.report.service.ledger.bills

    def sql(self, text):
        self.report.state.stored.connection.execute(text)

    def want(self, **changes):
        self.scenario = replace(self.scenario, **changes)

    def happened(self, kind, like=E.SAVED, **event):
        """One more event, told of a job to which another kind happened."""
        changes = self.report.progress.changes
        change = next(change for change in changes if change.event.kind is like)
        changes.append(replace(change, event=replace(change.event, kind=kind, **event)))

    def ended_by(self, kind):
        gate = Gate(kind, "held", START_AT, START_AT)
        self.report.end = RunEnd(Verdict.STOP, gate)


def one_more_bill(night):
    night.bills.append(replace(night.bills[0], request_id="another"))


def accepted_twice(night):
    night.sql(
        "INSERT INTO attempts (job_key, number, state, request_id, intent_at, ended_at)"
        " SELECT job_key, 2, 'acked', 'another', intent_at, ended_at FROM attempts LIMIT 1"
    )


def too_many_attempts(night):
    night.want(limits=replace(night.scenario.limits, max_attempts=0))


def a_file_is_gone(night):
    night.report.outputs.files.popitem()


def a_file_is_short(night):
    files = night.report.outputs.files
    name = next(iter(files))
    files[name] = files[name][:-1]


def a_file_too_many(night):
    night.report.outputs.files["stray.png"] = b"x"


def done_without_files(night):
    night.sql("DELETE FROM outputs WHERE job_key = 1")


def not_done(night):
    night.sql("UPDATE jobs SET state = 'fetching' WHERE key = 1")


def stopped(night):
    night.ended_by(GateKind.KEY)


def too_many_requests(night):
    night.want(requests_per_minute=1)


def too_many_submits(night):
    scope = replace(night.scenario.limits, rate_scope=RateScope.SUBMIT)
    night.want(requests_per_minute=1, limits=scope)


def too_many_in_flight(night):
    night.want(limits=Limits(concurrency=1))


def too_many_requests_of_a_model(night):
    night.want(model_rates={MODEL: 1})


def too_many_of_a_model(night):
    night.want(limits=Limits(concurrency=2, models={MODEL: 1}))


def overspent(night):
    night.want(max_spend_usd=3.5 * PRICE_USD)


def said_to_be_dearer(night):
    for place, bill in enumerate(night.bills):
        night.bills[place] = replace(bill, outcome=Outcome.FAILED)


def too_old(night):
    night.happened(E.GONE)


def home_too_late(night):
    night.want(limits=Limits(concurrency=2, ends_at=START_AT))
    night.ended_by(GateKind.TIME)


def the_key_leaked(night):
    night.report.service.ledger.leaked_key_count = 1


def left_submitting(night):
    night.report.left_behind.append("job-0001")


def slow_to_end(night):
    night.report.last_words_s.append(700.0)


def told_too_early(night):
    night.report.told_too_early = 1


def a_placeholder_was_sent(night):
    night.report.placeholders_sent = 1


def uploaded_again(night):
    night.report.needless_uploads = 1


def uploaded_often(night):
    for times in night.report.service.ledger.uploads.values():
        times.extend([times[0]] * 3)


def uploaded_after_the_job(night):
    for times in night.report.service.ledger.uploads.values():
        times[:] = [START_AT + 1e6]


def another_body(night):
    night.bills[0] = replace(night.bills[0], body="{}")


def an_address_is_not_recorded(night):
    body = night.scenario.specs[3].body
    night.report.state.stored.connection.execute("UPDATE jobs SET body = ? WHERE key = 4", (body,))
    night.sql("DROP TRIGGER uploads_are_never_deleted")
    night.sql("DELETE FROM uploads")


def ended_over_its_files(night):
    night.happened(E.NO_INPUT, reason="gone")


def done_with_a_file_that_never_was(night):
    night.want(inputs={path_of(0): picture(9)})


SPOILED: dict[Callable[[Night], None], str] = {
    one_more_bill: "bill another of flux-kontext-max is nobody's",
    accepted_twice: "job 1 was accepted 2 times, 0 of them by policy",
    too_many_attempts: "job 1: 1 of 0 attempts",
    a_file_is_gone: "is not there as recorded",
    a_file_is_short: "is not there as recorded",
    a_file_too_many: "stray.png is nobody's",
    done_without_files: "job-0000 is done without files",
    not_done: "job-0000 is still fetching",
    stopped: "ended as RunEnd",
    too_many_requests: "requests in a minute, 1 allowed",
    too_many_submits: "requests in a minute, 1 allowed",
    too_many_in_flight: "2 in flight, 1 allowed",
    too_many_requests_of_a_model: "requests about flux-kontext-max in a minute, 1 allowed",
    too_many_of_a_model: "2 of flux-kontext-max in flight, 1 allowed",
    overspent: "USD allowed, 0.0 USD unforeseeable",
    said_to_be_dearer: "USD said to be spent, 0.0 USD charged",
    too_old: "was not fetched within its hour",
    home_too_late: "s after the end",
    the_key_leaked: "the key reached the CDN 1 times",
    left_submitting: "job-0001 was left submitting",
    slow_to_end: "a stopped run took 700 s to end",
    told_too_early: "1 changes were told before they were on disk",
    a_placeholder_was_sent: "1 bodies were sent with a placeholder",
    uploaded_again: "1 contents were uploaded again",
    uploaded_often: "was uploaded 4 times, at most 1 were called for",
    uploaded_after_the_job: ", which is not there",
    another_body: "asks for what no job asks for: {}",
    an_address_is_not_recorded: "job-0003 was submitted, and the record lacks the address",
    ended_over_its_files: "ended over its files: gone",
    done_with_a_file_that_never_was: "is done, and a file that it names was never there",
}


def test_a_good_night_is_found_good():
    scenario, report = good_night()

    assert violations(scenario, report) == []
    assert report.counts() == {S.DONE: 4}


@pytest.mark.parametrize(
    ("spoil", "sentence"), SPOILED.items(), ids=[spoil.__name__ for spoil in SPOILED]
)
def test_a_night_that_is_spoiled_in_one_way_is_found_guilty(spoil, sentence):
    night = Night(*good_night())
    spoil(night)

    found = violations(night.scenario, night.report)

    assert any(sentence in line for line in found), found
