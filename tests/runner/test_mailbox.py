"""What effects brought, sorted: onto the board, and into what is to be recorded."""

from __future__ import annotations

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.outcomes import CallKind, Signal
from batchgen.core.jobs.placeholders import Content, Uploaded
from batchgen.core.reconciliation.history import HistoryRow
from batchgen.core.scheduling.effects import Effect
from batchgen.core.scheduling.effects import EffectKind as K
from batchgen.core.scheduling.gates import GateKind
from batchgen.ports import SaveFault
from batchgen.runner.history import begin_page
from batchgen.runner.mailbox import Mail, sort_mail
from batchgen.runner.outcome import Landed
from tests.core.builders import NOW, board, event, job

ONE, TWO = Content("a" * 64, 10), Content("b" * 64, 20)
URL = "https://cdn.example/a.png"


def body(*contents):
    return f'{{"images":[{",".join(f"{chr(34)}{c.placeholder}{chr(34)}" for c in contents)}]}}'


def upload(content, **parts):
    return Landed(Effect(K.UPLOAD, content=content), **parts)


def test_an_event_of_a_job_is_to_be_recorded_and_the_job_is_free_again():
    made = board([job(S.SUBMITTED, 1), job(S.SUBMITTED, 2)])
    made.begin(1)
    made.begin(2)
    said = event(E.RUNNING)

    mail = sort_mail(made, [Landed(Effect(K.POLL, job(S.SUBMITTED)), said)], NOW)

    assert mail == Mail(events=[said])
    assert made.busy == {2}
    assert made.jobs[1].polls == 0, "the board waits for the record"


def test_an_effect_that_was_cut_off_frees_its_job_and_says_nothing():
    made = board([job(S.SUBMITTED)])
    made.begin(1)

    assert sort_mail(made, [Landed(Effect(K.POLL, job(S.SUBMITTED)))], NOW) == Mail()
    assert made.busy == set()


@pytest.mark.parametrize(("foreign", "left"), [(True, {}), (False, {1: "r-9"})])
def test_a_denied_candidate_is_dropped(foreign, left):
    made = board([job(S.AMBIGUOUS)])
    made.candidates[1] = "r-9"
    confirm = Effect(K.CONFIRM, job(S.AMBIGUOUS), request_id="r-9")

    mail = sort_mail(made, [Landed(confirm, event(E.HELD), foreign=foreign)], NOW)

    assert made.candidates == left
    assert len(mail.events) == 1


def test_a_page_goes_to_the_board_and_not_to_the_record():
    made = board([job(S.AMBIGUOUS)])
    begin_page(made, NOW)
    row = HistoryRow("r-1", "flux-pro", "{}", NOW)
    ok = event(E.HELD, job_key=0, call=CallKind.HISTORY, signal=Signal.OK)

    mail = sort_mail(made, [Landed(Effect(K.READ_HISTORY), ok, rows=[row])], NOW)

    assert mail == Mail()
    assert (made.reading, [*made.history.rows]) == (False, ["r-1"])


@pytest.mark.parametrize("credits_usd", [None, 7.5])
def test_what_the_account_holds_is_handed_on(credits_usd):
    made = board()
    made.probing = True
    ok = event(E.HELD, job_key=0, call=CallKind.CREDITS, signal=Signal.OK)

    mail = sort_mail(made, [Landed(Effect(K.CREDITS), ok, credits_usd=credits_usd)], NOW)

    assert mail == Mail(credits_usd=credits_usd)
    assert not made.probing


def test_a_fault_of_the_disk_closes_its_gate_and_the_event_is_recorded_too():
    made = board([job(S.FETCHING)])
    held = event(E.HELD)

    save = Effect(K.SAVE, job(S.FETCHING))
    mail = sort_mail(made, [Landed(save, held, SaveFault.DISK_FULL, "no space left")], NOW)

    assert mail.events == [held]
    assert made.gates.closed[GateKind.DISK].reason == "no space left"


# ------------------------------------------------------------------ uploads


def test_an_uploaded_content_is_to_be_recorded_with_its_file():
    made = board([job(body=body(ONE))])
    made.uploads.begin(ONE)
    ok = event(E.HELD, job_key=0, call=CallKind.UPLOAD, signal=Signal.OK)

    mail = sort_mail(made, [upload(ONE, event=ok, detail="cup.png", url=URL)], NOW)

    assert mail == Mail(uploaded=[Uploaded(ONE, URL, NOW, "cup.png")])
    assert made.uploads.under_way == set()
    assert made.jobs[1].body == body(ONE), "the board waits for the record"


def test_a_content_that_cannot_be_had_ends_the_jobs_that_need_it():
    made = board([job(key=1, body=body(ONE)), job(key=2, body=body(TWO)), job(key=3)])

    mail = sort_mail(made, [upload(ONE, detail="cup.png is gone")], NOW)

    assert [(e.kind, e.job_key, e.reason) for e in mail.events] == [
        (E.NO_INPUT, 1, "cup.png is gone")
    ]


def test_a_job_that_lacks_two_contents_ends_once():
    made = board([job(key=1, body=body(ONE, TWO)), job(key=2, body=body(TWO))])
    gone = [upload(ONE, detail="cup.png is gone"), upload(TWO, detail="pot.png is gone")]

    mail = sort_mail(made, gone, NOW)

    assert [(e.job_key, e.reason) for e in mail.events] == [
        (1, "cup.png is gone"),
        (2, "pot.png is gone"),
    ]


def test_an_upload_without_an_answer_is_tried_again_later():
    made = board([job(body=body(ONE))])
    lost = event(E.HELD, job_key=0, call=CallKind.UPLOAD, signal=Signal.LOST, reason="reset")

    assert sort_mail(made, [upload(ONE, event=lost, detail="cup.png")], NOW) == Mail()
    assert made.uploads.due_at(ONE) > NOW


def test_letters_keep_their_order():
    made = board([job(S.SUBMITTED, key) for key in (1, 2, 3)])
    said = [event(E.RUNNING, job_key=key) for key in (3, 1, 2)]

    landed = [Landed(Effect(K.POLL, job(S.SUBMITTED, e.job_key)), e) for e in said]

    assert sort_mail(made, landed, NOW).events == said
