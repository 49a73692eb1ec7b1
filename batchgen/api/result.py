"""What a run hands back: single results, all of them, and a summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.jobs.job import ENDED, PROBLEMS, JobState
from batchgen.core.progress.held_words import HeldModel
from batchgen.errors import Problem
from batchgen.store.sqlite.results import EndedJob, ResultQueries
from batchgen.system.run_directory import RunDirectory

PAGE = 256
"""Results that are read from the state, and held, at once."""


@dataclass(frozen=True, slots=True)
class Result:
    """A job that ended.

    `state` is `done`, `failed`, `lost`, `unfetched`, `rejected` or `unknown`; of all but `done`,
    `reason` says why. `files` are its finished files, empty where they are in a bucket; `addresses`
    are the same as text, with a bucket `s3://…`; `verified` is False where one of them is kept
    although its bytes do not say what it is, or that it is whole. `cost` in USD, over all attempts,
    None where nothing is known of it. `params` as they were sent, `fields` those of its row and
    matrix. Instants in seconds since the epoch; `inference_s`, `queue_s` and `total_s` in seconds,
    as the service said.
    What is not known is None.
    """

    id: str
    model: str
    state: JobState
    files: tuple[Path, ...]
    addresses: tuple[str, ...]
    verified: bool
    cost: float | None
    seed: int | str | None
    params: Mapping[str, Any]
    fields: Mapping[str, Any]
    reason: str
    request_id: str
    attempts: int
    submitted_at: float | None
    ended_at: float | None
    inference_s: float | None
    queue_s: float | None
    total_s: float | None

    @property
    def ok(self) -> bool:
        """Whether its files are here."""
        return self.state is JobState.DONE


def result_of(job: EndedJob, directory: RunDirectory) -> Result:
    """A job of the state as programs see it."""
    remote = directory.bucket is not None
    return Result(
        id=job.id,
        model=job.model,
        state=job.state,
        files=() if remote else tuple(directory.outputs / name for name in job.names),
        addresses=tuple(f"{directory.place.rstrip('/')}/{name}" for name in job.names),
        verified=job.verified,
        cost=job.cost_usd,
        seed=job.seed,
        params=job.params,
        fields=job.fields,
        reason=job.reason,
        request_id=job.request_id,
        attempts=job.attempts,
        submitted_at=job.submitted_at,
        ended_at=job.ended_at,
        inference_s=job.inference_s,
        queue_s=job.queue_s,
        total_s=job.total_s,
    )


class Results:
    """The results of a run in the order of its manifest; read from the state, never held.

    To be iterated over as often as wanted, also while the run works and after it. Raises
    `StateError` where the state file has gone.
    """

    def __init__(self, directory: RunDirectory, states: Iterable[JobState] = ENDED) -> None:
        self._directory = directory
        self._states = frozenset(states)

    def __repr__(self) -> str:
        states = ", ".join(sorted(self._states))
        return f"<Results of {self._directory.path}: {len(self):,} ({states})>"

    def __len__(self) -> int:
        with closing(ResultQueries(self._directory.state)) as reader:
            return reader.count(self._states)

    def __bool__(self) -> bool:
        return len(self) > 0

    def __iter__(self) -> Iterator[Result]:
        key = 0
        while page := self.page(key):
            for job in page:
                yield result_of(job, self._directory)
            key = page[-1].key

    def page(self, after_key: int, before_at: float = float("inf")) -> list[EndedJob]:
        """The next of them above a key of the state that ended before an instant."""
        with closing(ResultQueries(self._directory.state)) as reader:
            return reader.after(after_key, PAGE, self._states, before_at)

    def of(self, keys: Sequence[int]) -> list[Result]:
        """Those of these keys of the state."""
        with closing(ResultQueries(self._directory.state)) as reader:
            return [result_of(job, self._directory) for job in reader.of(keys)]


class Files:
    """The finished files of a run, in the order of its manifest; empty where they are in a bucket.

    To be iterated over as often as wanted.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory

    def __repr__(self) -> str:
        return f"<Files in {self._directory.place}: {len(self):,}>"

    def __len__(self) -> int:
        if self._directory.bucket is not None:
            return 0
        with closing(ResultQueries(self._directory.state)) as reader:
            return reader.file_count()

    def __iter__(self) -> Iterator[Path]:
        for result in Results(self._directory, {JobState.DONE}):
            yield from result.files


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended, and views of what it left.

    `verdict` is `complete`, or `stop` for `reason`, and then it is resumable. `counts` are jobs by
    state, none of them zero, and `held` those on hold; money in USD, that of earlier runs included.
    `exit_code` is that of `batchgen run`. `notices` are warnings about the manifest.
    """

    run: Path
    verdict: str
    reason: str
    exit_code: ExitCode
    counts: Mapping[str, int]
    spent_usd: float
    outputs: str
    notices: tuple[Problem, ...] = ()
    held: tuple[HeldModel, ...] = ()
    """Models that take no jobs: how many of theirs are on hold, why, and what to do."""
    directory: RunDirectory = field(default=RunDirectory(Path()), repr=False)
    """Where all that stands; for batchgen itself."""

    @property
    def ok(self) -> bool:
        """Whether every job completed."""
        return self.exit_code is ExitCode.COMPLETED

    @property
    def results(self) -> Results:
        """All jobs that ended, those of earlier runs included."""
        return Results(self.directory)

    @property
    def failures(self) -> Results:
        """The jobs that failed, are lost or need a decision, with their reasons."""
        return Results(self.directory, PROBLEMS)

    @property
    def files(self) -> Files:
        """The finished files."""
        return Files(self.directory)
