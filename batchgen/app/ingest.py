"""The jobs of a manifest on their way into the state: before a run, or while it works.

What is there already is not brought again. A state that is empty takes the first jobs of a large
manifest at once and the others while the run works; a state that holds jobs of another manifest, or
of this one before it was edited, is brought in line as a whole first.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from anyio import to_thread

from batchgen.app.console import say
from batchgen.app.manifest_file import MAX_PRINTED, ManifestFile, refusal
from batchgen.core.catalog.validation import quoted
from batchgen.core.jobs.spec import InputFile, JobSpec
from batchgen.core.manifest.rows.row import SourceError
from batchgen.core.manifest.validate.review import Reviewer
from batchgen.errors import Problem, UserError
from batchgen.sources.import_note import NAME, ImportNote, note_of, read_note
from batchgen.store.sqlite.importer import (
    Imported,
    JobRow,
    OnChange,
    TakenIdError,
    append_rows,
    has_jobs,
    import_jobs,
    inputs_of,
    row_of,
)
from batchgen.store.sqlite.inputs import KnownInputs
from batchgen.store.sqlite.state import SqliteState

CHUNK = 2_000
"""Jobs that are made, and then written in one transaction, beside a run that works.

A commit of the run waits for one of them at most: some 25 ms.
"""
TURN_S = 0.001
"""So long a thread that makes jobs computes before the loop may."""
CHUNK_CHARACTERS = 8 * 2**20
"""With bodies of so much text together a chunk is full sooner: they are held in memory."""


FEW_FILES = 20
"""So many files of one source are looked at for every chunk; more of them only at the end."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Jobs to be written as rows, and how many of the manifest there are with them."""

    rows: list[JobRow]
    passed_count: int
    inputs: list[InputFile]


class Ingest:
    """Fills one state from one manifest. Use once."""

    def __init__(self, manifest: ManifestFile, state: SqliteState) -> None:
        self._manifest = manifest
        self._state = state
        self._files = manifest.files
        self._note = note_of(manifest.manifest, manifest.text.catalog, manifest.stamps)
        self._reviewer = Reviewer(manifest.text, most_mistakes=MAX_PRINTED)
        self._jobs: Iterator[JobSpec] = iter(())
        self._passed_count = 0
        self._there_count = 0
        self._told = {(notice.key, notice.remedy) for notice in manifest.notices}
        self.later_notices: list[Problem] = []
        """Warnings about jobs behind the sample."""
        self.under_way = False
        """Whether jobs are missing in the state that `feed` will bring."""

    def begin(self, on_change: OnChange, now: float) -> Imported:
        """Bring what must be there before anything is submitted.

        Raises `UserError`, `DiskError`; nothing was written then.
        """
        try:
            self._refuse_change()
            known = read_note(self._state.ledger.note(NAME))
            if known is not None and self._still_holds(known):
                return self._go_on(known)
            if self._manifest.kept is None and not has_jobs(self._state.ledger):
                return self._begin_empty()
            if self._manifest.kept is None:
                say("the manifest changed: its jobs are compared with the record first …")
            return import_jobs(
                self._state.ledger, self._manifest.jobs(), on_change, now, self._finished
            )
        except SourceError as error:
            raise _unreadable(error) from error
        finally:
            self._manifest.inputs.release()

    def _still_holds(self, known: ImportNote) -> bool:
        """Whether everything that the state was filled from is what there is now."""
        if not self._note.still_holds(known, self._files):
            return False
        inputs, seen = self._manifest.inputs, KnownInputs(self._state.ledger.connection)
        return all(inputs.is_as_before(file, uploaded=there) for file, there in seen.all())

    def _go_on(self, known: ImportNote) -> Imported:
        """The manifest is the one that was read before, to the end or not."""
        if known.complete:
            self._state.ledger.record((), self._note_again(known))
        else:
            self._there_count = known.job_count
            self._start()
        return Imported(unchanged=known.job_count)

    def _note_again(self, known: ImportNote) -> dict[str, str]:
        """A source that was only touched need not be compared again the next time."""
        if known.sources == self._note.sources:
            return {}
        renewed = ImportNote(
            known.text, self._note.sources, known.digests, known.job_count, complete=True
        )
        return dict(renewed.dump())

    def _begin_empty(self) -> Imported:
        self._start()
        chunk = self._next_chunk(with_prices=False)
        if chunk is None:  # the rows went away after the manifest was loaded
            return Imported()
        notes = self._note.at(chunk.passed_count).dump()
        append_rows(self._state.ledger, chunk.rows, notes, chunk.inputs)
        return Imported(new=len(chunk.rows))

    def _start(self) -> None:
        self.under_way = True
        self._jobs = self._reviewer.jobs()

    def _finished(self, job_count: int) -> dict[str, str]:
        """The note of a whole import. Raises `UserError` when a source changed meanwhile."""
        finished = self._note.finished(job_count, self._files)
        # Only now: a digest of what came later must not stand beside the stamps of what was read.
        self._refuse_change(most_files=None)
        return dict(finished.dump())

    async def feed(self, tell: Callable[[int], None], *, with_prices: bool) -> None:
        """Bring the rest, chunk by chunk, while the run works; `tell` hears how many came.

        Raises `UserError` at the first chunk with a job that cannot be, or, `with_prices`, one
        without a price; none of that chunk was written. Raises `DiskError`. What was written stays,
        and a later run goes on from there.
        """
        try:
            await self._bring(tell, with_prices=with_prices)
        finally:
            self._manifest.inputs.release()

    async def _bring(self, tell: Callable[[int], None], *, with_prices: bool) -> None:
        make = partial(self._next_chunk, with_prices=with_prices)
        with _taking_turns(), ThreadPoolExecutor(1) as maker:
            coming = maker.submit(make)
            while chunk := await asyncio.wrap_future(coming):
                coming = maker.submit(make)
                if chunk.rows:
                    await self._append(chunk)
                    tell(len(chunk.rows))
        notes = await to_thread.run_sync(self._conclude)
        await self._state.record((), notes)
        self.under_way = False

    def _next_chunk(self, *, with_prices: bool) -> _Chunk | None:
        """The next jobs as rows, those left out that are there already; None behind the last."""
        try:
            specs = self._next_jobs()
            # First: mistakes in rows that were written over while they were read are none.
            self._refuse_change()
        except SourceError as error:
            raise _unreadable(error) from error
        self._refuse_mistakes()
        if not specs:
            return None
        new = specs[max(0, self._there_count - self._passed_count) :]
        self._passed_count += len(specs)
        if with_prices:
            _refuse_unknown_price(new)
        return _Chunk([row_of(spec) for spec in new], self._passed_count, inputs_of(new))

    def _next_jobs(self) -> list[JobSpec]:
        specs: list[JobSpec] = []
        size = 0
        for spec in self._jobs:
            specs.append(spec)
            size += len(spec.body)
            if len(specs) == CHUNK or size > CHUNK_CHARACTERS:
                break
        return specs

    def _refuse_change(self, most_files: int | None = FEW_FILES) -> None:
        """Rows that changed since they were looked at first. Raises `UserError`, `SourceError`.

        Sources of more than `most_files` are passed over; None is no limit.
        """
        for name, stamp in self._note.sources.items():
            if most_files is not None and stamp.file_count > most_files:
                continue
            if stamp.is_rewritten(self._files.stamp(name)):
                raise UserError(
                    f"{quoted(name)} was changed while its rows were read\n"
                    "    run again once it is as it shall be"
                )

    def _refuse_mistakes(self) -> None:
        problems = self._reviewer.problems()
        if problems:
            raise refusal(problems)

    def _conclude(self) -> dict[str, str]:
        """The last look: faults behind the last job, and names that occur twice."""
        try:
            self._manifest.take_in(self._reviewer)
            notes = self._finished(self._passed_count)
        except SourceError as error:
            raise _unreadable(error) from error
        self.later_notices = [
            notice
            for notice in self._manifest.notices
            if (notice.key, notice.remedy) not in self._told
        ]
        return notes

    async def _append(self, chunk: _Chunk) -> None:
        try:
            notes = self._note.at(chunk.passed_count).dump()
            await self._state.append(chunk.rows, notes, chunk.inputs)
        except TakenIdError as error:
            raise UserError(
                f"{self._manifest.path}: the id {quoted(error.job_id)} is taken by an earlier job\n"
                f"    give every job an id of its own; `batchgen plan {self._manifest.path}` "
                "names both"
            ) from error


@contextmanager
def _taking_turns() -> Iterator[None]:
    """Let threads change more often: beside one that computes, each call of the loop waits."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(usual_s)


def _refuse_unknown_price(specs: list[JobSpec]) -> None:
    unknown = sorted({spec.model for spec in specs if spec.price_usd is None})
    if unknown:
        raise unknown_prices(unknown)


def unknown_prices(models: list[str]) -> UserError:
    """A cap can only be kept over jobs whose price is known."""
    return UserError(
        f"a cap on spending needs a price for every job; none is known for {', '.join(models)}."
        "\n    Set `price:` (USD a job) on these jobs or under `defaults`, or run with "
        "--allow-unknown-price:\n    then one job of each such model goes first, to tell what the "
        "others will cost."
    )


def paid_change(imported: Imported) -> str:
    """What stands in the way of an import, and how to go on."""
    named = imported.paid or imported.busy
    more = imported.paid_count - len(named)
    names = ", ".join(named) + (f" and {more} more" if more else "")
    if imported.busy:
        return (
            f"{imported.paid_count} changed job(s) are still under way: {names}.\n"
            "    Run once with --on-change keep to collect them, then with --on-change rerun."
        )
    return (
        f"{imported.paid_count} job(s) were changed in the manifest after they were submitted: "
        f"{names}.\n    --on-change keep leaves them as they were paid for; --on-change rerun "
        "generates (and pays for) them anew."
    )


def _unreadable(error: SourceError) -> UserError:
    return UserError(f"{error.what}\n    {error.remedy}")
