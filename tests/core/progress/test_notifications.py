"""What others are told at the end of a run and on its way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.jobs.job import JobState as S
from batchgen.core.manifest.notice_kinds import NoticeKind
from batchgen.core.progress.held_words import HeldModel
from batchgen.core.progress.notifications import (
    Facts,
    budget_notice,
    called,
    end_notice,
    environment,
    gate_notice,
    unknown_notice,
)
from batchgen.core.scheduling.gates.gates import GateKind

FACTS = Facts(
    name="cups",
    simulated=False,
    run="/runs/cups",
    manifest="/jobs/cups.yaml",
    outputs="/runs/cups/outputs",
    exit_code=0,
    reason="",
    counts={S.DONE: 412},
    spent_usd=20.6,
    elapsed_s=7800.0,
    resume="batchgen run jobs/cups.yaml",
)
STOPPED = replace(
    FACTS, exit_code=3, reason="no credits", counts={S.DONE: 4, S.PENDING: 3, S.SUBMITTED: 1}
)


def test_a_run_that_has_finished():
    assert end_notice(FACTS).kind is NoticeKind.FINISHED
    assert end_notice(FACTS).title == "cups: finished"
    assert end_notice(FACTS).body == "412 done\n$20.60 spent, 2 h 10 min"


def test_failures_are_told_with_what_to_type():
    failed = replace(FACTS, exit_code=1, counts={S.DONE: 4, S.FAILED: 2, S.UNKNOWN: 1})
    assert end_notice(failed).kind is NoticeKind.FINISHED
    assert end_notice(failed).body.splitlines()[0] == "4 done, 2 failed, 1 unknown"
    assert end_notice(failed).body.endswith("reasons: batchgen status /runs/cups --failed")
    left = replace(failed, counts={S.DONE: 4, S.UNFETCHED: 2})
    told = "fetch the unfetched ones, free: batchgen run jobs/cups.yaml"
    assert end_notice(left).body.splitlines()[-1] == told


def test_jobs_on_hold_are_told_with_what_to_do():
    held = HeldModel("veo", 3, "no such model (HTTP 404)", "fix `model:` and run again", 0.0)
    facts = replace(FACTS, exit_code=1, counts={S.DONE: 4, S.PENDING: 3}, held=(held,))

    assert end_notice(facts).body.splitlines() == [
        "3 held, 4 done",
        "$20.60 spent, 2 h 10 min",
        "veo: no such model (HTTP 404). Its 3 jobs are on hold; fix `model:` and run again",
        "resume: batchgen run jobs/cups.yaml",
    ]
    told = environment(facts)
    assert (told["BATCHGEN_HELD"], told["BATCHGEN_LEFT"], told["BATCHGEN_JOBS"]) == ("3", "0", "7")


@pytest.mark.parametrize("code", [ExitCode.USAGE, ExitCode.STOPPED, ExitCode.TERMINATED, 70])
def test_a_run_that_stopped_early(code):
    notice = end_notice(replace(STOPPED, exit_code=code))
    assert notice.kind is NoticeKind.STOPPED
    assert notice.title == "cups: stopped early"
    lines = notice.body.splitlines()
    assert lines[0] == "no credits"
    assert lines[1] == "3 pending, 1 submitted, 4 done"
    assert lines[-1] == "resume: batchgen run jobs/cups.yaml"


def test_a_rehearsal_is_called_one():
    assert end_notice(replace(FACTS, simulated=True)).title == "cups (rehearsal): finished"
    assert called("cups", simulated=False) == "cups"


@pytest.mark.parametrize("gate", GateKind)
def test_only_gates_that_a_person_may_open_are_told(gate):
    told = {GateKind.KEY, GateKind.CREDITS, GateKind.OUTAGE, GateKind.UPLOADS, GateKind.QUOTA,
            GateKind.FILES, GateKind.DISK}  # fmt: skip
    notice = gate_notice("cups", str(gate), "HTTP 503")
    assert (notice is not None) == (gate in told)
    if notice:
        assert notice.kind is NoticeKind.DECISION
        assert "HTTP 503" in notice.body


def test_a_gate_is_told_with_what_opens_it():
    notice = gate_notice("cups", str(GateKind.QUOTA), "HTTP 507: Storage quota exceeded")
    assert notice.title == "cups: the account's storage takes no more input files"
    assert "free space in the Segmind console" in notice.body


def test_other_messages_say_what_to_do():
    assert "batchgen retry runs/x --unknown" in unknown_notice("cups", "runs/x").body
    told = budget_notice("cups", "warning: 8.00 of max_spend 10.00 USD are spent or reserved")
    assert told.title == "cups: 80% of max_spend are used up"
    assert told.body == "8.00 of max_spend 10.00 USD are spent or reserved"


def test_the_command_at_the_end_finds_the_facts_in_its_environment():
    assert environment(STOPPED) == {
        "BATCHGEN_NAME": "cups",
        "BATCHGEN_SIMULATED": "0",
        "BATCHGEN_RUN": "/runs/cups",
        "BATCHGEN_MANIFEST": "/jobs/cups.yaml",
        "BATCHGEN_OUTPUTS": "/runs/cups/outputs",
        "BATCHGEN_EXIT_CODE": "3",
        "BATCHGEN_REASON": "no credits",
        "BATCHGEN_JOBS": "8",
        "BATCHGEN_LEFT": "4",
        "BATCHGEN_HELD": "0",
        "BATCHGEN_DONE": "4",
        "BATCHGEN_FAILED": "0",
        "BATCHGEN_UNKNOWN": "0",
        "BATCHGEN_LOST": "0",
        "BATCHGEN_UNFETCHED": "0",
        "BATCHGEN_REJECTED": "0",
        "BATCHGEN_SPENT_USD": "20.600000",
        "BATCHGEN_ELAPSED_S": "7800.000",
    }
