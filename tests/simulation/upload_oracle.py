"""What must hold of uploads after any night, judged by what reached the service."""

from __future__ import annotations

import hashlib
import re

from batchgen.core.jobs.events import EventKind
from batchgen.core.jobs.job import JobState
from batchgen.core.jobs.placeholders import Content, missing, placed
from batchgen.core.jobs.spec import InputFile
from batchgen.providers.segmind.simulator import Endpoint
from batchgen.providers.segmind.simulator.messages import DeliveryFault
from batchgen.testing.rehearsal import URLS, RehearsalReport, Scenario

_ASSET = re.compile(rf'"{re.escape(URLS.cdn)}(/assets/[0-9a-f]+\.png)"')


def broken_uploads(scenario: Scenario, report: RehearsalReport) -> list[str]:
    """Everything that should not be about input files; empty after a good night."""
    found = _sent_too_early(report) + _needless(report)
    if report.placeholders_sent:
        found.append(f"{report.placeholders_sent} bodies were sent with a placeholder")
    if scenario.inputs:
        found += (
            _other_bodies(scenario, report) + _unrecorded(report) + _lost_jobs(scenario, report)
        )
    return found


def _sent_too_early(report: RehearsalReport) -> list[str]:
    """Every file that a job names was there when the job was accepted."""
    first_at = {path: min(times) for path, times in report.service.ledger.uploads.items()}
    return [
        f"{bill.request_id} names {path}, which is not there"
        for bill in report.service.ledger.bills
        for path in _ASSET.findall(bill.body)
        if first_at.get(path, 1e99) > bill.accepted_at
    ]


def _other_bodies(scenario: Scenario, report: RehearsalReport) -> list[str]:
    """A job is only ever sent in one way, whichever process sends it."""

    def url_of(content: Content) -> str:
        return f"{URLS.cdn}/assets/{content.sha256[:32]}.png"

    expected = {(spec.model, placed(spec.body, url_of)) for spec in scenario.specs}
    return [
        f"{bill.request_id} asks for what no job asks for: {bill.body[:200]}"
        for bill in report.service.ledger.bills
        if (bill.model, bill.body) not in expected
    ]


def _unrecorded(report: RehearsalReport) -> list[str]:
    """What was submitted is in the record with all of its addresses."""
    return [
        f"{job.id} was submitted, and the record lacks the address of a file"
        for job in report.jobs()
        if job.attempt and missing(job.body)
    ]


def _needless(report: RehearsalReport) -> list[str]:
    """A content is uploaded once, unless something went wrong."""
    ledger = report.service.ledger
    found = []
    if report.needless_uploads:
        found.append(f"{report.needless_uploads} contents were uploaded again")
    fruitless = sum(
        entry.place is Endpoint.UPLOAD
        and (entry.status != 200 or entry.fate is not DeliveryFault.WHOLE)
        for entry in ledger.log
    )
    most = fruitless + report.processes
    for path, times in ledger.uploads.items():
        if len(times) > most:
            found.append(f"{path} was uploaded {len(times)} times, at most {most} were called for")
    return found


def _lost_jobs(scenario: Scenario, report: RehearsalReport) -> list[str]:
    """A job ends over its files where one is not what it was, and else only by the service."""
    needs_lost = {
        spec.id for spec in scenario.specs if any(_is_lost(scenario, file) for file in spec.inputs)
    }
    refusing = any(rule.where is Endpoint.UPLOAD for rule in scenario.service.faults)
    found = [
        f"{change.after.id} ended over its files: {change.event.reason}"
        for change in report.progress.changes
        if change.event.kind is EventKind.NO_INPUT
        and change.after.id not in needs_lost
        and not refusing
    ]
    return found + [
        f"{job.id} is done, and a file that it names was never there"
        for job in report.jobs(JobState.DONE)
        if job.id in needs_lost
    ]


def _is_lost(scenario: Scenario, file: InputFile) -> bool:
    data = scenario.inputs.get(file.path)
    return data is None or hashlib.sha256(data).hexdigest() != file.sha256
