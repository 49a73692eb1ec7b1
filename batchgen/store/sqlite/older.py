"""What a state file does not know of what was done with it: a backup, for instance, that was put
back over a newer one."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping

from batchgen.store.sqlite.queries import JobQueries
from batchgen.store.sqlite.states import is_pending

RECORDED_NOTE = "recorded_at"
"""The note that holds the latest instant of all changes that were recorded, whatever the clock of a
later process says."""
ADOPTED_NOTE = "adopted_at"
"""The note of when facts that the state did not know were taken in the last time."""


class OlderQueries(JobQueries):
    """What is asked before a run may go on from a state."""

    def instant(self, note: str) -> float | None:
        """A note that is an instant."""
        text = self.note(note)
        return None if text is None else float(text)

    def unknown(self, request_ids: Collection[str]) -> set[str]:
        """Those of some request_ids that no attempt has."""
        rows = self._rows(
            "SELECT value FROM json_each(?) WHERE NOT EXISTS "
            "(SELECT 1 FROM attempts WHERE request_id = value)",
            json.dumps(list(request_ids)),
        )
        return {str(row[0]) for row in rows}

    def without_attempt(self, attempts: Mapping[str, int]) -> set[str]:
        """Those of some jobs, by id, whose POST of that number the state does not know."""
        rows = self._rows(
            "SELECT j.id FROM jobs j JOIN json_each(?) told ON told.key = j.id "
            "WHERE j.attempt < told.value",
            json.dumps(dict(attempts)),
        )
        return {str(row[0]) for row in rows}

    def unsent(self, most: int) -> Iterator[tuple[str, str]]:
        """Ids and stems of jobs that wait for their first submit, among the first that wait."""
        rows = self._rows(
            "SELECT id, stem FROM (SELECT id, stem, attempt FROM jobs INDEXED BY jobs_pending "
            f"WHERE {is_pending()} AND listed = 1 ORDER BY key LIMIT ?) WHERE attempt = 0",
            most,
        )
        return ((str(id_), str(stem)) for id_, stem in rows)

    def last_attempt_at(self) -> float | None:
        """When anything last became of an attempt. Reads all of them."""
        found = self._one("SELECT max(max(intent_at, coalesce(outcome_at, 0))) FROM attempts")
        return None if found is None else float(found)
