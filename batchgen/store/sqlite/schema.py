"""The schema of the state file, which guards the protocol by itself.

Whatever the code above it does: a job cannot have two live attempts, a request_id cannot be written
down twice or changed, an attempt is never deleted, and an ended attempt never lives again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from batchgen.core.jobs.job import IN_FLIGHT, AttemptState, JobState
from batchgen.errors import RUN_DIR, StateError
from batchgen.store.sqlite.faults import typed_errors
from batchgen.store.sqlite.states import among, is_pending, is_under_way, outside, words

APPLICATION_ID = 0x42474E31  # "BGN1"
VERSION = 5
"""Of the schema: 1 had other indexes, so that every draw sorted all pending jobs; 2 knew no input
files; 3 had no jobs to be fetched, no rejected ones, and no files that are kept unverified; 4 had
no names of outputs and counted no tokens."""

_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
CHECKED_BYTES = 64 * 2**20
"""Up to this size the pages of a state file are compared with each other when it is opened."""


_INDEXES_OF_2 = f"""
CREATE INDEX jobs_by_state ON jobs (state, listed, attempt, price_usd);
CREATE INDEX jobs_pending_by_model ON jobs (model, key) WHERE {is_pending()} AND listed = 1;
CREATE INDEX jobs_unpriced ON jobs (model)
  WHERE {is_pending()} AND listed = 1 AND price_usd IS NULL;
"""

_INPUTS_OF_3 = """
CREATE TABLE inputs (
  path TEXT PRIMARY KEY,
  sha256 TEXT NOT NULL,
  size INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  stamp TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX inputs_by_content ON inputs (sha256);
CREATE INDEX inputs_by_size ON inputs (size);

CREATE TABLE uploads (
  sha256 TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  url TEXT NOT NULL CHECK (url <> ''),
  path TEXT NOT NULL,
  uploaded_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER uploads_keep_their_url BEFORE UPDATE ON uploads
BEGIN SELECT RAISE(ABORT, 'an uploaded content keeps its address'); END;
CREATE TRIGGER uploads_are_never_deleted BEFORE DELETE ON uploads
BEGIN SELECT RAISE(ABORT, 'bodies that were sent name it'); END;
"""

VERIFIED_SINCE = 4
"""The version since which a file may be kept unverified."""
_VERIFIED_OF_4 = "verified INTEGER NOT NULL DEFAULT 1 CHECK (verified IN (0, 1))"
TOKENS_SINCE = 5
"""The version since which tokens are counted."""
_LABEL_OF_5 = "label TEXT NOT NULL DEFAULT ''"
_TOKENS_OF_5 = ("input_tokens INTEGER", "output_tokens INTEGER")
HAS_TOKENS = "(input_tokens IS NOT NULL OR output_tokens IS NOT NULL)"
_INDEX_OF_5 = f"""
CREATE INDEX jobs_by_tokens ON jobs (state, input_tokens, output_tokens) WHERE {HAS_TOKENS};
"""
"""Nearly all jobs are of models without tokens: these need not be looked through."""


def _was(state: AttemptState) -> str:
    return among([state], "OLD.state")


def _becomes(*states: AttemptState) -> str:
    return among(states, "NEW.state")


SCHEMA = f"""
CREATE TABLE jobs (
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  model TEXT NOT NULL,
  api TEXT NOT NULL CHECK (api IN ('v1', 'v2')),
  body TEXT NOT NULL,
  stem TEXT NOT NULL,
  price_usd REAL,
  fields TEXT NOT NULL DEFAULT '{{}}',
  fingerprint TEXT NOT NULL,
  listed INTEGER NOT NULL DEFAULT 1 CHECK (listed IN (0, 1)),
  state TEXT NOT NULL DEFAULT {words([JobState.PENDING])} CHECK ({among(JobState)}),
  attempt INTEGER NOT NULL DEFAULT 0,
  billable INTEGER NOT NULL DEFAULT 0,
  request_id TEXT NOT NULL DEFAULT '',
  sent_at REAL NOT NULL DEFAULT 0,
  due_at REAL NOT NULL DEFAULT 0,
  trouble INTEGER NOT NULL DEFAULT 0,
  polls INTEGER NOT NULL DEFAULT 0,
  recoveries INTEGER NOT NULL DEFAULT 0,
  unclear_at REAL NOT NULL DEFAULT 0,
  doubt TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  cost_usd REAL,
  remaining_credits REAL,
  inference_s REAL,
  queue_s REAL,
  total_s REAL,
  seed TEXT,
  changed_at REAL NOT NULL DEFAULT 0, {", ".join(_TOKENS_OF_5)},
  CHECK ({outside(IN_FLIGHT)} OR attempt > 0),
  CHECK ({outside([JobState.SUBMITTED])} OR request_id <> '')
) STRICT;
CREATE INDEX jobs_pending ON jobs (key) WHERE {is_pending()} AND listed = 1;
CREATE INDEX jobs_active ON jobs (key) WHERE {is_under_way()};
{_INDEXES_OF_2}{_INDEX_OF_5}
CREATE TABLE attempts (
  job_key INTEGER NOT NULL REFERENCES jobs (key),
  number INTEGER NOT NULL CHECK (number > 0),
  state TEXT NOT NULL CHECK ({among(AttemptState)}),
  intent_at REAL NOT NULL,
  outcome_at REAL,
  ended_at REAL,
  request_id TEXT UNIQUE,
  reserved_usd REAL,
  cost_usd REAL,
  reason TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (job_key, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX one_live_attempt ON attempts (job_key) WHERE ended_at IS NULL;

CREATE TABLE outputs (
  job_key INTEGER NOT NULL REFERENCES jobs (key),
  idx INTEGER NOT NULL,
  url TEXT NOT NULL DEFAULT '',
  staged TEXT NOT NULL DEFAULT '',
  media_type TEXT NOT NULL DEFAULT '',
  name TEXT UNIQUE,
  size INTEGER,
  sha256 TEXT,
  width INTEGER,
  height INTEGER,
  saved_at REAL, {_VERIFIED_OF_4}, {_LABEL_OF_5},
  PRIMARY KEY (job_key, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
{_INPUTS_OF_3}
CREATE TRIGGER attempts_are_never_deleted BEFORE DELETE ON attempts
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER attempts_keep_their_request_id BEFORE UPDATE OF request_id ON attempts
WHEN OLD.request_id IS NOT NULL AND NEW.request_id IS NOT OLD.request_id
BEGIN SELECT RAISE(ABORT, 'a request_id never changes'); END;
CREATE TRIGGER attempts_do_not_rise_again BEFORE UPDATE OF ended_at ON attempts
WHEN OLD.ended_at IS NOT NULL AND NEW.ended_at IS NOT OLD.ended_at
BEGIN SELECT RAISE(ABORT, 'an ended attempt stays ended'); END;
CREATE TRIGGER attempts_move_forward BEFORE UPDATE OF state ON attempts
WHEN NOT (
  NEW.state = OLD.state
  OR {_was(AttemptState.INTENT)}
  OR {_was(AttemptState.AMBIGUOUS)}
    AND {_becomes(AttemptState.ACKED, AttemptState.ABSENT, AttemptState.ABANDONED)}
  OR {_was(AttemptState.ACKED)} AND OLD.request_id IS NULL AND {_becomes(AttemptState.ABANDONED)}
)
BEGIN SELECT RAISE(ABORT, 'an attempt cannot go back'); END;
"""

_STATES_OF_3 = among(set(JobState) - {JobState.UNFETCHED, JobState.REJECTED})


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_STATES_OF_4 = f"""
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
SET sql = replace(sql, {_quoted(_STATES_OF_3)}, {_quoted(among(JobState))})
WHERE type = 'table' AND name = 'jobs';
PRAGMA writable_schema = RESET;
"""
"""A wider check does not touch the rows of the table, which may be a million: the second procedure
of https://sqlite.org/lang_altertable.html, section 7."""

_MIGRATIONS: Mapping[int, str] = {
    1: f"DROP INDEX jobs_by_state;{_INDEXES_OF_2}",
    2: _INPUTS_OF_3,
    3: f"ALTER TABLE outputs ADD COLUMN {_VERIFIED_OF_4};{_STATES_OF_4}",
    4: f"ALTER TABLE outputs ADD COLUMN {_LABEL_OF_5};"
    + "".join(f"ALTER TABLE jobs ADD COLUMN {column};" for column in _TOKENS_OF_5)
    + _INDEX_OF_5,
}
"""What makes a schema of one version into that of the next."""


def connect(path: Path, *, create: bool) -> sqlite3.Connection:
    """The one writing connection: WAL, `synchronous=FULL`, checked to be ours and of this version.

    Raises `StateError` for a file that is foreign, newer, damaged or missing; such a file is left
    untouched. Raises `DiskError` where the disk refuses.
    """
    if not create and not path.exists():
        raise StateError(f"{path} does not exist: nothing was run here yet")
    check_header(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    try:
        with typed_errors():
            _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def is_begun(path: Path) -> bool:
    """Whether a state file holds a record: it is there, and not broken off before the first one."""
    return path.exists() and path.stat().st_size > 0 and not _is_half_made(path)


def check_header(path: Path) -> None:
    """Refuse a foreign or newer file before SQLite may create anything beside it.

    Raises `StateError`. A file that holds no record yet passes.
    """
    if not is_begun(path):
        return
    # By SQLite itself: were the file opened and closed here, the locks that a connection of this
    # process has on it would be gone, and another program might delete the log under a run.
    uri = f"file:{quote(str(path))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            application_id = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.OperationalError as error:
        raise StateError(
            f"{path} cannot be read: {error}; mend its permissions or choose another ", RUN_DIR
        ) from error
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise StateError(
                f"{path} is not a SQLite file; move it away or choose another ", RUN_DIR
            ) from error
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            return  # a power cut in a checkpoint: opening brings the pages from the log
        raise StateError(_damaged(path, str(error))) from error
    _refuse_foreign(path, application_id, version)


def _refuse_foreign(path: Path, application_id: int, version: int) -> None:
    if application_id != APPLICATION_ID:
        raise StateError(
            f"{path} is the database of another program (application id {application_id:#x}); "
            "choose another ",
            RUN_DIR,
        )
    if version > VERSION:
        raise StateError(
            f"{path} was written by a newer batchgen (schema {version}, this one knows {VERSION}); "
            "upgrade batchgen"
        )


def _is_half_made(path: Path) -> bool:
    """Whether a power cut broke off the very first transaction, which opening will roll back.

    The journal beside it then says that the database had no pages before; until it is rolled back,
    the file may hold any of them, or none. Format: https://sqlite.org/fileformat2.html, section 3.
    """
    journal = path.with_name(f"{path.name}-journal")
    if not journal.exists():
        return False
    with journal.open("rb") as file:
        header = file.read(20)
    return header[:8] == _JOURNAL_MAGIC and header[16:20] == bytes(4)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    try:
        # NORMAL lost acknowledged ids in 28 % of simulated power cuts.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            create_schema(connection)
            version = VERSION
        application_id = connection.execute("PRAGMA application_id").fetchone()[0]
        _refuse_foreign(path, application_id, version)
        if not _looks_whole(connection, path):
            raise StateError(_damaged(path, "its pages do not agree with each other"))
        _migrate(connection, version)
        # Only now: what `check_header` reads must stand in the file itself, not in its WAL.
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError:
        raise  # the disk's, or another program's: nothing is wrong with the file
    except sqlite3.DatabaseError as error:
        raise StateError(_damaged(path, str(error))) from error


def _looks_whole(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the pages agree with each other; a large file is trusted.

    That of a million jobs would be looked at for seconds before anything starts; what is wrong
    with it is found when it is read.
    """
    if path.stat().st_size > CHECKED_BYTES:
        return True
    return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")


def _damaged(path: Path, detail: str) -> str:
    return (
        f"{path} is damaged ({detail}). Keep a copy; `sqlite3 {path} .recover` may save its rows. "
        "Nothing was submitted."
    )


def create_schema(connection: sqlite3.Connection) -> None:
    """Write the schema into an empty database, in one transaction."""
    connection.executescript(
        f"BEGIN IMMEDIATE;{SCHEMA}PRAGMA application_id = {APPLICATION_ID};"
        f"PRAGMA user_version = {VERSION};COMMIT;"
    )


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring an older schema up to this one, all steps in one transaction."""
    if version == VERSION:
        return
    steps = "".join(_MIGRATIONS[step] for step in range(version, VERSION))
    try:
        connection.executescript(f"BEGIN IMMEDIATE;{steps}PRAGMA user_version = {VERSION};COMMIT;")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
