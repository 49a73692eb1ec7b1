"""Before the first submit: what an older state, or a copy, may not know is looked for.

The account's history is read since the state's last record, and jobs that wait are set aside where
it, or the run directory, tells that they were sent. The history lags: it is read once more when the
settle time is over since somebody else can have sent something.
"""

from __future__ import annotations

from batchgen.app.console import say
from batchgen.app.older_ledger.doubts import LedgerDoubts
from batchgen.core.jobs.events import Change
from batchgen.core.jobs.job import Job, JobState
from batchgen.core.jobs.outcomes import Signal
from batchgen.core.progress.tally import duration
from batchgen.core.reconciliation.history import DAY_S, SKEW_S, SPAN_S, HistoryRead, HistoryRow
from batchgen.core.reconciliation.older_ledger import SentBefore, UnknownRows, held_back
from batchgen.core.scheduling.effects import Effect, EffectKind, PageOutcome, refused_until
from batchgen.core.scheduling.rates.rates import Rates
from batchgen.core.scheduling.rates.window import RateWindow
from batchgen.errors import ADOPT, StoppedEarly
from batchgen.ports import Ports
from batchgen.runner.effects import Effects
from batchgen.system.local_time import local_time
from batchgen.system.whereabouts import Standing

TRIES = 5
"""Fruitless calls in a row, the pauses between them twice as long each: half a minute."""
_REFUSALS = frozenset({Signal.KEY_REFUSED, Signal.FORBIDDEN})
_PAGE = 1_000
_DOUBTFUL = frozenset({JobState.SUBMITTING, JobState.AMBIGUOUS})


class Adoption:
    """Looks for what a state does not know, before a run. `due_at` is when it has to be looked once
    more; None where that was late enough, or is no use."""

    def __init__(self, ports: Ports, doubts: LedgerDoubts, settle_s: float) -> None:
        self._ports = ports
        self._effects = Effects(ports)
        self._rates = Rates(RateWindow(None))
        self._doubts = doubts
        self._settled_at = min(ports.clock.now(), doubts.others_until) + settle_s
        self._nameless: set[HistoryRow] = set()
        """Rows without an id that jobs were set aside for."""
        self.due_at: float | None = self._settled_at

    def reason(self) -> str:
        """Why it has to be looked once more, and when."""
        left_s = self._settled_at - self._ports.clock.now()
        return (
            "what was sent lately, and this state does not know, may not stand there yet; "
            f"that is in {duration(left_s)}, at {local_time(self._settled_at)}"
        )

    async def hold_sent(self, rates: Rates) -> int:
        """Set jobs aside that were sent before; their count. `rates` are used, and recorded.

        Raises `StoppedEarly` where the history cannot be read, and jobs might be paid for twice
        without it.
        """
        self._rates, doubts = rates, self._doubts
        await self._ports.state.record((), doubts.notes())
        read = await self._read_history(self._since_at())
        is_late = read.started_at >= self._settled_at
        self.due_at = None if read.failed or is_late else self._settled_at
        read.nameless -= self._nameless
        if read.failed:
            self._go_on_without(read.failed)
        known = await self._ports.state.requests(list(read.rows))
        doubtful = [job for job in await self._ports.state.active() if job.state in _DOUBTFUL]
        claimed = {sent.request_id for sent in doubts.newer.logged.values()}
        claimed |= {sent.request_id for sent in doubts.newer.listed.values()}
        since_at = self._since_at() + self._effects.skew_s
        rows = UnknownRows.of(read, known.keys() | claimed, doubtful, since_at)
        if rows.tells_nothing and not read.failed:
            self._go_on_without("it does not tell what was sent")
        count = await self._hold(rows) if rows.rows or doubts.newer else 0
        await self._ports.state.record((), {"rate": rates.snapshot(self._ports.clock.now())})
        return count

    def _since_at(self) -> float:
        """The last record. One ahead of now was dated by a clock that was put back since."""
        now, recorded_at = self._ports.clock.now(), self._doubts.recorded_at
        if recorded_at is None or recorded_at > now + SKEW_S:
            return now - SPAN_S + DAY_S
        return recorded_at

    def _go_on_without(self, reason: str) -> None:
        """Whether the history is needed: for a copy that nobody vouched for, or newer facts."""
        doubts = self._doubts
        told = f"the account's history cannot be read: {reason}"
        if doubts.had_newer:
            raise StoppedEarly(
                f"{told}. Without it, jobs that were paid for would be paid for again; nothing was "
                "submitted"
            )
        if doubts.standing is Standing.COPIED and not doubts.adopt:
            raise StoppedEarly(
                f"this state is a copy, and {told}. If another copy was run since, its jobs would "
                "be paid for twice; nothing was submitted. If none was, go on with ",
                ADOPT,
            )
        say(f"note: {told}; jobs that wait are taken for never sent")

    async def _read_history(self, since_at: float) -> HistoryRead:
        clock = self._ports.clock
        read = HistoryRead(clock.now(), since_at)
        if not self._ports.provider.capabilities.has_history:
            read.break_off("the service lists no requests", not_found=False)
        is_dated = False
        while not read.ended:
            outcome = await self._page(read)
            if not is_dated and abs(self._effects.skew_s) > SKEW_S / 4:
                # Only now it is known how the service tells the time.
                read = HistoryRead(clock.now(), since_at + self._effects.skew_s)
                is_dated = True
            elif outcome.rows is not None:
                read.add(outcome.rows)
            else:
                gone = outcome.response is not None and outcome.response.signal is Signal.NOT_FOUND
                read.break_off(outcome.reason, not_found=gone)
        if not read.failed and not read.covers(since_at + self._effects.skew_s):
            read.failed = f"it goes back {SPAN_S / DAY_S:.0f} days, and the last record is older"
        return read

    async def _page(self, read: HistoryRead) -> PageOutcome:
        """One page, within the limits of the run; asked for again where that may help."""
        clock = self._ports.clock
        for number in range(TRIES):
            await self._slot()
            outcome = await self._effects.carry_out(Effect(EffectKind.READ_HISTORY, read=read))
            until = refused_until(outcome)
            self._rates.answered("", clock.now(), submit=False, refused_until=until)
            if not isinstance(outcome, PageOutcome) or outcome.response is None:
                break
            response = outcome.response
            settled = response.signal in _REFUSALS | {Signal.NOT_FOUND}
            if outcome.rows is not None or settled or number == TRIES - 1:
                return outcome
            await clock.sleep_until(max(response.retry_at, clock.now() + 2.0**number))
        return PageOutcome(reason="the page was cut off")

    async def _slot(self) -> None:
        """Wait for a slot of the rate window, and take it durably."""
        clock = self._ports.clock
        while True:
            now = clock.now()
            self._rates.advance(now)
            free_at = self._rates.free_at(now, submit=False)
            if free_at is None or free_at <= now:
                break
            await clock.sleep_until(free_at)
        note = self._rates.note([], now, [""])
        if note is not None:
            await self._ports.state.record((), {"rate": note})
        self._rates.start("", now, submit=False)

    async def _hold(self, rows: UnknownRows) -> int:
        count = after_key = 0
        while jobs := await self._ports.state.draw(after_key, _PAGE):
            after_key = jobs[-1].key
            changes: list[Change] = []
            for job in jobs:
                if sent := self._sent(job, rows):
                    count += 1
                    changes += held_back(job, sent, self._ports.clock.now())
            if changes:
                await self._ports.state.record(changes)
                self._ports.progress.changed(changes)
        return count

    def _sent(self, job: Job, rows: UnknownRows) -> SentBefore | None:
        newer = self._doubts.newer.of(job.id)
        if newer is not None and newer.request_id:
            return newer
        row = rows.take(job)
        if row is None:
            return newer
        if not row.request_id:
            self._nameless.add(row)
        sent_at = self._ports.clock.now()
        if row.created_at is not None:
            sent_at = row.created_at - self._effects.skew_s
        reason = "unknown to this state, and in the account's history since its last record"
        return SentBefore(row.request_id, sent_at, reason)
