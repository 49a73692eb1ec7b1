"""Ended jobs put back by the user: chosen by state and id, weighed in money, moved by the table."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import ENDED, Receipt
from batchgen.core.jobs.job import JobState as S
from batchgen.core.scheduling.learned import PRICES_NOTE
from batchgen.store.sqlite.importer import import_jobs
from batchgen.store.sqlite.retrying import Retrier
from tests.core.builders import NOW, output
from tests.store.builders import dump, ledger_at, live, load, spec

SENT = (E.INTENDED, E.ACKED)
LIVES = {
    "waiting": (),
    "running": SENT,
    "finished": (*SENT, E.FINISHED, E.SAVED),
    "refused": (E.INTENDED, E.REFUSED),
    "failed": (*SENT, E.FAILED),
    "unclear": (E.INTENDED, E.UNCLEAR, E.SET_ASIDE),
    "stuck": (*SENT, E.SET_ASIDE),
    "lost": (*SENT, E.GONE, E.GIVEN_UP),
    "put-off": (*SENT, E.FINISHED, E.RESULT, E.PUT_OFF),
    "no-media": (*SENT, E.FINISHED, E.REJECTED),
}
ALL_ENDED = tuple(ENDED)


@pytest.fixture
def ledger(tmp_path):
    made = ledger_at(tmp_path / "state.db")
    import_jobs(made, [spec(id_, price_usd=0.25) for id_ in LIVES])
    for id_, kinds in LIVES.items():
        fetched = kinds[: kinds.index(E.RESULT) + 1] if E.RESULT in kinds else ()
        named = {"outputs": (output(0), output(1))} if fetched else {}
        current = live(made, load(made, id_), *fetched, **named)
        live(made, current, *kinds[len(fetched) :], at=NOW + 10)
    with closing(made.connection):
        yield made


def ids(selection):
    return [job.id for job in selection.jobs]


@pytest.mark.parametrize(
    ("states", "pattern", "chosen"),
    [
        ((S.FAILED,), "*", ["refused", "failed"]),
        ((S.UNKNOWN,), "*", ["unclear", "stuck"]),
        ((S.LOST,), "*", ["lost"]),
        ((S.UNFETCHED,), "*", ["put-off"]),
        ((S.REJECTED,), "*", ["no-media"]),
        ((S.FAILED, S.UNKNOWN), "*", ["refused", "failed", "unclear", "stuck"]),
        (
            ALL_ENDED,
            "*",
            ["finished", "refused", "failed", "unclear", "stuck", "lost", "put-off", "no-media"],
        ),
        (ALL_ENDED, "f*", ["finished", "failed"]),
        (ALL_ENDED, "[ru]*", ["refused", "unclear"]),
        (ALL_ENDED, "l?st", ["lost"]),
        (ALL_ENDED, "LOST", []),
        (ALL_ENDED, "", []),
    ],
)
def test_jobs_are_chosen_by_state_and_id(ledger, states, pattern, chosen):
    assert ids(Retrier(ledger).select(states, pattern)) == chosen


def test_what_putting_back_may_cost_is_told_beforehand(ledger):
    selection = Retrier(ledger).select(ALL_ENDED, "*")

    told = (selection.count, selection.failed, selection.unclear, selection.lost,
            selection.rejected, selection.reopened, selection.unfetched)  # fmt: skip
    assert told == (8, 2, 1, 1, 1, 1, 1)
    assert selection.at_risk == 3
    assert selection.risk_usd == pytest.approx(0.75), "what is reopened or fetched costs nothing"
    assert (selection.unpriced_count, selection.unpriced) == (0, "")


@pytest.mark.parametrize(("api", "state"), [("v2", S.SUBMITTED), ("v1", S.RECOVERING)])
def test_what_is_looked_for_again_is_asked_where_it_can_be_found(tmp_path, api, state):
    """A v1 request cannot be polled: only the history has it."""
    ledger = ledger_at(tmp_path / "state.db")
    import_jobs(ledger, [spec("a", api=api)])
    live(ledger, load(ledger, "a"), *LIVES["stuck"])
    retrier = Retrier(ledger)
    retrier.put_back(retrier.select([S.UNKNOWN], "*"), NOW + 60)
    assert load(ledger, "a").state is state
    ledger.connection.close()


def test_what_has_no_price_is_told_apart(tmp_path):
    ledger = ledger_at(tmp_path / "state.db")
    import_jobs(ledger, [spec("a", price_usd=None), spec("b", price_usd=None), spec("c")])
    for id_ in "abc":
        live(ledger, load(ledger, id_), *LIVES["lost"])

    selection = Retrier(ledger).select([S.LOST], "*")

    assert selection.risk_usd == pytest.approx(0.1)
    assert selection.unpriced == " and 2 of unknown price"
    ledger.connection.close()


@pytest.mark.parametrize(
    ("prices", "risk_usd", "unpriced"),
    [(None, 0.1, 1), ({"flux-pro": 0.04}, 0.14, 0), ({"flux-max": 0.04}, 0.1, 1)],
)
def test_what_the_last_job_of_a_model_cost_is_reckoned_with(tmp_path, prices, risk_usd, unpriced):
    """Prices are told by the catalogue for a few models only; most are learned."""
    ledger = ledger_at(tmp_path / "state.db")
    with closing(ledger.connection):
        import_jobs(ledger, [spec("a", price_usd=None), spec("b", price_usd=0.1)])
        for id_ in "ab":
            live(ledger, load(ledger, id_), *LIVES["no-media"])
        if prices is not None:
            ledger.record([], {PRICES_NOTE: json.dumps(prices)})

        selection = Retrier(ledger).select([S.REJECTED], "*")

    assert selection.risk_usd == pytest.approx(risk_usd)
    assert selection.unpriced_count == unpriced


@pytest.mark.parametrize(
    ("id_", "state", "attempt"),
    [
        ("finished", S.PENDING, "acked"),
        ("refused", S.PENDING, "rejected"),
        ("failed", S.PENDING, "acked"),
        ("unclear", S.PENDING, "abandoned"),
        ("stuck", S.SUBMITTED, "acked"),
        ("lost", S.PENDING, "acked"),
        ("no-media", S.PENDING, "acked"),
        ("put-off", S.FETCHING, "acked"),
    ],
)
def test_each_goes_where_the_table_says(ledger, id_, state, attempt):
    Retrier(ledger).put_back(Retrier(ledger).select(ALL_ENDED, id_), NOW + 60)

    back = load(ledger, id_)
    assert (back.state, back.reason) == (state, "put back by the user")
    (entry,) = [row for row in dump(ledger, "attempts") if row["job_key"] == back.key]
    is_live = state in {S.SUBMITTED, S.FETCHING}
    assert (entry["state"], entry["ended_at"] is None) == (attempt, is_live)
    if state is S.PENDING:
        live(ledger, back, *SENT, at=NOW + 90)  # the ledger lets the next attempt begin


def test_an_accepted_request_is_asked_for_again_and_not_paid_for_again(ledger):
    before = ledger.totals()

    Retrier(ledger).put_back(Retrier(ledger).select([S.UNKNOWN], "stuck"), NOW + 60)

    back = load(ledger, "stuck")
    assert (back.request_id, back.billable, back.attempt) == (f"r-{back.key}-1", 1, 1)
    after = ledger.totals()
    assert (after.settled_usd, after.reserved_usd) == (before.settled_usd, before.reserved_usd)


def test_files_are_fetched_from_where_they_stood_and_nothing_is_paid_for_again(ledger):
    before = ledger.totals()

    Retrier(ledger).put_back(Retrier(ledger).select([S.UNFETCHED], "*"), NOW + 60)

    back = load(ledger, "put-off")
    assert (back.state, back.outputs) == (S.FETCHING, (output(0), output(1)))
    assert (back.attempt, back.billable, back.trouble, back.recoveries) == (1, 1, 0, 0)
    after = ledger.totals()
    assert (after.settled_usd, after.reserved_usd) == (before.settled_usd, before.reserved_usd)


def test_what_is_to_be_fetched_is_taken_up_by_the_next_run_without_being_put_back(ledger):
    taken = {job.id: job for job in ledger.active()}

    assert taken.keys() == {"running", "put-off"}
    assert taken["put-off"].outputs == (output(0), output(1))
    assert [job.key for job in ledger.active()] == sorted(job.key for job in taken.values())


def test_attempts_that_may_be_billed_count_anew_and_stay_paid(ledger):
    paid = ledger.totals()

    Retrier(ledger).put_back(Retrier(ledger).select(ALL_ENDED, "finished"), NOW + 60)

    assert load(ledger, "finished").billable == 0
    assert load(ledger, "finished").receipt == Receipt()
    assert ledger.totals().settled_usd == paid.settled_usd


def test_more_than_a_chunk_is_put_back_whole(tmp_path):
    names = [f"job-{number:04}" for number in range(1_001)]
    ledger = ledger_at(tmp_path / "state.db", *names)
    with closing(ledger.connection) as connection:
        connection.execute(
            "INSERT INTO attempts (job_key, number, state, intent_at, ended_at) "
            "SELECT key, 1, 'rejected', 1, 2 FROM jobs"
        )
        connection.execute("UPDATE jobs SET state = 'failed', attempt = 1")

        Retrier(ledger).put_back(Retrier(ledger).select([S.FAILED], "*"), NOW)

        assert ledger.totals().counts == {"pending": 1_001}


def test_nothing_chosen_changes_nothing(ledger):
    before = dump(ledger, "jobs")

    Retrier(ledger).put_back(Retrier(ledger).select([S.FAILED], "no-such-*"), NOW)

    assert dump(ledger, "jobs") == before
