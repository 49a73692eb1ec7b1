"""Input files in the state: what was seen of them, and where their contents stand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from batchgen.core.jobs.job import Job
from batchgen.core.jobs.placeholders import MARK, Content, Uploaded, placed
from batchgen.core.jobs.spec import InputFile
from batchgen.store.sqlite.faults import typed_errors

_COLUMNS = "path, size, media_type, sha256, stamp"
_MOST_FILES = 8
"""Of all files of one content, so many are tried."""


def write_uploads(connection: sqlite3.Connection, uploaded: Sequence[Uploaded]) -> None:
    """Contents that stand at the service. A content has one address for good."""
    if uploaded:
        connection.executemany(
            "INSERT INTO uploads (sha256, size, url, path, uploaded_at) VALUES (?, ?, ?, ?, ?)",
            [(u.content.sha256, u.content.size, u.url, u.path, u.at) for u in uploaded],
        )


def uploaded_so_far(connection: sqlite3.Connection) -> tuple[int, int]:
    """Count and bytes of the contents that this run uploaded."""
    return _sums(connection, "SELECT count(*), coalesce(sum(size), 0) FROM uploads")


def still_to_upload(connection: sqlite3.Connection) -> tuple[int, int]:
    """Count and bytes of the contents that jobs name and that are not uploaded: at most these."""
    return _sums(
        connection,
        "SELECT count(*), coalesce(sum(size), 0) FROM (SELECT sha256, max(size) AS size "
        "FROM inputs WHERE sha256 NOT IN (SELECT sha256 FROM uploads) GROUP BY sha256)",
    )


def _sums(connection: sqlite3.Connection, query: str) -> tuple[int, int]:
    with closing(connection.execute(query)) as rows:
        count, total = rows.fetchone()
    return int(count), int(total)


def placed_job(connection: sqlite3.Connection, job: Job) -> Job:
    """A job as it is sent: contents that were uploaded by their addresses."""
    if MARK not in job.body:
        return job
    return replace(job, body=placed_body(connection, job.body))


def placed_body(connection: sqlite3.Connection, body: str) -> str:
    """The same of a body alone."""

    def url_of(content: Content) -> str | None:
        query = "SELECT url FROM uploads WHERE sha256 = ?"
        row = connection.execute(query, (content.sha256,)).fetchone()
        return None if row is None else str(row[0])

    return placed(body, url_of)


def files_of_content(connection: sqlite3.Connection, content: Content) -> list[InputFile]:
    """Some of the files that held a content when they were looked at."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM inputs WHERE sha256 = ? ORDER BY path LIMIT ?",
        (content.sha256, _MOST_FILES),
    )
    return [InputFile(*row) for row in rows]


def write_inputs(connection: sqlite3.Connection, files: Iterable[InputFile]) -> None:
    """What was seen of files, over what was seen of them before."""
    connection.executemany(
        f"INSERT INTO inputs ({_COLUMNS}) VALUES (?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET "
        "size = excluded.size, media_type = excluded.media_type, sha256 = excluded.sha256, "
        "stamp = excluded.stamp",
        ((file.path, file.size, file.media_type, file.sha256, file.stamp) for file in files),
    )


def note_incoming(connection: sqlite3.Connection, files: Sequence[InputFile]) -> None:
    """The same, remembering that the manifest still names them."""
    write_inputs(connection, files)
    connection.executemany(
        "INSERT OR IGNORE INTO incoming_inputs VALUES (?)", [(file.path,) for file in files]
    )


def forget_others(connection: sqlite3.Connection) -> None:
    """Forget files that the manifest names no more. Their uploads stay."""
    connection.execute("DELETE FROM inputs WHERE path NOT IN (SELECT path FROM incoming_inputs)")


class KnownInputs:
    """What a state file knows of input files. Safe while another connection writes it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @typed_errors()
    def of(self, path: str) -> InputFile | None:
        """What was seen at a path the last time."""
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM inputs WHERE path = ?", (path,))
        with closing(rows):
            row = rows.fetchone()
        return None if row is None else InputFile(*row)

    def has_size(self, size: int) -> bool:
        """Whether any file of so many bytes was seen."""
        return self._has("SELECT 1 FROM inputs WHERE size = ? LIMIT 1", size)

    def is_uploaded(self, sha256: str) -> bool:
        """Whether a content stands at the service."""
        return self._has("SELECT 1 FROM uploads WHERE sha256 = ?", sha256)

    def all(self) -> Iterator[tuple[InputFile, bool]]:
        """Every file, and whether its content stands at the service."""
        columns = ", ".join(f"i.{name.strip()}" for name in _COLUMNS.split(","))
        rows = self._connection.execute(
            f"SELECT {columns}, u.sha256 IS NOT NULL FROM inputs i "
            "LEFT JOIN uploads u ON u.sha256 = i.sha256 ORDER BY i.path"
        )
        with typed_errors(), closing(rows):
            for *seen, uploaded in rows:
                yield InputFile(*seen), bool(uploaded)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @typed_errors()
    def _has(self, query: str, value: object) -> bool:
        with closing(self._connection.execute(query, (value,))) as rows:
            return rows.fetchone() is not None


def open_known_inputs(path: Path) -> KnownInputs | None:
    """What a state file knows, opened for reading alone; None where there is nothing to be known.

    Nothing is made beside it: whether its log is there must stay to be seen. What is wrong with it
    is told by whoever opens it to write.
    """
    if not path.exists():
        return None
    log = path.with_name(f"{path.name}-wal")
    options = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    connection = None
    try:
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?{options}",
            uri=True,
            isolation_level=None,
            timeout=10.0,
            check_same_thread=False,  # one thread after the other makes jobs
        )
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'inputs'").fetchone()
    except sqlite3.DatabaseError:
        found = None
    if found is None and connection is not None:
        connection.close()
    return None if found is None or connection is None else KnownInputs(connection)
