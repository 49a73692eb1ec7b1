"""The request history: rows, pages, filters, lag, team-mates."""

import pytest

from tests.simulator.callers import START_AT, caller, read

DAY_S = 86400


def rows(client, **query):
    return read(client.history(**query))["data"]


def ids(client, **query):
    return [row["request_id"] for row in rows(client, **query)]


def test_a_row_tells_the_whole_request():
    client = caller(latency_s=10)
    request_id = client.accepted(seed=3)
    (pending,) = rows(client.later(2))
    assert pending == {
        "request_id": request_id,
        "model_name": "flux-kontext-pro",
        "model_status": "PENDING",
        "credits_deduction": 0.0,
        "request_body": {"prompt": "a cup", "seed": 3},
        "generation_url": None,
        "latency_ms": None,
        "model_created": "2027-01-15T08:00:00.000000Z",
        "model_completed": None,
        "error": None,
    }
    (done,) = rows(client.later(10))
    assert (done["model_status"], done["credits_deduction"]) == ("COMPLETED", 0.05)
    assert done["latency_ms"] == 10_000
    assert client.download(done["generation_url"]).status == 200
    assert read(client.get(f"/inference-request/request-history/{request_id}")) == done


def test_a_failed_row_has_its_error_and_costs_nothing():
    client = caller(failure_probability=1, failure_messages=["no luck"], latency_s=1)
    client.accepted()
    (row,) = rows(client.later(5))
    assert (row["model_status"], row["error"]) == ("FAILED", "no luck")
    assert (row["credits_deduction"], row["generation_url"]) == (0.0, None)


def test_rows_appear_after_a_lag_in_the_list_and_by_id():
    client = caller(history_lag_s=30)
    request_id = client.accepted()
    one = f"/inference-request/request-history/{request_id}"
    assert rows(client.later(29.9)) == []
    assert client.get(one).status == 404
    assert len(rows(client.later(0.1))) == 1
    assert client.get(one).status == 200


def test_one_row_an_output():
    client = caller(latency_s=1, models={"m": {"outputs_per_job": 3}})
    request_id = client.accepted("m")
    found = rows(client.later(5))
    assert [row["request_id"] for row in found] == [request_id] * 3
    assert len({row["generation_url"] for row in found}) == 3


def test_pages_cut_the_newest_first_list():
    client = caller()
    made = []
    for _ in range(7):
        made.append(client.accepted())
        client.later(1)
    client.later(1)
    pages = [read(client.history(page=page, per_page=3)) for page in (1, 2, 3, 4)]
    listed = [row["request_id"] for page in pages for row in page["data"]]
    assert listed == made[::-1]
    assert [len(page["data"]) for page in pages] == [3, 3, 1, 0]
    assert {(page["total"], page["total_pages"]) for page in pages} == {(7, 3)}
    assert pages[1]["page"] == 2
    assert ids(client, sort_order="asc") == made


def test_filters_and_orders():
    client = caller(models={"cheap": {"price_usd": 0.01}, "dear": {"price_usd": 9}}, latency_s=1)
    first = client.accepted("dear")
    second = client.accepted("cheap")
    client.later(2)
    third = client.accepted("cheap")
    client.later(0.99)
    assert ids(client, model_name="ear") == [first]
    assert ids(client, model_name="cheap") == [second]
    client.later(0.005)
    client.later(0.005)
    assert ids(client, status="COMPLETED") == [third, second, first]
    assert ids(client, status="FAILED") == []
    assert ids(client, sort_by="credits_deduction")[0] == first
    assert ids(client, sort_by="model_name", sort_order="asc")[-1] == first


def test_dates_are_whole_days_both_included():
    client = caller()
    first = client.accepted()
    client.later(DAY_S)
    second = client.accepted()
    client.later(10)
    assert ids(client, from_date="2027-01-15", to_date="2027-01-15") == [first]
    assert ids(client, from_date="2027-01-16") == [second]
    assert ids(client, from_date="2027-01-15", to_date="2027-01-16") == [second, first]
    assert ids(client.later(8 * DAY_S)) == [], "a week is what is shown unless asked"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"page": 0}, "page"),
        ({"page": "x"}, "page"),
        ({"per_page": 101}, "per_page"),
        ({"from_date": "yesterday"}, "from_date"),
        ({"from_date": "2026-12-01", "to_date": "2027-01-15"}, "31 days"),
        ({"from_date": "2027-01-16", "to_date": "2027-01-15"}, "31 days"),
        ({"status": "DONE"}, "status"),
        ({"sort_by": "luck"}, "sort_by"),
        ({"sort_order": "up"}, "sort_order"),
    ],
)
def test_what_the_documentation_rules_out_is_a_400(query, words):
    reply = caller().history(**query)
    assert reply.status == 400
    assert words in read(reply)["error"]


def test_the_first_day_of_the_calendar_is_no_trap():
    assert rows(caller(), to_date="0001-01-01") == []


@pytest.mark.parametrize("envelope", ["data", "results", "list"])
def test_the_envelope_of_a_page_is_configurable(envelope):
    client = caller(history_envelope=envelope)
    client.accepted()
    body = read(client.later(5).history())
    assert len(body if envelope == "list" else body[envelope]) == 1


def test_inputs_can_stand_in_rows_as_text():
    client = caller(history_body_as_text=True)
    client.accepted(b=1, a=2)
    (row,) = rows(client.later(5))
    assert row["request_body"] == '{"a":2,"b":1,"prompt":"a cup"}'


def test_rows_of_team_mates_are_listed_but_not_found_by_id():
    client = caller(teammate_probability=1)
    own = client.accepted()
    listed = rows(client.later(5))
    assert len(listed) == 2
    assert listed[0]["request_body"] == listed[1]["request_body"]
    (foreign,) = {row["request_id"] for row in listed} - {own}
    assert client.get(f"/inference-request/request-history/{foreign}").status == 404
    assert client.poll(foreign).status == 404
    assert client.service.ledger.charged_usd(client.now) == 0.05


def test_a_team_mates_twin_appears_even_when_the_own_submit_was_lost():
    drop = {"where": "submit", "kind": "drop_before"}
    client = caller(teammate_probability=1, faults=[drop])
    client.submit()
    assert len(rows(client.later(5))) == 1
    assert client.service.ledger.bills == []
    assert client.now == START_AT + 5
