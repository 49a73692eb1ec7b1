"""The exit code of each end of a run, as the contract numbers them."""

from __future__ import annotations

import pytest

from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.jobs.job import JobState as S
from batchgen.core.scheduling.completion import Verdict, exit_code
from batchgen.core.scheduling.gates.gates import Gate, GateKind
from tests.core.builders import NOW


def gate(kind):
    return Gate(kind, "why", NOW, NOW)


@pytest.mark.parametrize(
    ("verdict", "kind", "counts", "code"),
    [
        (Verdict.COMPLETE, None, {}, 0),
        (Verdict.COMPLETE, None, {S.DONE: 5}, 0),
        (Verdict.COMPLETE, None, {S.DONE: 5, S.FAILED: 0}, 0),
        (Verdict.COMPLETE, None, {S.DONE: 5, S.FAILED: 1}, 1),
        (Verdict.COMPLETE, None, {S.UNKNOWN: 1}, 1),
        (Verdict.COMPLETE, None, {S.LOST: 1}, 1),
        (Verdict.COMPLETE, None, {S.DONE: 5, S.PENDING: 1}, 1),
        (Verdict.STOP, GateKind.KEY, {S.PENDING: 1}, 3),
        (Verdict.STOP, GateKind.CREDITS, {S.PENDING: 1}, 3),
        (Verdict.STOP, GateKind.OUTAGE, {S.PENDING: 1}, 3),
        (Verdict.STOP, GateKind.HISTORY, {S.AMBIGUOUS: 1}, 3),
        (Verdict.STOP, GateKind.DISK, {S.FETCHING: 1}, 3),
        (Verdict.STOP, GateKind.HALT, {S.PENDING: 1}, 3),
        (Verdict.STOP, None, {S.PENDING: 1}, 3),
        (Verdict.STOP, GateKind.STOP, {S.PENDING: 1}, 130),
        (Verdict.STOP, GateKind.STOP, {S.DONE: 5}, 130),
    ],
)
def test_the_exit_code(verdict, kind, counts, code):
    assert exit_code(verdict, gate(kind) if kind else None, counts) == code


def test_the_numbers_are_those_of_the_contract():
    assert {code.name: int(code) for code in ExitCode} == {
        "COMPLETED": 0, "UNFINISHED": 1, "USAGE": 2, "STOPPED": 3, "INTERNAL": 70,
        "INTERRUPTED": 130, "TERMINATED": 143,
    }  # fmt: skip
