"""Gates: reasons outside the jobs to hold effects back. They never move a job.

A gate is closed by what calls report and opened by the same calls: while it is closed, one of them
at a time is let through. How long the run waits at a gate before it stops is `Patience`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from batchgen.core.jobs.backoff import probe_delay_s
from batchgen.core.jobs.outcomes import TABLE, CallKind, Response, Signal, Treatment
from batchgen.core.net.http import Host
from batchgen.core.scheduling.gates.outages import ABOUT_A_REQUEST, FRUITLESS, Outages, is_outage
from batchgen.core.scheduling.gates.refusals import Refusals


class GateKind(StrEnum):
    """Why effects are held back."""

    KEY = "key"
    """The service refuses the API key."""
    CREDITS = "credits"
    """The account is empty or at its spend limit: nothing can be submitted."""
    SPEND_CAP = "spend cap"
    """`max_spend` does not suffice for the next job: nothing is submitted."""
    OUTAGE = "outage"
    """Submits or results are not answered, or only with server errors."""
    HISTORY = "history"
    """The account's history does not answer; holds back nothing by itself."""
    UPLOADS = "uploads"
    """Input files cannot be uploaded; holds back nothing but the jobs that need them."""
    QUOTA = "upload quota"
    """The account's storage takes no more input files; holds back nothing but the jobs that need
    uploads."""
    FILES = "files"
    """A host does not bring the files; holds back the models whose files it holds."""
    DISK = "disk"
    """No space for outputs, or their object store is away."""
    STORAGE = "storage"
    """The place of the outputs is broken: nothing may be stored any more."""
    HALT = "halt"
    """Our bug: nothing is submitted; what is paid for is collected first."""
    TIME = "time"
    """`max_duration` is nearly over: what is paid for is collected, nothing is submitted."""
    OLDER = "older state"
    """What the state does not know may not stand in the account's history yet: nothing is submitted
    until it is read once more."""
    STOP = "stop"
    """The user asked to stop."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a run waits at a gate before it stops and can be resumed, in seconds.

    Guesses, chosen for a night: a service that was never reached is a wrong address or no network,
    one that was reached comes back, and so does a key that worked. Files stand for days.
    """

    outage_s: float = 2 * 3600.0
    first_contact_s: float = 30.0
    disk_s: float = 60.0
    history_s: float = 600.0
    files_s: float = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Gate:
    """One closed gate: since when, why, how often probed in vain, and when to probe next.

    `probed_idle` says that it was probed when nothing else was under way; `is_vague` that nobody
    knows why it was closed.
    """

    kind: GateKind
    reason: str
    since_at: float
    probe_at: float
    probes: int = 0
    call: CallKind | None = None
    """The call that closed it."""
    probed_idle: bool = False
    is_vague: bool = False


AT_REST = "refused again while nothing else ran"
DISK_CHECK_S = 5.0
"""Between two looks at the free space."""
CHECK_S = 30.0
"""Between two free calls that find out whether the API answers."""
_REFUSED_KEY = frozenset({Signal.KEY_REFUSED, Signal.FORBIDDEN})
_MAX_PROBE_DELAY_S = 60.0
_FIRST_CREDITS_PROBE_S, _MAX_CREDITS_PROBE_S = 60.0, 600.0
_FIRST_QUOTA_PROBE_S, _MAX_QUOTA_PROBE_S = 60.0, 1800.0
"""A probe of the storage sends a whole file."""

_HOSTS = {CallKind.HISTORY: Host.HISTORY, CallKind.UPLOAD: Host.UPLOAD}
"""Where calls go that do not go to the API itself."""
_OUTAGES = {Host.HISTORY: GateKind.HISTORY, Host.UPLOAD: GateKind.UPLOADS}
"""What closes when a host beside the API does not answer."""
_NO_UPLOADS = FRUITLESS | {
    Signal.NOT_FOUND,
    Signal.RETIRED,
    Signal.PARAMETER_REFUSED,
    Signal.REFUSED_UNTOLD,
}
"""An upload has no parameters, and names nothing: what is refused so is its door."""
_HOLDING_NOTHING = frozenset({GateKind.HISTORY, GateKind.UPLOADS, GateKind.QUOTA, GateKind.FILES})
_PROBED_BY_SUBMITS = frozenset({GateKind.KEY, GateKind.CREDITS, GateKind.OUTAGE})
_WITH_KEY = frozenset({CallKind.SUBMIT, CallKind.STATUS, CallKind.RESULT, CallKind.UPLOAD})
"""Calls that a job needs, and whose success shows that the key is good."""
_NEEDED = (CallKind.SUBMIT, CallKind.RESULT)
"""Calls without which nothing gets on; where the status fails, the result is asked instead."""


@dataclass(slots=True)
class Gates:
    """Which gates are closed, and which models. Fed with responses, asked by the planner."""

    patience: Patience = field(default_factory=Patience)
    closed: dict[GateKind, Gate] = field(default_factory=dict)
    refusals: Refusals = field(default_factory=Refusals)
    outages: Outages = field(default_factory=Outages)
    wants_probe: bool = False
    """Whether a free call is to tell if the key is good, since a model refused it."""
    _fruitless: dict[Host, list[int]] = field(default_factory=dict)
    """The jobs that a host beside the API failed for in a row; 0 for none."""
    _reached: set[Host] = field(default_factory=set)
    _was_reached: bool = False
    """Whether an earlier process reached the API, as far as is known."""
    _is_unrouted: bool = False
    """Whether the edge said last that it routes the path of a call nowhere."""
    well_at: float = 0.0
    """When the API answered last, and did not refuse the key."""
    quiet_since: float | None = None
    """Since when somebody wants to know whether it does."""
    probed_at: float = 0.0
    """When a free call was made last to find out whether it does."""
    _key_worked: bool = False
    _refused_jobs: set[int] = field(default_factory=set)
    """The jobs that the key was refused for, since it was accepted last."""

    def __post_init__(self) -> None:
        """Who has less time than the usual waits less for a model as well."""
        self.refusals.pause_s = min(self.refusals.pause_s, self.patience.outage_s)

    @property
    def are_open(self) -> bool:
        """Whether nothing is held back for any reason."""
        return not (self.closed or self.outages.down)

    @property
    def closed_models(self) -> Mapping[str, str]:
        """slug → why it takes no jobs."""
        return self.refusals.closed_models

    def recall_contact(self) -> None:
        """An earlier process reached the API, and left results there: they are waited for as long
        as if it had been this one; but not at an address that routes nothing there."""
        self._was_reached = True

    def observe(self, response: Response, model: str = "", job_key: int = 0) -> None:
        """Learn from what came of a call about a model and a job, if it was about one."""
        host = _HOSTS.get(response.call, Host.API)
        treatment = TABLE[response.signal][response.call]
        if host is not Host.API:
            self._observe_beside(host, response, job_key)
        else:
            self.outages.observe(response, job_key)
            if not self.are_open:
                self._sync_outage()
            if response.signal is Signal.UNROUTED:
                self._is_unrouted = True
            elif response.signal not in FRUITLESS:
                self._take_contact(response)
            if response.signal in FRUITLESS and treatment is not Treatment.HALT:
                return
        self._treat(treatment, response, model, job_key)

    def _take_contact(self, response: Response) -> None:
        """The API answered."""
        self._reached.add(Host.API)
        self._is_unrouted = False
        if response.signal not in _REFUSED_KEY:
            self.well_at, self.quiet_since = response.at, None

    def _observe_beside(self, host: Host, response: Response, job_key: int) -> None:
        """Hosts beside the API have one gate each."""
        kind = _OUTAGES[host]
        if response.signal in (_NO_UPLOADS if host is Host.UPLOAD else FRUITLESS):
            failed = self._fruitless.setdefault(host, [])
            failed.append(job_key)
            if is_outage(response, failed):
                self.close(kind, response.reason, response.at)
        elif TABLE[response.signal][response.call] is Treatment.GATE_HISTORY:
            # Refused for one request only, it may be that request's trouble: its age ends it.
            refused = self._fruitless.setdefault(host, [])
            refused.append(job_key)
            if 0 in refused or len(set(refused)) > 1:
                self.close(kind, response.reason, response.at)
        else:
            self._fruitless.pop(host, None)
            self._reached.add(host)
            self.open(kind)

    def _sync_outage(self) -> None:
        """The gate that people see stands for the calls that nothing gets on without."""
        outage = self.outages.first(_NEEDED)
        if outage is None:
            self.open(GateKind.OUTAGE)
        elif GateKind.OUTAGE not in self.closed:
            self.close(GateKind.OUTAGE, outage.reason, outage.since_at)

    def _treat(self, treatment: Treatment, response: Response, model: str, job_key: int) -> None:
        call = response.call
        if response.signal is Signal.OK:
            self._succeeded(call)
        elif treatment is Treatment.GATE_KEY:
            self._refuse_key(response, job_key)
        elif call is CallKind.CREDITS and response.signal in _REFUSED_KEY:
            self._doubt_key(response)
        elif treatment is Treatment.GATE_CREDITS:
            self._refuse_credits(response)
        elif treatment is Treatment.GATE_UPLOADS:
            self._refuse_uploads(response)
        elif treatment is Treatment.SUSPECT:
            self._suspect(response, model, job_key)
        elif treatment is Treatment.HALT and not self._is_a_hiccup(response):
            self.close(GateKind.HALT, response.reason, response.at, call)

    def _is_a_hiccup(self, response: Response) -> bool:
        """An edge that routed submits before is not at a wrong address: that is an outage."""
        return response.signal is Signal.UNROUTED and self.refusals.any_passed

    def _succeeded(self, call: CallKind) -> None:
        gate = self.closed.get(GateKind.CREDITS)
        if gate is not None and call in {gate.call, CallKind.SUBMIT}:
            self.open(GateKind.CREDITS)
        if call is CallKind.UPLOAD:
            self.open(GateKind.QUOTA)
        if call not in _WITH_KEY:
            return
        self._key_worked = True
        self._refused_jobs.clear()
        gate = self.closed.pop(GateKind.KEY, None)
        if gate is not None and gate.call in _WITH_KEY and gate.call not in {call, CallKind.UPLOAD}:
            # The key is good for one call and not for another: that one alone is held.
            self.outages.mark(gate.call, gate.reason, gate.since_at)
            self._sync_outage()

    def _refuse_key(self, response: Response, job_key: int) -> None:
        """What is refused for one request only may be that request's trouble: a free call tells."""
        gate = self.closed.get(GateKind.KEY)
        self._refused_jobs.add(job_key)
        is_of_one = job_key != 0 and len(self._refused_jobs) == 1
        if gate is None and is_of_one and response.call in ABOUT_A_REQUEST:
            self.wants_probe = True
        elif gate is None:
            self.close(GateKind.KEY, response.reason, response.at, response.call)
        elif response.at >= gate.probe_at:
            delay_s = probe_delay_s(gate.probes, _MAX_PROBE_DELAY_S)
            self.closed[GateKind.KEY] = replace(
                gate, probe_at=response.at + delay_s, probes=gate.probes + 1, is_vague=False
            )

    def _doubt_key(self, response: Response) -> None:
        """The call for the credits is a courtesy, which a good key may be refused: the next call of
        a job tells, one at a time."""
        self.wants_probe = False
        is_doubted = self._refused_jobs or not self._key_worked
        if is_doubted and GateKind.KEY not in self.closed:
            self.refusals.was_the_key()
            self.close(GateKind.KEY, response.reason, response.at, CallKind.SUBMIT)
            doubted = self.closed[GateKind.KEY]
            self.closed[GateKind.KEY] = replace(doubted, probe_at=response.at, is_vague=True)

    def _refuse_credits(self, response: Response) -> None:
        gate = self.closed.get(GateKind.CREDITS)
        if gate is None:
            self.close(GateKind.CREDITS, response.reason, response.at, response.call)
            at, is_vague = response.at + _FIRST_CREDITS_PROBE_S, _is_vague(response)
            closed = self.closed[GateKind.CREDITS]
            self.closed[GateKind.CREDITS] = replace(closed, probe_at=at, is_vague=is_vague)
        elif response.at >= gate.probe_at or gate.probed_idle:
            if gate.probed_idle:  # it was not for credits that are reserved for what runs
                reason = f"{response.reason} ({AT_REST})"
                self.closed[GateKind.CREDITS] = replace(gate, reason=reason)
            delay_s = min(_MAX_CREDITS_PROBE_S, _FIRST_CREDITS_PROBE_S * 2.0 ** (gate.probes + 1))
            self.put_off(GateKind.CREDITS, response.at + delay_s)

    def _refuse_uploads(self, response: Response) -> None:
        gate = self.closed.get(GateKind.QUOTA)
        if gate is None:
            self.close(GateKind.QUOTA, response.reason, response.at, response.call)
            first_s = min(_FIRST_QUOTA_PROBE_S, self.patience.outage_s)
            self.put_off(GateKind.QUOTA, response.at + first_s, probes=0)
        elif response.at >= gate.probe_at:  # not one that left before the storage was known as full
            delay_s = min(_MAX_QUOTA_PROBE_S, _FIRST_QUOTA_PROBE_S * 2.0 ** (gate.probes + 1))
            self.put_off(GateKind.QUOTA, response.at + delay_s)

    def _suspect(self, response: Response, model: str, job_key: int) -> None:
        self.refusals.refuse_job(job_key, response.at)
        if response.signal is Signal.REFUSED_UNTOLD:
            self._refuse_credits(response)
        elif response.signal is Signal.FORBIDDEN and GateKind.KEY in self.closed:
            self._refuse_key(response, job_key)
        else:
            self.refusals.refuse_model(model, response.reason, response.at, response.signal)
            self.wants_probe = response.signal is Signal.FORBIDDEN and not self._key_worked

    def accepted(self, job_key: int, model: str, at: float) -> None:
        """A submit was accepted."""
        self.refusals.passed(job_key, model, at)

    def close(self, kind: GateKind, reason: str, now: float, call: CallKind | None = None) -> None:
        """Close a gate; a closed one keeps its beginning."""
        if kind not in self.closed:
            self.closed[kind] = Gate(kind, reason, now, now + 1.0, call=call)

    def wait(self, reason: str, now: float, until: float) -> None:
        """Submit nothing until the history is read once more; the run is then over, to go on."""
        self.closed[GateKind.OLDER] = Gate(GateKind.OLDER, reason, now, until)

    def has_waited(self, now: float) -> bool:
        """Whether the time of `wait` is over."""
        gate = self.closed.get(GateKind.OLDER)
        return gate is not None and now >= gate.probe_at

    def open(self, kind: GateKind) -> None:
        """Open a gate, if it is closed."""
        self.closed.pop(kind, None)

    def put_off(self, kind: GateKind, at: float, *, probes: int = 1) -> None:
        """Look at a closed gate again at `at`; it was probed so many times more."""
        gate = self.closed.get(kind)
        if gate is not None:
            self.closed[kind] = replace(gate, probe_at=at, probes=gate.probes + probes)

    def submitted(self, *, idle: bool) -> None:
        """A submit left. While credits are doubted it is a probe; `idle`: nothing else ran."""
        gate = self.closed.get(GateKind.CREDITS)
        if gate is not None:
            self.closed[GateKind.CREDITS] = replace(gate, probed_idle=idle)

    def holds_calls(self) -> bool:
        """Whether no call to the API may start at all."""
        return GateKind.STORAGE in self.closed

    def lets_through(self, call: CallKind, now: float) -> bool:
        """Whether a call may be made now, if need be as the only one of its kind."""
        key = self.closed.get(GateKind.KEY)
        return not (
            self.holds_calls()
            or (key is not None and call is not CallKind.CREDITS and now < key.probe_at)
            or self.outages.is_held(call, now)
        )

    def is_probe(self, call: CallKind) -> bool:
        """Whether a call may only be made while no other of its kind is under way."""
        return GateKind.KEY in self.closed or call in self.outages.down

    def submits_allowed(self, now: float, *, idle: bool) -> float:
        """How many submits may leave now: any number, none, or one as a probe.

        `idle` says that nothing else is under way.
        """
        closed = self.closed.keys() - _HOLDING_NOTHING
        if not closed and CallKind.SUBMIT not in self.outages.down:
            return math.inf
        if closed - _PROBED_BY_SUBMITS or not self.lets_through(CallKind.SUBMIT, now):
            return 0
        no_results = GateKind.OUTAGE in closed and CallKind.SUBMIT not in self.outages.down
        # Where no result is waited for, one more job is needed to ask for one.
        if no_results and (not idle or self.outages.is_held(CallKind.RESULT, now)):
            return 0
        credits_gate = self.closed.get(GateKind.CREDITS)
        if credits_gate is None:
            return 1
        at_rest = idle and not (credits_gate.probed_idle or credits_gate.is_vague)
        return int(now >= credits_gate.probe_at or at_rest)

    def uploads_allowed(self, now: float) -> float:
        """How many uploads may be under way: any number, none, or one as a probe."""
        gate = self.closed.get(GateKind.QUOTA)
        if gate is None:
            return math.inf
        return int(now >= gate.probe_at)

    @property
    def holds_uploads(self) -> bool:
        """Whether input files are not uploaded, or in vain."""
        return GateKind.QUOTA in self.closed or GateKind.UPLOADS in self.closed

    def probes_at(self) -> list[float]:
        """When calls may be tried at closed gates, or the wait at one is over."""
        kinds = (GateKind.KEY, GateKind.CREDITS, GateKind.QUOTA, GateKind.OLDER)
        gates = [self.closed[kind].probe_at for kind in kinds if kind in self.closed]
        return gates + [outage.probe_at for outage in self.outages.down.values()]

    @property
    def lets_no_submits(self) -> bool:
        """Whether nothing new will be submitted, not even as a probe."""
        passing = _HOLDING_NOTHING | _PROBED_BY_SUBMITS | {GateKind.OLDER}
        return bool(self.closed.keys() - passing)

    @property
    def only_history_is_silent(self) -> bool:
        """Whether the history alone does not answer, while the API does."""
        gate = self.closed.get(GateKind.HISTORY)
        return gate is not None and self.well_at >= gate.since_at

    def is_quiet(self, at: float, now: float) -> bool:
        """Whether the API did not answer around `at` either, as far as it was asked. That is waited
        for half as long as for a history, so that a run draws its conclusions before it stops."""
        if self.well_at >= at - 2 * CHECK_S:
            return False
        self.quiet_since = now if self.quiet_since is None else self.quiet_since
        return now - self.quiet_since < self.patience.history_s / 2

    def check_at(self) -> float | None:
        """When a free call should find out whether the API answers at all: what does not answer
        says nothing of a submit where nothing does. None where nobody wants to know."""
        is_open = self.closed.keys().isdisjoint({GateKind.HISTORY, GateKind.OUTAGE})
        if is_open and self.quiet_since is None:
            return None
        return max(self.well_at, self.probed_at) + CHECK_S

    def holds_submits(self) -> bool:
        """Whether nothing new may be submitted, probes aside."""
        return bool(self.closed.keys() - _HOLDING_NOTHING)

    def holds_saves(self) -> bool:
        """Whether nothing may be written to the outputs."""
        return GateKind.DISK in self.closed or GateKind.STORAGE in self.closed

    def out_of_patience(self, now: float) -> list[Gate]:
        """The gates at which the run should stop waiting."""
        return [gate for gate in self.closed.values() if self._is_out(gate, now)]

    def _is_out(self, gate: Gate, now: float) -> bool:
        if gate.kind is GateKind.STORAGE:
            return True
        if gate.kind is GateKind.KEY and not self._key_worked and gate.probes:
            return True
        limit = self._limit_s(gate.kind)
        return limit is not None and now - gate.since_at >= limit

    def without_uploads(self, now: float) -> Gate | None:
        """The gate, if files could not be uploaded for so long that nobody waits for it alone; a
        full storage was probed, and nothing that this run does makes room."""
        quota = self.closed.get(GateKind.QUOTA)
        if quota is not None and quota.probes:
            return quota
        gate = self.closed.get(GateKind.UPLOADS)
        gave_up = gate is not None and now - gate.since_at >= self._outage_s(Host.UPLOAD)
        return gate if gave_up else None

    def without_files(self, now: float) -> Gate | None:
        """The gate, if files could not be fetched for so long that nobody waits for them alone."""
        gate = self.closed.get(GateKind.FILES)
        gave_up = gate is not None and now - gate.since_at >= self.patience.files_s
        return gate if gave_up else None

    def _outage_s(self, host: Host) -> float:
        recalled = host is Host.API and self._was_reached and not self._is_unrouted
        reached = recalled or host in self._reached
        return self.patience.outage_s if reached else self.patience.first_contact_s

    def _limit_s(self, kind: GateKind) -> float | None:
        if kind is GateKind.OUTAGE:
            return self._outage_s(Host.API)
        if kind is GateKind.KEY:
            return self.patience.outage_s
        return self.patience.disk_s if kind is GateKind.DISK else None


def _is_vague(response: Response) -> bool:
    return response.signal is Signal.REFUSED_UNTOLD
