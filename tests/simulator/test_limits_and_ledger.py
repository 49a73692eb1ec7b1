"""The sliding window, and what the ledger says about it."""

from collections import deque
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchgen.providers.segmind.simulator import BillingLedger, DeliveryFault, Endpoint, LogEntry
from tests.simulator.callers import START_AT, caller, read

RESET = "x-rate-limit-reset-at-utc"


@settings(max_examples=60, deadline=None)
@given(limit=st.integers(1, 6), gaps=st.lists(st.floats(0, 40), min_size=1, max_size=60))
def test_no_sliding_minute_admits_more_than_the_limit_nor_needlessly_fewer(limit, gaps):
    client = caller(rate_limit=limit)
    admitted = deque()
    for gap in gaps:
        client.later(gap)
        room = sum(at > client.now - 60 for at in admitted) < limit
        reply = client.get("/v1/get-user-credits")
        assert reply.status == (200 if room else 429)
        if room:
            admitted.append(client.now)


def test_a_429_names_the_reset_and_no_retry_after():
    client = caller(rate_limit=2)
    assert client.submit().headers["x-rate-limit-remaining"] == "1"
    client.later(10).submit()
    refused = client.later(5).submit()
    assert refused.status == 429
    assert refused.headers["x-rate-limit-remaining"] == "0"
    assert "retry-after" not in refused.headers
    assert datetime.fromisoformat(refused.headers[RESET]).timestamp() == START_AT + 60
    assert client.later(44.9).submit().status == 429
    assert client.later(0.1).submit().status == 200


def test_a_second_limit_in_a_shorter_window():
    client = caller(rate_limit=4, burst_limit=2, burst_window_s=1)
    path = "/v1/get-user-credits"
    seen = [client.later(gap_s).get(path).status for gap_s in (0, 0.3, 0.3, 0.4, 0.3, 30, 29)]
    assert seen == [200, 200, 429, 200, 200, 429, 200]
    told = [client.get(path).headers["x-rate-limit-remaining"] for _ in range(2)]
    assert told == ["0", "0"]


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ("utc", {RESET: "2027-01-15T08:01:00.000000Z"}),
        ("epoch_s", {RESET: "1800000060"}),
        ("epoch_ms", {RESET: "1800000060000"}),
        ("retry_after", {"retry-after": "50"}),
        ("retry_date", {"retry-after": "Fri, 15 Jan 2027 08:01:00 GMT"}),
        ("none", {}),
    ],
)
def test_the_forms_in_which_a_reset_is_told(form, headers):
    client = caller(rate_limit=1, reset_form=form)
    client.submit()
    refused = client.later(10).submit()
    assert refused.status == 429
    assert {name: refused.headers.get(name) for name in (RESET, "retry-after")} == {
        RESET: None,
        "retry-after": None,
        **headers,
    }


def test_the_scope_submit_counts_posts_of_jobs_only():
    client = caller(rate_limit=1, rate_limit_scope="submit")
    request_id = client.accepted()
    assert all(client.poll(request_id).status == 200 for _ in range(5))
    assert client.submit().status == 429
    assert client.call("POST", "/v1/flux-pro", {"prompt": "x"}).status == 429


def test_refused_keys_take_no_place_in_the_window():
    client = caller(rate_limit=1)
    assert client.call("GET", "/v1/get-user-credits", headers={}).status == 401
    assert client.get("/v1/get-user-credits").status == 200


def test_the_window_scales_with_speed_if_asked():
    client = caller(rate_limit=1, speed=10, scale_windows=True)
    client.accepted()
    assert client.later(5.9).submit().status == 429
    assert client.later(0.1).submit().status == 200


def test_the_ledger_counts_by_place_and_status():
    client = caller(rate_limit=4)
    request_id = client.accepted()
    client.poll(request_id)
    client.poll(request_id)
    client.result("nobody")
    client.poll(request_id)
    ledger = client.service.ledger
    assert ledger.count(Endpoint.POLL) == 3
    assert ledger.count(Endpoint.POLL, 200) == 2
    assert ledger.count(status=429) == 1
    assert ledger.count() == 5
    assert ledger.polls == {request_id: 3}
    assert [entry.place for entry in ledger.log][:2] == [Endpoint.SUBMIT, Endpoint.POLL]


def test_in_flight_counts_what_is_accepted_and_not_ended():
    client = caller(latency_s=10, workers=2)
    for _ in range(3):
        client.accepted()
        client.later(1)
    ledger = client.service.ledger
    seen = [ledger.in_flight_count(START_AT + at) for at in (-1, 0, 2.5, 9.9, 10, 11, 20)]
    assert seen == [0, 1, 3, 3, 2, 1, 0]
    assert ledger.peak_in_flight() == 3


@pytest.mark.parametrize(
    ("instants", "busiest"), [([], 0), ([0, 30, 59.9], 3), ([0, 60], 1), ([0, 30, 61, 90, 91], 3)]
)
def test_the_busiest_window_is_half_open(instants, busiest):
    ledger = BillingLedger(100)
    for at in instants:
        ledger.note(LogEntry(at, Endpoint.POLL, 200, DeliveryFault.WHOLE, "a"))
        ledger.note(LogEntry(at, Endpoint.CDN, 200, DeliveryFault.WHOLE, ""))
    assert ledger.busiest_window_count() == busiest
    assert ledger.busiest_window_count(places=[Endpoint.SUBMIT]) == 0


def test_the_log_forgets_but_the_counts_do_not():
    client = caller(log_limit=2)
    for _ in range(5):
        client.get("/v1/get-user-credits")
    assert len(client.service.ledger.log) == 2
    assert client.service.ledger.count(Endpoint.CREDITS) == 5


def test_equal_bodies_are_found_whatever_the_order_of_their_keys():
    client = caller()
    client.accepted(a=1, b=2)
    client.accepted(b=2, a=1)
    client.accepted(a=1, b=3)
    (pair,) = client.service.ledger.repeated()
    assert pair == tuple(client.service.ledger.bills[:2])


def test_a_snapshot_holds_bills_and_counts():
    client = caller(latency_s=10)
    client.accepted()
    snapshot = client.service.ledger.to_json(client.now)
    assert snapshot["in_flight_count"] == snapshot["peak_in_flight"] == 1
    assert snapshot["bills"][0]["body"] == '{"prompt":"a cup"}'
    assert read(client.call("GET", "/_simulator/ledger")) == snapshot


# ------------------------------------------------------------------ how a limit may be enforced


def admitted(client, call, instants):
    """Which of the calls at these instants since the start were not refused."""
    passed = []
    for at_s in instants:
        client.now = START_AT + at_s
        if call(client).status != 429:
            passed.append(at_s)
    return passed


def ask_credits(client):
    return client.get("/v1/get-user-credits")


def test_a_bucket_of_tokens_lets_so_many_pass_at_once_and_then_as_it_is_filled():
    client = caller(rate_limit=60, burst_limit=3, rate_limit_form="bucket")

    assert admitted(client, ask_credits, [0, 0, 0, 0, 0.9, 1, 1.1, 4, 4, 4, 4]) == [
        0,
        0,
        0,
        1,
        4,
        4,
        4,
    ]


def test_a_bucket_without_a_size_holds_a_whole_window():
    client = caller(rate_limit=4, rate_limit_form="bucket")

    assert admitted(client, ask_credits, [0] * 6) == [0] * 4


def test_fixed_minutes_are_those_of_a_clock():
    client = caller(rate_limit=2, rate_limit_form="fixed")
    late = 59.0 - START_AT % 60.0

    instants = [late, late, late, late + 1, late + 1, late + 1]
    assert admitted(client, ask_credits, instants) == [late, late, late + 1, late + 1]


def test_calls_beside_submits_can_count_apart():
    client = caller(rate_limit=2, rate_limit_scope="apart", get_limit=3)

    assert admitted(client, ask_credits, [0] * 5) == [0] * 3
    assert admitted(client, lambda one: one.submit("flux-pro"), [0] * 3) == [0] * 2


def test_apart_means_ten_times_as_many():
    client = caller(rate_limit=1, rate_limit_scope="apart")

    assert admitted(client, ask_credits, [0] * 12) == [0] * 10


@pytest.mark.parametrize("scope", ["all", "submit", "apart"])
def test_what_still_counts_is_taken_up_after_a_restart(scope):
    settings = {"rate_limit": 4, "rate_limit_scope": scope}
    client = caller(**settings)
    calls = [ask_credits, lambda one: one.submit("flux-pro"), lambda one: one.submit("flux-pro")]
    for call in calls:
        assert call(client).status == 200

    again = caller(**settings)
    again.service.restore(client.service.export())

    left = {"all": 1, "submit": 2, "apart": 2}[scope]
    assert len(admitted(again, lambda one: one.submit("flux-pro"), [1] * 4)) == left


@pytest.mark.parametrize(("status", "code"), [(200, 200), (202, 202), (404, 404), (409, 409)])
def test_what_a_result_is_answered_while_its_request_runs(status, code):
    client = caller(early_result=status, latency_s=10)
    request_id = read(client.submit("flux-pro"))["request_id"]

    answer = client.result(request_id)

    assert answer.status == code
    assert (read(answer).get("status") == "PROCESSING") is (code < 300)
