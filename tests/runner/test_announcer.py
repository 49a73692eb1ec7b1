"""What the watcher is told beside the jobs: each thing once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.job import Outlook
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.placeholders import Content, Uploaded
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.core.scheduling.gates.refusals import MODEL_PAUSE_S
from batchgen.core.scheduling.rates.window import SLOWEST, RateWindow
from batchgen.core.scheduling.spending import Money
from batchgen.runner.announcer import RETOLD_S, Announcer
from batchgen.testing.memory import RecordingProgress
from tests.core.builders import NOW, event, job, output, saved, scheduler


@pytest.fixture
def heard():
    return RecordingProgress()


@pytest.fixture
def announcer(heard):
    return Announcer(heard)


def names(heard):
    return [name for name, _, _ in heard.words]


def test_of_a_board_on_which_nothing_happens_nothing_is_told(heard, announcer):
    announcer.tell(scheduler(), NOW)
    assert heard.words == []


def test_a_gate_is_told_when_it_closes_and_when_it_opens(heard, announcer):
    made = scheduler()
    for _ in range(2):
        made.gates.close(GateKind.OUTAGE, "no answer", NOW)
        announcer.tell(made, NOW)
        announcer.tell(made, NOW)
        made.gates.open(GateKind.OUTAGE)
        announcer.tell(made, NOW)

    closed, opened = ("gate_closed", "no answer"), ("gate_opened", "")
    assert [(name, text) for name, text, _ in heard.words] == [closed, opened] * 2
    assert {fields["gate"] for _, _, fields in heard.words} == {"outage"}


def test_of_two_gates_each_is_told(heard, announcer):
    made = scheduler()
    made.gates.close(GateKind.KEY, "refused", NOW)
    made.gates.close(GateKind.DISK, "full", NOW)
    announcer.tell(made, NOW)
    made.gates.open(GateKind.KEY)
    announcer.tell(made, NOW)

    assert [fields["gate"] for _, _, fields in heard.words] == ["key", "disk", "key"]
    assert names(heard) == ["gate_closed", "gate_closed", "gate_opened"]


def test_a_model_that_refuses_jobs_is_told_once_at_each_step(heard, announcer):
    made = scheduler()
    refusals = made.gates.refusals
    for at in (NOW, NOW + MODEL_PAUSE_S):
        refusals.refuse_model("veo", "HTTP 404", at)
        announcer.tell(made, at)
        announcer.tell(made, at)
    refusals.passed(1, "veo", NOW + 1000)
    announcer.tell(made, NOW + 1000)
    announcer.tell(made, NOW + 1000)

    suspected, *others = heard.words
    assert suspected[0] == "model_refused"
    assert suspected[1].startswith("veo refused a job (HTTP 404); one more is tried at ")
    assert others == [
        ("model_closed", "veo: no such model (HTTP 404). Its jobs are on hold", {"model": "veo"}),
        ("model_opened", "veo takes jobs again", {"model": "veo"}),
    ]


def test_that_a_suspicion_passed_is_no_news(heard, announcer):
    made = scheduler()
    made.gates.refusals.refuse_model("veo", "HTTP 404", NOW)
    announcer.tell(made, NOW)
    made.gates.refusals.passed(1, "veo", NOW + 130)
    announcer.tell(made, NOW + 130)

    assert names(heard) == ["model_refused"]


# ------------------------------------------------------------------ limits


def limited(until):
    made = scheduler()
    made.rate.refuse_until(until, NOW)
    return made


@pytest.mark.parametrize(
    ("limit", "used", "allowed"), [(50, 50, 40), (None, 30, 24), (None, 0, SLOWEST)]
)
def test_a_limit_is_told_with_what_is_left_of_it(heard, announcer, limit, used, allowed):
    made = scheduler(rate=RateWindow(limit))
    for _ in range(used):
        made.rate.start()
    made.rate.refuse_until(NOW + 60, NOW)
    announcer.tell(made, NOW)

    ((name, text, fields),) = heard.words
    assert name == "limited"
    assert text.startswith("limited until ")
    assert text.endswith(f"; then at most {allowed} a minute for a while")
    assert fields == {"until": NOW + 60, "requests_per_minute": allowed}


@pytest.mark.parametrize(
    ("later_s", "told"), [(0.0, 1), (RETOLD_S - 1, 1), (RETOLD_S, 2), (RETOLD_S + 1, 2)]
)
def test_stragglers_of_one_congestion_are_told_once(heard, announcer, later_s, told):
    announcer.tell(limited(NOW + 60), NOW)
    announcer.tell(limited(NOW + 60 + later_s), NOW + 1)

    assert names(heard) == ["limited"] * told


def test_an_end_that_moves_bit_by_bit_is_told_once(heard, announcer):
    """What is told is compared with the last end that was seen, not with the one that was told."""
    for later_s in range(0, 100, 10):
        announcer.tell(limited(NOW + 60 + later_s), NOW + later_s)
    assert names(heard) == ["limited"]
    announcer.tell(limited(NOW + 200), NOW + 100)

    assert names(heard) == ["limited", "limited"]


def test_a_limit_that_is_over_is_not_told(heard, announcer):
    announcer.tell(limited(NOW + 60), NOW + 60)
    assert heard.words == []


# ------------------------------------------------------------------ money


@pytest.mark.parametrize(("settled_usd", "told"), [(7.9, 0), (8.0, 1), (12.0, 1)])
def test_four_fifths_of_the_cap_are_told_once(heard, announcer, settled_usd, told):
    made = scheduler(money=Money(10.0, settled_usd))
    announcer.tell(made, NOW)
    announcer.tell(made, NOW)

    assert names(heard) == ["budget_warning"] * told
    if told:
        assert heard.words[0][2] == {"committed_usd": settled_usd}
        assert f"{settled_usd:.2f} of max_spend 10.00 USD" in heard.words[0][1]


def test_without_a_cap_nothing_is_nearly_spent(heard, announcer):
    announcer.tell(scheduler(money=Money(None, 1e6)), NOW)
    assert heard.words == []


@pytest.mark.parametrize(("holds_usd", "warned"), [(5.0, True), (6.0, False), (7.0, False)])
def test_an_account_that_does_not_suffice_is_warned_about(heard, announcer, holds_usd, warned):
    announcer.tell_credits(holds_usd, Outlook(6.0, 0))

    ((name, text, fields),) = heard.words
    assert (name, fields) == ("credits", {"credits_usd": holds_usd, "pending_usd": 6.0})
    assert ("holds 5.00 USD" in text and "reckoned at 6.00 USD" in text) is warned
    assert bool(text) is warned


def test_each_uploaded_file_is_told(heard, announcer):
    announcer.tell_uploads([Uploaded(Content("a" * 64, 1), "https://x/a", NOW, "a.png")])
    announcer.tell_uploads([])

    assert heard.words == [
        (
            "uploaded",
            "",
            {"path": "a.png", "bytes": 1, "sha256": "a" * 64, "url": "https://x/a"},
        )
    ]


def test_files_that_are_not_verified_are_all_logged_and_the_first_is_warned_of(heard, announcer):
    files = [replace(saved(n, f"{n}.bin"), verified=n == 1) for n in range(4)]
    made = job(S.FETCHING, outputs=tuple(output(n) for n in range(4)))
    change = apply(made, event(E.SAVED, job_key=made.key, files=tuple(files)))
    announcer.tell_unverified([change])

    assert names(heard) == ["unverified"] * 3
    assert [fields["file"] for _, _, fields in heard.words] == ["0.bin", "2.bin", "3.bin"]
    assert [bool(text) for _, text, _ in heard.words] == [True, False, False]
    assert "0.bin is kept" in heard.words[0][1]
