"""The calls beside submit and poll: v1, uploads, the catalogue, control; and what all share."""

import json
from email.utils import parsedate_to_datetime

import pytest

from batchgen.providers.segmind.simulator import Endpoint
from tests.simulator.callers import START_AT, caller, read

PROMPT = {"prompt": "a cup"}
EDIT = {**PROMPT, "input_image": "https://pictures.test/cup.png"}


def test_sync_answers_media_with_accounting_headers_when_done():
    client = caller(latency_s=7)
    reply = client.call("POST", "/v1/flux-kontext-dev", {**EDIT, "seed": 5})
    bill = client.service.ledger.bills[0]
    assert (reply.status, reply.delay_s) == (200, pytest.approx(7))
    assert reply.headers["content-type"].startswith("image/")
    assert reply.body.request_id == bill.request_id
    assert {name: reply.headers[name] for name in reply.headers if name.startswith("x-")} == {
        "x-request-id": bill.request_id,
        "x-cost": "0.04",
        "x-remaining-credits": "999.960000",
        "x-generation-time": "7.000",
        "x-seed-value": "5",
    }
    assert client.result(bill.request_id).status == 404, "v1 jobs have no v2 record"


def test_sync_answers_json_for_models_that_say_so():
    models = {"flux-pro": {"shape": "images"}}
    reply = caller(models=models).call("POST", "/v1/flux-pro", PROMPT)
    assert read(reply)["images"][0]["url"].endswith(".webp")
    assert reply.headers["x-cost"] == "0.067"


def test_sync_failures_and_the_gateways_patience():
    failed = caller(failure_probability=1).call("POST", "/v1/flux-kontext-dev", EDIT)
    assert (failed.status, read(failed)["status"]) == (422, "FAILED")
    client = caller(latency_s=50, sync_timeout_s=30)
    given_up = client.call("POST", "/v1/flux-kontext-dev", EDIT)
    assert (given_up.status, given_up.delay_s) == (504, 30)
    assert len(client.service.ledger.bills) == 1, "it goes on, and is billed"


def test_a_v1_call_can_break_off_with_a_polling_error():
    client = caller(latency_s=200, latency_jitter=0, sync_breaks_after_s=100)
    broken = client.call("POST", "/v1/flux-kontext-dev", EDIT)
    assert (broken.status, broken.delay_s) == (500, 100)
    assert read(broken)["error"] == "Internal Polling Error"
    assert len(client.service.ledger.bills) == 1, "it goes on, and is billed"
    assert caller(sync_breaks_after_s=100).call("POST", "/v1/flux-kontext-dev", EDIT).status == 200


def test_an_account_may_have_no_balance_record():
    reply = caller(credits_record=False).get("/v1/get-user-credits")
    assert (reply.status, read(reply)["error"]) == (404, "No credits found for the user")


@pytest.mark.parametrize(
    ("paths", "path"), [((), "/"), ((), "/v3/x"), (("/v2",), "/v2/flux-pro"), (("",), "/v1/x")]
)
def test_the_edge_answers_for_what_it_routes_nowhere(paths, path):
    client = caller(unrouted_paths=paths)
    reply = client.call("POST", path, {"prompt": "a cup"})
    assert (reply.status, reply.body) == (400, b"Incorrect or Missing host header")
    assert not client.service.ledger.bills


@pytest.mark.parametrize("settings", [{}, {"storage_status": 402, "storage_message": "no room"}])
def test_a_storage_can_be_full(settings):
    client = caller(storage_bytes=5, **settings)

    def upload(*data):
        urls = [f"data:image/png;base64,{text}" for text in data]
        return client.call("POST", "/upload-asset", {"data_urls": urls})

    assert upload("AAEC").status == 200
    refused = upload("AAED")
    assert refused.status == settings.get("storage_status", 507)
    assert settings.get("storage_message", "quota") in read(refused)["error"]
    assert upload("AAEC").status == 200, "the same again takes no room"
    assert upload("AQI=").status == 200
    assert upload("AQI=", "AAED").status >= 400, "all of a call or nothing"


SAID = [
    (402, "Insufficient credits. You have 0.0 credits."),
    (406, "Invalid content type"),
    (404, "Output for this request ID 0123abcd Not Found"),
    (500, "Internal Polling Error"),
    (404, "Input image not found"),
    (400, "messages: at least one message is required"),
    (429, "rate_limit_exceeded"),
]


@pytest.mark.parametrize(("status", "text"), SAID)
def test_any_answer_of_a_call_can_be_set(status, text):
    body = {"error": text}
    rule = {"where": "sync", "kind": "answer", "status": status, "body": body}
    reply = caller(faults=[rule]).call("POST", "/v1/flux-kontext-dev", EDIT)
    assert (reply.status, read(reply)) == (status, body)


@pytest.mark.parametrize(
    "text",
    [
        "Prompt is required for video generation.",
        "Prompt is Mandatory and must be string",
        "Reference media rejected: URL must be a valid HTTP or HTTPS URL.",
        "content_policy_violation",
    ],
)
def test_any_failure_can_be_set(text):
    client = caller(failure_probability=1, failure_messages=[text], latency_s=0)
    failed = client.poll(client.accepted())
    assert (failed.status, read(failed)["error"]) == (422, text)


LIST = "/inference-model-information/list"


def test_the_models_are_listed_without_a_key_and_whatever_the_limit():
    client = caller(deprecated_models=["old"], extra_models=["new"], rate_limit=1)
    for _ in range(3):
        assert client.call("GET", LIST, headers={}).status == 200
    (rows,) = read(client.call("GET", LIST, headers={})).values()
    found = {row["slug"]: row for row in rows}
    assert {"flux-pro", "flux-kontext-pro", "old", "new"} <= found.keys()
    assert [slug for slug, row in found.items() if row["is_depreciated"]] == ["old"]
    steps = found["flux-pro"]["parameters"]["steps"]
    assert (steps["default"], steps["min"], steps["max"]) == (25, 1, 50)
    assert (steps["isRequired"], steps["component"]) == (False, "slider")


def test_llms_txt_is_a_table_without_a_key():
    client = caller(models={"mine": {"price_usd": 0.000003, "latency_s": 63}})
    reply = client.call("GET", "/llms.txt", headers={})
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    lines = reply.body.decode().splitlines()
    assert "| mine | mine | - | text to image | $0.000003 | 1m 3s |" in lines
    assert client.call("POST", "/llms.txt", headers={}).status == 405


@pytest.mark.parametrize("path", [LIST, "/llms.txt"])
def test_what_is_published_may_take_other_forms(path):
    assert b"<html>" in caller(catalog_form="html").call("GET", path).body
    assert b"flux-pro" not in caller(catalog_form="no_list").call("GET", path).body
    broken = caller(catalog_form="broken_rows").call("GET", path).body
    assert b"flux-pro" in broken
    assert broken.count(b"no") > caller().call("GET", path).body.count(b"no")


def test_uploads_get_a_public_address_by_their_content():
    client = caller()
    body = {"data_urls": ["data:image/png;base64,AAEC", "data:text/x;base64,AAEC"]}
    urls = read(client.call("POST", "/upload-asset", body))["file_urls"]
    assert urls[0].endswith(".png")
    reply = client.download(urls[0])
    assert (reply.status, reply.body.data) == (200, b"\x00\x01\x02")
    assert read(client.call("POST", "/upload-asset", body))["file_urls"] == urls


def test_every_answer_carries_the_date_it_leaves_at():
    client = caller(latency_s=7)
    replies = [
        (client.get("/v1/get-user-credits"), 0),
        (client.get("/nowhere"), 0),
        (client.get("/_simulator/ledger"), 0),
        (client.download("/nothing"), 0),
        (client.call("POST", "/v1/flux-kontext-dev", EDIT), 7),
    ]
    for reply, delay_s in replies:
        assert parsedate_to_datetime(reply.headers["date"]).timestamp() == START_AT + delay_s


def test_the_ledger_and_the_faults_are_reached_without_a_key():
    client = caller()
    client.accepted()
    ledger = read(client.call("GET", "/_simulator/ledger", headers={}))
    assert ledger["charged_usd"] == 0.05
    assert ledger["requests"] == {"submit": {"200": 1}}
    assert ledger["bills"][0]["state"] == "PROCESSING"
    rules = [{"where": "submit", "kind": "http_500"}]
    assert client.call("POST", "/_simulator/faults", rules, headers={}).status == 200
    assert client.submit().status == 500
    assert client.call("POST", "/_simulator/faults", [{"where": "moon"}], headers={}).status == 400
    assert client.submit().status == 500
    assert client.call("POST", "/_simulator/credits", {"add_usd": 1}, headers={}).status == 200
    assert client.credits() == 1000.95
    assert client.call("POST", "/_simulator/credits", {}, headers={}).status == 400
    assert client.call("PUT", "/_simulator/ledger", headers={}).status == 405
    assert client.call("GET", "/_simulator/x", headers={}).status == 404
    assert client.service.ledger.count(Endpoint.OTHER) == 0


def test_bodies_are_ascii_and_text_survives():
    client = caller(latency_s=0, history_lag_s=0)
    prompt = "Grüße \ud800 漢字 \u0000"
    client.accepted(prompt=prompt)
    reply = client.history()
    assert reply.body.isascii()
    assert json.loads(reply.body)["data"][0]["request_body"]["prompt"] == prompt
