"""The ledger: all or nothing, exact money, and nothing lost on the way to disk and back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import example, given

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import Doubt, Output, Receipt
from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.lifecycle import apply, found_at_start
from batchgen.core.jobs.spec import Mode
from batchgen.errors import DiskError, InternalError
from batchgen.ports import DuplicateRequestIdError
from batchgen.providers.segmind.receipts import read_receipt
from batchgen.store.sqlite.importer import import_jobs
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.rows import seed_of
from batchgen.store.sqlite.state import SqliteState
from tests.core.builders import NOW, event, output, saved
from tests.core.net.test_http import JSON
from tests.store.builders import dump, ledger_at, live, load, spec


@pytest.fixture
def ledger(tmp_path):
    made = ledger_at(tmp_path / "state.db", "a", "b", "c")
    with closing(made.connection):
        yield made


SENT = (E.INTENDED, E.ACKED)
HOME = (*SENT, E.FINISHED, E.RESULT)


# ------------------------------------------------------------------ there and back


def test_a_job_is_the_same_after_it_was_written_and_read(ledger):
    receipt = Receipt(0.04, 9.5, 21.0, 0.5, 21.5, seed=-7)
    written = live(
        ledger, load(ledger, "b"), *HOME, outputs=(output(0), Output(1, staged="2-1.1")),
        receipt=receipt,
    )  # fmt: skip

    assert load(ledger, "b") == written
    assert written.receipt == receipt


def test_a_doubt_is_kept(ledger):
    written = live(
        ledger, load(ledger, "a"), E.INTENDED, E.UNCLEAR, doubt=Doubt.SERVER_ERROR, reason="500"
    )

    assert load(ledger, "a") == written
    assert (written.doubt, written.unclear_at) == (Doubt.SERVER_ERROR, NOW + 1)


def test_the_attempts_tell_the_whole_story(ledger):
    again = live(ledger, load(ledger, "a"), E.INTENDED, E.NOT_ACCEPTED, reason="HTTP 429")
    live(ledger, again, *HOME, E.SAVED, at=NOW + 60, files=())

    first, second = dump(ledger, "attempts")
    assert (first["state"], first["reason"], first["ended_at"]) == ("rejected", "HTTP 429", NOW + 1)
    assert (first["intent_at"], first["outcome_at"], first["request_id"]) == (NOW, NOW + 1, None)
    assert (second["number"], second["state"], second["request_id"]) == (2, "acked", "r-1-2")
    assert (second["intent_at"], second["outcome_at"]) == (NOW + 60, NOW + 61)
    assert second["ended_at"] == NOW + 64


def test_saved_files_stand_beside_their_outputs(ledger):
    fetched = live(ledger, load(ledger, "a"), *HOME, outputs=(output(0), output(1)))
    live(
        ledger, fetched, E.SAVED, files=(saved(0, "a~1.png"), saved(1, "a~2.png")), at=NOW + 9
    )  # fmt: skip

    rows = dump(ledger, "outputs")
    assert [(row["name"], row["size"], row["width"], row["saved_at"]) for row in rows] == [
        ("a~1.png", 72, 3, NOW + 9),
        ("a~2.png", 72, 3, NOW + 9),
    ]


def test_an_intent_clears_the_outputs_of_the_attempt_before(ledger):
    """A restart in between would take the old ones for the new attempt's and save them."""
    gone = live(ledger, load(ledger, "a"), *HOME, outputs=(output(),))
    live(ledger, gone, E.GONE, E.AGAIN, E.INTENDED, E.ACKED, E.FINISHED)

    assert load(ledger, "a").outputs == ()


@given(JSON)
@example("²")
@example("-5")
@example("007")
@example(10**40)
@example("9" * 39)
@example("x" * 200)
def test_any_seed_survives_being_stored_as_text(value):
    seed = read_receipt({"seed": value}).seed

    assert seed is None or seed_of(str(seed)) == seed
    assert seed_of(None) is None


# ------------------------------------------------------------------ all or nothing


def test_an_error_in_the_second_change_leaves_nothing_of_the_first(ledger):
    a, b = load(ledger, "a"), load(ledger, "b")
    good = apply(a, event(E.INTENDED, job_key=a.key))
    stale = apply(replace(b, state=S.SUBMITTED, attempt=1), event(E.FINISHED, job_key=b.key))

    with pytest.raises(InternalError, match="'b' as submitted"):
        ledger.record([good, stale], {"rate": "x"})

    assert load(ledger, "a") == a
    assert dump(ledger, "attempts") == []
    assert ledger.note("rate") is None
    ledger.record([good], {"rate": "x"})
    assert (load(ledger, "a").state, ledger.note("rate")) == (S.SUBMITTING, "x")


def test_a_request_id_given_twice_is_told_by_job_and_id_and_writes_nothing(ledger):
    live(ledger, load(ledger, "a"), *SENT, request_id="same")
    b = live(ledger, load(ledger, "b"), E.INTENDED)
    c = load(ledger, "c")

    with pytest.raises(DuplicateRequestIdError) as caught:
        ledger.record(
            [
                apply(c, event(E.INTENDED, job_key=c.key)),
                apply(b, event(E.ACKED, job_key=b.key, request_id="same")),
            ]
        )

    assert (caught.value.job_key, caught.value.request_id) == (b.key, "same")
    assert load(ledger, "b").state is S.SUBMITTING
    assert load(ledger, "c").state is S.PENDING


def test_the_same_id_twice_in_one_transaction_is_found_too(ledger):
    a, b = (live(ledger, load(ledger, id_), E.INTENDED) for id_ in "ab")

    with pytest.raises(DuplicateRequestIdError):
        ledger.record([
            apply(job, event(E.ACKED, job_key=job.key, request_id="same")) for job in (a, b)
        ])  # fmt: skip

    assert {load(ledger, id_).state for id_ in "ab"} == {S.SUBMITTING}


def test_an_event_about_a_stale_job_is_our_bug(ledger):
    before = load(ledger, "a")
    change = apply(before, event(E.INTENDED, job_key=before.key))
    ledger.record([change])

    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        ledger.record([change])


def test_a_second_attempt_cannot_begin_beside_a_live_one(ledger):
    unknown = live(ledger, load(ledger, "a"), E.INTENDED, E.UNCLEAR, E.SET_ASIDE)
    forged = replace(unknown, state=S.PENDING)
    ledger.connection.execute("UPDATE jobs SET state = 'pending' WHERE key = 1")

    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        ledger.record([apply(forged, event(E.INTENDED))])


def test_a_locked_file_is_told_as_such_and_not_as_a_bug(ledger, tmp_path):
    ledger.connection.execute("PRAGMA busy_timeout = 10")
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DiskError, match="locked by another program"):
            ledger.record([], {"a": "b"})

    ledger.record([], {"a": "b"})


def test_a_full_disk_rolls_back_and_the_ledger_goes_on_afterwards(ledger):
    pages = ledger.connection.execute("PRAGMA page_count").fetchone()[0]
    ledger.connection.execute(f"PRAGMA max_page_count = {pages}")
    job = load(ledger, "a")
    change = apply(job, event(E.INTENDED, job_key=job.key))

    with pytest.raises(DiskError, match="full"):
        ledger.record([change], {"big": "x" * 100_000})

    assert load(ledger, "a") == job
    ledger.connection.execute("PRAGMA max_page_count = 100000")
    ledger.record([change], {"big": "x" * 100_000})
    assert load(ledger, "a").state is S.SUBMITTING


def test_a_broken_disk_is_no_bug_either(ledger):
    ledger.connection.execute("PRAGMA query_only = ON")

    with pytest.raises(DiskError, match="cannot be written") as told:
        ledger.record([], {"a": "b"})

    assert "mend the permissions" in str(told.value), "also of the files beside it"


def test_a_nonsense_statement_is_a_bug(ledger):
    with pytest.raises(InternalError, match="no such table"), ledger.transaction() as connection:
        connection.execute("SELECT * FROM nowhere")


def damage(path):
    """Overwrite every page but the first with noise, as a dying disk does."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        for start in range(4096, size, 4096):
            file.seek(start)
            file.write(b"\xa5" * 512)


@pytest.fixture
def damaged(tmp_path):
    """A state that was whole when it was opened."""
    path = tmp_path / "state.db"
    made = ledger_at(path, *(f"job-{number}" for number in range(300)))
    made.connection.close()
    with SqliteState(path) as state:
        state.ledger.connection.execute("PRAGMA cache_size = 0")
        damage(path)
        yield state


@pytest.mark.parametrize(
    "ask",
    [
        lambda state: state.active(),
        lambda state: state.draw(0, 500),
        lambda state: state.totals(),
        lambda state: state.note("rate"),
        lambda state: state.requests(["r-1"]),
        lambda state: state.last_accepted(NOW, 60.0),
        lambda state: state.staged_names(),
        lambda state: state.record([], {"a": "b"}),
    ],
    ids=["active", "draw", "totals", "note", "requests", "accepted", "staged", "record"],
)
async def test_a_file_damaged_under_a_run_is_told_as_such(damaged, ask):
    with pytest.raises(DiskError, match=r"state file is damaged.*keep a copy"):
        await ask(damaged)


def test_a_closed_connection_is_a_bug_and_no_damage(tmp_path):
    ledger = ledger_at(tmp_path / "state.db")
    ledger.connection.close()

    with pytest.raises(InternalError, match="closed"):
        ledger.record([], {"a": "b"})


# ------------------------------------------------------------------ user events


@pytest.mark.parametrize(
    ("api", "kinds", "attempt"),
    [
        (Mode.QUEUED, (E.INTENDED, E.UNCLEAR, E.SET_ASIDE), "abandoned"),
        (Mode.QUEUED, (*SENT, E.SET_ASIDE), "acked"),
        (Mode.BLOCKING, (E.INTENDED, E.ANSWERED, E.SET_ASIDE), "abandoned"),
        (Mode.QUEUED, (*SENT, E.GONE, E.GIVEN_UP), "acked"),
        (Mode.QUEUED, (*SENT, E.FAILED), "acked"),
        (Mode.QUEUED, (E.INTENDED, E.REFUSED), "rejected"),
    ],
)
def test_a_retried_job_can_be_submitted_again(tmp_path, api, kinds, attempt):
    ledger = ledger_at(tmp_path / "state.db")
    import_jobs(ledger, [spec("a", api=api)])
    ended = live(ledger, load(ledger, "a"), *kinds)
    with pytest.raises(StopIteration):
        load(ledger, "a")  # neither pending nor active

    live(ledger, ended, E.RETRIED, E.INTENDED, at=NOW + 60)

    first, second = dump(ledger, "attempts")
    assert (first["state"], first["ended_at"] is not None) == (attempt, True)
    assert (second["state"], second["ended_at"]) == ("intent", None)
    ledger.connection.close()


def test_an_accepted_job_set_aside_is_looked_for_again_on_the_same_attempt(ledger):
    unknown = live(ledger, load(ledger, "a"), *SENT, E.GONE, E.SET_ASIDE)

    again = live(ledger, unknown, E.REOPENED, E.FINISHED, at=NOW + 60)

    assert again.state is S.FETCHING
    assert len(dump(ledger, "attempts")) == 1


# ------------------------------------------------------------------ drawing and loading


def test_jobs_are_drawn_in_order_from_where_one_was(ledger):
    keys = [job.key for job in ledger.draw(0, 2)]

    assert [job.id for job in ledger.draw(0, 2)] == ["a", "b"]
    assert [job.id for job in ledger.draw(keys[-1], 2)] == ["c"]
    assert ledger.draw(99, 2) == []


def test_only_pending_jobs_of_the_manifest_are_drawn(ledger):
    live(ledger, load(ledger, "a"), *SENT)
    import_jobs(ledger, [spec("a"), spec("c")])

    assert [job.id for job in ledger.draw(0, 9)] == ["c"]
    assert [job.id for job in ledger.active()] == ["a"]


def test_jobs_of_one_model_or_of_all_but_some_are_drawn(tmp_path):
    models = {"a": "flux-pro", "b": "flux-max", "c": "flux-pro", "d": "other", "e": "flux-pro"}
    with closing(ledger_at(tmp_path / "state.db").connection) as connection:
        ledger = Ledger(connection)
        import_jobs(ledger, [spec(id_, model=model) for id_, model in models.items()])

        def drawn(after_key, limit, **which):
            return "".join(job.id for job in ledger.draw(after_key, limit, **which))

        assert drawn(0, 9, model="flux-pro") == "ace"
        assert drawn(0, 2, model="flux-pro") == "ac"
        assert drawn(1, 9, model="flux-pro") == "ce"
        assert drawn(0, 9, model="unheard of") == ""
        assert drawn(0, 9, but_models=["flux-pro"]) == "bd"
        assert drawn(2, 1, but_models={"flux-pro"}) == "d"
        assert drawn(0, 9, but_models=["flux-pro", "flux-max", "other"]) == ""
        assert drawn(0, 9, but_models=[f"m{number}" for number in range(5_000)]) == "abcde"


def test_a_killed_submit_is_active_and_found_unclear(tmp_path):
    path = tmp_path / "state.db"
    first = ledger_at(path, "a")
    live(first, load(first, "a"), E.INTENDED)
    first.connection.close()

    with closing(ledger_at(path).connection) as connection:
        left = found_at_start(load(type(first)(connection), "a"), NOW)

    assert left is not None
    assert left.kind is E.UNCLEAR


def test_notes_are_replaced(ledger):
    ledger.record([], {"rate": "1", "service": "x"})
    ledger.record([], {"rate": "2"})

    assert (ledger.note("rate"), ledger.note("service"), ledger.note("none")) == ("2", "x", None)


def test_which_ids_are_ours(ledger):
    live(ledger, load(ledger, "a"), *SENT, request_id="mine")
    strangers = [f"stranger-{number}" for number in range(1200)]

    found = ledger.requests([*strangers, "mine"])

    assert list(found) == ["mine"]
    assert (found["mine"].body, found["mine"].sent_at) == ("{}", NOW)
    assert ledger.requests([]) == {}


def test_the_last_submits_that_got_an_id_count_back_from_the_latest_of_them(ledger):
    for id_, sent_at in [("a", NOW - 100), ("b", NOW - 30), ("c", NOW)]:
        live(ledger, load(ledger, id_), *SENT, at=sent_at, request_id=f"r-{id_}")

    assert ledger.last_accepted(NOW + 9, 60.0) == [(NOW - 30, "r-b"), (NOW, "r-c")]
    assert ledger.last_accepted(NOW - 1, 80.0) == [(NOW - 100, "r-a"), (NOW - 30, "r-b")]
    assert ledger.last_accepted(NOW - 101, 80.0) == []


# ------------------------------------------------------------------ money


@pytest.mark.parametrize(
    ("kinds", "fields", "settled", "reserved"),
    [
        ((E.INTENDED,), {}, 0.0, 0.1),
        ((E.INTENDED, E.NOT_ACCEPTED), {}, 0.0, 0.0),
        ((E.INTENDED, E.REFUSED), {}, 0.0, 0.0),
        ((E.INTENDED, E.UNCLEAR), {}, 0.0, 0.1),
        ((E.INTENDED, E.UNCLEAR, E.ABSENT), {}, 0.0, 0.0),
        ((E.INTENDED, E.UNCLEAR, E.SET_ASIDE), {}, 0.0, 0.1),
        ((E.INTENDED, E.UNCLEAR, E.SET_ASIDE, E.RETRIED), {}, 0.0, 0.1),
        (SENT, {}, 0.0, 0.1),
        ((*SENT, E.FAILED), {}, 0.0, 0.0),
        ((*SENT, E.TRIED_AGAIN), {}, 0.0, 0.0),
        ((*SENT, E.TRIED_AGAIN, E.INTENDED), {}, 0.0, 0.1),
        ((*SENT, E.TRIED_AGAIN, E.INTENDED, E.ACKED, E.FAILED), {}, 0.0, 0.0),
        ((E.INTENDED, E.TRIED_AGAIN), {}, 0.0, 0.0),
        ((*SENT, E.FAILED, E.RETRIED), {}, 0.0, 0.0),
        ((*SENT, E.FAILED), {"receipt": Receipt(cost_usd=0.3)}, 0.0, 0.0),
        (HOME, {"receipt": Receipt(cost_usd=0.04)}, 0.04, 0.0),
        ((*HOME, E.SAVED), {}, 0.1, 0.0),
        ((*HOME, E.SAVED, E.RETRIED), {}, 0.1, 0.0),
        ((*SENT, E.GONE, E.GIVEN_UP), {}, 0.0, 0.1),
        ((*SENT, E.GONE, E.AGAIN), {}, 0.0, 0.1),
        ((*SENT, E.GONE, E.AGAIN, E.INTENDED), {}, 0.0, 0.2),
    ],
)
def test_what_was_spent_and_what_may_have_been(ledger, kinds, fields, settled, reserved):
    live(ledger, load(ledger, "a"), *kinds, **fields)

    totals = ledger.totals()
    assert (totals.settled_usd, totals.reserved_usd) == pytest.approx((settled, reserved))


@pytest.mark.parametrize("cost", [0.0, 0.04])
def test_a_cost_told_before_the_file_was_saved_stands(ledger, cost):
    fetched = live(ledger, load(ledger, "a"), *HOME, receipt=Receipt(cost_usd=cost))

    live(ledger, fetched, E.SAVED)

    assert ledger.totals().settled_usd == cost


def test_counts_are_over_jobs_of_the_manifest_and_any_that_were_submitted(ledger):
    live(ledger, load(ledger, "a"), *SENT)
    import_jobs(ledger, [spec("c")])

    assert ledger.totals().counts == {"submitted": 1, "pending": 1}


# ------------------------------------------------------------------ the port over it


async def test_the_state_port_over_a_file(tmp_path):
    path = tmp_path / "state.db"
    with SqliteState(path) as state:
        import_jobs(state.ledger, [spec("a"), spec("b")])
        (first, second) = await state.draw(0, 9)
        changes = [apply(first, event(E.INTENDED, job_key=first.key))]
        await state.record(changes, {"rate": "x"})
        assert path.stat().st_mode & 0o777 == 0o600

    with SqliteState(path) as state:
        assert [job.state for job in await state.active()] == [S.SUBMITTING]
        assert await state.draw(0, 9) == [second]
        assert await state.note("rate") == "x"
        assert await state.requests(["r"]) == {}
        assert (await state.totals()).counts == {"submitting": 1, "pending": 1}


@pytest.mark.parametrize(
    ("kinds", "unpriced"),
    [
        (SENT, {"flux-pro": 1}),
        ((*SENT, E.FAILED), {}),
        ((*SENT, E.GONE, E.AGAIN), {"flux-pro": 1}),
        ((*SENT, E.GONE, E.AGAIN, E.INTENDED), {"flux-pro": 2}),
    ],
)
def test_attempts_without_price_and_cost_are_counted(ledger, kinds, unpriced):
    import_jobs(ledger, [spec("c", price_usd=None)])
    live(ledger, load(ledger, "c"), *kinds)

    assert ledger.totals().unpriced == unpriced
