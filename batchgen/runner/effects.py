"""What each effect does: one call or one file, ending in one event.

Nothing here decides anything: calls and meanings come from the `Provider`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from batchgen.core.common.text import printable
from batchgen.core.common.timestamps import instant_of
from batchgen.core.jobs.events import Event, EventKind, Reading
from batchgen.core.jobs.job import Doubt, Job, Output, SavedFile
from batchgen.core.jobs.outcomes import CallKind, Signal
from batchgen.core.net.http import Answer, Call
from batchgen.core.reconciliation.history import HistoryRead
from batchgen.core.scheduling.effects import Effect, EffectKind
from batchgen.core.scheduling.gates import GateKind
from batchgen.core.scheduling.policy import PATIENCE
from batchgen.core.scheduling.spending import Money
from batchgen.errors import InternalError, TransportError
from batchgen.ports import InputLostError, Ports, SaveError, SaveFault, SaveOrder
from batchgen.runner.outcome import Landed
from batchgen.runner.uploads import UNKNOWN_FILE

DENIAL_PAUSE_S = 10.0
"""Between two questions whether a row is ours: a single 404 may be a glitch."""
MIN_FREE_BYTES = 64 * 2**20
"""The disk gate opens again above this. A guess: some dozens of pictures."""


_HOLDING_FAULTS: Mapping[SaveFault, GateKind | None] = {
    SaveFault.DISK_FULL: GateKind.DISK,
    SaveFault.STORE_AWAY: GateKind.DISK,
    SaveFault.DISK_BROKEN: GateKind.HALT,
    SaveFault.TOO_MANY_FILES: None,
}
"""Faults that are not the output's: the job waits. The gate each closes, if any."""


def gate_of(fault: SaveFault) -> GateKind | None:
    """The gate a storage fault closes, or None."""
    return _HOLDING_FAULTS.get(fault)


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
        self._date = ""
        self._saved: dict[int, dict[int, SavedFile]] = {}

    async def carry_out(self, effect: Effect) -> Landed:
        """Do it; the event it ended in."""
        if effect.job is None:
            return await self._without_job(effect)
        match effect.kind:
            case EffectKind.SUBMIT:
                return await self._submit(effect, effect.job)
            case EffectKind.POLL:
                return await self._poll(effect, effect.job)
            case EffectKind.FETCH:
                return await self._fetch(effect, effect.job)
            case EffectKind.RECOVER:
                outcome = await self._call(self._provider.record_call(effect.job.request_id))
                return Landed(
                    effect, self._provider.read_record(effect.job, outcome, self._clock.now())
                )
            case EffectKind.CONFIRM:
                return await self._confirm(effect, effect.job)
            case EffectKind.SAVE:
                return await self._save(effect, effect.job)
            case _:
                raise InternalError(f"no way to carry out {effect.kind} for a job")

    async def has_space(self) -> bool:
        """Whether outputs and the record have room: asked before submits, and at the disk gate."""
        return await self._outputs.free_bytes() >= MIN_FREE_BYTES and await self._state.has_room()

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
        return answer

    async def _without_job(self, effect: Effect) -> Landed:
        if effect.kind is EffectKind.CHECK_DISK:
            fault = None if await self.has_space() else SaveFault.DISK_FULL
            return Landed(effect, fault=fault)
        if effect.kind is EffectKind.UPLOAD:
            return await self._upload(effect)
        if effect.kind is EffectKind.READ_HISTORY and effect.read is not None:
            return await self._read_history(effect, effect.read)
        outcome = await self._call(self._provider.credits_call())
        word = self._provider.word(CallKind.CREDITS, outcome, self._clock.now())
        if isinstance(outcome, TransportError) or word.signal is not Signal.OK:
            return Landed(effect, word)
        return Landed(effect, word, credits_usd=self._provider.read_credits(outcome.object()))

    async def _upload(self, effect: Effect) -> Landed:
        """Any of the files that held the content, as long as one still does."""
        lost = UNKNOWN_FILE
        for file in effect.files:
            try:
                encoded = await self._inputs.encoded(file)
            except InputLostError as error:
                lost = str(error)
                continue
            outcome = await self._call(self._provider.upload_call(file.media_type, encoded))
            word, url = self._provider.read_upload(outcome, self._clock.now())
            return Landed(effect, word, detail=file.path, url=url)
        return Landed(effect, detail=lost)

    async def _read_history(self, effect: Effect, read: HistoryRead) -> Landed:
        outcome = await self._call(self._provider.history_call(read, self._clock.now()))
        word = self._provider.word(CallKind.HISTORY, outcome, self._clock.now())
        if isinstance(outcome, TransportError) or word.signal is not Signal.OK:
            return Landed(effect, word, detail=word.reason)
        rows = self._provider.read_history(outcome)
        detail = "" if rows is not None else "the history answers without a list"
        return Landed(effect, word, detail=detail, rows=rows)

    async def _confirm(self, effect: Effect, job: Job) -> Landed:
        outcome = await self._call(self._provider.record_call(effect.request_id))
        now = self._clock.now()
        event = self._provider.read_confirmation(job, effect.request_id, outcome, now)
        denied = event is None
        if event is None:
            event = Event(EventKind.HELD, job.key, now, retry_at=now + DENIAL_PAUSE_S)
        return Landed(effect, event, foreign=denied)

    async def _submit(self, effect: Effect, job: Job) -> Landed:
        outcome = await self._call(self._provider.submit_call(job))
        reading = self._provider.read_submit(job, outcome, self._clock.now())
        try:
            return Landed(effect, await self._stage(job, reading))
        except SaveError as error:
            # The answer was paid for and cannot be kept: its id can still be asked of the history.
            event = replace(
                reading.event,
                kind=EventKind.UNCLEAR,
                doubt=Doubt.ACCEPTED,
                outputs=(),
                reason=f"answered, but not stored: {error}",
            )
            return Landed(effect, event, error.fault, error.detail)

    async def _poll(self, effect: Effect, job: Job) -> Landed:
        outcome = await self._call(self._provider.status_call(job.request_id))
        event = self._provider.read_status(job, outcome, self._clock.now())
        if event.kind is EventKind.FINISHED and effect.at_once:
            fetched = await self._fetch(effect, job)
            if fetched.event is not None and fetched.event.kind is EventKind.RESULT:
                return fetched
            # Whatever kept the result away, an effect of its own finds it out again.
        return Landed(effect, event)

    async def _fetch(self, effect: Effect, job: Job) -> Landed:
        outcome = await self._call(self._provider.result_call(job.request_id))
        reading = self._provider.read_result(job, outcome, self._clock.now())
        try:
            return Landed(effect, await self._stage(job, reading))
        except SaveError as error:
            return self._not_saved(effect, job, error)

    async def _stage(self, job: Job, reading: Reading) -> Event:
        """Media that came inside an answer goes to disk before the event is recorded."""
        if not reading.inline:
            return reading.event
        outputs: list[Output] = []
        for output in reading.event.outputs:
            data = reading.inline.get(output.index)
            if data is None:
                outputs.append(output)
                continue
            staged = await self._outputs.stage(owner_of(job), output.index, data)
            outputs.append(replace(output, staged=staged))
        return replace(reading.event, outputs=tuple(outputs))

    async def _save(self, effect: Effect, job: Job) -> Landed:
        # Outputs that were saved before another one failed are not downloaded again.
        saved = self._saved.setdefault(job.key, {})
        try:
            for output in job.outputs:
                if output.index not in saved:
                    order = SaveOrder(owner_of(job), job.file_stem(output), output)
                    saved[output.index] = await self._outputs.save(order)
        except SaveError as error:
            return self._not_saved(effect, job, error)
        del self._saved[job.key]
        files = tuple(saved[output.index] for output in job.outputs)
        return Landed(effect, Event(EventKind.SAVED, job.key, self._clock.now(), files=files))

    def _not_saved(self, effect: Effect, job: Job, error: SaveError) -> Landed:
        now = self._clock.now()
        reason = printable(error.detail or str(error))
        if error.fault in _HOLDING_FAULTS:
            event = Event(EventKind.HELD, job.key, now, reason=reason, retry_at=now + 1.0)
            return Landed(effect, event, error.fault, error.detail)
        kind = _saving_kind(job, error.fault)
        if kind is not EventKind.TROUBLE:
            self._saved.pop(job.key, None)
        return Landed(effect, Event(kind, job.key, now, reason=reason))


def intents_of(effects: Sequence[Effect], money: Money, now: float) -> list[Event]:
    """What must be on disk before the submits among some effects leave."""
    return [
        Event(EventKind.INTENDED, job.key, now, price_usd=money.expected_usd(job))
        for effect in effects
        if effect.kind is EffectKind.SUBMIT and (job := effect.job) is not None
    ]


def _saving_kind(job: Job, fault: SaveFault) -> EventKind:
    """The generation is paid for: the download is retried, then the URL is asked for anew."""
    if fault in {SaveFault.FORBIDDEN_URL, SaveFault.TOO_LARGE, SaveFault.REFUSED}:
        return EventKind.SET_ASIDE
    if job.trouble < PATIENCE:
        return EventKind.TROUBLE
    return EventKind.GONE if job.recoveries == 0 else EventKind.GIVEN_UP


def owner_of(job: Job) -> str:
    """How a job's staged files are named: unique per attempt."""
    return f"{job.key}-{job.attempt}"
