"""What each effect does: one call or one file, ending in one outcome.

Nothing here decides anything: calls and meanings come from the `Provider`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from batchgen.core.common.text import printable
from batchgen.core.common.timestamps import instant_of
from batchgen.core.jobs.backoff import lookup_delay_s
from batchgen.core.jobs.events import (
    AnswerEvent,
    DoubtEvent,
    Event,
    EventKind,
    IntentEvent,
    Reading,
    SavedEvent,
)
from batchgen.core.jobs.job import Doubt, Job, Output, SavedFile
from batchgen.core.jobs.outcomes import CallKind, Signal
from batchgen.core.net.http import Answer, Call
from batchgen.core.reconciliation.history import HistoryRead
from batchgen.core.scheduling.effects import (
    DiskOutcome,
    Effect,
    EffectKind,
    FileTrouble,
    JobOutcome,
    Outcome,
    PageOutcome,
    ProbeOutcome,
    StorageTrouble,
    UploadOutcome,
)
from batchgen.core.scheduling.gates.file_hosts import hosts_of
from batchgen.core.scheduling.gates.gates import GateKind
from batchgen.core.scheduling.policy import PATIENCE
from batchgen.core.scheduling.spending import Money
from batchgen.errors import InternalError, TransportError
from batchgen.ports import (
    DuplicateRequestIdError,
    InputLostError,
    Ports,
    SaveError,
    SaveFault,
    SaveOrder,
)

DENIAL_PAUSE_S = 10.0
"""Between two questions whether a row is ours, at least: a single 404 may be a glitch."""
UNKNOWN_FILE = "no local file is known to hold it any more; run again"

_HOLDING_FAULTS: Mapping[SaveFault, GateKind | None] = {
    SaveFault.DISK_FULL: GateKind.DISK,
    SaveFault.STORE_AWAY: GateKind.DISK,
    SaveFault.DISK_BROKEN: GateKind.STORAGE,
    SaveFault.TOO_MANY_FILES: None,
}
"""Faults that are not the output's: the job waits. The gate each closes, if any."""
_HOST_FAULTS = frozenset({SaveFault.TRANSIENT, SaveFault.GONE, SaveFault.BAD_CONTENT})
"""Faults of a download that a host is at fault for, as far as one can tell."""
_KEPT_AWAY = _HOST_FAULTS | {SaveFault.FORBIDDEN_URL}
"""Faults that keep other files of the same host away as well: a name server or a proxy may put a
private address in its place."""
_FINAL = frozenset({EventKind.RESULT, EventKind.REJECTED})


class Effects:
    """Carries effects out over the ports."""

    def __init__(self, ports: Ports) -> None:
        self._api = ports.api
        self._provider = ports.provider
        self._outputs = ports.outputs
        self._inputs = ports.inputs
        self._clock = ports.clock
        self._state = ports.state
        self.skew_s = 0.0
        self.is_dated = False
        """Whether an answer told the time of the service yet."""
        self._date = ""
        self._saved: dict[int, dict[int, SavedFile]] = {}

    async def carry_out(self, effect: Effect) -> Outcome:
        """Do it; the outcome it ended in."""
        if effect.job is not None:
            return await self._of_job(effect, effect.job)
        match effect.kind:
            case EffectKind.CHECK_DISK:
                return DiskOutcome(await self.has_space())
            case EffectKind.UPLOAD if effect.content is not None:
                return await self._upload(effect, UploadOutcome(effect.content))
            case EffectKind.READ_HISTORY if effect.read is not None:
                return await self._read_history(effect.read)
            case EffectKind.CREDITS | EffectKind.PROBE:
                return await self._ask_credits(effect.kind)
            case _:
                raise InternalError(f"no way to carry out {effect.kind} without a job")

    async def _of_job(self, effect: Effect, job: Job) -> JobOutcome:
        match effect.kind:
            case EffectKind.SUBMIT:
                return await self._submit(effect, job)
            case EffectKind.POLL:
                return await self._poll(effect, job)
            case EffectKind.FETCH:
                return await self._fetch(effect, job)
            case EffectKind.RECOVER:
                outcome = await self._call(self._provider.record_call(job.request_id))
                event = self._provider.read_record(job, outcome, self._clock.now())
                return JobOutcome(job.key, event)
            case EffectKind.CONFIRM:
                return await self._confirm(job, effect.request_id)
            case EffectKind.SAVE:
                return await self._save(job)
            case _:
                raise InternalError(f"no way to carry out {effect.kind} for a job")

    async def has_space(self) -> bool:
        """Whether outputs and the record have room: asked before submits, and at the disk gate."""
        return await self._outputs.takes_files() and await self._state.has_room()

    async def _call(self, call: Call) -> Answer | TransportError:
        try:
            answer = await self._api.call(call)
        except TransportError as error:
            return error
        date = answer.headers.get("date", "")
        if date != self._date:  # whole seconds: the first answer of each tells the most
            self._date = date
            date_at = instant_of(date)
            if date_at is not None:
                self.skew_s = date_at - self._clock.now()
                self.is_dated = True
        return answer

    async def _ask_credits(self, kind: EffectKind) -> ProbeOutcome:
        outcome = await self._call(self._provider.credits_call())
        response = self._provider.read_response(CallKind.CREDITS, outcome, self._clock.now())
        if isinstance(outcome, TransportError) or response.signal is not Signal.OK:
            return ProbeOutcome(kind, response)
        return ProbeOutcome(kind, response, self._provider.read_credits(outcome.object()))

    async def _upload(self, effect: Effect, ended: UploadOutcome) -> UploadOutcome:
        """Any of the files that held the content, as long as one still does."""
        lost = UNKNOWN_FILE
        for file in effect.files:
            try:
                encoded = await self._inputs.encoded(file)
            except InputLostError as error:
                lost = str(error)
                continue
            outcome = await self._call(self._provider.upload_call(file.media_type, encoded))
            response, url = self._provider.read_upload(outcome, self._clock.now())
            return replace(ended, response=response, url=url, path=file.path)
        return replace(ended, lost=lost)

    async def _read_history(self, read: HistoryRead) -> PageOutcome:
        outcome = await self._call(self._provider.history_call(read, self._clock.now()))
        response = self._provider.read_response(CallKind.HISTORY, outcome, self._clock.now())
        if isinstance(outcome, TransportError) or response.signal is not Signal.OK:
            return PageOutcome(response, reason=response.reason)
        rows = self._provider.read_history(outcome)
        return PageOutcome(
            response, rows, "" if rows is not None else "the history answers without a list"
        )

    async def _confirm(self, job: Job, request_id: str) -> JobOutcome:
        outcome = await self._call(self._provider.record_call(request_id))
        now = self._clock.now()
        event = self._provider.read_confirmation(job, request_id, outcome, now)
        if event is not None:
            return JobOutcome(job.key, event)
        pause_s = max(DENIAL_PAUSE_S, lookup_delay_s(now - job.unclear_at))
        held = Event(EventKind.HELD, job.key, now, retry_at=now + pause_s)
        return JobOutcome(job.key, held, denied=True)

    async def _submit(self, effect: Effect, job: Job) -> JobOutcome:
        outcome = await self._call(self._provider.submit_call(job))
        now = self._clock.now()
        reading = self._provider.read_submit(job, outcome, now, kind=effect.makes)
        try:
            return JobOutcome(job.key, await self._stage(job, reading))
        except SaveError as error:
            # The answer was paid for and cannot be kept: its id can still be asked of the history.
            event = _unclear(reading.event, f"answered, but not stored: {error}")
            return JobOutcome(job.key, event, storage_trouble(error))

    async def _poll(self, effect: Effect, job: Job) -> JobOutcome:
        outcome = await self._call(self._provider.status_call(job.request_id))
        event = self._provider.read_status(job, outcome, self._clock.now())
        if event.kind is EventKind.FINISHED and effect.at_once:
            fetched = await self._fetch(effect, job)
            if fetched.event is not None and fetched.event.kind in _FINAL:
                return fetched
            # Whatever kept the result away, an effect of its own finds it out again.
        return JobOutcome(job.key, event)

    async def _fetch(self, effect: Effect, job: Job) -> JobOutcome:
        outcome = await self._call(self._provider.result_call(job.request_id))
        now = self._clock.now()
        reading = self._provider.read_result(job, outcome, now, kind=effect.makes)
        try:
            return JobOutcome(job.key, await self._stage(job, reading))
        except SaveError as error:
            return self._not_saved(job, error)

    async def _stage(self, job: Job, reading: Reading) -> Event:
        """Media that came inside an answer goes to disk before the event is recorded; so does an
        answer that is no use as it is."""
        if reading.kept:
            await self._outputs.keep_answer(job.stem, reading.kept)
        if not reading.inline:
            return reading.event
        event = reading.event
        if not isinstance(event, AnswerEvent):
            raise InternalError(f"{event.kind} brings media, and is no answer")
        outputs: list[Output] = []
        for output in event.outputs:
            data = reading.inline.get(output.index)
            if data is None:
                outputs.append(output)
                continue
            staged = await self._outputs.stage(owner_of(job), output.index, data)
            outputs.append(replace(output, staged=staged))
        return replace(event, outputs=tuple(outputs))

    async def _save(self, job: Job) -> JobOutcome:
        # Outputs that were saved before another one failed are not downloaded again.
        saved = self._saved.setdefault(job.key, {})
        try:
            for output in job.outputs:
                if output.index not in saved:
                    order = SaveOrder(owner_of(job), job.file_stem(output), output)
                    saved[output.index] = await self._outputs.save(order)
        except SaveError as error:
            return self._not_saved(job, error)
        del self._saved[job.key]
        files = tuple(saved[output.index] for output in job.outputs)
        done = SavedEvent(EventKind.SAVED, job.key, self._clock.now(), files=files)
        return JobOutcome(job.key, done)

    def _not_saved(self, job: Job, error: SaveError) -> JobOutcome:
        now = self._clock.now()
        reason = printable(error.detail or str(error))
        if error.fault in _HOLDING_FAULTS:
            event = Event(EventKind.HELD, job.key, now, reason=reason, retry_at=now + 1.0)
            return JobOutcome(job.key, event, storage_trouble(error))
        kind = _saving_kind(job, error.fault)
        if kind is not EventKind.TROUBLE:
            self._saved.pop(job.key, None)
        event = Event(kind, job.key, now, reason=reason)
        return JobOutcome(job.key, event, file=_file_trouble(job, error, reason))


def storage_trouble(error: SaveError) -> StorageTrouble:
    """What a storage fault means for the other jobs."""
    many = error.fault is SaveFault.TOO_MANY_FILES
    return StorageTrouble(_HOLDING_FAULTS.get(error.fault), error.detail, many)


def doubted(event: Event, error: DuplicateRequestIdError) -> Event:
    """An id that another attempt already has is none: what became of the POST stays unclear."""
    if event.job_key != error.job_key:
        return event
    if event.response is not None and event.response.call is CallKind.HISTORY:
        held = Event(EventKind.HELD, event.job_key, event.at, str(error), event.at + 1.0)
        return replace(held, response=event.response)
    bare = replace(event, request_id="") if isinstance(event, AnswerEvent) else event
    return _unclear(bare, str(error))


def _unclear(event: Event, reason: str) -> DoubtEvent:
    """A POST that was answered, and must be looked for in the history all the same."""
    answer = event if isinstance(event, AnswerEvent) else None
    return DoubtEvent(
        EventKind.UNCLEAR,
        event.job_key,
        event.at,
        reason,
        event.retry_at,
        event.response,
        request_id=answer.request_id if answer else "",
        receipt=answer.receipt if answer else None,
        doubt=Doubt.ACCEPTED,
    )


def intents_of(effects: Sequence[Effect], money: Money, now: float) -> list[Event]:
    """What must be on disk before the submits among some effects leave."""
    return [
        IntentEvent(EventKind.INTENDED, job.key, now, price_usd=money.expected_usd(job))
        for effect in effects
        if effect.kind is EffectKind.SUBMIT and (job := effect.job) is not None
    ]


def _saving_kind(job: Job, fault: SaveFault) -> EventKind:
    """The generation is paid for: the download is retried, then the address is asked for anew.

    What this machine may not fetch or keep is left to the next run, which may be allowed to.
    """
    if fault not in _HOST_FAULTS:
        return EventKind.PUT_OFF
    if job.trouble >= PATIENCE * (job.recoveries + 1):
        return EventKind.GONE
    is_sought = job.recoveries > 0 and job.trouble >= PATIENCE
    return EventKind.GIVEN_UP if is_sought and fault is SaveFault.GONE else EventKind.TROUBLE


def _file_trouble(job: Job, error: SaveError, reason: str) -> FileTrouble | None:
    """What a fault says about the host of the files; None for what is no matter of a host."""
    host = error.host or min(hosts_of(job), default="")
    return FileTrouble(host, reason) if host and error.fault in _KEPT_AWAY else None


def owner_of(job: Job) -> str:
    """How a job's staged files are named: unique per attempt."""
    return f"{job.key}-{job.attempt}"
