"""The life of a job by v2, and what the API refuses."""

import pytest

from tests.simulator.callers import API, KEY, caller, read

SLUG = "flux-kontext-pro"
PROMPT = {"prompt": "a cup"}


def test_a_job_is_queued_processed_completed_and_fetched():
    client = caller(latency_s=10)
    submitted = read(client.submit())
    request_id = submitted["request_id"]
    url = f"{API}/v2/requests/{request_id}"
    assert submitted == {
        "request_id": request_id,
        "status": "QUEUED",
        "poll_url": f"{API}/v1/requests/{request_id}",
        "status_url": f"{url}/status",
        "response_url": url,
    }
    under_way = read(client.later(9.9).poll(request_id))
    assert under_way["status"] == "PROCESSING"
    assert "cost" not in under_way["metrics"]
    assert read(client.result(request_id)) == under_way
    done = read(client.later(0.2).poll(request_id))
    assert done == {
        "status": "COMPLETED",
        "request_id": request_id,
        "status_url": f"{url}/status",
        "response_url": url,
        "metrics": {
            "inference_time": 10.0,
            "queue_time": 0.0,
            "total_time": 10.0,
            "cost": 0.05,
            "remaining_credits": 999.95,
        },
    }
    final = read(client.result(request_id))
    assert final["status"] == "COMPLETED"
    assert final["metrics"] == done["metrics"]
    assert client.download(final["output"]).status == 200


def test_a_failed_job_is_a_422_with_a_body_and_is_refunded():
    client = caller(failure_probability=1, latency_s=10, failure_messages=["out of luck"])
    request_id = client.accepted()
    assert client.credits() == 999.95
    client.later(10)
    for reply in (client.poll(request_id), client.result(request_id)):
        assert reply.status == 422
        metrics = {"inference_time": 10.0, "queue_time": 0.0, "total_time": 10.0}
        assert read(reply) == {"status": "FAILED", "error": "out of luck", "metrics": metrics}
    assert client.credits() == 1000
    assert client.service.ledger.charged_usd(client.now) == 0


def test_failed_can_be_served_under_200():
    client = caller(failure_probability=1, latency_s=0, failed_status=200)
    reply = client.poll(client.accepted())
    assert (reply.status, read(reply)["status"]) == (200, "FAILED")


@pytest.mark.parametrize(
    ("headers", "method", "path", "body", "status", "words"),
    [
        ({}, "POST", f"/v2/{SLUG}", PROMPT, 401, "Missing"),
        ({"x-api-key": "SG_short"}, "POST", f"/v2/{SLUG}", PROMPT, 401, "invalid or may"),
        ({"x-api-key": KEY + "0"}, "GET", "/v1/get-user-credits", None, 401, "invalid or may"),
        ({"authorization": f"Bearer {KEY}"}, "POST", f"/v2/{SLUG}", PROMPT, 401, "Missing"),
        (None, "POST", f"/v2/{SLUG}", b"{", 400, "Malformed JSON"),
        (None, "POST", f"/v2/{SLUG}", b"\xff", 400, "Malformed JSON"),
        (None, "POST", f"/v2/{SLUG}", b'{"prompt": NaN}', 400, "NaN"),
        (None, "POST", f"/v2/{SLUG}", b'{"prompt": 1e999}', 400, "Malformed JSON"),
        (None, "POST", f"/v2/{SLUG}", b"[" * 100_000, 400, "Malformed JSON"),
        (None, "POST", f"/v2/{SLUG}", [], 400, "object"),
        (None, "POST", f"/v2/{SLUG}", {}, 400, "prompt"),
        (None, "POST", f"/v2/{SLUG}", {"prompt": 7}, 400, "type string"),
        (None, "POST", f"/v2/{SLUG}", {**PROMPT, "seed": True}, 400, "type integer"),
        (None, "POST", "/v2/no-such-model", PROMPT, 404, "Model information not found"),
        (None, "POST", "/v2/old", PROMPT, 410, "retired"),
        (None, "POST", "/v2/secret", PROMPT, 403, "may not"),
        (None, "POST", "/v2/flux-pro", {**PROMPT, "steps": 51}, 406, "at most 50"),
        (None, "POST", "/v2/flux-pro", {**PROMPT, "steps": 0}, 406, "at least 1"),
        (None, "POST", "/v2/flux-pro", {**PROMPT, "aspect_ratio": "7:5"}, 406, "one of 1:1"),
        (None, "GET", "/v2/requests/nobody/status", None, 404, "not found"),
        (None, "GET", "/v2/requests/nobody", None, 404, "not found"),
        (None, "GET", "/inference-request/request-history/nobody", None, 404, "not found"),
        (None, "POST", "/upload-asset", {}, 400, "data_urls"),
        (None, "POST", "/upload-asset", {"data_urls": ["http://a"]}, 400, "data:<type>"),
        (None, "POST", "/upload-asset", {"data_urls": ["data:a/b;base64,?"]}, 400, "base64"),
    ],
)
def test_refusals_say_why_in_json(headers, method, path, body, status, words):
    client = caller(retired_models=["old"], forbidden_models=["secret"])
    reply = client.call(method, path, body, headers=headers)
    assert reply.status == status
    assert words in read(reply)["error"]
    assert not client.service.ledger.bills


@pytest.mark.parametrize(
    "params",
    [
        {"aspect_ratio": "7:5"},  # not shown, but the list of the page is cut
        {"safety_tolerance": 6, "input_image": "https://a/b.png"},  # told in a text only
        {"aspect_ratio": "match_input_image", "seed": None},
        {"whatever": [1, {}]},
    ],
)
def test_what_the_page_does_not_settle_is_accepted(params):
    assert caller().submit(**params).status == 200


def test_a_declared_default_is_accepted_even_if_it_is_not_allowed():
    assert caller().submit("flux-pro", aspect_ratio="").status == 200


def test_late_validation_reports_bad_parameters_as_failed():
    client = caller(late_validation=True)
    reply = client.poll(client.accepted("flux-pro", steps=51))
    assert reply.status == 422
    assert "at most 50" in read(reply)["error"]


def test_a_wrong_content_type_is_a_406():
    client = caller()
    headers = {"x-api-key": KEY, "content-type": "text/plain"}
    reply = client.call("POST", f"/v2/{SLUG}", PROMPT, headers=headers)
    assert reply.status == 406
    assert "content type" in read(reply)["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v2/{SLUG}"),
        ("PUT", f"/v1/{SLUG}"),
        ("POST", "/v2/requests/some/status"),
        ("DELETE", "/v2/requests/some"),
        ("GET", "/upload-asset"),
    ],
)
def test_a_wrong_method_is_405_as_html(method, path):
    reply = caller().call(method, path)
    assert reply.status == 405
    assert reply.headers["content-type"].startswith("text/html")
    assert b"<h1>405" in reply.body


def test_only_configured_keys_are_accepted():
    client = caller(keys=["SG_ffffffffffffffff"])
    assert client.submit().status == 401
    client.headers["x-api-key"] = "SG_ffffffffffffffff"
    assert client.submit().status == 200


def test_unknown_models_can_be_accepted():
    assert caller(unknown_models="accept").submit("anything").status == 200
    assert caller(extra_models=["mine"]).submit("mine").status == 200
    assert caller(models={"mine": {"price_usd": 1}}).submit("mine").status == 200


def test_credits_and_the_teams_limit_are_refused_with_their_own_words():
    client = caller(credits_usd=0.1)
    assert [client.submit().status for _ in range(3)] == [200, 200, 402]
    assert "credits" in read(client.submit())["error"]
    client.service.add_credits(0.05)
    assert client.submit().status == 200
    limited = caller(spend_limit_usd=0.05)
    assert [limited.submit().status for _ in range(2)] == [200, 406]
    assert "spend limit" in read(limited.submit())["error"]


def test_free_credits_are_spent_last():
    client = caller(credits_usd=0.05, free_credits_usd=0.05)
    path = "/v1/get-user-credits"
    seen = [read(client.get(path))]
    for _ in range(2):
        client.accepted()
        seen.append(read(client.get(path)))
    assert seen == [
        {"credits": 0.05, "free-credits": 0.05},
        {"credits": 0.0, "free-credits": 0.05},
        {"credits": 0.0, "free-credits": 0.0},
    ]
    assert client.submit().status == 402


def test_a_record_is_forgotten_an_hour_after_its_submission():
    client = caller()
    request_id = client.accepted()
    assert client.later(3599.9).result(request_id).status == 200
    assert client.later(0.1).result(request_id).status == 404
    assert client.poll(request_id).status == 404
    found = client.get(f"/inference-request/request-history/{request_id}")
    assert client.download(read(found)["generation_url"]).status == 200


@pytest.mark.parametrize(("scale", "retention_s"), [(False, 3600), (True, 180)])
def test_speed_scales_latencies_and_windows_only_if_asked(scale, retention_s):
    client = caller(speed=20, scale_windows=scale, latency_s=20)
    request_id = client.accepted()
    assert read(client.later(1).poll(request_id))["status"] == "COMPLETED"
    assert client.later(retention_s - 1.1).poll(request_id).status == 200
    assert client.later(0.1).poll(request_id).status == 404


def test_a_fresh_id_can_be_unknown_for_a_moment():
    client = caller(fresh_404_s=2)
    request_id = client.accepted()
    assert client.later(1.9).poll(request_id).status == 404
    assert client.later(0.1).poll(request_id).status == 200


def test_completed_and_then_404_still_stands_in_history():
    client = caller(vanish_probability=1, latency_s=1)
    request_id = client.accepted()
    assert read(client.result(request_id))["status"] == "PROCESSING"
    client.later(1)
    assert read(client.poll(request_id))["status"] == "COMPLETED"
    assert client.result(request_id).status == 404
    assert read(client.history())["data"][0]["model_status"] == "COMPLETED"


def test_some_jobs_never_end():
    client = caller(never_finish_probability=1, latency_s=1)
    request_id = client.accepted()
    assert read(client.later(3000).poll(request_id))["status"] == "PROCESSING"
    assert client.service.ledger.in_flight_count(client.now) == 1


def test_status_urls_can_point_elsewhere():
    body = read(caller(status_origin="https://elsewhere.test").submit())
    assert body["status_url"].startswith("https://elsewhere.test/v2/requests/")
