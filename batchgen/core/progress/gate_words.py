"""What people are told of each gate: one table for the display, the log on a pipe and messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from batchgen.core.progress.advice import MAKE_ROOM, STATUS_PAGE
from batchgen.core.scheduling.gates.gates import GateKind


@dataclass(frozen=True, slots=True)
class GateWords:
    """`short` is for a line of facts, `line` for a line of its own when the gate closes, and
    `opened` for one when it opens; it is empty where the gate stays closed.

    `message` goes to people who are not there; it is empty where only the run itself opens the
    gate.
    """

    short: str
    line: str
    message: str = ""
    opened: str = ""


GATE_WORDS: Mapping[GateKind, GateWords] = {
    GateKind.KEY: GateWords(
        "the key is refused",
        "the API key is refused",
        "the service refuses the API key",
        "the API key is accepted",
    ),
    GateKind.CREDITS: GateWords(
        "no credits",
        "no credits: nothing more is submitted",
        "the account has no credits",
        "the account has credits",
    ),
    GateKind.SPEND_CAP: GateWords("max_spend is reached", "max_spend is reached"),
    GateKind.OUTAGE: GateWords(
        "no answer",
        f"the service does not answer; waiting for it, {STATUS_PAGE} may tell more",
        "the service does not answer",
        "the service answers",
    ),
    GateKind.UPLOADS: GateWords(
        "no uploads",
        "files cannot be uploaded; trying again",
        "input files cannot be uploaded",
        "files can be uploaded",
    ),
    GateKind.QUOTA: GateWords(
        "upload storage full",
        "the account's storage takes no more input files; jobs that need no upload go on; "
        f"{MAKE_ROOM}",
        "the account's storage takes no more input files",
        "input files are taken",
    ),
    GateKind.DISK: GateWords(
        "disk full",
        "the disk is full; waiting for space",
        "there is no space for outputs",
        "there is space for outputs",
    ),
    GateKind.FILES: GateWords(
        "files cannot be fetched",
        "trying again; jobs whose files would stand there are not submitted meanwhile",
        "finished files cannot be fetched",
        "files can be fetched",
    ),
    GateKind.STORAGE: GateWords("stopping", "stopping"),
    GateKind.HALT: GateWords(
        "stopping", "nothing more is submitted, what is paid for is collected"
    ),
    GateKind.TIME: GateWords(
        "time is over", "nothing more is submitted, what is paid for is collected"
    ),
    GateKind.OLDER: GateWords(
        "the history is read once more",
        "nothing is submitted until the account's history is read once more",
        opened="the history is read",
    ),
    GateKind.STOP: GateWords(
        "stopping", "stopping: nothing new is submitted; once more to leave at once"
    ),
}
"""The gate of the history is not here: it holds nothing back by itself."""


def closed_line(kind: str, reason: str) -> str:
    """What is said when a gate closes; empty of one that nobody is told of."""
    words = gate_words(kind)
    if words is None:
        return ""
    if kind == GateKind.FILES and reason:
        return f"{reason}; {words.line}"  # it says itself what cannot be fetched, and from where
    return f"{words.line} ({reason})" if reason else words.line


def opened_line(kind: str) -> str:
    """What is said when a gate opens; empty of one that nobody is told of."""
    words = gate_words(kind)
    if words is None:
        return ""
    return f"going on: {words.opened} again" if words.opened else "going on"


def short_words(kinds: Iterable[str]) -> list[str]:
    """What a line of facts says of gates by their names, without those that nobody is told of."""
    return [words.short for kind in kinds if (words := gate_words(kind)) is not None]


def gate_words(kind: str) -> GateWords | None:
    """What is told of a gate by its name in a log; None for one that nobody is told of."""
    return next((words for gate, words in GATE_WORDS.items() if gate == kind), None)
