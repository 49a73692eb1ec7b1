"""Services in which things come late, stand elsewhere, or are told in other words."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError

from batchgen.providers.segmind.simulator import (
    CdnHost,
    Outcome,
    ReceivedRequest,
    Service,
    SimulatorConfig,
    Urls,
)
from batchgen.providers.segmind.simulator.http.server import serve
from tests.simulator.callers import API, CDN, START_AT, Caller, caller, read
from tests.simulator.http_callers import client as http_client
from tests.simulator.http_callers import config, download, finished, raw, split

RECORD = "/inference-request/request-history/"
CDN2 = "http://cdn2.test"
HISTORY_TIME = "model_created"


def seen(client, request_id, instants):
    """Status words and codes of poll, result, list and record at each instant since the start."""
    rows = []
    for at_s in instants:
        client.now = START_AT + at_s
        poll = client.poll(request_id)
        word = read(poll)["status"] if poll.status == 200 else poll.status
        listed = [row["model_status"] for row in read(client.history())["data"]]
        record = client.get(RECORD + request_id)
        told = read(record)["model_status"] if record.status == 200 else record.status
        rows.append((word, client.result(request_id).status, *listed, told))
    return rows


@pytest.mark.parametrize(
    ("settings", "instants", "expected"),
    [
        ({}, [10], [("COMPLETED", 200, "COMPLETED", "COMPLETED")]),
        (
            {"result_lag_s": 60},
            [9, 10, 69, 70],
            [("PROCESSING", 200, "PENDING", "PENDING")]
            + [("COMPLETED", 404, "COMPLETED", "COMPLETED")] * 2
            + [("COMPLETED", 200, "COMPLETED", "COMPLETED")],
        ),
        (
            {"status_lag_s": 60},
            [10, 69, 70],
            [("PROCESSING", 200, "COMPLETED", "COMPLETED")] * 2
            + [("COMPLETED", 200, "COMPLETED", "COMPLETED")],
        ),
        (
            {"history_lag_s": 30, "record_lag_s": 60},
            [29, 30, 60],
            [
                ("COMPLETED", 200, 404),
                ("COMPLETED", 200, "COMPLETED", 404),
                ("COMPLETED", 200, "COMPLETED", "COMPLETED"),
            ],
        ),
        (
            {"history_end_lag_s": 60},
            [69, 70],
            [
                ("COMPLETED", 200, "PENDING", "PENDING"),
                ("COMPLETED", 200, "COMPLETED", "COMPLETED"),
            ],
        ),
    ],
)
def test_each_call_has_a_lag_of_its_own(settings, instants, expected):
    client = caller(latency_s=10, **settings)
    assert seen(client, client.accepted(), instants) == expected


def test_files_can_be_late():
    client = caller(latency_s=10, cdn_lag_s=150)
    url = f"{CDN}/outputs/{client.accepted()}/0.png"
    assert client.later(159.9).download(url).status == 404
    assert client.later(0.1).download(url).status == 200


def with_two_hosts(**settings):
    settings = {"latency_jitter": 0, "latency_s": 0, **settings}
    configured = SimulatorConfig.model_validate(settings)
    return Caller(Service(configured, started_at=START_AT, urls=Urls(API, CDN, CDN2)))


def statuses_at(client, url):
    """What both hosts of the CDN answer."""
    requests = [ReceivedRequest("GET", urlsplit(url).path, host=host) for host in CdnHost]
    return [client.service.cdn(request, client.now).status for request in requests]


def test_the_files_of_some_models_stand_at_another_host():
    client = with_two_hosts(second_cdn_models=["flux-pro"])
    urls = [
        read(client.result(client.accepted(slug)))["output"]
        for slug in ("flux-pro", "flux-kontext-pro")
    ]
    assert [url.rpartition("/outputs")[0] for url in urls] == [CDN2, CDN]
    assert [statuses_at(client, url) for url in urls] == [[404, 200], [200, 404]]


def test_some_files_stand_at_another_host_and_rules_tell_them_apart():
    rule = {"where": "cdn", "kind": "http_503", "host": "cdn2"}
    client = with_two_hosts(second_cdn_every=4, faults=[rule])
    urls = [read(client.result(client.accepted()))["output"] for _ in range(200)]
    others = [url for url in urls if url.startswith(CDN2)]
    assert 25 < len(others) < 75
    assert {tuple(statuses_at(client, url)) for url in others} == {(404, 503)}
    assert {tuple(statuses_at(client, url)) for url in urls if url not in others} == {(200, 503)}


def test_an_address_can_be_good_for_one_download():
    client = caller(latency_s=0, one_time_urls=True)
    request_id = client.accepted()
    first, second = (read(client.result(request_id))["output"] for _ in range(2))
    listed = read(client.later(2).history())["data"][0]["generation_url"]
    assert len({first, second, listed}) == 3
    assert client.download(first, method="HEAD").status == 200
    assert [client.download(first).status for _ in range(2)] == [200, 403]
    assert client.download(second).status == client.download(listed).status == 200
    assert client.download(first.partition("?")[0]).status == 403


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, {"output": None}),
        ({"filtered_fields": {"message": "no", "nsfw": True}}, {"message": "no", "nsfw": True}),
        ({"filtered_fields": {}}, {}),
    ],
)
def test_what_is_filtered_is_charged_and_has_no_file(settings, told):
    client = caller(latency_s=1, filtered_words=["teapot"], **settings)
    ids = [client.accepted(prompt=f"a {word}") for word in ("teapot", "cup")]
    body = read(client.later(5).result(ids[0]))
    assert {name: body.pop(name) for name in told} == told
    assert set(body) == {"status", "request_id", "seed", "metrics"}
    assert (body["status"], body["metrics"]["cost"]) == ("COMPLETED", 0.05)
    assert read(client.poll(ids[0]))["status"] == "COMPLETED"
    rows = {row["request_id"]: row for row in read(client.history())["data"]}
    assert [bool(rows[i]["generation_url"]) for i in ids] == [False, True]
    assert rows[ids[0]]["credits_deduction"] == 0.05
    assert client.download(f"{CDN}/outputs/{ids[0]}/0.png").status == 404
    assert client.service.ledger.charged_usd(client.now) == pytest.approx(0.1)


def test_a_v1_call_that_is_filtered_brings_json():
    client = caller(latency_s=1, filtered_probability=1, filtered_fields={"message": "no"})
    body = read(client.call("POST", "/v1/flux-pro", {"prompt": "x"}))
    assert (body["message"], body["status"]) == ("no", "COMPLETED")


def test_filtering_some_changes_nothing_for_the_others():
    def bills(**settings):
        client = caller(seed=3, failure_probability=0.2, **settings)
        for _ in range(200):
            client.accepted()
        return client.service.ledger.bills

    plain, filtered = bills(), bills(filtered_probability=0.5)
    outcomes = [bill.outcome for bill in filtered]
    assert 50 < outcomes.count(Outcome.FILTERED) < 110
    for before, after in zip(plain, filtered, strict=True):
        assert before.request_id == after.request_id
        assert after.outcome in (before.outcome, Outcome.FILTERED)


@pytest.mark.parametrize(("path", "status"), [("/v2/flux-pro", 402), ("/v1/flux-pro", 406)])
def test_too_little_money_is_told_under_the_status_of_its_call(path, status):
    client = caller(credits_usd=0.01)
    reply = client.call("POST", path, {"prompt": "x"})
    assert (reply.status, read(reply)) == (
        status,
        {"error": "Insufficient credits. You have 0.01 credits."},
    )


def test_running_jobs_reserve_more_than_they_cost():
    client = caller(credits_usd=0.25, reserved_share=1, latency_s=10)
    assert [client.submit().status for _ in range(3)] == [200, 200, 402]
    assert client.credits() == pytest.approx(0.15)
    assert client.later(10).submit().status == 200


def test_states_can_have_other_words():
    words = {"COMPLETED": "Succeeded", "PROCESSING": "running"}
    client = caller(latency_s=10, state_words=words)
    request_id = client.accepted()
    assert [read(client.poll(request_id))["status"]] == ["running"]
    client.later(10)
    assert read(client.poll(request_id))["status"] == "Succeeded"
    assert read(client.result(request_id))["status"] == "Succeeded"
    failing = caller(latency_s=0, failure_probability=1, state_words={"FAILED": "error"})
    reply = failing.poll(failing.accepted())
    assert (reply.status, read(reply)["status"]) == (422, "error")
    with pytest.raises(ValidationError, match="pattern"):
        SimulatorConfig(state_words={"DONE": "done"})


def test_ids_can_be_without_dashes():
    client = caller(latency_s=0, request_ids="hex")
    request_id = client.accepted()
    assert len(request_id) == 32 == len(bytes.fromhex(request_id)) * 2
    assert client.download(read(client.result(request_id))["output"]).status == 200


@pytest.mark.parametrize("key", ["file_urls", "urls", "fileUrls", "url"])
def test_addresses_of_uploads_stand_under_another_key(key):
    client = caller(upload_key=key)
    body = read(client.call("POST", "/upload-asset", {"data_urls": ["data:image/png;base64,aGk="]}))
    assert set(body) == {key, "message"}
    (url,) = [body[key]] if key == "url" else body[key]
    assert client.download(url).status == 200


def test_times_of_the_history_can_be_local():
    client = caller(history_offset_s=5.5 * 3600, latency_s=20)
    client.accepted()
    (row,) = read(client.later(30).history())["data"]
    told = datetime.fromisoformat(row[HISTORY_TIME])
    assert told.tzinfo is None
    assert row[HISTORY_TIME] == "2027-01-15T13:30:00.000000"
    assert row["model_completed"].startswith("2027-01-15T13:30:20")


def test_the_date_of_answers_can_be_wrong():
    client = caller(date_error_s=-400)
    reply = client.get("/v1/get-user-credits")
    assert parsedate_to_datetime(reply.headers["date"]).timestamp() == START_AT - 400
    assert client.download(f"{CDN}/x").headers["date"] == reply.headers["date"]


async def test_the_second_host_has_a_port_of_its_own():
    async with serve(config(second_cdn_models=["flux-kontext-pro"])) as running:
        url = await finished(running)
        assert urlsplit(url).port not in (urlsplit(u).port for u in (running.url, running.cdn_url))
        assert (await download(url))[0] == 200
        assert (await download(running.cdn_url + urlsplit(url).path))[0] == 404


async def test_a_download_that_broke_cannot_go_on_at_an_address_for_one():
    cut = {"where": "cdn", "kind": "cut", "count": 1}
    async with serve(config(one_time_urls=True, faults=[cut])) as running:
        url = await finished(running)
        parts = urlsplit(url)
        line, _, _ = split(await raw(running.cdn_url, path=f"{parts.path}?{parts.query}"))
        assert line.split()[1] == "200"
        assert (await download(url, {"Range": "bytes=10-"}))[0] == 403
        async with http_client(running) as call:
            request_id = running.service.ledger.bills[0].request_id
            _, body = await call("GET", f"/v2/requests/{request_id}")
        assert (await download(body["output"]))[0] == 200
