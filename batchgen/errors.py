"""Every error of batchgen, one hierarchy; each class says whose problem it is.

`UserError`      the caller's: wrong usage, manifest, state file. Exit 2, nothing (more) submitted.
`StoppedEarly`   the world's: key refused, credits gone, API down, disk full. Exit 3, resumable.
`TransportError` the network's: one call that brought no whole answer. Never reaches the user.
`InternalError`  ours: a broken invariant. A bug, shown as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

NOT_ON_WINDOWS = "batchgen needs Linux, macOS or WSL 2; on Windows, run it in WSL 2"
"""Locks, signals and renames are those of POSIX."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a run as errors name it: each front door writes it in its own way."""

    flag: str
    """What is typed behind `batchgen run`."""
    argument: str
    """What is passed to `batchgen.run`."""

    def __str__(self) -> str:
        """As it is typed."""
        return self.flag


RUN_DIR = Option("--run-dir", "run_dir=…")
SIMULATE = Option("--simulate", "simulate=True")
ALLOW_UNKNOWN_PRICE = Option("--allow-unknown-price", "allow_unknown_price=True")
ADOPT = Option("--adopt", "adopt=True")
KEEP_CHANGED = Option("--on-change keep", 'on_change="keep"')
RERUN_CHANGED = Option("--on-change rerun", 'on_change="rerun"')


class BatchgenError(Exception):
    """Base of everything batchgen raises on purpose.

    Its text is made of parts, so that the options in it can be written for another reader.
    """

    parts: tuple[str | Option, ...] = ()

    def __init__(self, *parts: str | Option) -> None:
        self.parts = parts
        super().__init__("".join(map(str, parts)))

    def speak_python(self) -> None:
        """Let the text name options as the arguments that they are in a Python program."""
        if any(isinstance(part, Option) for part in self.parts):
            told = (part.argument if isinstance(part, Option) else part for part in self.parts)
            self.args = ("".join(told),)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in something the user wrote.

    `line` and `column` count from 1; 0 means unknown. `key` is the dotted path of the offending
    key (`jobs[2].params.seed`), empty when there is none. `remedy` says what to type next.
    """

    what: str
    remedy: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    key: str = ""

    def __str__(self) -> str:
        """`file:line:column: key: what` and, on a second line, the remedy."""
        place = self.file
        if self.line:
            place += f":{self.line}" + (f":{self.column}" if self.column else "")
        head = ": ".join(part for part in (place, self.key, self.what) if part)
        return f"{head}\n    {self.remedy}" if self.remedy else head


class UserError(BatchgenError):
    """Something the user wrote or typed is wrong; nothing (more) was submitted (exit code 2)."""


class ManifestError(UserError):
    """All problems of a manifest at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class StateError(UserError):
    """The state file cannot be used: foreign, newer, damaged or of another service."""


class RunLockedError(StateError):
    """Another process works on this run directory; the message carries its process id."""


class StoppedEarly(BatchgenError):  # noqa: N818  a stop is an outcome, not a fault
    """The run had to stop before every job ended; the same command resumes it (exit code 3)."""


class DiskError(StoppedEarly):
    """The disk is full, read-only or broken: nothing more can be recorded or stored."""


class DiskFullError(DiskError):
    """No space is left; it may come back."""


class NetFault(StrEnum):
    """How a call broke off, as far as it matters to what may be done next."""

    NOT_SENT = "not sent"
    """DNS, refused, TLS, connect timeout: surely nothing reached the service."""
    LOST = "answer lost"
    """Reset or timeout after the first byte left: the service may have acted."""
    CUT = "answer cut"
    """Status and headers arrived, the body did not arrive whole."""
    TOO_LARGE = "answer too large"
    """The body outgrew the cap of the call."""


@dataclass(eq=False)
class TransportError(BatchgenError):
    """One call that brought no whole answer.

    `status` and `headers` (lower-case names) are filled when they arrived before the fault.
    """

    fault: NetFault
    detail: str = ""
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """The fault and what the network said."""
        return f"{self.fault}: {self.detail}" if self.detail else str(self.fault)


class InternalError(BatchgenError):
    """A broken invariant of batchgen itself: a bug, to be reported."""


class IllegalTransitionError(InternalError):
    """An event arrived in a state that has no move for it; names job, state and event."""
