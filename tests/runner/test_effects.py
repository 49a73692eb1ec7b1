"""What each effect asks, and the one thing it comes to: over ports that answer by heart."""

from __future__ import annotations

import base64

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import Doubt, Output
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.outcomes import CallKind, Signal
from batchgen.core.jobs.placeholders import Content
from batchgen.core.jobs.spec import InputFile, Mode, ModelKind
from batchgen.core.reconciliation.history import HistoryRead
from batchgen.core.scheduling.effects import (
    DiskOutcome,
    Effect,
    FileTrouble,
    StorageTrouble,
    UploadOutcome,
)
from batchgen.core.scheduling.effects import EffectKind as K
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.core.scheduling.policy import PATIENCE
from batchgen.core.scheduling.spending import Money
from batchgen.errors import InternalError, NetFault, TransportError
from batchgen.ports import InputLostError, Ports, SaveError, SaveFault
from batchgen.providers.segmind.provider import Segmind
from batchgen.runner.effects import (
    DENIAL_PAUSE_S,
    UNKNOWN_FILE,
    Effects,
    intents_of,
)
from tests.core.builders import NOW, PNG, answer, job, output, saved

URL = "https://cdn.example/a.png"
LOST = TransportError(NetFault.LOST, "connection reset")
CONTENT = Content("a" * 64, 10)


class Script:
    """Every port at once: answers in their order, and what was asked of it.

    An answer that is an exception is raised.
    """

    def __init__(self, *answers, saves=(), stages=(), keeps=(), free=True, room=True, files=()):
        self.answers, self.saves, self.stages = list(answers), list(saves), list(stages)
        self.free, self.room, self.files, self.keeps = free, room, dict(files), list(keeps)
        self.asked, self.orders, self.staged, self.kept = [], [], [], []

    def now(self):
        return NOW

    async def call(self, call):
        self.asked.append(f"{call.method} {call.path}")
        return _said(self.answers.pop(0))

    async def save(self, order):
        self.orders.append((order.owner, order.stem, order.output.index))
        return _said(self.saves.pop(0))

    async def stage(self, owner, index, data):
        self.staged.append((owner, index, data))
        return _said(self.stages.pop(0)) if self.stages else f"{owner}-{index}"

    async def keep_answer(self, stem, data):
        self.kept.append((stem, data))
        _said(self.keeps.pop(0) if self.keeps else None)

    async def takes_files(self):
        return self.free

    async def has_room(self):
        return self.room

    async def encoded(self, file):
        if file.path not in self.files:
            raise InputLostError(f"{file.path} is gone")
        return self.files[file.path]

    def effects(self):
        return Effects(Ports(self, Segmind(), self, self, self, self, self))

    async def carry_out(self, kind, job=None, **parts):
        return await self.effects().carry_out(Effect(kind, job, **parts))


def _said(answer):
    if isinstance(answer, Exception):
        raise answer
    return answer


RUNNING = answer({"status": "IN_PROGRESS"})
COMPLETED = answer({"status": "COMPLETED"})
RESULT = answer({"status": "COMPLETED", "output": URL})
MEDIA = answer(PNG, content_type="image/png")


# ------------------------------------------------------------------ calls


@pytest.mark.parametrize(
    ("kind", "made", "said", "asked", "ends"),
    [
        (K.SUBMIT, job(S.SUBMITTING), answer({"request_id": "r-1"}), "POST /v2/flux-pro", E.ACKED),
        (K.SUBMIT, job(S.SUBMITTING), LOST, "POST /v2/flux-pro", E.UNCLEAR),
        (K.POLL, job(S.SUBMITTED), RUNNING, "GET /v2/requests/req-1/status", E.RUNNING),
        (K.POLL, job(S.SUBMITTED), COMPLETED, "GET /v2/requests/req-1/status", E.FINISHED),
        (K.POLL, job(S.SUBMITTED), LOST, "GET /v2/requests/req-1/status", E.TROUBLE),
        (K.FETCH, job(S.FETCHING), RESULT, "GET /v2/requests/req-1", E.RESULT),
        (K.FETCH, job(S.FETCHING), LOST, "GET /v2/requests/req-1", E.TROUBLE),
        (
            K.RECOVER,
            job(S.RECOVERING),
            LOST,
            "GET /inference-request/request-history/req-1",
            E.TROUBLE,
        ),
    ],
    ids=str,
)
async def test_one_call_ends_in_one_event(kind, made, said, asked, ends):
    script = Script(said)

    outcome = await script.carry_out(kind, made)

    assert script.asked == [asked]
    assert outcome.event.kind is ends
    assert (outcome.event.job_key, outcome.event.at, outcome.storage) == (1, NOW, None)


async def test_an_effect_about_a_job_that_knows_no_job_is_our_bug():
    with pytest.raises(InternalError, match="read history"):
        await Script().carry_out(K.READ_HISTORY, job())


@pytest.mark.parametrize(("doubted_s", "pause_s"), [(4.0, DENIAL_PAUSE_S), (120.0, 30.0)])
async def test_a_denied_candidate_is_foreign_for_now_and_asked_about_later(doubted_s, pause_s):
    script = Script(answer({"error": "not found"}, 404))
    doubtful = job(S.AMBIGUOUS, unclear_at=NOW - doubted_s)

    outcome = await script.carry_out(K.CONFIRM, doubtful, request_id="r-9")

    assert script.asked == ["GET /inference-request/request-history/r-9"]
    assert outcome.denied
    assert (outcome.event.kind, outcome.event.retry_at) == (E.HELD, NOW + pause_s)


async def test_a_confirmation_that_gets_no_answer_denies_nothing():
    outcome = await Script(LOST).carry_out(K.CONFIRM, job(S.AMBIGUOUS), request_id="r-9")

    assert not outcome.denied
    assert outcome.event.kind is E.TROUBLE


async def test_the_services_clock_is_learned_from_the_first_answer_of_each_second():
    at = "Fri, 15 Jan 2027 08:00:07 GMT"  # NOW is 08:00:00
    script = Script(RUNNING, answer({"status": "IN_PROGRESS"}, date=at), LOST)
    effects = script.effects()
    for expected in (0.0, 7.0, 7.0):
        await effects.carry_out(Effect(K.POLL, job(S.SUBMITTED)))
        assert effects.skew_s == expected


# ------------------------------------------------------------------ a result at once


async def test_a_poll_that_is_to_fetch_at_once_brings_the_result():
    script = Script(COMPLETED, RESULT)

    outcome = await script.carry_out(K.POLL, job(S.SUBMITTED), at_once=True)

    assert script.asked == ["GET /v2/requests/req-1/status", "GET /v2/requests/req-1"]
    assert outcome.event.kind is E.RESULT
    assert [item.url for item in outcome.event.outputs] == [URL]


@pytest.mark.parametrize(
    ("first", "others"),
    [(RUNNING, []), (COMPLETED, [LOST]), (COMPLETED, [answer({}, 500)])],
    ids=["it runs", "no answer", "a server error"],
)
async def test_without_a_result_it_says_what_the_poll_said(first, others):
    script = Script(first, *others)

    outcome = await script.carry_out(K.POLL, job(S.SUBMITTED), at_once=True)

    assert outcome.event.kind is (E.FINISHED if others else E.RUNNING)
    assert script.answers == []


# ------------------------------------------------------------------ media inside an answer


async def test_media_in_an_answer_is_staged_before_its_event_exists():
    script = Script(MEDIA)

    outcome = await script.carry_out(K.SUBMIT, job(S.SUBMITTING, api=Mode.BLOCKING))

    assert script.staged == [("1-1", 0, PNG)]
    assert outcome.event.kind is E.ANSWERED
    assert [item.staged for item in outcome.event.outputs] == ["1-1-0"]


async def test_of_several_outputs_those_with_an_address_are_left_as_they_are():
    encoded = base64.b64encode(PNG).decode()
    body = {"status": "COMPLETED", "output": [URL, f"data:image/png;base64,{encoded}"]}
    script = Script(answer(body))

    outcome = await script.carry_out(K.FETCH, job(S.FETCHING))

    assert [(item.url, item.staged) for item in outcome.event.outputs] == [(URL, ""), ("", "1-1-1")]


async def test_a_paid_answer_that_cannot_be_kept_is_left_to_the_history():
    script = Script(MEDIA, stages=[SaveError(SaveFault.DISK_FULL, "no space left")])

    outcome = await script.carry_out(K.SUBMIT, job(S.SUBMITTING, api=Mode.BLOCKING))

    assert (outcome.event.kind, outcome.event.doubt) == (E.UNCLEAR, Doubt.ACCEPTED)
    assert outcome.event.outputs == ()
    assert outcome.storage == StorageTrouble(GateKind.DISK, "no space left")


async def test_a_result_that_cannot_be_kept_is_fetched_again():
    script = Script(MEDIA, stages=[SaveError(SaveFault.DISK_FULL, "no space left")])

    outcome = await script.carry_out(K.FETCH, job(S.FETCHING))

    assert (outcome.event.kind, outcome.event.retry_at) == (E.HELD, NOW + 1.0)
    assert outcome.storage == StorageTrouble(GateKind.DISK, "no space left")


# ------------------------------------------------------------------ answers that are no use

REFUSAL = answer({"status": "COMPLETED", "output": "I cannot draw that."})
TEXT = answer({"output": "I cannot draw that."})


@pytest.mark.parametrize(
    ("kind", "made", "said"),
    [
        (K.FETCH, job(S.FETCHING), REFUSAL),
        (K.FETCH, job(S.SUBMITTED), REFUSAL),
        (K.FETCH, job(S.RECOVERING), REFUSAL),
        (K.SUBMIT, job(S.SUBMITTING, api=Mode.BLOCKING), TEXT),
    ],
    ids=str,
)
@pytest.mark.parametrize("makes", [ModelKind.MEDIA, ModelKind.UNKNOWN, ModelKind.TEXT])
async def test_an_answer_without_media_is_kept_where_its_model_makes_media(kind, made, said, makes):
    script = Script(said)

    outcome = await script.carry_out(kind, made, makes=makes)

    wants_media = makes is ModelKind.MEDIA
    assert (outcome.event.kind is E.REJECTED) is wants_media
    assert script.kept == ([("job-1", said.body)] if wants_media else [])
    assert bool(script.staged) is not wants_media


async def test_a_poll_that_is_to_fetch_at_once_brings_that_end_too():
    script = Script(COMPLETED, REFUSAL)

    outcome = await script.carry_out(K.POLL, job(S.SUBMITTED), at_once=True, makes=ModelKind.MEDIA)

    assert outcome.event.kind is E.REJECTED
    assert script.kept == [("job-1", REFUSAL.body)]


async def test_an_answer_that_cannot_be_kept_is_asked_for_again_once_there_is_space():
    script = Script(REFUSAL, keeps=[SaveError(SaveFault.DISK_FULL, "no space left")])

    outcome = await script.carry_out(K.FETCH, job(S.FETCHING), makes=ModelKind.MEDIA)

    assert (outcome.event.kind, outcome.event.retry_at) == (E.HELD, NOW + 1.0)
    assert outcome.storage == StorageTrouble(GateKind.DISK, "no space left")


async def test_of_v1_it_is_left_to_the_history():
    script = Script(TEXT, keeps=[SaveError(SaveFault.DISK_FULL, "no space left")])
    made = job(S.SUBMITTING, api=Mode.BLOCKING)

    outcome = await script.carry_out(K.SUBMIT, made, makes=ModelKind.MEDIA)

    assert (outcome.event.kind, outcome.event.doubt) == (E.UNCLEAR, Doubt.ACCEPTED)


# ------------------------------------------------------------------ saving


FETCHED = job(S.FETCHING, outputs=(output(0), output(1)))


async def test_outputs_are_saved_in_their_order_under_numbered_names():
    script = Script(saves=[saved(0), saved(1)])

    outcome = await script.carry_out(K.SAVE, FETCHED)

    assert script.orders == [("1-1", "job-1~1", 0), ("1-1", "job-1~2", 1)]
    assert (outcome.event.kind, outcome.event.files) == (E.SAVED, (saved(0), saved(1)))


async def test_what_was_saved_before_a_fault_is_not_downloaded_again():
    script = Script(saves=[saved(0), SaveError(SaveFault.TRANSIENT, "cut off"), saved(1)])
    effects = script.effects()

    first = await effects.carry_out(Effect(K.SAVE, FETCHED))
    second = await effects.carry_out(Effect(K.SAVE, FETCHED))

    assert (first.event.kind, first.event.reason) == (E.TROUBLE, "cut off")
    assert [index for _, _, index in script.orders] == [0, 1, 1]
    assert second.event.files == (saved(0), saved(1))


async def test_after_a_lost_address_everything_is_downloaded_anew():
    gone = SaveError(SaveFault.GONE, "HTTP 404")
    script = Script(saves=[saved(0), gone, saved(0), saved(1)])
    effects = script.effects()
    tired = job(S.FETCHING, outputs=FETCHED.outputs, trouble=PATIENCE)

    assert (await effects.carry_out(Effect(K.SAVE, tired))).event.kind is E.GONE
    await effects.carry_out(Effect(K.SAVE, FETCHED))

    assert [index for _, _, index in script.orders] == [0, 1, 0, 1]


HOLDING = {
    SaveFault.DISK_FULL: GateKind.DISK,
    SaveFault.STORE_AWAY: GateKind.DISK,
    SaveFault.DISK_BROKEN: GateKind.STORAGE,
    SaveFault.TOO_MANY_FILES: None,
}
NEXT_RUN = {SaveFault.FORBIDDEN_URL, SaveFault.TOO_LARGE, SaveFault.REFUSED}
"""What this machine may not fetch or keep: another one, or another setting, may."""
OF_THE_HOST = {SaveFault.TRANSIENT, SaveFault.GONE, SaveFault.BAD_CONTENT}


def test_every_fault_of_saving_is_of_one_kind():
    assert sorted([*HOLDING, *NEXT_RUN, *OF_THE_HOST]) == sorted(SaveFault)


@pytest.mark.parametrize("fault", sorted(SaveFault), ids=str)
@pytest.mark.parametrize(
    ("trouble", "recoveries", "ends"),
    [
        (0, 0, E.TROUBLE),
        (PATIENCE - 1, 0, E.TROUBLE),
        (PATIENCE, 0, E.GONE),
        (PATIENCE - 1, 1, E.TROUBLE),
        (9, 1, None),
    ],
)
async def test_what_follows_from_a_fault_of_saving(fault, trouble, recoveries, ends):
    """By hand: a fault of the disk holds the job, one of the URL counts against the URL.

    Only an address that brings nothing any more is given up; the policy asks for the age.
    """
    made = job(S.FETCHING, outputs=(output(),), trouble=trouble, recoveries=recoveries)
    ends = ends or (E.GIVEN_UP if fault is SaveFault.GONE else E.TROUBLE)

    outcome = await Script(saves=[SaveError(fault, "said\nso")]).carry_out(K.SAVE, made)

    holds = fault in HOLDING
    assert outcome.event.kind is (E.HELD if holds else E.PUT_OFF if fault in NEXT_RUN else ends)
    keeps_away = fault in {*OF_THE_HOST, SaveFault.FORBIDDEN_URL}
    assert outcome.file == (FileTrouble("cdn.example", "said so") if keeps_away else None)
    assert outcome.event.retry_at == (NOW + 1.0 if holds else 0.0)
    many = fault is SaveFault.TOO_MANY_FILES
    trouble = StorageTrouble(HOLDING.get(fault), "said\nso", too_many_files=many)
    assert outcome.storage == (trouble if holds else None)
    assert "\n" not in outcome.event.reason


@pytest.mark.parametrize(
    ("host", "url", "told"),
    [
        ("", "https://CDN.example:8443/a.png", "cdn.example:8443"),
        ("mirror.example", "https://cdn.example/a.png", "mirror.example"),
        ("", "", None),
    ],
    ids=["its address", "a redirect's", "no address"],
)
async def test_a_download_that_failed_names_the_host_at_fault(host, url, told):
    made = job(S.FETCHING, outputs=(Output(0, url=url, staged="" if url else "1-1-0"),))
    fault = SaveError(SaveFault.TRANSIENT, "HTTP 503", host)

    outcome = await Script(saves=[fault]).carry_out(K.SAVE, made)

    assert outcome.file == (told and FileTrouble(told, "HTTP 503"))


# ------------------------------------------------------------------ without a job


@pytest.mark.parametrize(
    ("free", "room", "has_space"),
    [
        (True, True, True),
        (False, True, False),
        (True, False, False),
    ],
)
async def test_the_disk_has_room_for_outputs_and_for_the_record(free, room, has_space):
    assert await Script(free=free, room=room).carry_out(K.CHECK_DISK) == DiskOutcome(has_space)


@pytest.mark.parametrize("kind", [K.CREDITS, K.PROBE], ids=str)
@pytest.mark.parametrize(
    ("said", "signal", "credits_usd"),
    [
        (answer({"credits": 7.5}), Signal.OK, 7.5),
        (answer({}), Signal.OK, None),
        (answer({"credits": 7.5}, 401), Signal.KEY_REFUSED, None),
        (LOST, Signal.LOST, None),
    ],
    ids=["told", "not told", "refused", "lost"],
)
async def test_a_probe_asks_what_the_account_holds(kind, said, signal, credits_usd):
    outcome = await Script(said).carry_out(kind)

    assert (outcome.kind, outcome.credits_usd) == (kind, credits_usd)
    assert (outcome.response.call, outcome.response.signal) == (CallKind.CREDITS, signal)


ROW = {"request_id": "r-1", "model": "flux-pro", "created_at": "2027-01-15T08:00:00Z"}


@pytest.mark.parametrize(
    ("said", "rows", "detail"),
    [
        (answer([]), 0, ""),
        (answer({"data": [ROW, ROW]}), 2, ""),
        (answer({"data": 7}), None, "the history answers without a list"),
    ],
)
async def test_a_page_of_the_history_brings_rows(said, rows, detail):
    outcome = await Script(said).carry_out(K.READ_HISTORY, read=HistoryRead(NOW, NOW - 60))

    assert (None if outcome.rows is None else len(outcome.rows), outcome.reason) == (rows, detail)


@pytest.mark.parametrize("said", [LOST, answer({}, 500), answer({}, 401)], ids=str)
async def test_a_page_that_does_not_come_says_why(said):
    outcome = await Script(said).carry_out(K.READ_HISTORY, read=HistoryRead(NOW, NOW - 60))

    assert outcome.rows is None
    assert outcome.reason == outcome.response.reason != ""


# ------------------------------------------------------------------ uploads


def file(path):
    return InputFile(path, CONTENT.size, "image/png", CONTENT.sha256)


async def test_any_file_that_still_holds_the_content_is_uploaded():
    script = Script(answer({"file_urls": [URL]}), files={"b.png": "Yg=="})
    files = (file("a.png"), file("b.png"), file("c.png"))

    outcome = await script.carry_out(K.UPLOAD, content=CONTENT, files=files)

    assert len(script.asked) == 1
    assert (outcome.url, outcome.path, outcome.response.signal) == (URL, "b.png", Signal.OK)


@pytest.mark.parametrize(
    ("files", "detail"), [((), UNKNOWN_FILE), ((file("a.png"), file("b.png")), "b.png is gone")]
)
async def test_a_content_that_no_file_holds_is_not_asked_about(files, detail):
    script = Script()

    outcome = await script.carry_out(K.UPLOAD, content=CONTENT, files=files)

    assert (script.asked, outcome) == ([], UploadOutcome(CONTENT, lost=detail))


async def test_a_refused_upload_names_its_file():
    script = Script(answer({"error": "no"}, 422), files={"a.png": "Yg=="})

    outcome = await script.carry_out(K.UPLOAD, content=CONTENT, files=(file("a.png"),))

    assert (outcome.url, outcome.path) == ("", "a.png")
    assert outcome.response.signal is Signal.UNPROCESSABLE


# ------------------------------------------------------------------ intents


def test_only_submits_need_an_intent_and_it_names_the_price():
    money = Money(learned={"flux-pro": 0.3})
    cheap, dear = job(key=1, price_usd=0.1), job(key=2, price_usd=0.5)
    effects = [Effect(K.SUBMIT, cheap), Effect(K.POLL, job(S.SUBMITTED, 3)), Effect(K.SUBMIT, dear)]

    intents = intents_of([*effects, Effect(K.PROBE)], money, NOW)

    assert [(e.kind, e.job_key, e.price_usd) for e in intents] == [
        (E.INTENDED, 1, 0.3),
        (E.INTENDED, 2, 0.5),
    ]
