"""Jobs that ended without files, with all that is needed to ask for them again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from batchgen.core.jobs.placeholders import Content, placed
from batchgen.core.manifest.expansion.input_files import PREFIX
from batchgen.store.sqlite.inputs import files_of_content, placed_body
from batchgen.store.sqlite.reader import StateReader
from batchgen.store.sqlite.states import IS_PROBLEM

_FAILURES = f"""
SELECT id, model, state, reason, request_id, attempt, api, body, fields FROM jobs
WHERE {IS_PROBLEM} ORDER BY key
"""
_NAMES = ("id", "model", "state", "reason", "request_id", "attempts", "api")


class FailureReader(StateReader):
    """A read-only view of a state file. For the thread that made it."""

    def failures(self) -> Iterator[dict[str, Any]]:
        """Each by its id, model, state, reason, request_id, attempts, api, params and fields.

        Files among the params are addresses where they were uploaded, else `file:` and their path.
        """
        with self._told():
            for *values, body, fields in self._connection.execute(_FAILURES):
                yield {
                    **dict(zip(_NAMES, values, strict=True)),
                    "params": json.loads(self._with_files(body)),
                    "fields": json.loads(fields),
                }

    def _with_files(self, body: str) -> str:
        return placed(placed_body(self._connection, body), self._path_of)

    def _path_of(self, content: Content) -> str | None:
        files = files_of_content(self._connection, content)
        return PREFIX + files[0].path if files else None
