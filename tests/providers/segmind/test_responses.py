"""What the outcome of each call means: an event, and never anything else."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.events import AnswerEvent
from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import Doubt, Output, Receipt
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import apply
from batchgen.core.jobs.outcomes import CallKind, Signal
from batchgen.core.jobs.spec import Mode, ModelKind
from batchgen.core.net.http import Answer
from batchgen.core.scheduling.gates.gates import Gates
from batchgen.core.scheduling.policy import PATIENCE
from batchgen.errors import NetFault, TransportError
from batchgen.providers.segmind.outputs import MAX_OUTPUTS
from batchgen.providers.segmind.receipts import read_receipt
from batchgen.providers.segmind.responses import (
    StateWord,
    error_text_of,
    history_row,
    read_confirmation,
    read_record,
    read_result,
    read_status,
    read_submit,
    word_of,
)
from batchgen.providers.segmind.treatments import SLACK_S, WINDOW_S
from tests.core.builders import NOW, PNG, answer, job
from tests.core.net.test_http import JSON

URL = "https://cdn.example/a.png"
V1 = Mode.BLOCKING
METRICS = {
    "cost": 0.04,
    "remaining_credits": 9.5,
    "inference_time": 21.5,
    "queue_time": 0.5,
    "total_time": 22.0,
}
PAID = Receipt(0.04, 9.5, 21.5, 0.5, 22.0)


# ------------------------------------------------------------------ submit


def test_an_accepted_submit_brings_its_id():
    body = {"request_id": "r-1", "status": "QUEUED", "poll_url": "https://elsewhere.example/"}

    event = read_submit(job(S.SUBMITTING), answer(body), NOW).event

    assert (event.kind, event.request_id, event.response.signal) == (E.ACKED, "r-1", Signal.OK)


HOSTILE_IDS = [
    None, "", 7, True, [], {}, ["r-1"], "r/../admin", "a b", "a\nb", "a\x00b", "a?b", "a#b", "a\\b",
    ".", "..", "x" * 201, "\x1b[2J", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("request_id", HOSTILE_IDS, ids=repr)
def test_an_id_that_is_none_leaves_the_submit_unclear(request_id):
    event = read_submit(job(S.SUBMITTING), answer({"request_id": request_id}), NOW).event

    assert event.kind is E.UNCLEAR
    assert event.request_id == ""


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"request_id": "r-1"', b"null"])
def test_an_unreadable_acceptance_is_unclear(body):
    assert read_submit(job(S.SUBMITTING), answer(body), NOW).event.kind is E.UNCLEAR


ACCEPTED_WITHOUT_ID = [
    answer(b"", 202),
    answer(b'{"request_id": "r-1"', 200),
    TransportError(NetFault.CUT, "9 of 10 bytes", 200),
    TransportError(NetFault.TOO_LARGE, "over 64 MB", 200),
]


@pytest.mark.parametrize("outcome", ACCEPTED_WITHOUT_ID, ids=repr)
@pytest.mark.parametrize("api", [Mode.QUEUED, V1])
def test_a_2xx_without_a_usable_answer_was_accepted_so_absence_will_not_be_believed(outcome, api):
    event = read_submit(job(S.SUBMITTING, api=api), outcome, NOW).event

    assert (event.kind, event.doubt) == (E.UNCLEAR, Doubt.ACCEPTED)


@pytest.mark.parametrize("request_id", [None, "../x", 7])
def test_an_acceptance_without_an_id_was_one_all_the_same(request_id):
    outcome = answer({"request_id": request_id, "status": "QUEUED"})

    event = read_submit(job(S.SUBMITTING), outcome, NOW).event

    assert (event.kind, event.doubt) == (E.UNCLEAR, Doubt.ACCEPTED)
    assert event.reason == "the service accepted the submit but named no request_id"


@pytest.mark.parametrize("outcome", [
    answer(b"<html>"), answer({}), answer([]), answer({"login": "please"}), answer(b"<html>", 403),
    answer(b"<html>", 404), answer(b"", 408), answer(b"", 499), answer(b"", 302),
], ids=repr)  # fmt: skip
@pytest.mark.parametrize("api", [Mode.QUEUED, V1])
def test_what_somebody_between_answers_leaves_open_whether_the_submit_was_passed_on(outcome, api):
    event = read_submit(job(S.SUBMITTING, api=api), outcome, NOW).event

    assert (event.kind, event.doubt) == (E.UNCLEAR, Doubt.MIDDLEMAN)


@pytest.mark.parametrize(
    ("text", "kind", "signal"),
    [
        ("Insufficient credits", E.NOT_ACCEPTED, Signal.NO_CREDITS),
        ("Rate limit exceeded", E.NOT_ACCEPTED, Signal.RATE_LIMITED),
        ("something else", E.UNCLEAR, Signal.UNREADABLE),
        ("Invalid value for seed", E.UNCLEAR, Signal.UNREADABLE),
    ],
)
def test_an_error_under_a_200_is_what_its_words_say_where_these_are_sure(text, kind, signal):
    event = read_submit(job(S.SUBMITTING), answer({"error": text}), NOW).event

    assert (event.kind, event.response.signal) == (kind, signal)
    assert kind is not E.UNCLEAR or event.doubt is Doubt.OPEN


@pytest.mark.parametrize(
    "body", [{"error": "the prompt names a credit card"}, {"error": "too many requests in it"}]
)
def test_of_v1_no_error_under_a_200_is_taken_for_a_refusal(body):
    """It answers what was made of the prompt, and was billed for it: words prove nothing there."""
    event = read_submit(job(S.SUBMITTING, api=V1), answer(body, x_request_id="r-1"), NOW).event

    assert (event.kind, event.request_id, event.doubt) == (E.UNCLEAR, "r-1", Doubt.OPEN)


@pytest.mark.parametrize(
    "outcome",
    [
        answer({}, x_request_id="r-9"),
        answer({"error": "busy"}, 500, x_request_id="r-9"),
        answer(b"<html>", 504, x_request_id="r-9"),
        TransportError(NetFault.CUT, "9 of 10 bytes", 200, {"x-request-id": "r-9"}),
    ],
    ids=repr,
)
def test_an_id_in_a_header_is_not_taken_for_the_one_of_a_v2_submit(outcome):
    """In the ledger it would pass for a request of ours that is accounted for, and hide its row."""
    assert read_submit(job(S.SUBMITTING), outcome, NOW).event.request_id == ""


def test_a_submit_that_broke_off_after_a_200_is_unclear_too():
    fault = TransportError(NetFault.CUT, "9 of 10 bytes", 200, {"x-request-id": "r-9"})

    event = read_submit(job(S.SUBMITTING, api=V1), fault, NOW).event

    assert (event.kind, event.request_id) == (E.UNCLEAR, "r-9")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, E.REFUSED),
        (401, E.NOT_ACCEPTED),
        (404, E.NOT_ACCEPTED),
        (406, E.NOT_ACCEPTED),
        (422, E.REFUSED),
        (429, E.NOT_ACCEPTED),
        (500, E.UNCLEAR),
        (504, E.UNCLEAR),
    ],
)
def test_an_id_in_an_error_is_no_acceptance(status, kind):
    outcome = answer({"request_id": "r-1", "error": "no"}, status, x_request_id="r-1")

    event = read_submit(job(S.SUBMITTING), outcome, NOW).event

    assert event.kind is kind
    if kind is not E.UNCLEAR:
        assert not isinstance(event, AnswerEvent)


# ------------------------------------------------------------------ v1


def test_v1_answers_the_media_and_accounts_in_headers():
    outcome = answer(
        PNG,
        content_type="image/png",
        x_request_id="r-1",
        x_cost="0.04",
        x_remaining_credits="9.5",
        x_generation_time="21.5",
        x_seed_value="42",
    )

    reading = read_submit(job(S.SUBMITTING, api=V1), outcome, NOW)

    assert (reading.event.kind, reading.event.request_id) == (E.ANSWERED, "r-1")
    assert reading.event.outputs == (Output(0, media_type="image/png"),)
    assert reading.inline == {0: PNG}
    assert reading.event.receipt == Receipt(0.04, 9.5, 21.5, seed=42)


def test_v1_answers_json_for_some_models():
    reading = read_submit(
        job(S.SUBMITTING, api=V1), answer({"output": URL, "metrics": METRICS, "seed": 7}), NOW
    )

    assert reading.event.kind is E.ANSWERED
    assert reading.event.request_id == ""
    assert reading.event.outputs == (Output(0, url=URL),)
    assert reading.event.receipt == Receipt(0.04, 9.5, 21.5, 0.5, 22.0, seed=7)


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"message": {"content": "a cup"}}], "usage": {}},
        {"content": [{"type": "text", "text": "a cup"}]},
        {"candidates": [{"content": {"parts": [{"text": "a cup"}]}}]},
    ],
    ids=["OpenAI", "Anthropic", "Google"],
)
def test_v1_answers_what_the_makers_of_text_models_answer(body):
    reading = read_submit(job(S.SUBMITTING, api=V1), answer(body), NOW)

    assert reading.event.kind is E.ANSWERED
    assert (reading.inline[0], json.loads(reading.inline[1])) == (b"a cup", body)


def test_whatever_is_accounted_for_in_headers_is_the_services_own():
    body = {"text": "a cup"}

    billed = read_submit(job(S.SUBMITTING, api=V1), answer(body, x_cost="0.04"), NOW)

    assert (billed.event.kind, json.loads(billed.inline[0])) == (E.ANSWERED, body)
    assert billed.event.receipt == Receipt(cost_usd=0.04)
    assert read_submit(job(S.SUBMITTING, api=V1), answer(body), NOW).event.kind is E.UNCLEAR


@pytest.mark.parametrize("word", ["warning", "error"])
@pytest.mark.parametrize("text", ["no credit was given", "the upscaler was away"])
def test_media_beside_a_word_of_warning_are_the_result(word, text):
    """In hand and paid for: whatever else the answer says."""
    body = {"output": URL, word: text}

    v1 = read_submit(job(S.SUBMITTING, api=V1), answer(body), NOW).event
    v2 = read_result(job(S.FETCHING), answer(body), NOW).event

    assert (v1.kind, v2.kind) == (E.ANSWERED, E.RESULT)
    assert v1.outputs == v2.outputs == (Output(0, url=URL),)


@pytest.mark.parametrize("kind", list(ModelKind))
@pytest.mark.parametrize(
    "body",
    [
        {"status": "COMPLETED"},
        {"output": None, "status": "COMPLETED", "error": "blocked"},
        {"output": [], "error": "this may be about a credit card"},
    ],
    ids=str,
)
def test_v1_that_was_paid_for_and_brought_nothing_is_kept_and_never_posted_again(body, kind):
    outcome = answer(body, x_request_id="r-1", x_cost="0.04")

    reading = read_submit(job(S.SUBMITTING, api=V1), outcome, NOW, kind=kind)

    assert (reading.event.kind, reading.event.request_id) == (E.REJECTED, "r-1")
    assert reading.event.receipt == Receipt(cost_usd=0.04)
    assert reading.event.reason.startswith("finished without an output")
    assert (reading.kept, reading.inline) == (outcome.body, {})
    assert apply(job(S.SUBMITTING, api=V1), reading.event).after.state is S.REJECTED


@pytest.mark.parametrize("body", [b"", b"<html>oops</html>", b"[]", {"request_id": "r-1"}])
def test_v1_without_anything_to_save_is_never_posted_again_for_that(body):
    event = read_submit(job(S.SUBMITTING, api=V1), answer(body, x_request_id="r-1"), NOW).event

    assert event.request_id == "r-1"
    assert event.kind in {E.UNCLEAR, E.REJECTED}
    assert apply(job(S.SUBMITTING, api=V1), event).after.state in {S.AMBIGUOUS, S.REJECTED}


@pytest.mark.parametrize(("headers", "passes"), [({"x_request_id": "r-9"}, True), ({}, False)])
@pytest.mark.parametrize("status", [200, 422])
def test_a_v1_call_that_failed_is_tried_again_only_if_it_names_its_request(headers, passes, status):
    """The row of one without a name could be taken for that of the next call."""
    body = {"status": "FAILED", "error": "no worker was free"}

    event = read_submit(job(S.SUBMITTING, api=V1), answer(body, status, **headers), NOW).event

    assert (event.kind, event.may_pass) == (E.FAILED, passes)
    assert event.request_id == headers.get("x_request_id", "")


def test_v1_that_ran_and_failed_under_200_has_failed_and_is_not_saved_as_json():
    body = {"status": "FAILED", "error": "content blocked", "id": 5}

    reading = read_submit(job(S.SUBMITTING, api=V1), answer(body), NOW)

    assert (reading.event.kind, reading.event.reason) == (E.FAILED, "content blocked")
    assert not reading.inline


@pytest.mark.parametrize("request_id", [value for value in HOSTILE_IDS if isinstance(value, str)])
def test_a_hostile_id_in_a_header_is_none(request_id):
    reading = read_submit(job(S.SUBMITTING, api=V1), answer(PNG, x_request_id=request_id), NOW)

    assert (reading.event.kind, reading.event.request_id) == (E.ANSWERED, "")


# ------------------------------------------------------------------ status

STATUS = [
    ({"status": "QUEUED"}, 200, E.RUNNING),
    ({"status": "PROCESSING"}, 200, E.RUNNING),
    ({"status": "PROCESSING"}, 202, E.RUNNING),
    ({"status": "COMPLETED"}, 200, E.FINISHED),
    ({"status": "FAILED", "error": "blocked"}, 200, E.FAILED),
    ({"status": "FAILED", "error": "blocked"}, 422, E.FAILED),
    ({"status": "FAILED", "error": "bad key"}, 401, E.TROUBLE),
    ({"status": "FAILED", "error": "slow down"}, 429, E.TROUBLE),
    ({"status": "FAILED", "error": "oops"}, 502, E.TROUBLE),
    ({"status": "FAILED", "error": "gone"}, 404, E.TROUBLE),
    ({"status": "COMPLETED"}, 422, E.TROUBLE),
    ({"status": "Queued"}, 200, E.RUNNING),
    ({"status": " in_progress "}, 200, E.RUNNING),
    ({"status": "PENDING"}, 200, E.RUNNING),
    ({"status": "Completed"}, 200, E.FINISHED),
    ({"status": "SUCCEEDED"}, 200, E.FINISHED),
    ({"status": "success"}, 200, E.FINISHED),
    ({"status": "done"}, 200, E.FINISHED),
    ({"status": "failed", "error": "blocked"}, 422, E.FAILED),
    ({"status": "ERROR"}, 422, E.FAILED),
    ({"status": "CANCELLED"}, 200, E.FAILED),
    ({"status": "canceled"}, 200, E.FAILED),
    ({"status": "expired"}, 200, E.FAILED),
    ({"status": "timed_out"}, 200, E.FAILED),
    ({"status": "error"}, 500, E.TROUBLE),
    ({"status": "WARMING_UP"}, 200, E.TROUBLE),
    ({"error": "Insufficient credits"}, 200, E.TROUBLE),
    ({"error": "Too many requests"}, 200, E.TROUBLE),
    ({"error": "something else"}, 200, E.TROUBLE),
    ({"error": "gone", "status": "COMPLETED"}, 200, E.FINISHED),
    ({"login": "please"}, 200, E.TROUBLE),
    (b"<html>", 403, E.TROUBLE),
    ({"error": "not yours"}, 403, E.TROUBLE),
    ({"error": "credits"}, 402, E.TROUBLE),
    ({"status": ""}, 200, E.TROUBLE),
    ({"status": " "}, 200, E.TROUBLE),
    ({"status": None}, 200, E.TROUBLE),
    ({"status": 7}, 200, E.TROUBLE),
    ({"status": []}, 200, E.TROUBLE),
    ({"status": {}}, 200, E.TROUBLE),
    ({}, 200, E.TROUBLE),
    (b"<html>", 200, E.TROUBLE),
    (b"", 404, E.TROUBLE),
]


@pytest.mark.parametrize(("body", "status", "kind"), STATUS)
def test_a_poll(body, status, kind):
    event = read_status(job(S.SUBMITTED), answer(body, status), NOW)

    assert event.kind is kind
    apply(job(S.SUBMITTED), event)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("QUEUED", StateWord.RUNNING),
        ("in_queue", StateWord.RUNNING),
        ("COMPLETED", StateWord.COMPLETED),
        ("Finished", StateWord.COMPLETED),
        ("FAILED", StateWord.FAILED),
        ("timeout", StateWord.FAILED),
        ("STRASSE", StateWord.UNKNOWN),
        ("", None),
        ("  ", None),
        (None, None),
        (7, None),
        (["COMPLETED"], None),
    ],
)
def test_what_a_state_means_whatever_word_is_used_for_it(state, word):
    assert word_of({"status": state}) is word


def test_an_unknown_state_is_told_and_made_harmless():
    event = read_status(job(S.SUBMITTED), answer({"status": "WARM\x1b[2JING"}), NOW)

    assert event.reason == "the service calls the request 'WARM [2JING'"


def test_a_failure_gives_its_reason_and_a_completion_its_receipt():
    failed = read_status(job(S.SUBMITTED), answer({"status": "FAILED"}), NOW)
    done = read_status(job(S.SUBMITTED), answer({"status": "COMPLETED", "metrics": METRICS}), NOW)

    assert failed.reason == "the service reported FAILED without a reason"
    assert done.receipt == PAID


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("blocked", "blocked"),
        ({"message": "blocked", "code": 3}, "blocked"),
        ({"code": 3}, '{"code":3}'),
        (["a", "b"], "['a', 'b']"),
        (None, ""),
        ("", ""),
        ("two\nlines\x00", "two lines"),
    ],
)
def test_the_error_of_a_body(error, text):
    assert error_text_of({"error": error}) == text


# ------------------------------------------------------------------ result

RESULTS = [
    ({"status": "COMPLETED", "output": URL}, 200, E.RESULT),
    ({"output": URL}, 200, E.RESULT),
    (PNG, 200, E.RESULT),
    ({"status": "SUCCEEDED", "output": URL}, 200, E.RESULT),
    ({"status": "IS_THERE", "output": URL}, 200, E.RESULT),
    ({"status": "COMPLETED", "output": "a cup on a table"}, 200, E.RESULT),
    ({"status": "QUEUED"}, 200, E.RUNNING),
    ({"status": "in_progress", "output": None}, 200, E.RUNNING),
    ({"status": "PROCESSING"}, 202, E.RUNNING),
    ({"status": "PROCESSING", "output": None}, 202, E.RUNNING),
    ({"status": "STARTING", "eta": 4}, 200, E.RUNNING),
    ({"status": "WARMING_UP"}, 200, E.TROUBLE),
    ({"status": "cancelled"}, 200, E.FAILED),
    ({"status": "FAILED", "error": "x", "output": None}, 422, E.FAILED),
    ({"status": "FAILED", "error": "x"}, 200, E.FAILED),
    ({"status": "FAILED", "error": "x"}, 403, E.TROUBLE),
    ({"status": "COMPLETED", "output": None}, 200, E.REJECTED),
    ({"status": "COMPLETED", "output": []}, 200, E.REJECTED),
    ({"status": "COMPLETED", "output": ""}, 200, E.REJECTED),
    ({"status": "COMPLETED"}, 200, E.REJECTED),
    ({"status": "COMPLETED", "output": None, "error": "nsfw"}, 200, E.REJECTED),
    ({"status": "COMPLETED", "output": "s3://bucket/a.png"}, 200, E.REJECTED),
    ({"status": ["COMPLETED"]}, 200, E.REJECTED),
    ({"error": "the prompt is about a payment"}, 200, E.TROUBLE),
    ({}, 200, E.TROUBLE),
    ({"login": "please"}, 200, E.TROUBLE),
    (b'{"status": "COMPLETED", "outp', 200, E.TROUBLE),
    (b"GIF89a", 404, E.TROUBLE),
    ([URL], 200, E.TROUBLE),
    (b"", 200, E.TROUBLE),
    (b"<html>", 200, E.TROUBLE),
    ({"output": [f"{URL}?{n}" for n in range(MAX_OUTPUTS + 1)]}, 200, E.REJECTED),
    ({"error": "Request not found"}, 404, E.TROUBLE),
    ({}, 500, E.TROUBLE),
]


@pytest.mark.parametrize(("body", "status", "kind"), RESULTS)
def test_a_result(body, status, kind):
    event = read_result(job(S.FETCHING), answer(body, status), NOW).event

    assert event.kind is kind
    apply(job(S.FETCHING), event)


def test_a_result_says_where_its_files_are_and_what_they_cost():
    body = {"status": "COMPLETED", "output": [URL, URL + "?2"], "metrics": METRICS, "seed": 3}

    event = read_result(job(S.FETCHING), answer(body), NOW).event

    assert event.outputs == (Output(0, url=URL), Output(1, url=URL + "?2"))
    assert event.receipt == Receipt(0.04, 9.5, 21.5, 0.5, 22.0, seed=3)


def test_media_inside_a_result_come_beside_urls_under_their_index():
    inside = base64.b64encode(PNG).decode()

    reading = read_result(job(S.FETCHING), answer({"output": [URL, inside]}), NOW)

    assert reading.event.outputs == (Output(0, url=URL), Output(1))
    assert reading.inline == {1: PNG}


@pytest.mark.parametrize("trouble", [0, PATIENCE, 99])
def test_a_final_answer_without_an_output_ends_the_job_and_is_kept_whole(trouble):
    body = {"status": "COMPLETED", "output": None, "error": "NSFW", "metrics": METRICS}
    asked = job(S.FETCHING, trouble=trouble)

    reading = read_result(asked, answer(body), NOW)

    assert (reading.event.kind, reading.event.outputs) == (E.REJECTED, ())
    assert reading.event.reason == "finished without an output: NSFW"
    assert reading.event.receipt == PAID
    assert json.loads(reading.kept) == body


TEXTS = [
    {"output": "I cannot draw that."}, {"output": True}, {"output": ["error: nsfw"]},
    {"message": "blocked", "nsfw": True}, {"output": {"seed": 7}},
]  # fmt: skip


@pytest.mark.parametrize("body", TEXTS, ids=str)
@pytest.mark.parametrize("state", [S.FETCHING, S.SUBMITTED, S.RECOVERING])
def test_a_text_is_a_result_only_of_a_model_that_is_not_known_to_make_media(body, state):
    outcome = answer({"status": "COMPLETED", **body})

    text = read_result(job(state), outcome, NOW)
    refused = read_result(job(state), outcome, NOW, kind=ModelKind.MEDIA)

    assert (text.event.kind, text.kept) == (E.RESULT, b"")
    assert set(text.inline) == {0}
    assert (refused.event.kind, refused.kept) == (E.REJECTED, outcome.body)
    assert refused.event.reason.startswith("finished without a file: ")
    apply(job(state), text.event)
    apply(job(state), refused.event)


@pytest.mark.parametrize("kind", list(ModelKind))
@pytest.mark.parametrize("body", [*TEXTS, {"message": "still busy"}], ids=str)
def test_an_early_answer_that_tells_no_state_ends_no_job(body, kind):
    """Nothing said yet that it is done: a request that runs may be answered so."""
    event = read_result(job(S.SUBMITTED), answer(body), NOW, kind=kind).event

    assert (event.kind, event.response.signal) == (E.TROUBLE, Signal.UNREADABLE)


def test_an_early_answer_that_names_a_file_needs_no_state():
    body = {"output": "https://cdn.example/cup.png"}

    assert read_result(job(S.SUBMITTED), answer(body), NOW).event.kind is E.RESULT


def test_an_unknown_state_of_a_result_is_told_and_made_harmless():
    event = read_result(job(S.FETCHING), answer({"status": "WARM\x1b[2JING"}), NOW).event

    assert event.reason == "its result calls it 'WARM [2JING'"


# ------------------------------------------------------------------ history


def row(**fields):
    return {"request_id": "req-1", "model_status": "COMPLETED", "generation_url": URL} | fields


RECORDS = [
    ("bare", row(), E.RECOVERED),
    ("under data", {"data": row()}, E.RECOVERED),
    ("under result", {"result": row()}, E.RECOVERED),
    ("a list under data", {"data": [row()]}, E.RECOVERED),
    ("urls as a list", row(generation_url=[URL, None, 5]), E.RECOVERED),
    ("without id", {"model_status": "COMPLETED", "generation_url": URL}, E.RECOVERED),
    ("failed", row(model_status="FAILED", error="x", generation_url=None), E.FAILED),
    ("cancelled", row(model_status="Cancelled", generation_url=None), E.FAILED),
    ("still pending", row(model_status="PENDING", generation_url=None), E.TROUBLE),
    ("completed without url", row(generation_url=""), E.TROUBLE),
    ("a url that is none", row(generation_url="file:///etc/passwd"), E.TROUBLE),
    ("of another request", row(request_id="req-2"), E.TROUBLE),
    ("an id of another kind", row(request_id=["req-1"]), E.TROUBLE),
    ("an empty list", {"data": []}, E.TROUBLE),
    ("an empty object", {}, E.TROUBLE),
    ("a web page", b"<html>maintenance</html>", E.TROUBLE),
    ("nothing", b"", E.TROUBLE),
]


@pytest.mark.parametrize(("body", "kind"), [r[1:] for r in RECORDS], ids=[r[0] for r in RECORDS])
def test_a_record_of_the_history(body, kind):
    event = read_record(job(S.RECOVERING), answer(body), NOW)

    assert event.kind is kind
    apply(job(S.RECOVERING), event)


def test_a_recovered_record_brings_urls_and_cost():
    event = read_record(job(S.RECOVERING), answer(row(credits_deduction=0.04)), NOW)

    assert event.outputs == (Output(0, url=URL),)
    assert event.receipt == Receipt(cost_usd=0.04)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (row(generation_url=""), E.GIVEN_UP),
        (row(model_status="succeeded", generation_url=""), E.GIVEN_UP),
        (row(request_id="req-2"), E.GIVEN_UP),
        ({}, E.GIVEN_UP),
        (row(model_status="PENDING", generation_url=None), E.TROUBLE),
        (b"<html>maintenance</html>", E.TROUBLE),
        ({"error": "busy"}, E.TROUBLE),
        ({"message": "internal error", "data": None}, E.TROUBLE),
    ],
)
def test_only_a_history_that_can_be_read_makes_us_give_up_and_only_after_the_hour(body, kind):
    """Giving up may pay again; a web page under a 200 says nothing about the request."""
    young = job(S.RECOVERING, trouble=99)
    old = job(S.RECOVERING, sent_at=NOW - WINDOW_S - SLACK_S)

    assert read_record(young, answer(body), NOW).kind is E.TROUBLE
    assert read_record(old, answer(body), NOW).kind is kind


def test_a_job_without_id_takes_nobodys_row():
    """A v1 answer may name no id; the history then lists whatever there is."""
    asked = job(S.RECOVERING, api=V1, request_id="")

    assert read_record(asked, answer({"data": [row()]}), NOW).kind is E.TROUBLE


@pytest.mark.parametrize(
    ("body", "status", "api", "kind"),
    [
        (row(request_id="r-7"), 200, Mode.QUEUED, E.ADOPTED),
        ({"data": [row(request_id="r-7")]}, 200, Mode.QUEUED, E.ADOPTED),
        (row(request_id="r-7", model_status="FAILED", error="x"), 200, Mode.QUEUED, E.FAILED),
        (row(request_id="r-7", model_status="cancelled"), 200, Mode.QUEUED, E.FAILED),
        (b"<html>", 404, Mode.QUEUED, E.TROUBLE),
        (row(request_id="r-7"), 200, V1, E.RECOVERED),
        (row(request_id="r-8"), 200, Mode.QUEUED, None),
        ({}, 200, Mode.QUEUED, None),
        ({"error": "not found"}, 404, Mode.QUEUED, None),
        ({"error": "busy"}, 200, Mode.QUEUED, E.TROUBLE),
        (b"<html>maintenance</html>", 200, Mode.QUEUED, E.TROUBLE),
        ({}, 500, Mode.QUEUED, E.TROUBLE),
        ({}, 401, Mode.QUEUED, E.TROUBLE),
        ({"error": "credits"}, 402, Mode.QUEUED, E.TROUBLE),
    ],
)
def test_whether_a_row_is_ours(body, status, api, kind):
    asked = job(S.AMBIGUOUS, api=api)

    event = read_confirmation(asked, "r-7", answer(body, status), NOW)

    assert (event and event.kind) is kind
    if event is not None:
        apply(asked, event)
        told = event.request_id if isinstance(event, AnswerEvent) else ""
        assert told == ("" if kind is E.TROUBLE else "r-7")
        assert event.response.call is CallKind.HISTORY


@pytest.mark.parametrize("body", [[row()], "text", None, {"data": [1]}, {"data": {"x": 1}}])
def test_where_there_is_no_row(body):
    assert history_row(answer(body)) == {}


# ------------------------------------------------------------------ receipts


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0.04, 0.04),
        (0, 0.0),
        ("0.04", 0.04),
        (" 1 ", 1.0),
        (-1, None),
        ("-1", None),
        (True, None),
        (None, None),
        ("free", None),
        ([1], None),
        ("nan", None),
        ("inf", None),
        (10**400, None),
    ],
)
def test_what_counts_as_an_amount(value, number):
    assert read_receipt({"metrics": {"cost": value}}).cost_usd == number


def test_metrics_of_another_kind_are_no_metrics():
    assert read_receipt({"metrics": [1, 2]}) == Receipt()


@pytest.mark.parametrize(
    ("value", "seed"),
    [
        (7, 7),
        (-7, -7),
        (2**64, 2**64),
        ("7", 7),
        ("-7", -7),
        ("²", "²"),
        ("7.5", "7.5"),
        (True, None),
        (None, None),
        ("", None),
        ("a\nb", "a b"),
    ],
)
def test_a_seed_is_a_number_where_it_looks_like_one(value, seed):
    assert read_receipt({"seed": value}).seed == seed


# ------------------------------------------------------------------ anything at all

HEADERS = st.dictionaries(
    st.sampled_from(["x-request-id", "x-cost", "x-seed-value", "date", "retry-after"]),
    st.text(max_size=30),
)
SERVICE_JSON = st.dictionaries(
    st.sampled_from(
        ["status", "request_id", "output", "images", "metrics", "seed", "error", "data",
         "model_status", "generation_url", "credits_deduction"]
    ),
    JSON | st.sampled_from(["FAILED", "COMPLETED", "QUEUED", "req-1", URL]),
)  # fmt: skip
BODIES = (
    st.binary(max_size=200)
    | st.binary(max_size=60).map(lambda tail: PNG + tail)
    | SERVICE_JSON.map(lambda body: json.dumps(body).encode())
    | st.integers(1, 3000).map(lambda depth: b'{"error":' + b"[" * depth + b"]" * depth + b"}")
)
OUTCOMES = st.builds(Answer, st.sampled_from([200, 202, 404, 406, 422, 429, 500]) | st.integers(
    200, 599), HEADERS, BODIES) | st.builds(
    TransportError, st.sampled_from(NetFault), st.text(max_size=20), st.sampled_from(
        [0, 200, 401, 500]), HEADERS)  # fmt: skip


def readings(outcome, trouble):
    """Every way of reading one outcome: the job asked for, and the event."""
    submitting = job(S.SUBMITTING, trouble=trouble)
    submitting_v1 = job(S.SUBMITTING, trouble=trouble, api=V1)
    submitted = job(S.SUBMITTED, trouble=trouble)
    fetching = job(S.FETCHING, trouble=trouble)
    recovering = job(S.RECOVERING, trouble=trouble)
    old = job(S.RECOVERING, sent_at=NOW - 9 * WINDOW_S)
    ambiguous = job(S.AMBIGUOUS, trouble=trouble)
    yield submitting, read_submit(submitting, outcome, NOW).event
    yield submitting_v1, read_submit(submitting_v1, outcome, NOW).event
    yield submitted, read_status(submitted, outcome, NOW)
    for asked in (submitted, fetching, recovering, old):
        for kind in ModelKind:
            yield asked, read_result(asked, outcome, NOW, kind=kind).event
    for asked in (recovering, old):
        yield asked, read_record(asked, outcome, NOW)
    confirmed = read_confirmation(ambiguous, "r-7", outcome, NOW)
    if confirmed is not None:
        yield ambiguous, confirmed


@given(OUTCOMES, st.sampled_from([0, PATIENCE]))
def test_any_outcome_is_an_event_that_is_legal_and_can_be_recorded(outcome, trouble):
    for asked, event in readings(outcome, trouble):
        after = apply(asked, event).after
        Gates().observe(event.response, asked.model)
        for text in (
            after.reason,
            after.request_id,
            *(o.url + o.media_type for o in after.outputs),
        ):
            text.encode()
            assert text.isprintable()
        assert event.response.call in CallKind
        assert after.state is not S.SUBMITTED or after.request_id


@given(OUTCOMES)
def test_media_inside_an_answer_belong_to_outputs_without_url(outcome):
    for reading in (
        read_result(job(S.FETCHING), outcome, NOW),
        read_submit(job(S.SUBMITTING, api=V1), outcome, NOW),
    ):
        outputs = getattr(reading.event, "outputs", ())
        inline = {output.index for output in outputs if not output.url}
        assert set(reading.inline) == inline
        assert all(reading.inline.values())


def test_a_job_of_several_outputs_keeps_those_the_history_does_not_name():
    known = tuple(Output(index, url=f"https://cdn.test/old-{index}.png") for index in range(3))
    lost = job(S.RECOVERING, outputs=known)
    row = {
        "request_id": "req-1",
        "model_status": "COMPLETED",
        "generation_url": "https://cdn.test/new.png",
    }

    event = read_record(lost, answer(row), NOW)

    urls = [found.url for found in event.outputs]
    assert urls == [
        "https://cdn.test/new.png",
        "https://cdn.test/old-1.png",
        "https://cdn.test/old-2.png",
    ]


# ------------------------------------------------------------------ FAILED


@pytest.mark.parametrize(
    ("body", "reason", "passes"),
    [
        ({"error": "the worker ran out of memory"}, "the worker ran out of memory", True),
        ({"error": "NSFW content detected"}, "NSFW content detected", False),
        ({}, "the service reported FAILED without a reason", True),
        ({"error_message": {"node": "a", "message": "no worker"}}, "no worker", True),
        ({"error_message": {"code": 3}}, '{"code":3}', True),
        ({"error_message": "prompt is required"}, "prompt is required", False),
    ],
)
@pytest.mark.parametrize("read", [read_status, read_result])
def test_what_failed_says_whether_it_may_pass(body, reason, passes, read):
    made = job(S.SUBMITTED if read is read_status else S.FETCHING)

    told = read(made, answer({"status": "FAILED", **body}, 422), NOW)

    event = told if read is read_status else told.event
    assert (event.kind, event.reason, event.may_pass) == (E.FAILED, reason, passes)


@pytest.mark.parametrize("cost", [0.04, "0.04", 0, None, "free"])
def test_what_failed_and_cost_something_all_the_same_is_not_tried_again(cost):
    body = {"status": "FAILED", "error": "no worker", "metrics": {"cost": cost}}

    told = read_status(job(S.SUBMITTED), answer(body, 422), NOW)

    assert told.may_pass is (cost not in (0.04, "0.04"))


@pytest.mark.parametrize("reason", [{}, {"error": "no worker"}])
def test_what_only_the_history_calls_failed_is_not_tried_again(reason):
    """Its row may be another's, and what it stands for may be paid for."""
    row = {"request_id": "req-1", "model_status": "FAILED", **reason}

    sought = read_record(job(S.RECOVERING), answer(row), NOW)
    found = read_confirmation(job(S.AMBIGUOUS), "req-1", answer(row), NOW)

    assert (sought.kind, sought.may_pass) == (found.kind, found.may_pass) == (E.FAILED, False)


# ------------------------------------------------------------------ what text models and others say

CHAT = {"choices": [{"message": {"content": "a cup"}}], "citations": [{"url": URL}]}


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"usage": {"prompt_tokens": 12, "completion_tokens": 5}}, (12, 5)),
        ({"usage": {"input_tokens": 12, "output_tokens": 5}}, (12, 5)),
        ({"usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 5}}, (12, 5)),
        ({"usage": {"prompt_tokens": 12}}, (12, None)),
        ({"usage": {"prompt_tokens": -1, "completion_tokens": 1.5}}, (None, None)),
        ({"usage": {"prompt_tokens": True, "completion_tokens": 2**60}}, (None, None)),
        ({"usage": "many"}, (None, None)),
        ({}, (None, None)),
    ],
    ids=str,
)
@pytest.mark.parametrize("inside", [True, False])
def test_tokens_are_counted_wherever_they_stand(usage, counted, inside):
    told = json.dumps(CHAT | usage if inside else CHAT)
    body = {"status": "COMPLETED", "output": told, **({} if inside else usage), "metrics": METRICS}

    receipt = read_result(job(S.FETCHING), answer(body), NOW).event.receipt

    assert (receipt.input_tokens, receipt.output_tokens) == counted
    assert receipt.cost_usd == 0.04


@pytest.mark.parametrize("kind", list(ModelKind))
def test_v1_that_says_something_instead_of_media_has_no_result(kind):
    """Some models answer a violation of their policies so, under 200."""
    outcome = answer({"message": "Your prompt violates our policy"}, x_cost="0.04")

    reading = read_submit(job(S.SUBMITTING, api=V1), outcome, NOW, kind=kind)

    assert (reading.event.kind, reading.kept) == (E.REJECTED, outcome.body)
    assert reading.event.reason.endswith("Your prompt violates our policy")
    assert not reading.inline


def test_outputs_keep_the_names_that_the_result_gave_them_when_the_history_names_them_anew():
    video = {"url": URL, "last_frame_url": "https://cdn.example/frame.png"}
    named = read_result(job(S.FETCHING), answer({"video": video}), NOW).event.outputs
    row = {"request_id": "req-1", "model_status": "COMPLETED", "generation_url": "https://cdn.x/1"}

    event = read_record(job(S.RECOVERING, outputs=named), answer(row), NOW)

    assert [(output.url, output.label) for output in event.outputs] == [
        ("https://cdn.x/1", ""), ("https://cdn.example/frame.png", "last_frame"),
    ]  # fmt: skip
