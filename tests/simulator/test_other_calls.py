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
    reply = caller().call("POST", "/v1/flux-pro", PROMPT)
    assert read(reply)["output"].endswith(".webp")
    assert reply.headers["x-cost"] == "0.05"


def test_sync_failures_and_the_gateways_patience():
    failed = caller(failure_probability=1).call("POST", "/v1/flux-kontext-dev", EDIT)
    assert (failed.status, read(failed)["status"]) == (422, "FAILED")
    client = caller(latency_s=50, sync_timeout_s=30)
    given_up = client.call("POST", "/v1/flux-kontext-dev", EDIT)
    assert (given_up.status, given_up.delay_s) == (504, 30)
    assert len(client.service.ledger.bills) == 1, "it goes on, and is billed"


def test_the_catalogue_is_listed():
    rows = read(caller().get("/inference-model-information/list"))
    assert {"flux-pro", "flux-kontext-pro"} <= {row["slug"] for row in rows}


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
