"""What a rehearsal is about: jobs, a service with its faults, and what befalls the processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from batchgen.core.jobs.policies import Limits
from batchgen.core.jobs.spec import JobSpec
from batchgen.core.scheduling.gates.gates import Patience
from batchgen.ports import SaveFault
from batchgen.providers.segmind.simulator.config import SimulatorConfig

LONGEST_PROCESS_S = 20 * 3600.0
"""No rehearsed process needs so long."""


class Mishap(StrEnum):
    """What ends a process before its run is over."""

    KILL = "kill"
    """kill -9: nothing more is done, answered or recorded."""
    STOP = "stop"
    """The first Ctrl-C."""
    ABANDON = "abandon"
    """The first Ctrl-C, and a few steps later the second."""
    CANCEL = "cancel"
    """The task that awaits the run is cancelled."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """What happens to one process, and after how many steps of it."""

    mishap: Mishap
    after_steps: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is rehearsed. Instants (`…_at_s`, spans) are seconds since its beginning."""

    specs: Sequence[JobSpec]
    service: SimulatorConfig = field(default_factory=SimulatorConfig)
    limits: Limits = field(default_factory=Limits)
    requests_per_minute: int | None = 50
    is_first: bool = False
    """Whether nobody knows yet how many requests pass at once: they then leave one by one."""
    learns: bool = False
    """Whether that is only where a limit that is learned begins."""
    max_spend_usd: float | None = None
    allow_unknown_price: bool = False
    model_rates: Mapping[str, int] = field(default_factory=dict)
    """Requests a minute of single models."""
    seed: int = 0
    patience: Patience = field(default_factory=Patience)
    interruptions: Sequence[Interruption] = ()
    """One a process; later processes are left alone."""
    downtime_s: float = 5.0
    """From an interruption to the next start."""
    again_after_s: float = 1800.0
    """A run that stopped early is started again after so long, as its user would."""
    save_faults: Sequence[SaveFault] = ()
    disk_full_s: Sequence[tuple[float, float]] = ()
    """When the disk is full: from, until."""
    quota_full_s: Sequence[tuple[float, float]] = ()
    """When no output can be written, although there is space and the record can grow: a quota, or
    no inodes."""
    clock_errors_s: Sequence[float] = ()
    """How wrong the clock of each process is; right for later ones."""
    top_ups_usd: Sequence[float] = ()
    """What is paid into the account before each further process."""
    inputs: Mapping[str, bytes] = field(default_factory=dict)
    """The local files, by path."""
    untold: frozenset[str] = frozenset()
    """Fields that the rows of the history lack."""
    longest_process_s: float = LONGEST_PROCESS_S
    """A process that takes longer hangs."""
