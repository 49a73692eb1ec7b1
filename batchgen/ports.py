"""The doors between the runner and the world, and their doubles in `batchgen.testing`.

Every method is safe to cancel unless it says otherwise. Instants are seconds since the epoch on
the clock of the run, which never steps (see `Clock`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from batchgen.core.dataset.columns import Record
from batchgen.core.dataset.export import Finished
from batchgen.core.jobs.capabilities import Capabilities
from batchgen.core.jobs.events import Change, Event, Reading
from batchgen.core.jobs.job import Job, Outlook, Output, SavedFile, Totals
from batchgen.core.jobs.outcomes import CallKind, Response
from batchgen.core.jobs.placeholders import Content, Uploaded
from batchgen.core.jobs.spec import InputFile, ModelKind
from batchgen.core.net.http import Answer, Call, CallOutcome
from batchgen.core.reconciliation.history import HistoryRead, HistoryRow, OwnRequest
from batchgen.errors import BatchgenError


class Clock(Protocol):
    """The one source of time: the wall clock at start, carried on by a clock that never steps."""

    def now(self) -> float:
        """Seconds since the epoch; never goes back within a process, counts through suspends."""
        ...

    async def sleep_until(self, at: float) -> None:
        """Return once `now() >= at`."""
        ...


class Api(Protocol):
    """The service's HTTP interface. It sends; what answers mean is decided by the `Provider`."""

    async def call(self, call: Call) -> Answer:
        """Send one call, once: no retry, no redirect followed.

        Raises `TransportError` when no whole answer came, saying how far the call got.
        """
        ...


class Provider(Protocol):
    """What a service is asked, and what its answers mean: pure, without I/O and memory.

    `…_call` builds the one call of its name. `read_…` takes the outcome of that call (an `Answer`
    or a `TransportError`) and the instant it was known.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What the scheduler has to know about the service."""
        ...

    def submit_call(self, job: Job) -> Call:
        """The POST of a job: the only call that costs."""
        ...

    def status_call(self, request_id: str) -> Call:
        """The GET of a request's state."""
        ...

    def result_call(self, request_id: str) -> Call:
        """The GET of a request's final body."""
        ...

    def record_call(self, request_id: str) -> Call:
        """The GET of one row of the account's history, of any age."""
        ...

    def history_call(self, read: HistoryRead, now: float) -> Call:
        """The GET of the next page of a read of the account's history."""
        ...

    def upload_call(self, media_type: str, encoded: str) -> Call:
        """The POST of an input file, `encoded` as base64."""
        ...

    def credits_call(self) -> Call:
        """A free call that needs the key: what the account holds."""
        ...

    def read_submit(
        self, job: Job, outcome: CallOutcome, now: float, *, kind: ModelKind = ModelKind.UNKNOWN
    ) -> Reading:
        """What became of a POST. Of a model that makes media a result has some."""
        ...

    def read_status(self, job: Job, outcome: CallOutcome, now: float) -> Event:
        """What a poll says."""
        ...

    def read_result(
        self, job: Job, outcome: CallOutcome, now: float, *, kind: ModelKind = ModelKind.UNKNOWN
    ) -> Reading:
        """Outputs and receipt, or that there are none yet, or none at all.

        Of a model that makes media only media are outputs.
        """
        ...

    def read_record(self, job: Job, outcome: CallOutcome, now: float) -> Event:
        """What the history says about a request of ours."""
        ...

    def read_confirmation(
        self, job: Job, request_id: str, outcome: CallOutcome, now: float
    ) -> Event | None:
        """Whether a row of the history is this job's, asked by its id; None when it is not."""
        ...

    def read_upload(self, outcome: CallOutcome, now: float) -> tuple[Response, str]:
        """What came of an upload, and the address of the content; empty where there is none."""
        ...

    def read_history(self, answer: Answer) -> Sequence[HistoryRow] | None:
        """The rows of a page; None when there is no list in it."""
        ...

    def read_credits(self, body: dict[str, Any]) -> float | None:
        """What the account holds, in USD; None when the answer does not say."""
        ...

    def read_response(self, call: CallKind, outcome: CallOutcome, now: float) -> Response:
        """What came of a call that is about no job."""
        ...


class SaveFault(StrEnum):
    """Why an output could not be saved."""

    TRANSIENT = "transient"
    """The network or the CDN faltered: the same download may succeed later."""
    GONE = "gone"
    """404, 410 or 403 at the CDN: this URL brings nothing any more."""
    BAD_CONTENT = "bad content"
    """What arrived is not a whole file of a known kind (an error page, a truncated picture)."""
    FORBIDDEN_URL = "forbidden url"
    """The URL is not one that may be fetched: not http(s), or not a public address."""
    TOO_LARGE = "too large"
    """It outgrew the cap on the size of an output."""
    DISK_FULL = "disk full"
    """No space, quota or inodes left."""
    TOO_MANY_FILES = "too many open files"
    """The process ran out of file descriptors."""
    DISK_BROKEN = "disk broken"
    """Read-only file system or an I/O error: nothing may be stored any more."""
    STORE_AWAY = "store away"
    """The object store of the outputs does not answer, or refuses: the file waits at home."""
    REFUSED = "refused"
    """The place of the outputs takes no file of this name, and never will."""


class SaveError(BatchgenError):
    """An output was not saved; nothing stands under its final name."""

    def __init__(self, fault: SaveFault, detail: str, host: str = "") -> None:
        """`host` is that of the address that failed; empty where no host is at fault."""
        self.fault = fault
        self.detail = detail
        self.host = host
        super().__init__(f"{fault}: {detail}")


@dataclass(frozen=True, slots=True)
class SaveOrder:
    """One output to be brought home: where from, and its final path without extension.

    `owner` names its job in staging file names (unique per job, a safe file name).
    """

    owner: str
    stem: str
    output: Output


class Outputs(Protocol):
    """The place where finished files live. The world's faults come as `SaveError`."""

    async def stage(self, owner: str, index: int, data: bytes) -> str:
        """Write bytes durably into staging; returns the name by which `save` takes them up."""
        ...

    async def save(self, order: SaveOrder) -> SavedFile:
        """Download or take up the output, check it, and give it its final name, durably.

        Idempotent: an equal file already standing under the name is taken as saved. A different
        file there is never replaced; another free name is taken and returned.
        """
        ...

    async def keep_answer(self, stem: str, data: bytes) -> None:
        """Write an answer that brought no files below `rejected/` of the run, for whoever looks.

        An equal file of that name is taken as kept; a different one stays beside it.
        """
        ...

    async def takes_files(self) -> bool:
        """Whether another file can be stored there, found out by storing one."""
        ...


class InputLostError(BatchgenError):
    """A local file does not hold any more what it held when it was looked at."""


class Inputs(Protocol):
    """The local files that parameters name."""

    async def encoded(self, file: InputFile) -> str:
        """The whole content of a file as base64. Raises `InputLostError`."""
        ...


class NoInputs:
    """Where there are no local files."""

    async def encoded(self, file: InputFile) -> str:
        """Always raises `InputLostError`."""
        raise InputLostError(f"{file.path} cannot be read here")


class DuplicateRequestIdError(BatchgenError):
    """The service gave a request_id that another attempt already has: it proves nothing."""

    def __init__(self, job_key: int, request_id: str) -> None:
        self.job_key = job_key
        self.request_id = request_id
        super().__init__(f"request_id {request_id!r} was given twice")


class JobStore(Protocol):
    """The record that is the truth. One owner; every `record` is one durable transaction."""

    async def record(
        self,
        changes: Sequence[Change],
        notes: Mapping[str, str] | None = None,
        uploaded: Sequence[Uploaded] = (),
    ) -> None:
        """Write changes, notes and uploads, all or nothing; durable when it returns.

        Of a content that is at the service already, the address that was recorded first stays.
        A cancelled call may still have been written. Raises `DiskError` when it cannot be
        (`DiskFullError` when even the reserve did not help), and
        `DuplicateRequestIdError` (nothing written) for a request_id that another attempt has.
        """
        ...

    async def draw(
        self,
        after_key: int,
        limit: int,
        *,
        model: str | None = None,
        but_models: Collection[str] = (),
    ) -> list[Job]:
        """Up to `limit` pending jobs with keys above `after_key`, in the order of their keys.

        With `model`, of that model only; with `but_models`, of none of these.
        """
        ...

    async def active(self) -> list[Job]:
        """Every job that is neither pending nor ended, or whose files are to be fetched.

        Outputs and receipt are included.
        """
        ...

    async def note(self, name: str) -> str | None:
        """A note recorded earlier (rate log, learned latencies, …), or None."""
        ...

    async def requests(self, request_ids: Sequence[str]) -> Mapping[str, OwnRequest]:
        """Which of these request_ids are in the ledger, with what was sent and when."""
        ...

    async def last_accepted(self, until: float, within_s: float) -> Sequence[tuple[float, str]]:
        """The last submits before `until` that got an id: when each was sent, and the id.

        `within_s` counts back from the latest of them. Reads all attempts.
        """
        ...

    async def input_files(self, content: Content) -> Sequence[InputFile]:
        """Some local files that held a content when they were looked at."""
        ...

    async def has_room(self) -> bool:
        """Whether the record can grow without its reserve; lays the reserve anew if it was spent.

        A reserve is kept on the disk so that what a POST brought home can be recorded even when
        somebody else has filled the disk meanwhile.
        """
        ...

    async def outlook(self) -> Outlook:
        """What the pending jobs are reckoned to cost. Reads all of them."""
        ...

    async def totals(self) -> Totals:
        """Counts and money over all jobs, exact at the last record."""
        ...


class Progress(Protocol):
    """Whoever watches a run. Never raises, never blocks; called after the record is durable."""

    def changed(self, changes: Iterable[Change]) -> None:
        """Jobs moved."""
        ...

    def said(self, name: str, text: str, fields: Mapping[str, object]) -> None:
        """Something worth a line: a gate opened or closed, a warning. `name` is stable."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything of the world the runner uses."""

    api: Api
    provider: Provider
    state: JobStore
    outputs: Outputs
    clock: Clock
    progress: Progress
    inputs: Inputs = field(default_factory=NoInputs)


class OutputFiles(Protocol):
    """The finished files of a run, to be read. Names are those of the state."""

    def local(self, name: str) -> Path | None:
        """The file on a disk here, for whoever can link or send it; None in a bucket."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file. Raises `FileNotFoundError`, `OSError`; and `StoreError` of a bucket."""
        ...


class RecordSet(Protocol):
    """Records of a state, read anew each time they are iterated over; never held."""

    def __iter__(self) -> Iterator[Record]:
        """One record a file, job or attempt, in the order of the manifest. Raises `StateError`."""
        ...

    def only(self, id_glob: str, model_glob: str) -> RecordSet:
        """Those of such ids and models: globs with `*`, `?`, `[a-z]`."""
        ...


class RecordReader(Protocol):
    """What exports read of a state. Raises `StateError` where it is damaged."""

    def files(self) -> RecordSet:
        """One record a finished file."""
        ...

    def jobs(self) -> RecordSet:
        """One record a job, in any state."""
        ...

    def attempts(self) -> RecordSet:
        """One record a POST."""
        ...

    def finished(self) -> Finished:
        """How much is finished: it changes whenever a file comes or goes."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Inside, all reads see the state of one instant."""
        ...


class KnownFiles(Protocol):
    """What a state knows of input files that were seen before."""

    def of(self, path: str) -> InputFile | None:
        """What was seen at a path the last time."""
        ...

    def has_size(self, size: int) -> bool:
        """Whether any file of so many bytes was seen."""
        ...

    def is_uploaded(self, sha256: str) -> bool:
        """Whether a content stands at the service."""
        ...

    def close(self) -> None:
        """Let the state go."""
        ...
