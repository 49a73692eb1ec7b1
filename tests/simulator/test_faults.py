"""Faults by configuration: which calls they meet, and what was processed all the same."""

from datetime import datetime

import pytest
from pydantic import ValidationError

from batchgen.providers.segmind.simulator import (
    DeliveryFault,
    Endpoint,
    FaultKind,
    FaultRule,
    SimulatorConfig,
)
from tests.simulator.callers import CDN, START_AT, caller, read

RESET = "x-rate-limit-reset-at-utc"


def faulty(*rules, **settings):
    return caller(faults=list(rules), latency_s=10, **settings)


# kind, more of the rule, then status, fate and accepted jobs of a submit that meets it
SUBMITS = [
    ("refuse", {}, 0, DeliveryFault.DROP_BEFORE, 0),
    ("drop_before", {}, 0, DeliveryFault.DROP_BEFORE, 0),
    ("drop_after", {}, 200, DeliveryFault.DROP_AFTER, 1),
    ("ghost", {}, 0, DeliveryFault.DROP_AFTER, 0),
    ("stall", {}, 200, DeliveryFault.STALL, 1),
    ("cut", {}, 200, DeliveryFault.CUT, 1),
    ("cut_silently", {}, 200, DeliveryFault.CUT_SILENTLY, 1),
    ("garbled", {}, 200, DeliveryFault.GARBLED, 1),
    ("drip", {}, 200, DeliveryFault.DRIP, 1),
    ("brotli", {}, 200, DeliveryFault.BROTLI, 1),
    ("wrong_length", {}, 200, DeliveryFault.WRONG_LENGTH, 1),
    ("headers", {}, 200, DeliveryFault.WHOLE, 1),
    ("answer", {"status": 408}, 408, DeliveryFault.WHOLE, 0),
    ("answer", {"status": 499, "accepted": True}, 499, DeliveryFault.WHOLE, 1),
    ("slow", {}, 200, DeliveryFault.WHOLE, 1),
    ("400", {}, 400, DeliveryFault.WHOLE, 0),
    ("401", {}, 401, DeliveryFault.WHOLE, 0),
    ("402", {}, 402, DeliveryFault.WHOLE, 0),
    ("403", {}, 403, DeliveryFault.WHOLE, 0),
    ("404", {}, 404, DeliveryFault.WHOLE, 0),
    ("405", {}, 405, DeliveryFault.WHOLE, 0),
    ("406_credits", {}, 406, DeliveryFault.WHOLE, 0),
    ("406_limit", {}, 406, DeliveryFault.WHOLE, 0),
    ("406_parameter", {}, 406, DeliveryFault.WHOLE, 0),
    ("406_content_type", {}, 406, DeliveryFault.WHOLE, 0),
    ("410", {}, 410, DeliveryFault.WHOLE, 0),
    ("429", {}, 429, DeliveryFault.WHOLE, 0),
    ("http_500", {}, 500, DeliveryFault.WHOLE, 0),
    ("http_502", {}, 502, DeliveryFault.WHOLE, 0),
    ("http_503", {}, 503, DeliveryFault.WHOLE, 0),
    ("http_504", {}, 504, DeliveryFault.WHOLE, 0),
    ("http_500", {"accepted": True}, 500, DeliveryFault.WHOLE, 1),
    ("http_502", {"accepted": True}, 502, DeliveryFault.WHOLE, 1),
    ("http_503", {"accepted": True}, 503, DeliveryFault.WHOLE, 1),
    ("http_504", {"accepted": True}, 504, DeliveryFault.WHOLE, 1),
    ("redirect", {}, 302, DeliveryFault.WHOLE, 0),
    ("no_id", {}, 200, DeliveryFault.WHOLE, 1),
    ("duplicate_id", {}, 200, DeliveryFault.WHOLE, 1),
]


@pytest.mark.parametrize(("kind", "more", "status", "fate", "accepted"), SUBMITS)
def test_a_submit_that_meets_a_fault(kind, more, status, fate, accepted):
    client = faulty({"where": "submit", "kind": kind, **more})
    reply = client.submit()
    assert (reply.status, reply.fate) == (status, fate)
    assert len(client.service.ledger.bills) == accepted
    assert client.service.ledger.count(Endpoint.SUBMIT, status) == 1


def test_every_fault_of_a_submit_is_in_the_table():
    results = {"no_output", "many_outputs", "hostile_url", "output_fields"}
    elsewhere = results | {"unknown_state", "backwards", "html_as_png", "partial"}
    assert {row[0] for row in SUBMITS} == set(FaultKind) - elsewhere


def test_gateways_answer_html_and_others_json():
    client = faulty(
        {"where": "submit", "kind": "http_502", "count": 1},
        {"where": "submit", "kind": "http_504", "count": 1},
        {"where": "submit", "kind": "http_500", "count": 1},
    )
    kinds = [client.submit().headers["content-type"] for _ in range(3)]
    assert kinds == ["text/html; charset=utf-8"] * 2 + ["application/json"]


def test_the_four_meanings_of_406_differ_in_words():
    kinds = ["406_credits", "406_limit", "406_parameter", "406_content_type"]
    client = faulty(*({"where": "submit", "kind": kind, "count": 1} for kind in kinds))
    errors = [read(client.submit())["error"] for _ in kinds]
    for error, word in zip(errors, ("credits", "spend limit", "Parameter", "type"), strict=True):
        assert word in error


@pytest.mark.parametrize(
    ("reset", "offset_s"),
    [("true", 60), ("past", -3600), ("absurd", 10 * 365 * 86400), ("missing", None)],
)
def test_the_reset_of_a_429_can_lie(reset, offset_s):
    reply = faulty({"where": "poll", "kind": "429", "reset": reset}).poll("some")
    assert reply.status == 429
    if offset_s is None:
        assert RESET not in reply.headers
    else:
        reset_at = datetime.fromisoformat(reply.headers[RESET]).timestamp()
        assert reset_at == START_AT + offset_s


def test_a_rule_leaves_the_first_calls_alone_and_ends_after_its_count():
    client = faulty({"where": "credits", "kind": "http_500", "after": 2, "count": 3})
    seen = [client.get("/v1/get-user-credits").status for _ in range(7)]
    assert seen == [200, 200, 500, 500, 500, 200, 200]


def test_a_rule_is_in_force_for_a_while():
    client = faulty({"where": "any", "kind": "http_503", "since_s": 10, "until_s": 20})
    seen = []
    for _ in range(5):
        seen.append(client.get("/v1/get-user-credits").status)
        client.later(5)
    assert seen == [200, 200, 503, 503, 200]


def test_a_rule_is_for_some_models_only():
    rules = [
        {"where": place, "kind": "http_500", "models": ["flux-pro"]}
        for place in ("result", "poll", "cdn")
    ]
    client = faulty(*rules)
    others, its = client.accepted("flux-kontext-pro"), client.accepted("flux-pro")
    client.later(10)
    assert [client.poll(i).status for i in (others, its)] == [200, 500]
    assert [client.result(i).status for i in (others, its)] == [200, 500]
    urls = (f"{CDN}/outputs/{others}/0.png", f"{CDN}/outputs/{its}/0.webp")
    assert [client.download(url).status for url in urls] == [200, 500]


@pytest.mark.parametrize(
    ("rule", "content_type", "body"),
    [
        ({}, "text/plain; charset=utf-8", b""),
        ({"body": "go away"}, "text/plain; charset=utf-8", b"go away"),
        ({"body": " <html>busy</html>"}, "text/html; charset=utf-8", b" <html>busy</html>"),
        ({"body": {"error": "busy"}}, "application/json", b'{"error":"busy"}'),
        ({"body": [], "content_type": "text/x"}, "text/x", b"[]"),
        ({"body": None, "headers": {"Content-Type": "a/b"}}, "a/b", b"null"),
    ],
)
@pytest.mark.parametrize("accepted", [False, True])
def test_an_answer_can_be_spelled_out(rule, content_type, body, accepted):
    told = {"kind": "answer", "status": 460, "accepted": accepted, **rule}
    reply = faulty({"where": "any", **told}).submit()
    assert (reply.status, reply.headers["content-type"], reply.body) == (460, content_type, body)


def test_headers_can_be_added_and_large():
    rule = {"where": "any", "headers": {"Retry-After": "7"}, "header_bytes": 9000}
    client = faulty({**rule, "kind": "headers", "count": 1}, {**rule, "kind": "answer"})
    for _ in range(2):
        headers = client.get("/v1/get-user-credits").headers
        assert (headers["retry-after"], len(headers["x-padding"])) == ("7", 9000)


def test_a_rule_is_for_the_jobs_whose_body_holds_a_text():
    rules = [
        {"where": place, "kind": "403", "text": "teapot"}
        for place in ("submit", "poll", "result", "history", "cdn")
    ]
    client = faulty(*rules[1:], latency_jitter=0)
    others, its = client.accepted(prompt="a cup"), client.accepted(prompt="a teapot")
    client.later(10)
    assert [client.poll(i).status for i in (others, its)] == [200, 403]
    assert [client.result(i).status for i in (others, its)] == [200, 403]
    record = "/inference-request/request-history/"
    assert [client.get(record + i).status for i in (others, its)] == [200, 403]
    assert client.history().status == 200
    urls = [f"{CDN}/outputs/{i}/0.png" for i in (others, its)]
    assert [client.download(url).status for url in urls] == [200, 403]
    client.service.replace_faults([FaultRule.model_validate(rules[0])])
    assert [client.submit(prompt=f"a {word}").status for word in ("cup", "teapot")] == [200, 403]


def test_a_rule_is_for_requests_of_some_age():
    aged = {"kind": "404", "age_min_s": 15, "age_max_s": 30}
    client = faulty({"where": "any", **aged}, {"where": "cdn", "kind": "404", "age_max_s": 8})
    request_id = client.accepted()
    seen = []
    for _ in range(4):
        client.later(10)
        url = f"{CDN}/outputs/{request_id}/0.png"
        calls = (client.result(request_id), client.download(url), client.history())
        seen.append([reply.status for reply in calls])
    # The file is finished after 10 s; a page of the history is about no request.
    assert seen == [[200, 404, 200], [404, 200, 200], [200, 200, 200], [200, 200, 200]]


def test_a_rule_is_for_pages_of_the_history_or_for_records_only():
    client = faulty(
        {"where": "history_list", "kind": "http_500", "count": 1},
        {"where": "history_record", "kind": "http_503", "count": 1},
    )
    record = "/inference-request/request-history/" + client.accepted()
    client.later(5)
    assert [client.get(record).status for _ in range(2)] == [503, 200]
    assert [client.history().status for _ in range(2)] == [500, 200]


def test_a_rule_fires_at_every_so_manieth_call():
    client = faulty({"where": "credits", "kind": "http_500", "after": 1, "every": 3, "count": 2})
    seen = [client.get("/v1/get-user-credits").status for _ in range(11)]
    assert seen == [200, 200, 200, 500, 200, 200, 500, 200, 200, 200, 200]


def test_a_rule_counts_for_each_request_by_itself():
    def rule(place):
        return {"where": place, "kind": "404", "count": 2, "per_request": True}

    client = faulty(rule("poll"), rule("cdn"))
    ids = [client.accepted() for _ in range(2)]
    client.later(10)
    assert [client.poll(i).status for i in ids * 3] == [404] * 4 + [200] * 2
    urls = [f"{CDN}/outputs/{i}/0.png" for i in ids]
    assert [client.download(url).status for url in urls * 3] == [404] * 4 + [200] * 2
    client.service.replace_faults([FaultRule.model_validate(rule("submit"))])
    prompts = ["a cup", "a pot"] * 3
    assert [client.submit(prompt=p).status for p in prompts] == [404] * 4 + [200] * 2


def test_the_cdn_can_send_all_as_a_part():
    client = faulty({"where": "cdn", "kind": "partial", "count": 1})
    url = f"{CDN}/outputs/{client.accepted()}/0.png"
    client.later(10)
    first, second = client.download(url), client.download(url)
    assert (first.status, second.status) == (206, 200)
    assert first.body == second.body


def test_probabilities_are_kept_and_repeat_with_the_seed():
    def seen():
        client = faulty({"where": "credits", "kind": "http_500", "probability": 0.3})
        return [client.get("/v1/get-user-credits").status for _ in range(1000)]

    first = seen()
    assert 250 < first.count(500) < 350
    assert seen() == first


def test_any_is_every_call_of_the_api_but_not_the_cdn():
    client = faulty({"where": "any", "kind": "401"})
    assert client.submit().status == client.history().status == client.poll("x").status == 401
    assert client.download("/outputs/x").status == 404


def test_the_first_rule_that_fires_decides():
    client = faulty(
        {"where": "submit", "kind": "http_500", "count": 1},
        {"where": "any", "kind": "http_503"},
    )
    assert [client.submit().status for _ in range(2)] == [500, 503]


def test_a_ghost_arrives_later_and_is_billed_then():
    client = faulty({"where": "submit", "kind": "ghost", "delay_s": 30, "count": 1})
    client.submit()
    client.later(29).get("/v1/get-user-credits")
    assert client.service.ledger.bills == []
    client.later(5)
    client.service.advance(client.now)
    (bill,) = client.service.ledger.bills
    assert bill.accepted_at == START_AT + 30
    listed = read(client.history())["data"]
    assert [row["request_id"] for row in listed] == [bill.request_id]


def test_a_redirect_leads_to_the_same_address_or_elsewhere():
    client = faulty(
        {"where": "cdn", "kind": "redirect"},
        {"where": "poll", "kind": "redirect", "location": "http://elsewhere.test/"},
    )
    request_id = client.accepted()
    hop = client.later(10).download(f"{CDN}/outputs/{request_id}/0.png")
    assert (hop.status, hop.headers["location"].startswith(CDN)) == (302, True)
    assert client.download(hop.headers["location"]).status == 200
    assert client.poll(request_id).headers["location"] == "http://elsewhere.test/"


def test_answers_about_a_submit_can_lack_its_id_or_name_another():
    client = faulty(
        {"where": "submit", "kind": "no_id", "after": 1, "count": 1},
        {"where": "submit", "kind": "duplicate_id", "after": 1, "count": 1},
    )
    first, nameless, doubled = (read(client.submit()) for _ in range(3))
    assert "request_id" not in nameless
    bills = client.service.ledger.bills
    assert doubled["request_id"] == bills[1].request_id != bills[2].request_id
    assert first["request_id"] == bills[0].request_id


def test_polls_can_go_backwards_or_say_what_nobody_knows():
    client = faulty(
        {"where": "poll", "kind": "backwards", "after": 1, "count": 1},
        {"where": "poll", "kind": "unknown_state", "after": 1, "count": 1},
        {"where": "poll", "kind": "unknown_state", "after": 1, "count": 1, "body": "Succeeded"},
    )
    request_id = client.accepted()
    client.later(10)
    states = [read(client.poll(request_id))["status"] for _ in range(5)]
    assert states == ["COMPLETED", "QUEUED", "THROTTLED", "Succeeded", "COMPLETED"]


@pytest.mark.parametrize(
    ("kind", "more", "check"),
    [
        ("no_output", {}, lambda output: output is None),
        ("output_fields", {"body": {"output": []}}, lambda output: output == []),
        ("output_fields", {"body": {"output": "", "nsfw": True}}, lambda output: output == ""),
        ("many_outputs", {}, lambda output: len(set(output)) == 10_000),
        ("hostile_url", {}, lambda output: output == "file:///etc/passwd"),
        ("hostile_url", {"location": "http://10.0.0.1/"}, lambda o: o == "http://10.0.0.1/"),
    ],
)
def test_results_can_carry_strange_outputs(kind, more, check):
    client = faulty({"where": "result", "kind": kind, **more})
    request_id = client.accepted()
    body = read(client.later(10).result(request_id))
    assert body["status"] == "COMPLETED"
    assert check(body["output"])


def test_the_cdn_can_answer_a_page_as_a_picture():
    client = faulty({"where": "cdn", "kind": "html_as_png"})
    request_id = client.accepted()
    reply = client.later(10).download(f"{CDN}/outputs/{request_id}/0.png")
    assert (reply.status, reply.headers["content-type"]) == (200, "image/png")
    assert reply.body.startswith(b"<!doctype html>")


def test_slow_answers_leave_late_and_are_dated_so():
    client = faulty({"where": "sync", "kind": "slow", "delay_s": 5})
    reply = client.call("POST", "/v1/flux-pro", {"prompt": "x"})
    assert reply.delay_s == pytest.approx(15)


@pytest.mark.parametrize(
    "wrong",
    [
        {"where": "submit"},
        {"where": "submit", "kind": "x"},
        {"where": "submit", "kind": "500", "probability": 2},
        {"where": "result", "kind": "output_fields", "body": "text"},
        {"where": "any", "kind": "answer", "status": 199},
        {"where": "cdn", "kind": "404", "host": "cdn3"},
    ],
)
def test_rules_are_checked(wrong):
    with pytest.raises(ValidationError):
        FaultRule.model_validate(wrong)


def test_codes_may_be_numbers_as_yaml_reads_them():
    assert FaultRule.model_validate({"where": "any", "kind": 429}).kind is FaultKind.HTTP_429
    assert SimulatorConfig.model_validate({"unknown_models": 404}).unknown_models == "404"


def test_the_configuration_refuses_what_it_does_not_know():
    with pytest.raises(ValidationError, match="latencies"):
        SimulatorConfig.model_validate({"latencies": 3})
    config = SimulatorConfig.model_validate(
        {"faults": [{"where": "cdn", "kind": "404"}], "models": {"m": {"shape": "images"}}}
    )
    assert SimulatorConfig.model_validate_json(config.model_dump_json()) == config
