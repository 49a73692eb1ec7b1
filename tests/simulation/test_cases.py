"""Situations that other people ran into, played in virtual time and judged by the bills."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from batchgen.core.jobs.job import JobState
from batchgen.core.scheduling.completion import Verdict
from batchgen.errors import InternalError
from batchgen.providers.segmind import catalog
from batchgen.providers.segmind.simulator.media.shelf import MediaIndex
from batchgen.providers.segmind.simulator.media.tiny import tiny_media
from batchgen.testing.rehearsal import URLS, RehearsalReport, rehearse
from batchgen.testing.virtual_time import START_AT
from tests.simulation.cases import CASES, ELSEWHERE, Case

KINDS = re.compile(r"[MWR]\d")


def judged(case: Case) -> list[str]:
    """What is wrong after a case."""
    try:
        report = rehearse(case.scenario)
    except InternalError as error:
        return [f"no end: {str(error)[:200]}"]
    return [
        *_wrong_bills(case, report),
        *_wrong_files(case, report),
        *_wrong_jobs(case, report),
        *_too_much(case, report),
    ]


def _wrong_bills(case: Case, report: RehearsalReport) -> Iterator[str]:
    bills = report.service.ledger.bills
    if len(bills) != case.bills:
        yield f"{len(bills)} bills, {case.bills} are right"
    known = {request_id for *_, request_id in report.attempts()}
    orphans = [bill.request_id for bill in bills if bill.request_id not in known]
    if orphans:
        yield f"{len(orphans)} bills are nobody's"
    if case.bills_until:
        until_s, most = case.bills_until
        early = sum(bill.accepted_at < START_AT + until_s for bill in bills)
        if early > most:
            yield f"{early} bills after {until_s:.0f} s, {most} at most"


def _wrong_files(case: Case, report: RehearsalReport) -> Iterator[str]:
    files = report.outputs.files
    shelf = MediaIndex(case.scenario.service, catalog.load(), URLS)
    true = {
        tiny_media(shelf.ref(bill, index))
        for bill in report.service.ledger.bills
        for index in range(bill.output_count)
    }
    wrong = [name for name, data in files.items() if data not in true]
    if len(files) != case.done or wrong:
        yield f"{len(files)} files, {case.done} are right; not what was made: {wrong[:3]}"
    for stem, extension in case.extensions.items():
        if f"{stem}.{extension}" not in files:
            yield f"no {stem}.{extension}"


def _wrong_jobs(case: Case, report: RehearsalReport) -> Iterator[str]:
    done = report.jobs(JobState.DONE)
    if len(done) != case.done:
        reasons = {job.reason for job in report.jobs() if job.state is not JobState.DONE}
        yield f"{dict(report.counts())}, {case.done} done are right: {sorted(reasons)[:3]}"
    for state, right in ((JobState.FAILED, case.failed), (JobState.REJECTED, case.rejected)):
        count = report.counts().get(state, 0)
        if right not in (None, count):
            yield f"{count} {state}, {right} are right: {dict(report.counts())}"
    waiting = [job.id for job in report.jobs() if not job.ended]
    if waiting or report.end.verdict is not Verdict.COMPLETE:
        yield f"ended as {report.end}, {len(waiting)} jobs not ended"


def _too_much(case: Case, report: RehearsalReport) -> Iterator[str]:
    if report.processes > case.processes:
        yield f"{report.processes} processes: {dict(report.endings)}"
    if report.elapsed_s > case.within_s:
        yield f"{report.elapsed_s:.1f} s, {case.within_s:.1f} s at most"
    for (place, status), most in case.most.items():
        count = report.service.ledger.count(place, status)
        if count > most:
            yield f"{count} answers {status or ''} to {place}, {most} at most"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: Case) -> None:
    assert judged(case) == []


def test_every_kind_is_here_or_elsewhere() -> None:
    kinds = {match[0] for case in CASES if (match := KINDS.match(case.name))}
    named = {f"M{n}" for n in range(1, 7)} | {f"W{n}" for n in range(1, 8)}
    assert kinds | set(ELSEWHERE) == named | {f"R{n}" for n in range(1, 9)}
    assert not kinds & set(ELSEWHERE)
    assert len({case.name for case in CASES}) == len(CASES)
