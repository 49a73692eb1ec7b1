"""The synchronous ledger: every write of the state file, one transaction a call."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from batchgen.core.jobs.events import Change, EventKind
from batchgen.core.jobs.job import COMING_HOME, AttemptState, Job, JobState, Outlook, Totals
from batchgen.core.jobs.placeholders import Content, Uploaded
from batchgen.core.jobs.spec import InputFile
from batchgen.core.reconciliation.history import OwnRequest
from batchgen.core.scheduling.gates.holds import HELD_NOTE, HeldJobs, holds_of
from batchgen.errors import InternalError
from batchgen.ports import DuplicateRequestIdError
from batchgen.store.sqlite.faults import typed_errors
from batchgen.store.sqlite.inputs import files_of_content, placed_body, placed_job, write_uploads
from batchgen.store.sqlite.rows import JOB_COLUMNS, job_of, outputs_of, pending_of
from batchgen.store.sqlite.states import among, is_free, is_pending, is_under_way

_UPDATE_JOB = """
UPDATE jobs SET state = ?, attempt = ?, billable = ?, request_id = ?, sent_at = ?, due_at = ?,
  trouble = ?, polls = ?, recoveries = ?, unclear_at = ?, doubt = ?, reason = ?,
  cost_usd = ?, remaining_credits = ?,
  inference_s = ?, queue_s = ?, total_s = ?, seed = ?, input_tokens = ?, output_tokens = ?,
  changed_at = ?
WHERE key = ? AND state = ?
"""

_IDS_A_QUERY = 500
"""Below SQLite's smallest limit of bound variables."""

_FREE = frozenset({AttemptState.REJECTED, AttemptState.ABSENT})
_FAILED = frozenset({EventKind.FAILED, EventKind.TRIED_AGAIN})
_PERHAPS_BILLED = frozenset(AttemptState) - _FREE

_STANDING = f"""
FROM attempts a JOIN jobs j ON j.key = a.job_key
WHERE a.cost_usd IS NULL AND {among(_PERHAPS_BILLED, "a.state")}
AND NOT ({is_free("j.state")} AND a.number = j.attempt
  AND coalesce(a.ended_at, j.changed_at) >= j.changed_at)
"""
"""Attempts that may be billed, nobody knows how much. What failed is free; but not an earlier
attempt of a job that failed before its next one."""

_LAST_ACCEPTED = f"""
WITH accepted AS (SELECT intent_at, request_id FROM attempts
  WHERE {among([AttemptState.ACKED])} AND request_id IS NOT NULL AND intent_at <= ?)
SELECT intent_at, request_id FROM accepted
WHERE intent_at >= (SELECT max(intent_at) FROM accepted) - ? ORDER BY intent_at
"""


class Ledger:
    """Reads and writes of one open state file. Not safe for use by two threads at once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """`BEGIN IMMEDIATE` to `COMMIT`; rolled back on any error.

        Raises `DiskError` for a full or broken disk and for a damaged file.
        """
        connection = self.connection
        with typed_errors():
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            # Of a file too damaged even for this, the error that led here is the one to be told.
            with suppress(sqlite3.DatabaseError):
                self.connection.execute("ROLLBACK")

    def record(
        self,
        changes: Sequence[Change],
        notes: Mapping[str, str] | None = None,
        uploaded: Sequence[Uploaded] = (),
    ) -> None:
        """Write changes, notes and uploads, all or nothing."""
        with self.transaction() as connection:
            write_uploads(connection, uploaded)
            for change in changes:
                self.write_change(connection, change)
            if notes:
                self.write_notes(connection, notes)

    def write_notes(self, connection: sqlite3.Connection, notes: Mapping[str, str]) -> None:
        """Notes inside a transaction of the caller."""
        connection.executemany(
            "INSERT INTO notes VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            list(notes.items()),
        )

    def write_change(self, connection: sqlite3.Connection, change: Change) -> None:
        """One change inside a transaction of the caller."""
        # The attempt first: its unique index must speak before the job claims anything.
        if change.event.kind is EventKind.INTENDED:
            self._insert_attempt(connection, change)
        elif change.before.attempt and change.before.state is not JobState.PENDING:
            self._update_attempt(connection, change)
        self._update_job(connection, change)
        if (change.answer and change.answer.outputs) or change.event.kind is EventKind.INTENDED:
            # With the intent those of the attempt before go: a restart would save them as new.
            self._replace_outputs(connection, change.after)
        if change.files:
            self._save_files(connection, change)

    def _update_job(self, connection: sqlite3.Connection, change: Change) -> None:
        job, receipt = change.after, change.after.receipt
        updated = connection.execute(
            _UPDATE_JOB,
            (
                job.state, job.attempt, job.billable, job.request_id, job.sent_at, job.due_at,
                job.trouble, job.polls, job.recoveries, job.unclear_at, job.doubt,
                job.reason, receipt.cost_usd,
                receipt.remaining_credits, receipt.inference_s, receipt.queue_s, receipt.total_s,
                None if receipt.seed is None else str(receipt.seed), receipt.input_tokens,
                receipt.output_tokens, change.event.at,
                job.key, change.before.state,
            ),
        )  # fmt: skip
        if updated.rowcount != 1:
            raise InternalError(
                f"the state does not hold job {job.id!r} as {change.before.state}: "
                f"{change.event.kind} cannot be recorded"
            )

    def _insert_attempt(self, connection: sqlite3.Connection, change: Change) -> None:
        job = change.after
        connection.execute(
            "INSERT INTO attempts (job_key, number, state, intent_at, reserved_usd) "
            "VALUES (?, ?, ?, ?, ?)",
            (job.key, job.attempt, AttemptState.INTENT, change.event.at, job.price_usd),
        )

    def _update_attempt(self, connection: sqlite3.Connection, change: Change) -> None:
        event, job = change.event, change.after
        state = change.attempt_state
        answer = change.answer
        told = answer is not None and answer.receipt is not None
        if state is None and not change.attempt_ended and not told:
            return
        request_id = answer.request_id if answer else ""
        try:
            connection.execute(
                "UPDATE attempts SET state = coalesce(?, state), "
                "outcome_at = CASE WHEN ? THEN ? ELSE outcome_at END, "
                "ended_at = CASE WHEN ? THEN coalesce(ended_at, ?) ELSE ended_at END, "
                "request_id = coalesce(request_id, nullif(?, '')), "
                "cost_usd = coalesce(?, cost_usd), "
                "reason = CASE WHEN ? <> '' THEN ? ELSE reason END "
                "WHERE job_key = ? AND number = ?",
                (
                    state, state is not None, event.at, change.attempt_ended, event.at,
                    request_id, _settled(change), event.reason, event.reason,
                    job.key, change.before.attempt,
                ),
            )  # fmt: skip
        except sqlite3.IntegrityError as error:
            if _is_taken(connection, request_id):
                raise DuplicateRequestIdError(job.key, request_id) from error
            raise

    def _replace_outputs(self, connection: sqlite3.Connection, job: Job) -> None:
        connection.execute("DELETE FROM outputs WHERE job_key = ?", (job.key,))
        connection.executemany(
            "INSERT INTO outputs (job_key, idx, url, staged, media_type, label) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [(job.key, o.index, o.url, o.staged, o.media_type, o.label) for o in job.outputs],
        )

    def _save_files(self, connection: sqlite3.Connection, change: Change) -> None:
        connection.executemany(
            "UPDATE outputs SET name = ?, size = ?, sha256 = ?, media_type = ?, width = ?, "
            "height = ?, verified = ?, saved_at = ? WHERE job_key = ? AND idx = ?",
            [
                (
                    file.name, file.size, file.sha256, file.media_type, file.width, file.height,
                    file.verified, change.event.at, change.after.key, file.index,
                )
                for file in change.files
            ],
        )  # fmt: skip

    def draw(
        self,
        after_key: int,
        limit: int,
        *,
        model: str | None = None,
        but_models: Collection[str] = (),
    ) -> list[Job]:
        """Pending jobs of the manifest above a key, in the order of their keys.

        Of one `model` only, or of all `but_models`.
        """
        index, condition, values = pending_of(model, but_models)
        # The index by name: SQLite would rather take one by state, and sort all pending jobs.
        rows = self.connection.execute(
            f"SELECT {JOB_COLUMNS} FROM jobs INDEXED BY {index} "
            f"WHERE {is_pending()} AND listed = 1 AND key > ? {condition} ORDER BY key LIMIT ?",
            (after_key, *values, limit),
        )
        return [placed_job(self.connection, job_of(row)) for row in rows]

    def active(self) -> list[Job]:
        """Every job that is neither pending nor ended, and those whose files are to be fetched."""
        rows = self.connection.execute(
            f"SELECT {JOB_COLUMNS} FROM jobs INDEXED BY jobs_active WHERE {is_under_way()} "
            f"UNION ALL SELECT {JOB_COLUMNS} FROM jobs INDEXED BY jobs_by_state "
            f"WHERE {among([JobState.UNFETCHED])} ORDER BY 1"
        ).fetchall()
        jobs = [job_of(row, outputs_of(self.connection, row[0])) for row in rows]
        return [placed_job(self.connection, job) for job in jobs]

    def input_files(self, content: Content) -> list[InputFile]:
        """Some local files that held a content when they were looked at."""
        return files_of_content(self.connection, content)

    def note(self, name: str) -> str | None:
        """A note, or None."""
        row = self.connection.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def requests(self, request_ids: Sequence[str]) -> dict[str, OwnRequest]:
        """Which of these ids are in the ledger, with what was sent and when."""
        found: dict[str, OwnRequest] = {}
        for start in range(0, len(request_ids), _IDS_A_QUERY):
            some = request_ids[start : start + _IDS_A_QUERY]
            marks = ", ".join("?" * len(some))
            rows = self.connection.execute(
                "SELECT a.request_id, j.model, j.body, a.intent_at FROM attempts a "
                f"JOIN jobs j ON j.key = a.job_key WHERE a.request_id IN ({marks})",
                list(some),
            )
            for id_, model, body, sent_at in rows:
                sent = placed_body(self.connection, body)
                found[str(id_)] = OwnRequest(model, sent, sent_at)
        return found

    def last_accepted(self, until: float, within_s: float) -> list[tuple[float, str]]:
        """See `JobStore.last_accepted`."""
        rows = self.connection.execute(_LAST_ACCEPTED, (until, within_s))
        return [(float(sent_at), str(id_)) for sent_at, id_ in rows]

    def staged_names(self) -> set[str]:
        """Staged files that jobs under way still count on."""
        rows = self.connection.execute(
            "SELECT o.staged FROM outputs o JOIN jobs j ON j.key = o.job_key "
            f"WHERE o.staged <> '' AND {among(COMING_HOME, 'j.state')}"
        )
        return {str(row[0]) for row in rows}

    def unpriced_models(self) -> list[str]:
        """Models of pending jobs without a price."""
        rows = self.connection.execute(
            "SELECT DISTINCT model FROM jobs INDEXED BY jobs_unpriced "
            f"WHERE {is_pending()} AND listed = 1 AND price_usd IS NULL ORDER BY model LIMIT 20"
        )
        return [str(row[0]) for row in rows]

    def outlook(self) -> Outlook:
        """What the pending jobs are reckoned to cost."""
        # From the index alone: the jobs themselves may be half a gigabyte.
        row = self.connection.execute(
            "SELECT coalesce(sum(price_usd), 0), count(*) - count(price_usd) FROM jobs "
            f"INDEXED BY jobs_by_state WHERE {is_pending()} AND listed = 1"
        ).fetchone()
        return Outlook(*row)

    def held(self) -> list[HeldJobs]:
        """The models whose jobs are on hold, and how many each has; none without any."""
        query = f"SELECT count(*) FROM jobs WHERE {is_pending()} AND listed = 1 AND model = ?"
        found = []
        for model, hold in sorted(holds_of(self.note(HELD_NOTE)).items()):
            (count,) = self.connection.execute(query, (model,)).fetchone()
            found += [HeldJobs(model, hold, count)] if count else []
        return found

    def totals(self) -> Totals:
        """Counts by state, and money."""
        counts = self.connection.execute(
            "SELECT state, count(*) FROM jobs WHERE listed = 1 OR attempt > 0 GROUP BY state"
        )
        settled = self.connection.execute(
            "SELECT coalesce(sum(cost_usd), 0) FROM attempts"
        ).fetchone()[0]
        reserved, unpriced_count = self.connection.execute(
            "SELECT coalesce(sum(a.reserved_usd), 0), count(*) - count(a.reserved_usd)" + _STANDING
        ).fetchone()
        unpriced = self._unpriced() if unpriced_count else {}
        return Totals(
            {str(state): int(count) for state, count in counts}, settled, reserved, unpriced
        )

    def _unpriced(self) -> dict[str, int]:
        """How many attempts may be billed of which not even a price is known, by model."""
        rows = self.connection.execute(
            f"SELECT j.model, count(*) {_STANDING} AND a.reserved_usd IS NULL GROUP BY j.model"
        )
        return {str(model): int(count) for model, count in rows}


def _settled(change: Change) -> float | None:
    """What the attempt turned out to cost: nothing when it failed or was never accepted."""
    if change.attempt_state in _FREE or change.event.kind in _FAILED:
        return 0.0
    receipt = change.answer.receipt if change.answer else None
    if receipt is not None and receipt.cost_usd is not None:
        return receipt.cost_usd
    if change.after.state is JobState.DONE:
        # Completed without a stated cost: the expected price stands for it.
        cost = change.after.receipt.cost_usd
        return change.after.price_usd if cost is None else cost
    return None


def _is_taken(connection: sqlite3.Connection, request_id: str) -> bool:
    """Whether an attempt has this request_id: after a refused update, one that is another's."""
    found = connection.execute("SELECT 1 FROM attempts WHERE request_id = ?", (request_id,))
    return found.fetchone() is not None
