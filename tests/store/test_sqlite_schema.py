"""The schema guards the protocol by itself, and files that are not ours stay as they are."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from contextlib import closing

import anyio
import pytest

from batchgen.core.jobs.events import EventKind as E
from batchgen.core.jobs.job import AttemptState, JobState
from batchgen.errors import StateError
from batchgen.store.sqlite.importer import import_jobs
from batchgen.store.sqlite.ledger import Ledger
from batchgen.store.sqlite.queries import JobQueries
from batchgen.store.sqlite.records import ExportQueries
from batchgen.store.sqlite.results import ResultQueries
from batchgen.store.sqlite.schema import APPLICATION_ID, SCHEMA, VERSION, connect
from batchgen.store.sqlite.state import SqliteState
from batchgen.store.sqlite.states import among
from tests.core.builders import NOW
from tests.store.builders import break_off_at_once, dump, ledger_at, live, load, spec

A = AttemptState


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture
def database(path):
    with closing(ledger_at(path, "a", "b").connection) as connection:
        yield connection


def attempt(database, job_key=1, number=1, state="intent", **columns):
    columns = {"job_key": job_key, "number": number, "state": state, "intent_at": 1.0} | columns
    marks = ", ".join("?" * len(columns))
    database.execute(
        f"INSERT INTO attempts ({', '.join(columns)}) VALUES ({marks})", list(columns.values())
    )


def refused(database, sql, *arguments, match=None):
    with pytest.raises(sqlite3.IntegrityError, match=match):
        database.execute(sql, arguments)


def test_a_second_live_attempt_is_impossible(database):
    attempt(database)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        attempt(database, number=2)

    database.execute("UPDATE attempts SET ended_at = 2.0")
    attempt(database, number=2)
    attempt(database, job_key=2)


def test_an_attempt_belongs_to_a_job_and_counts_from_one(database):
    for broken in ({"job_key": 99}, {"number": 0}, {"state": "maybe"}):
        with pytest.raises(sqlite3.IntegrityError):
            attempt(database, **broken)


def test_a_request_id_is_written_down_once(database):
    attempt(database, request_id="r")

    with pytest.raises(sqlite3.IntegrityError, match=r"attempts\.request_id"):
        attempt(database, job_key=2, request_id="r")


def test_a_request_id_never_changes_and_is_never_forgotten(database):
    attempt(database)
    database.execute("UPDATE attempts SET request_id = 'r'")

    for other in ("s", None):
        refused(database, "UPDATE attempts SET request_id = ?", other, match="never changes")
    database.execute("UPDATE attempts SET request_id = 'r'")


def test_an_attempt_is_never_deleted(database):
    attempt(database)

    refused(database, "DELETE FROM attempts", match="append-only")
    refused(database, "DELETE FROM jobs WHERE key = 1", match="FOREIGN KEY")


def test_an_ended_attempt_does_not_rise_again(database):
    attempt(database, ended_at=2.0)

    for other in (None, 3.0):
        refused(database, "UPDATE attempts SET ended_at = ?", other, match="stays ended")


FORWARD = {
    (A.INTENT, A.ACKED), (A.INTENT, A.REJECTED), (A.INTENT, A.AMBIGUOUS), (A.INTENT, A.ABSENT),
    (A.INTENT, A.ABANDONED), (A.AMBIGUOUS, A.ACKED), (A.AMBIGUOUS, A.ABSENT),
    (A.AMBIGUOUS, A.ABANDONED),
}  # fmt: skip


@pytest.mark.parametrize("after", A)
@pytest.mark.parametrize("before", A)
def test_an_attempt_only_goes_forward(database, before, after):
    attempt(database, state=before, request_id="r")

    if before is after or (before, after) in FORWARD:
        database.execute("UPDATE attempts SET state = ?", (after,))
    else:
        refused(database, "UPDATE attempts SET state = ?", after, match="cannot go back")


def test_an_accepted_attempt_without_id_can_be_abandoned(database):
    """A v1 answer may name no id; when its job is retried nobody can ask for it any more."""
    attempt(database, state=A.ACKED)

    database.execute("UPDATE attempts SET state = 'abandoned'")


@pytest.mark.parametrize(
    ("column", "value"),
    [("attempt", "one"), ("sent_at", "soon"), ("trouble", 1.5), ("state", "odd"), ("api", "v3"),
     ("listed", 2), ("model", None), ("reason", None), ("body", b"\x00")],
)  # fmt: skip
def test_columns_hold_what_they_say(database, column, value):
    refused(database, f"UPDATE jobs SET {column} = ? WHERE key = 1", value)


@pytest.mark.parametrize(
    "assignment",
    ["state = 'submitting'", "state = 'ambiguous'", "state = 'submitted', attempt = 1"],
)
def test_a_state_needs_what_it_stands_on(database, assignment):
    refused(database, f"UPDATE jobs SET {assignment} WHERE key = 1", match="CHECK")


def test_two_files_never_share_a_name(database):
    database.execute("INSERT INTO outputs (job_key, idx, name) VALUES (1, 0, 'a.png')")

    refused(
        database,
        "INSERT INTO outputs (job_key, idx, name) VALUES (2, 0, 'a.png')",
        match=r"outputs\.name",
    )


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("trusted_schema", 0),
     ("application_id", APPLICATION_ID), ("user_version", VERSION)],
)  # fmt: skip
def test_the_connection_is_set_up_for_power_cuts(database, pragma, value):
    assert database.execute(f"PRAGMA {pragma}").fetchone()[0] == value


# ------------------------------------------------------------------ files that are not ours


def write_foreign(path):
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute("PRAGMA user_version = 1")


def write_newer(path):
    connect(path, create=True).close()
    with closing(sqlite3.connect(path)) as ours:
        ours.execute(f"PRAGMA user_version = {VERSION + 1}")


def write_filled(path):
    ledger = ledger_at(path, *(f"job-{number}" for number in range(500)))
    ledger.connection.close()


def write_truncated(path):
    write_filled(path)
    path.write_bytes(path.read_bytes()[:-6000])


def write_scrambled(path):
    write_filled(path)
    whole = bytearray(path.read_bytes())
    whole[4096 : 4096 + 8000] = b"\xa5" * 8000
    path.write_bytes(whole)


UNUSABLE = [
    (write_foreign, "another program"),
    (write_newer, "upgrade batchgen"),
    (write_truncated, "damaged"),
    (write_scrambled, "damaged"),
    (lambda path: path.write_bytes(b"name: not a database\n" * 50), "not a SQLite file"),
    (lambda path: path.write_bytes(b"SQLite format 3\0"), "not a SQLite file"),
]


@pytest.mark.parametrize(
    ("write", "told"),
    UNUSABLE,
    ids=["foreign", "newer", "truncated", "scrambled", "text", "header cut"],
)
def test_an_unusable_file_is_refused_and_left_as_it_is(path, write, told):
    write(path)
    before = path.read_bytes()

    with pytest.raises(StateError, match=told) as caught:
        connect(path, create=True)

    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert [other.name for other in path.parent.iterdir()] == ["state.db"]


@pytest.mark.parametrize(("write", "told"), [UNUSABLE[0], UNUSABLE[1], UNUSABLE[4], UNUSABLE[5]])
def test_a_reader_refuses_it_too(path, write, told):
    write(path)

    with pytest.raises(StateError, match=told):
        JobQueries(path)


def test_a_missing_file_is_made_only_where_that_is_meant(path):
    with pytest.raises(StateError, match="nothing was run here yet"):
        connect(path, create=False)

    assert not path.exists()


def test_an_empty_file_becomes_a_state_file(path):
    path.touch()

    with closing(connect(path, create=True)) as database:
        assert database.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


def test_an_opened_file_is_opened_again(path):
    ledger_at(path, "a").connection.close()

    with closing(connect(path, create=False)) as database:
        assert database.execute("SELECT id FROM jobs").fetchall() == [("a",)]


KILLED_AT_BIRTH = """
import os, signal, sys
from pathlib import Path
from batchgen.store.sqlite.schema import connect
connection = connect(Path(sys.argv[1]), create=True)
connection.execute("INSERT INTO notes VALUES ('a', 'b')")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_first_run_that_was_killed_left_a_file_that_is_known_as_ours(path):
    """Before the first checkpoint everything young stands in the WAL; the header must not."""
    subprocess.run([sys.executable, "-c", KILLED_AT_BIRTH, str(path)], check=False, timeout=60)

    reader = JobQueries(path)
    assert reader.overview(0.0).notes == {"a": "b"}
    reader.close()
    with closing(connect(path, create=True)) as database:
        assert Ledger(database).note("a") == "b"


# ------------------------------------------------------------------ older files

INDEXES_OF_1 = "CREATE INDEX jobs_by_state ON jobs (state, model);"


def structure(database):
    return set(database.execute("SELECT type, name, sql FROM sqlite_master"))


STATES_OF_3 = (
    "state IN ('pending', 'submitting', 'submitted', 'fetching', 'recovering', 'ambiguous', "
    "'done', 'failed', 'unknown', 'lost')"
)
VERIFIED = ", verified INTEGER NOT NULL DEFAULT 1 CHECK (verified IN (0, 1))"
LABEL = ", label TEXT NOT NULL DEFAULT ''"
TOKENS = ", input_tokens INTEGER, output_tokens INTEGER"
TOKENS_INDEX = """
CREATE INDEX jobs_by_tokens ON jobs (state, input_tokens, output_tokens) WHERE \
(input_tokens IS NOT NULL OR output_tokens IS NOT NULL);
"""
SCHEMA_4 = SCHEMA.replace(LABEL, "").replace(TOKENS, "").replace(TOKENS_INDEX, "")
SCHEMA_3 = SCHEMA_4.replace(among(JobState), STATES_OF_3).replace(VERIFIED, "")
FORGET_5 = (
    "DROP INDEX jobs_by_tokens",
    "ALTER TABLE outputs DROP COLUMN label",
    "ALTER TABLE jobs DROP COLUMN input_tokens",
    "ALTER TABLE jobs DROP COLUMN output_tokens",
)
"""Rows are written by today's code, and then forget what an older schema had no place for."""


def digest_of(schema):
    return hashlib.sha256(" ".join(schema.split()).encode()).hexdigest()[:16]


def test_the_schema_of_version_3_is_the_one_that_was_written():
    assert digest_of(SCHEMA_3) == "3ff5114d10813382"
    assert digest_of(SCHEMA_4) == "ed6ca427e7c7d298"


@pytest.mark.parametrize(("version", "schema"), [(3, SCHEMA_3), (4, SCHEMA_4)])
def test_a_file_that_forgot_what_is_new_is_as_an_older_one_was(path, version, schema):
    make_older(path, version)

    with closing(sqlite3.connect(path)) as made, closing(sqlite3.connect(":memory:")) as plain:
        plain.executescript(schema)
        assert structure(made) == structure(plain)


def make_version_4(path):
    """A file as schema 4 had it."""
    return make_older(path, 4)


def make_version_3(path):
    """A file as schema 3 had it."""
    return make_older(path, 3)


def make_older(path, version, *changes):
    """With a job that is under way and one of each old end."""
    schema = SCHEMA
    if version < 4:
        schema = schema.replace(among(JobState), STATES_OF_3).replace(VERIFIED, "")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}; {schema}"
        )
        ledger = Ledger(connection)
        import_jobs(ledger, [spec(id_) for id_ in OLD_LIVES])
        for id_, kinds in OLD_LIVES.items():
            live(ledger, load(ledger, id_), *kinds)
        connection.execute(
            "INSERT INTO outputs (job_key, idx, name, size, sha256, media_type, saved_at) "
            "SELECT key, 0, 'done.png', 1, 'x', 'image/png', ? FROM jobs WHERE id = 'done'",
            (NOW,),
        )
        connection.executescript(";".join((*FORGET_5, *changes)))
        return dump(ledger, "jobs"), dump(ledger, "attempts")


def jobs_without_tokens(ledger):
    """The rows of jobs, of which nobody counted tokens."""
    rows = dump(ledger, "jobs")
    assert {(row.pop("input_tokens"), row.pop("output_tokens")) for row in rows} == {(None, None)}
    return rows


OLD_LIVES = {
    "a": (E.INTENDED, E.ACKED),
    "b": (),
    "done": (E.INTENDED, E.ACKED, E.FINISHED, E.SAVED),
    "lost": (E.INTENDED, E.ACKED, E.GIVEN_UP),
    "unknown": (E.INTENDED, E.UNCLEAR, E.SET_ASIDE),
}
FORGET_3 = ("DROP TABLE inputs", "DROP TABLE uploads")


def make_version_2(path):
    """The same as schema 2 had it."""
    return make_older(path, 2, *FORGET_3)


def make_version_1(path):
    """The same as schema 1 had it."""
    indexes = ("jobs_by_state", "jobs_pending_by_model", "jobs_unpriced")
    drops = (f"DROP INDEX {name}" for name in indexes)
    return make_older(path, 1, *FORGET_3, *drops, INDEXES_OF_1)


OLDER = [make_version_1, make_version_2, make_version_3, make_version_4]


def test_files_of_schema_3_are_verified_before_and_after_they_are_brought_up_to_date(path):
    make_version_3(path)

    def told():
        with closing(ExportQueries(path)) as reader, closing(ResultQueries(path)) as results:
            files = [record.own["verified"] for record in reader.files()]
            jobs = [record.own["verified"] for record in reader.jobs()]
            return files, jobs, [job.verified for job in results.after(0, 9, {JobState.DONE})]

    assert told() == ([True], [None, None, True, None, None], [True])
    with closing(connect(path, create=False)) as database:
        saved_names = database.execute("SELECT name, verified FROM outputs").fetchall()
        assert saved_names == [("done.png", 1)]
    assert told() == ([True], [None, None, True, None, None], [True])


@pytest.mark.parametrize("make", OLDER)
def test_an_older_file_is_brought_up_to_date_with_all_that_it_holds(path, tmp_path, make):
    rows = make(path)
    with closing(connect(tmp_path / "fresh.db", create=True)) as fresh:
        expected = structure(fresh)

    with closing(connect(path, create=False)) as database:
        ledger = Ledger(database)
        assert structure(database) == expected
        assert database.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert (jobs_without_tokens(ledger), dump(ledger, "attempts")) == rows
        assert [job.id for job in ledger.active()] == ["a"]
        assert len(ledger.draw(0, 9)) == 1


@pytest.mark.parametrize("make", OLDER)
def test_a_file_that_was_brought_up_to_date_takes_the_new_ends_and_no_others(path, make):
    make(path)

    with closing(connect(path, create=False)) as database:
        ledger = Ledger(database)
        fetched = live(ledger, load(ledger, "a"), E.FINISHED)
        live(ledger, fetched, E.PUT_OFF)
        live(ledger, load(ledger, "b"), E.INTENDED, E.ACKED, E.REJECTED)
        refused(database, "UPDATE jobs SET state = 'odd'", match="CHECK")
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    with closing(connect(path, create=False)) as database:
        states = dict(database.execute("SELECT id, state FROM jobs").fetchall())
        assert states == {"a": "unfetched", "b": "rejected", "done": "done", "lost": "lost",
                          "unknown": "unknown"}  # fmt: skip


KILLED_ON_THE_WAY_UP = """
import os, signal, sqlite3, sys
from pathlib import Path
from batchgen.store.sqlite.schema import connect

class Mortal(sqlite3.Connection):
    def executescript(self, script):
        done = []
        def count(statement):
            done.append(statement)
            if len(done) == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)
        self.set_trace_callback(count)
        super().executescript(script)
        self.set_trace_callback(None)

make = sqlite3.connect
sqlite3.connect = lambda *args, **kwargs: make(*args, factory=Mortal, **kwargs)
connect(Path(sys.argv[1]), create=False)
"""


def test_a_process_that_dies_on_the_way_up_leaves_the_older_file(path):
    """At whichever statement: the next one begins with all of it, and the same rows."""
    rows = make_version_3(path)
    for killed_at in range(1, 40):
        command = [sys.executable, "-c", KILLED_ON_THE_WAY_UP, str(path), str(killed_at)]
        if subprocess.run(command, check=False, timeout=60).returncode == 0:
            break
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA user_version").fetchone() == (3,), killed_at
            assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)
    assert killed_at > 6, "it dies within the migration"
    with closing(connect(path, create=False)) as database:
        ledger = Ledger(database)
        assert (jobs_without_tokens(ledger), dump(ledger, "attempts")) == rows


def test_a_reader_takes_an_older_file_as_it_is(path):
    make_version_1(path)

    reader = JobQueries(path)
    assert reader.overview(0.0).counts == {
        "submitted": 1, "pending": 1, "done": 1, "lost": 1, "unknown": 1,
    }  # fmt: skip
    reader.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)


def test_another_schema_is_another_version():
    """Whoever changes the schema, or adds a state, has to say what becomes of older files."""
    assert (VERSION, digest_of(SCHEMA)) == (5, "69f715b7b152dcd3")


def test_sets_of_states_are_conditions_in_the_order_of_their_definition():
    assert among({JobState.LOST}) == "state = 'lost'"
    assert among({JobState.LOST, JobState.DONE}, "j.state") == "j.state IN ('done', 'lost')"
    # Both kinds have an `ambiguous`, and the two are equal as texts.
    assert among({AttemptState.AMBIGUOUS}) == "state = 'ambiguous'"


# ------------------------------------------------------------------ what steps cost


@pytest.mark.parametrize(
    ("arguments", "index"),
    [
        ({}, "jobs_pending"),
        ({"but_models": ["flux-max"]}, "jobs_pending"),
        ({"model": "flux-pro"}, "jobs_pending_by_model"),
    ],
    ids=str,
)
def test_a_draw_looks_at_no_more_jobs_than_it_brings(database, arguments, index):
    (searched,) = plans_of(database, lambda ledger: ledger.draw(1, 5, **arguments))
    assert f"USING INDEX {index} " in searched[0]
    assert not any("TEMP B-TREE" in line or "SCAN jobs" in line for line in searched)


def test_active_jobs_are_found_without_the_others(database):
    (searched,) = plans_of(database, lambda ledger: ledger.active())
    assert "SCAN jobs USING INDEX jobs_active" in searched
    assert "SEARCH jobs USING INDEX jobs_by_state (state=?)" in searched
    assert not any(line.startswith("SCAN jobs") and "jobs_active" not in line for line in searched)


def test_counting_needs_an_index_alone(database):
    counting, *_ = plans_of(database, lambda ledger: ledger.totals())
    assert counting == ["SCAN jobs USING COVERING INDEX jobs_by_state"]


def test_what_is_left_to_pay_is_reckoned_from_an_index_alone(database):
    (summing,) = plans_of(database, lambda ledger: ledger.outlook())
    (how,) = summing
    assert how.startswith("SEARCH jobs USING COVERING INDEX jobs_by_state ")


def test_jobs_without_a_price_are_found_without_the_others(database):
    (searched,) = plans_of(database, lambda ledger: ledger.unpriced_models())
    assert searched == ["SCAN jobs USING INDEX jobs_unpriced"]


def plans_of(database, ask):
    """How SQLite goes about every query that a question asks."""
    asked = []
    database.set_trace_callback(asked.append)
    ask(Ledger(database))
    database.set_trace_callback(None)
    return [
        [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {query}")]
        for query in asked
        if query.lstrip().startswith("SELECT")
    ]


LOCKED = """
import fcntl, sys
# Where SQLite keeps its shared locks: 510 bytes behind the two at 1 GiB (its source, os.h).
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)
    except OSError:
        sys.exit(1)
"""


def is_locked(path):
    return subprocess.run([sys.executable, "-c", LOCKED, path], timeout=60, check=False).returncode


def test_a_look_into_the_file_keeps_the_locks_of_a_writer(path):
    """Closing a file lets go of all locks that the process has on it (POSIX)."""
    with closing(connect(path, create=True)) as database:
        database.execute("INSERT INTO notes VALUES ('a', 'b')")
        assert is_locked(path)
        JobQueries(path).close()
        assert is_locked(path)
    assert not is_locked(path)


RECORDS_AND_DIES = """
import os, signal, sys
from pathlib import Path
import anyio
from batchgen.store.sqlite.state import SqliteState
async def record(state):
    await state.record((), {"a": "b"})
with SqliteState(Path(sys.argv[1])) as state:
    anyio.run(record, state)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("looked_at", [False, True])
def test_a_run_that_died_and_lost_its_log_is_not_gone_on_with(path, looked_at):
    """Also when somebody looked at it meanwhile, which lays an empty log."""
    dead = subprocess.run(
        [sys.executable, "-c", RECORDS_AND_DIES, str(path)], check=False, timeout=60
    )
    assert dead.returncode < 0
    log = path.with_name("state.db-wal")
    log.unlink()
    if looked_at:
        JobQueries(path).close()
        log.touch()

    with (
        pytest.raises(StateError, match="is gone, and with it the last records"),
        SqliteState(path),
    ):
        pass


def test_a_run_that_died_having_recorded_nothing_new_is_gone_on_with(path):
    """Its log is empty: of a note that stays as it was SQLite writes no page."""
    with SqliteState(path) as state:
        anyio.run(state.record, (), {"a": "b"})
    dead = subprocess.run(
        [sys.executable, "-c", RECORDS_AND_DIES, str(path)], check=False, timeout=60
    )
    assert dead.returncode < 0
    assert path.with_name("state.db-wal").stat().st_size == 0

    with SqliteState(path) as state:
        assert state.ledger.note("a") == "b"


RECORDS_AND_DIES_AS_IT_CLOSES = RECORDS_AND_DIES.replace(
    "    os.kill", "    state.merge()\n    state.ledger.connection.close()\n    os.kill"
)


def test_a_run_that_died_when_its_log_was_merged_is_gone_on_with(path):
    """SQLite deletes the log as it closes, and the lock is let go of after that."""
    code = [sys.executable, "-c", RECORDS_AND_DIES_AS_IT_CLOSES, str(path)]
    dead = subprocess.run(code, check=False, timeout=60)
    assert dead.returncode < 0
    assert not path.with_name("state.db-wal").exists()

    with SqliteState(path) as state:
        assert state.ledger.note("a") == "b"
        anyio.run(state.record, (), {"a": "c"})
        assert path.with_name("run.lock").read_text().endswith("recording\n")


@pytest.mark.parametrize("first_page", ["written", "lost"])
def test_a_power_cut_in_the_very_first_transaction_is_rolled_back(tmp_path, first_page):
    """The file then holds some pages of the schema, and the journal says that there were none."""
    path = tmp_path / "state.db"
    break_off_at_once(path, first_page)
    with closing(connect(path, create=True)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


@pytest.mark.parametrize("log", ["here", "gone"])
def test_a_power_cut_in_a_checkpoint_takes_the_pages_from_the_log(tmp_path, log):
    """The first page says how large the file is to be; the others need not be there yet."""
    made, path = tmp_path / "made.db", tmp_path / "state.db"
    with closing(connect(made, create=True)) as connection:
        before = made.stat().st_size
        connection.executemany(
            "INSERT INTO notes VALUES (?, ?)", [(str(n), "x" * 3_000) for n in range(100)]
        )
        kept = made.with_name("made.db-wal").read_bytes()
        assert connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()[0] == 0
        path.write_bytes(made.read_bytes()[:before])
    if log == "gone":
        with pytest.raises(StateError, match="damaged"):
            connect(path, create=True)
        return
    path.with_name("state.db-wal").write_bytes(kept)
    with closing(connect(path, create=True)) as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (100,)


def test_a_foreign_file_with_a_journal_of_later_changes_is_still_refused(tmp_path):
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(StateError, match="another program"):
            connect(path, create=True)
