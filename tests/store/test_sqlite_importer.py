"""An edited manifest meets a state that has a history: by id, never by position."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import JobState as S
from batchgen.errors import InternalError, ManifestError
from batchgen.store.base import Imported, OnChange
from batchgen.store.sqlite.importer import MAX_NAMED, SqliteImporter, import_jobs
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.schema import create_schema
from tests.core.builders import NOW, output, saved
from tests.store.builders import dump, ledger_at, live, load, spec

SENT = (E.INTENDED, E.ACKED)


@pytest.fixture
def ledger(tmp_path):
    made = ledger_at(tmp_path / "state.db", "a", "b", "c")
    with closing(made.connection):
        yield made


def ids(ledger):
    return [job.id for job in ledger.draw(0, 9_999)]


def test_new_jobs_come_in_the_order_of_the_manifest(tmp_path):
    with closing(ledger_at(tmp_path / "state.db").connection) as connection:
        ledger = Ledger(connection)
        imported = import_jobs(ledger, [spec(id_) for id_ in "zebra"])

        assert imported == Imported(new=5)
        assert ids(ledger) == list("zebra")


def test_the_same_manifest_again_changes_nothing(ledger):
    before = dump(ledger, "jobs")

    imported = import_jobs(ledger, [spec(id_) for id_ in "abc"])

    assert imported == Imported(unchanged=3)
    assert dump(ledger, "jobs") == before


def test_reordered_and_with_a_new_one_in_front_nothing_old_moves(ledger):
    imported = import_jobs(ledger, [spec(id_) for id_ in "ncba"])

    assert imported == Imported(new=1, unchanged=3)
    assert ids(ledger) == ["a", "b", "c", "n"]


@pytest.mark.parametrize(
    "changes", [{"body": '{"seed":1}'}, {"model": "flux-max"}, {"stem": "b/b"}], ids=str
)
def test_a_changed_job_follows_while_it_was_never_submitted(ledger, changes):
    imported = import_jobs(ledger, [spec("a"), spec("b", **changes), spec("c")])

    assert imported == Imported(changed=1, unchanged=2)
    changed = load(ledger, "b")
    assert {name: getattr(changed, name) for name in changes} == changes
    assert ids(ledger) == ["a", "b", "c"]


def test_a_submit_that_was_surely_not_accepted_does_not_bind(ledger):
    live(ledger, load(ledger, "b"), E.INTENDED, E.NOT_ACCEPTED, reason="HTTP 503")

    imported = import_jobs(ledger, [spec("a"), spec("b", body='{"seed":1}'), spec("c")])

    assert imported.changed == 1
    changed = load(ledger, "b")
    assert (changed.body, changed.trouble, changed.due_at, changed.reason) == (
        '{"seed":1}', 0, 0.0, "",
    )  # fmt: skip


@pytest.mark.parametrize(
    "kinds",
    [
        (E.INTENDED,),
        SENT,
        (E.INTENDED, E.UNCLEAR, E.SET_ASIDE),
        (*SENT, E.FINISHED, E.SAVED),
        (*SENT, E.GONE, E.AGAIN),
    ],
)
def test_a_changed_job_that_may_have_been_paid_for_stops_the_import_whole(ledger, kinds):
    live(ledger, load(ledger, "b"), *kinds)
    before = dump(ledger, "jobs")

    imported = import_jobs(
        ledger, [spec("new"), spec("a", body='{"x":1}'), spec("b", body='{"x":1}')]
    )

    assert imported == Imported(paid=("b",), paid_count=1)
    assert dump(ledger, "jobs") == before


def test_many_paid_changes_are_counted_and_some_are_named(tmp_path):
    names = [f"job-{number:02}" for number in range(MAX_NAMED + 5)]
    ledger = ledger_at(tmp_path / "state.db", *names)
    with closing(ledger.connection):
        for name in names:
            live(ledger, load(ledger, name), *SENT)

        imported = import_jobs(ledger, [spec(name, body='{"x":1}') for name in names])

    assert imported.paid == tuple(names[:MAX_NAMED])
    assert imported.paid_count == MAX_NAMED + 5


def test_price_and_fields_follow_also_for_paid_jobs(ledger):
    live(ledger, load(ledger, "b"), *SENT)

    imported = import_jobs(
        ledger, [spec("a"), spec("b", price_usd=0.2, fields={"style": "ink"}), spec("c")]
    )

    assert imported == Imported(unchanged=3)
    assert load(ledger, "b").price_usd == 0.2
    assert dump(ledger, "jobs")[1]["fields"] == '{"style":"ink"}'


def test_a_job_that_left_the_manifest_is_not_run_and_not_forgotten(ledger):
    live(ledger, load(ledger, "a"), *SENT)

    imported = import_jobs(ledger, [spec("c")])

    assert imported == Imported(unchanged=1, dropped=2)
    assert ids(ledger) == ["c"]
    assert [job.id for job in ledger.active()] == ["a"], "it is paid for: its result is fetched"
    assert import_jobs(ledger, [spec("c")]).dropped == 0, "dropped once, told once"


def test_a_job_back_in_the_manifest_takes_its_old_place(ledger):
    import_jobs(ledger, [spec("c")])

    imported = import_jobs(ledger, [spec(id_) for id_ in "cba"])

    assert imported == Imported(unchanged=3)
    assert ids(ledger) == ["a", "b", "c"]


def test_a_job_that_comes_back_changed_follows(ledger):
    import_jobs(ledger, [spec("c")])

    imported = import_jobs(ledger, [spec("a", body='{"x":1}'), spec("c")])

    assert imported == Imported(changed=1, unchanged=1)
    assert load(ledger, "a").body == '{"x":1}'


def test_a_manifest_that_breaks_off_changes_nothing(ledger):
    before = dump(ledger, "jobs")

    def breaking():
        yield spec("new")
        raise ValueError("line 7")

    with pytest.raises(ValueError, match="line 7"):
        import_jobs(ledger, breaking())

    assert dump(ledger, "jobs") == before
    assert import_jobs(ledger, [spec(id_) for id_ in "abc"]) == Imported(unchanged=3)


# ------------------------------------------------------------------ changed after it was paid for

NEW_BODY = '{"seed":1}'
EDITED = [spec("a"), spec("b", body=NEW_BODY), spec("c")]
HOME = (*SENT, E.FINISHED, E.RESULT)


def state_of(ledger, id_):
    row = next(row for row in dump(ledger, "jobs") if row["id"] == id_)
    return (row["state"], row["body"], row["billable"])


def test_kept_jobs_stay_as_they_were_paid_for_and_are_not_asked_about_again(ledger):
    live(ledger, load(ledger, "b"), *SENT)

    imported = import_jobs(ledger, EDITED, OnChange.KEEP, NOW + 60)

    assert imported == Imported(unchanged=3)
    assert state_of(ledger, "b") == (S.SUBMITTED, "{}", 1)
    assert import_jobs(ledger, EDITED) == Imported(unchanged=3), "it was answered once"


def test_a_kept_job_that_changes_again_is_asked_about_again(ledger):
    live(ledger, load(ledger, "b"), *SENT)
    import_jobs(ledger, EDITED, OnChange.KEEP)

    imported = import_jobs(ledger, [spec("a"), spec("b", body='{"seed":2}'), spec("c")])

    assert imported.paid == ("b",)


@pytest.mark.parametrize(
    "kinds",
    [
        (*HOME, E.SAVED),
        (E.INTENDED, E.UNCLEAR, E.SET_ASIDE),
        (*SENT, E.GONE, E.GIVEN_UP),
        (*SENT, E.GONE, E.AGAIN),
    ],
    ids=["done", "unknown", "lost", "paid in vain"],
)
def test_a_job_to_be_rerun_is_pending_as_the_manifest_has_it_now(ledger, kinds):
    live(ledger, load(ledger, "b"), *kinds)
    attempts = dump(ledger, "attempts")

    imported = import_jobs(ledger, EDITED, OnChange.RERUN, NOW + 60)

    assert imported == Imported(changed=1, unchanged=2)
    assert state_of(ledger, "b") == (S.PENDING, NEW_BODY, 0)
    (attempt,) = dump(ledger, "attempts")
    assert attempt["ended_at"] is not None
    assert attempt["intent_at"] == attempts[0]["intent_at"], "what was paid stays on record"
    live(ledger, load(ledger, "b"), *SENT, at=NOW + 90)
    assert len(dump(ledger, "attempts")) == 2


def test_the_files_of_a_rerun_job_are_named(ledger):
    fetched = live(ledger, load(ledger, "b"), *HOME, outputs=(output(0), output(1)))
    live(ledger, fetched, E.SAVED, files=(saved(0, "b~1.png"), saved(1, "b~2.png")))

    imported = import_jobs(ledger, EDITED, OnChange.RERUN, NOW + 60)

    assert imported == Imported(changed=1, unchanged=2, replaced=("b~1.png", "b~2.png"))


@pytest.mark.parametrize(
    "kinds",
    [(E.INTENDED,), SENT, (E.INTENDED, E.UNCLEAR), (*SENT, E.FINISHED), (*SENT, E.GONE)],
    ids=["submitting", "submitted", "ambiguous", "fetching", "recovering"],
)
def test_a_job_under_way_cannot_be_rerun_yet(ledger, kinds):
    """Its POST is out: another beside it would be paid for as well."""
    live(ledger, load(ledger, "a"), *HOME, E.SAVED)
    live(ledger, load(ledger, "b"), *kinds)
    before = (dump(ledger, "jobs"), dump(ledger, "attempts"))

    imported = import_jobs(
        ledger, [spec("a", body=NEW_BODY), spec("b", body=NEW_BODY)], OnChange.RERUN, NOW + 60
    )

    assert imported == Imported(busy=("b",), paid_count=1)
    assert (dump(ledger, "jobs"), dump(ledger, "attempts")) == before


@pytest.mark.parametrize("on_change", OnChange)
@pytest.mark.parametrize(
    "kinds",
    [(E.INTENDED, E.REFUSED), (*SENT, E.FAILED), (*SENT, E.TRIED_AGAIN)],
    ids=["refused", "ran and failed", "to be tried again"],
)
def test_a_failed_job_is_mended_by_editing_it(ledger, on_change, kinds):
    live(ledger, load(ledger, "b"), *kinds, reason="HTTP 400: seed")

    imported = import_jobs(ledger, EDITED, on_change, NOW + 60)

    assert imported == Imported(changed=1, unchanged=2)
    mended = load(ledger, "b")
    assert (mended.state, mended.body, mended.reason) == (S.PENDING, NEW_BODY, "")


def test_a_failed_job_that_did_not_change_stays_failed(ledger):
    live(ledger, load(ledger, "b"), E.INTENDED, E.REFUSED, reason="HTTP 400: seed")

    assert import_jobs(ledger, [spec(id_) for id_ in "abc"]) == Imported(unchanged=3)
    assert state_of(ledger, "b")[0] == S.FAILED


def test_nothing_is_mended_while_a_paid_one_waits_for_an_answer(ledger):
    live(ledger, load(ledger, "a"), *SENT)
    live(ledger, load(ledger, "b"), E.INTENDED, E.REFUSED, reason="HTTP 400: seed")
    before = dump(ledger, "jobs")

    imported = import_jobs(ledger, [spec("a", body=NEW_BODY), spec("b", body=NEW_BODY)])

    assert imported == Imported(paid=("a",), paid_count=1)
    assert dump(ledger, "jobs") == before


MANIFESTS = st.lists(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2), max_size=6), max_size=6
)


@given(MANIFESTS)
@settings(max_examples=50)
def test_after_any_edits_of_an_unpaid_manifest_the_state_is_the_manifest(manifests):
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        create_schema(connection)
        ledger = Ledger(connection)
        for manifest in manifests:
            before = {job.id: job.body for job in ledger.draw(0, 99)}
            wanted = {id_: f'{{"x":{number}}}' for id_, number in manifest.items()}

            imported = import_jobs(ledger, [spec(id_, body) for id_, body in wanted.items()])

            assert {job.id: job.body for job in ledger.draw(0, 99)} == wanted
            assert imported.dropped == len(before.keys() - wanted.keys())
            assert imported.new + imported.changed + imported.unchanged == len(wanted)


def test_whether_there_are_jobs(ledger, tmp_path):
    assert SqliteImporter(ledger).has_jobs()
    with closing(ledger_at(tmp_path / "empty.db").connection) as connection:
        assert not SqliteImporter(Ledger(connection)).has_jobs()


def test_an_import_writes_its_note_with_the_jobs_or_not_at_all(ledger):
    live(ledger, load(ledger, "b"), *SENT)

    refused = import_jobs(ledger, EDITED, notes=lambda count: {"import": str(count)})
    assert refused.paid == ("b",)
    assert ledger.note("import") is None

    import_jobs(ledger, EDITED, OnChange.KEEP, notes=lambda count: {"import": str(count)})
    assert ledger.note("import") == "3"


def test_two_jobs_of_one_id_are_not_imported_silently(ledger, tmp_path):
    with pytest.raises(InternalError, match="one id"):
        import_jobs(ledger, [spec("a"), spec("a")])
    assert ids(ledger) == ["a", "b", "c"]
    with closing(ledger_at(tmp_path / "empty.db").connection) as connection:
        with pytest.raises(InternalError, match="one id"):
            import_jobs(Ledger(connection), [spec("a"), spec("b"), spec("a")])
        assert ids(Ledger(connection)) == []


def test_an_import_into_an_empty_state_that_breaks_off_writes_nothing(tmp_path):
    def breaking():
        for number in range(1_300):
            yield spec(f"job-{number}")
        raise ManifestError([])

    with closing(ledger_at(tmp_path / "empty.db").connection) as connection:
        with pytest.raises(ManifestError):
            import_jobs(Ledger(connection), breaking())
        assert not SqliteImporter(Ledger(connection)).has_jobs()


@pytest.mark.parametrize("there", [0, 1], ids=["empty", "filled"])
def test_many_jobs_and_long_ones_keep_their_order(tmp_path, there):
    specs = [spec(f"job-{number}") for number in range(1_300)]
    specs += [spec(f"long-{number}", body=f'{{"p":"{"x" * 3_000_000}"}}') for number in range(4)]
    with closing(ledger_at(tmp_path / "s.db", *["job-0"][:there]).connection) as connection:
        imported = import_jobs(Ledger(connection), specs)
        assert imported == Imported(new=1_304 - there, unchanged=there)
        assert ids(Ledger(connection)) == [one.id for one in specs]


def test_very_many_changed_jobs_are_rerun_some_at_a_time(tmp_path):
    names = [f"job-{number:04}" for number in range(2_500)]
    with closing(ledger_at(tmp_path / "state.db", *names).connection) as connection:
        ledger = Ledger(connection)
        connection.execute("UPDATE jobs SET state = 'failed', attempt = 1, billable = 1")

        imported = import_jobs(ledger, [spec(name, body=NEW_BODY) for name in names])

        assert imported == Imported(changed=2_500)
        assert len(ledger.draw(0, 9_999)) == 2_500
