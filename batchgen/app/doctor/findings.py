"""What `batchgen doctor` makes of what it saw: a line for each, with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from batchgen.core.common.exit_codes import ExitCode
from batchgen.core.common.formatting import size_text
from batchgen.core.jobs.outcomes import Signal
from batchgen.core.net.http import Answer
from batchgen.core.progress.advice import STATUS_PAGE, TOP_UP, advice_of
from batchgen.core.progress.tally import duration
from batchgen.providers.segmind.errors import lacks_balance, signal_of
from batchgen.providers.segmind.treatments import describe

_KEY = re.compile(r"SG_[0-9A-Fa-f]{16}")
SKEW_WARNED_S = 30.0
"""A clock that is off by more is told. Runs reckon with it; times in the records are wrong."""
LEAST_FREE_BYTES = 64 * 2**20
"""Below this no run submits anything."""
LOW_FREE_BYTES = 2 * 2**30
"""So much is told as little: a guess, some thousand pictures."""
LEAST_FILES = 256
"""Open files that a run with the usual limits may need: connections, downloads, the state."""
_SHARED = ("nfs", "cifs", "smb", "9p", "fuse", "vboxsf", "virtiofs", "afs", "ceph", "lustre")
"""How the names of file systems begin on which locks, or power cuts, may not be what they are on a
disk of this machine."""
_FLEETING = frozenset({"tmpfs", "ramfs", "rootfs"})


class Level(StrEnum):
    """How an observation is to be taken."""

    OK = "ok"
    """As it should be."""
    WARN = "warn"
    """Runs work, but somebody should know."""
    FAIL = "fail"
    """No run will get anywhere like this."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line of the doctor: what was looked at, what is so, and what to do about it."""

    name: str
    level: Level
    what: str
    remedy: str = ""


def exit_code_of(found: Iterable[Diagnosis]) -> ExitCode:
    """1 where anything fails. Warnings are none of the exit code's business."""
    failing = any(diagnosis.level is Level.FAIL for diagnosis in found)
    return ExitCode.UNFINISHED if failing else ExitCode.COMPLETED


def key_shape(variable: str, key: str) -> Diagnosis:
    """Whether a key is set, and looks like one. The key itself is never told."""
    if not key:
        what = f"{variable} is not set: rehearse with --simulate"
        remedy = f"for a real run: export {variable}=SG_… (from the Segmind console)"
        return Diagnosis("key", Level.FAIL, what, remedy)
    if _KEY.fullmatch(key):
        return Diagnosis("key", Level.OK, "set, and of the usual shape")
    what = f"set, but not of the usual shape: SG_ and 16 hex digits (it has {len(key)} characters)"
    return Diagnosis("key", Level.WARN, what, "copy it again, whole and without quotes")


def answered(answer: Answer) -> Diagnosis:
    """What the service makes of the key."""
    signal = signal_of(answer)
    told = describe(signal, answer)
    if signal is Signal.OK:
        return Diagnosis("account", Level.OK, "the key is accepted")
    if lacks_balance(answer):
        what = f"the key is accepted; the account has no balance record ({told})"
        remedy = "top up at Segmind, in the workspace (team) that the key is of"
        return Diagnosis("account", Level.WARN, what, remedy)
    if signal is Signal.KEY_REFUSED:
        remedy = advice_of(told)
        return Diagnosis("account", Level.FAIL, f"the key is refused ({told})", remedy)
    if signal is Signal.FORBIDDEN:
        remedy = "look into the Segmind console: the key may belong to another team or plan"
        return Diagnosis("account", Level.FAIL, f"the key may not ask for credits ({told})", remedy)
    if signal is Signal.RATE_LIMITED:
        remedy = "somebody else works with this key: lower --rpm, or wait for a minute"
        return Diagnosis("account", Level.WARN, f"the account is rate limited ({told})", remedy)
    remedy = f"see {STATUS_PAGE}, and whether SEGMIND_BASE_URL is right"
    if signal is Signal.UNROUTED:
        remedy = advice_of(told)
    return Diagnosis("account", Level.FAIL, f"the service does not say yes ({told})", remedy)


def credits_left(credits_usd: float | None, pending_usd: float = 0.0) -> Diagnosis:
    """What the account holds, held against what a run still has to pay."""
    if credits_usd is None:
        what = "the service did not say how many credits there are"
        return Diagnosis("credits", Level.WARN, what, "look into the Segmind console")
    if credits_usd <= 0:
        return Diagnosis("credits", Level.FAIL, "the account is empty", TOP_UP)
    held = f"${credits_usd:,.2f}"
    if credits_usd < pending_usd:
        what = f"{held} are there, and the jobs that wait are reckoned at ${pending_usd:,.2f}"
        remedy = "top the account up; a run stops when it is empty, and can be resumed"
        return Diagnosis("credits", Level.WARN, what, remedy)
    more = f"; the jobs that wait are reckoned at ${pending_usd:,.2f}" if pending_usd else ""
    return Diagnosis("credits", Level.OK, f"{held}{more}")


def clock(skew_s: float | None) -> Diagnosis:
    """The service's clock minus ours, as its `Date` header tells, to a second."""
    if skew_s is None:
        what = "the service did not tell the time"
        return Diagnosis("clock", Level.WARN, what, "compare the clock by hand: date -u")
    if abs(skew_s) <= SKEW_WARNED_S:
        return Diagnosis("clock", Level.OK, "agrees with the service's within seconds")
    side = "behind" if skew_s > 0 else "ahead of"
    what = f"{duration(abs(skew_s))} {side} the service's"
    remedy = "set it: timedatectl set-ntp true; runs reckon with it, but times in records are off"
    return Diagnosis("clock", Level.WARN, what, remedy)


def space(place: str, free_bytes: int | None, *, writable: bool) -> Diagnosis:
    """Room on a disk for finished files and for the record."""
    if not writable:
        remedy = f"mend the permissions, or choose another with --run-dir: ls -ld {place}"
        return Diagnosis("disk", Level.FAIL, f"{place} cannot be written", remedy)
    if free_bytes is None:
        return Diagnosis("disk", Level.WARN, f"how much is free in {place} is not known")
    what = f"{size_text(free_bytes)} free in {place}"
    if free_bytes < LEAST_FREE_BYTES:
        return Diagnosis("disk", Level.FAIL, what, "make room: nothing is submitted like this")
    if free_bytes < LOW_FREE_BYTES:
        remedy = "`batchgen plan MANIFEST` says how much a run needs"
        return Diagnosis("disk", Level.WARN, what, remedy)
    return Diagnosis("disk", Level.OK, what)


def file_system(place: str, kind: str) -> Diagnosis | None:
    """Whether a state file is safe there; None where the kind is not known."""
    if not kind:
        return None
    if kind.startswith(_SHARED):
        what = f"{place} is on {kind}: locks and power cuts may not be what they are on a disk"
        remedy = "put the run directory on a local disk (--run-dir); output.dir may be elsewhere"
        return Diagnosis("file system", Level.WARN, what, remedy)
    if kind in _FLEETING:
        what = f"{place} is on {kind}: all of it is gone after a restart of the machine"
        remedy = "put the run directory on a disk (--run-dir): the record is worth money"
        return Diagnosis("file system", Level.WARN, what, remedy)
    return Diagnosis("file system", Level.OK, f"{kind}")


def open_files(most: int) -> Diagnosis:
    """How many files may be open at once; a negative number is no limit."""
    if 0 <= most < LEAST_FILES:
        remedy = "raise it before a run: ulimit -n 1024"
        what = f"at most {most} at once: downloads will have to wait for each other"
        return Diagnosis("open files", Level.WARN, what, remedy)
    told = "no limit" if most < 0 else f"up to {most:,} at once"
    return Diagnosis("open files", Level.OK, told)


def optional_libraries(present: Mapping[str, bool]) -> Diagnosis:
    """Which libraries that a plain run does not need are installed."""
    there = sorted(name for name, is_there in present.items() if is_there)
    missing = sorted(name for name, is_there in present.items() if not is_there)
    what = f"installed: {', '.join(there) or 'none'}"
    if missing:
        what += f"; not installed: {', '.join(missing)}"
    remedy = f"only if you need them: python -m pip install {' '.join(missing)}" if missing else ""
    return Diagnosis("libraries", Level.OK, what, remedy)
