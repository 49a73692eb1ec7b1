"""The jobs of a manifest on their way into the state, in tables that last as long as an import."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

_JOBS = """
CREATE TEMP TABLE IF NOT EXISTS incoming (
  place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, model TEXT, api TEXT, body TEXT, stem TEXT,
  price_usd REAL, fields TEXT, fingerprint TEXT
) STRICT
"""
_INPUTS = """
CREATE TEMP TABLE IF NOT EXISTS incoming_inputs (path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID
"""


@contextmanager
def incoming(connection: sqlite3.Connection) -> Iterator[None]:
    """The tables of jobs and of the files they name, empty before and after."""
    for table in (_JOBS, _INPUTS):
        connection.execute(table)
    _empty(connection)
    try:
        yield
    finally:
        _empty(connection)


def _empty(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM incoming")
    connection.execute("DELETE FROM incoming_inputs")
