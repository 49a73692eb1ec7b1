"""Gates: reasons outside the jobs to hold effects back. They never move a job.

A gate is closed by what calls report and opened by what they report later; a free GET probes where
nothing else may run. How long the run waits at a gate before it stops is `Patience`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from batchgen.core.jobs.outcomes import TABLE, CallKind, Response, Signal, Treatment
from batchgen.core.net.http import Host


class GateKind(StrEnum):
    """Why effects are held back."""

    KEY = "key"
    """The service refuses the API key."""
    CREDITS = "credits"
    """The account is empty or at its spend limit: nothing can be submitted."""
    SPEND_CAP = "spend cap"
    """`max_spend` does not suffice for the next job: nothing is submitted."""
    OUTAGE = "outage"
    """The service does not answer, or only with server errors."""
    HISTORY = "history"
    """The account's history does not answer; holds back nothing by itself."""
    UPLOADS = "uploads"
    """Input files cannot be uploaded; holds back nothing but the jobs that need them."""
    DISK = "disk"
    """No space for outputs, or their object store is away."""
    HALT = "halt"
    """Our bug or a wrong configuration."""
    TIME = "time"
    """`max_duration` is nearly over: what is paid for is collected, nothing is submitted."""
    STOP = "stop"
    """The user asked to stop."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a run waits at a gate before it stops and can be resumed, in seconds.

    Guesses, chosen for a night: a service that was never reached is a wrong address or no network,
    one that was reached comes back.
    """

    outage_s: float = 2 * 3600.0
    first_contact_s: float = 30.0
    disk_s: float = 60.0
    history_s: float = 600.0
    key_probes: int = 3


@dataclass(frozen=True, slots=True)
class Gate:
    """One closed gate: since when, why, how often probed in vain, and when to probe next."""

    kind: GateKind
    reason: str
    since_at: float
    probe_at: float
    probes: int = 0


DISK_CHECK_S = 5.0
"""Between two looks at the free space."""
OUTAGE_AFTER = 3
"""Fruitless calls in a row, none successful between, that make an outage."""
_MAX_PROBE_DELAY_S = 60.0
_OUTAGE_SIGNALS = frozenset(
    {Signal.NOT_SENT, Signal.LOST, Signal.SERVER_ERROR, Signal.GATEWAY_TIMEOUT}
)


_HOSTS = {CallKind.HISTORY: Host.HISTORY, CallKind.UPLOAD: Host.UPLOAD}
"""Where calls go that do not go to the API itself."""
_OUTAGES = {
    Host.API: GateKind.OUTAGE,
    Host.HISTORY: GateKind.HISTORY,
    Host.UPLOAD: GateKind.UPLOADS,
}
"""What closes when a host does not answer."""
_HOLDING_NOTHING = frozenset({GateKind.HISTORY, GateKind.UPLOADS})


@dataclass(slots=True)
class Gates:
    """Which gates are closed, and which models. Fed with responses, asked by the planner."""

    patience: Patience = field(default_factory=Patience)
    closed: dict[GateKind, Gate] = field(default_factory=dict)
    closed_models: dict[str, str] = field(default_factory=dict)
    """slug → reason."""
    doubted_model: str = ""
    """The model whose 403 may be the key's fault or the model's; the next probe tells."""
    _fruitless: dict[Host, int] = field(default_factory=dict)
    _reached: set[Host] = field(default_factory=set)
    _key_worked: bool = False

    def observe(self, response: Response, model: str = "") -> None:
        """Learn from what came of a call about a model, if it was about one."""
        host = _HOSTS.get(response.call, Host.API)
        unreadable_history = host is Host.HISTORY and response.signal is Signal.UNREADABLE
        if response.signal in _OUTAGE_SIGNALS or unreadable_history:
            self._count_fruitless(host, response)
            return
        treatment = TABLE[response.signal][response.call]
        if treatment is Treatment.GATE_HISTORY:
            self.close(GateKind.HISTORY, response.reason, response.at)
            return
        self._fruitless[host] = 0
        self._reached.add(host)
        self.open(_OUTAGES[host])
        self._treat(treatment, response, model)

    def _treat(self, treatment: Treatment, response: Response, model: str) -> None:
        if response.signal is Signal.OK and response.call is not CallKind.HISTORY:
            self._key_worked = True
            self.open(GateKind.KEY)
        elif treatment is Treatment.GATE_KEY:
            self.close(GateKind.KEY, response.reason, response.at)
        elif treatment is Treatment.GATE_KEY_OR_MODEL:
            self.doubted_model = model
            self.close(GateKind.KEY, response.reason, response.at)
        elif treatment is Treatment.GATE_CREDITS:
            self.close(GateKind.CREDITS, response.reason, response.at)
        elif treatment is Treatment.CLOSE_MODEL:
            self.closed_models.setdefault(model, response.reason)
        elif treatment is Treatment.HALT:
            self.close(GateKind.HALT, response.reason, response.at)

    def _count_fruitless(self, host: Host, response: Response) -> None:
        count = self._fruitless[host] = self._fruitless.get(host, 0) + 1
        if count >= OUTAGE_AFTER:
            self.close(_OUTAGES[host], response.reason, response.at)

    def close(self, kind: GateKind, reason: str, now: float) -> None:
        """Close a gate; a closed one keeps its beginning."""
        if kind not in self.closed:
            self.closed[kind] = Gate(kind, reason, now, now + 1.0)

    def open(self, kind: GateKind) -> None:
        """Open a gate, if it is closed."""
        self.closed.pop(kind, None)

    def probed(self, response: Response) -> None:
        """Take in the outcome of a probe: a good one also tells whose fault a 403 was."""
        good = response.signal is Signal.OK
        if good and self.doubted_model:
            gate = self.closed.get(GateKind.KEY)
            self.closed_models[self.doubted_model] = gate.reason if gate else "HTTP 403"
        if good:
            self.doubted_model = ""
        self.observe(response)
        for kind in (GateKind.KEY, GateKind.OUTAGE):
            gate = self.closed.get(kind)
            if gate is not None:
                delay = min(_MAX_PROBE_DELAY_S, 2.0 ** (gate.probes + 1))
                # Only an answer counts against the key: an unreachable service says nothing of it.
                counts = kind is GateKind.OUTAGE or response.signal not in _OUTAGE_SIGNALS
                probes = gate.probes + counts
                self.closed[kind] = replace(gate, probe_at=response.at + delay, probes=probes)

    def put_off(self, kind: GateKind, at: float) -> None:
        """Look at a closed gate again at `at`."""
        gate = self.closed.get(kind)
        if gate is not None:
            self.closed[kind] = replace(gate, probe_at=at, probes=gate.probes + 1)

    def probe_at(self) -> float | None:
        """When the next free GET should look whether the service answers again."""
        waiting = [
            self.closed[kind].probe_at
            for kind in (GateKind.KEY, GateKind.OUTAGE)
            if kind in self.closed
        ]
        return min(waiting) if waiting else None

    def holds_calls(self) -> bool:
        """Whether no call to the API may start (probes aside)."""
        return bool(self.closed.keys() & {GateKind.KEY, GateKind.OUTAGE, GateKind.HALT})

    def holds_submits(self) -> bool:
        """Whether nothing new may be submitted."""
        return bool(self.closed.keys() - _HOLDING_NOTHING)

    def holds_saves(self) -> bool:
        """Whether nothing may be written to the outputs."""
        return bool(self.closed.keys() & {GateKind.DISK, GateKind.HALT})

    def lost_patience(self, now: float) -> Gate | None:
        """The gate at which the run should stop waiting, if there is one."""
        for kind, gate in self.closed.items():
            if kind is GateKind.HALT:
                return gate
            if kind is GateKind.KEY and self._key_is_bad(gate):
                return gate
            limit = self._limit_s(kind)
            if limit is not None and now - gate.since_at >= limit:
                return gate
        return None

    def _key_is_bad(self, gate: Gate) -> bool:
        """A key that worked is probed again before it is given up; one that never did is not."""
        return gate.probes >= (self.patience.key_probes if self._key_worked else 1)

    def without_uploads(self, now: float) -> Gate | None:
        """The gate, if files could not be uploaded for so long that nobody waits for it alone."""
        gate = self.closed.get(GateKind.UPLOADS)
        gave_up = gate is not None and now - gate.since_at >= self._outage_s(Host.UPLOAD)
        return gate if gave_up else None

    def _outage_s(self, host: Host) -> float:
        reached = host in self._reached
        return self.patience.outage_s if reached else self.patience.first_contact_s

    def _limit_s(self, kind: GateKind) -> float | None:
        if kind is GateKind.OUTAGE:
            return self._outage_s(Host.API)
        return self.patience.disk_s if kind is GateKind.DISK else None
