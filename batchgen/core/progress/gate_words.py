"""What people are told of each gate: one table for the display, the log on a pipe and messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from batchgen.core.scheduling.gates.gates import GateKind


@dataclass(frozen=True, slots=True)
class GateWords:
    """`short` is for a line of facts, `line` for a line of its own when the gate closes.

    `message` goes to people who are not there; it is empty where only the run itself opens the
    gate.
    """

    short: str
    line: str
    message: str = ""


GATE_WORDS: Mapping[GateKind, GateWords] = {
    GateKind.KEY: GateWords(
        "the key is refused", "the API key is refused", "the service refuses the API key"
    ),
    GateKind.CREDITS: GateWords(
        "no credits", "no credits: nothing more is submitted", "the account has no credits"
    ),
    GateKind.SPEND_CAP: GateWords("max_spend is reached", "max_spend is reached"),
    GateKind.OUTAGE: GateWords(
        "no answer", "the service does not answer; waiting for it", "the service does not answer"
    ),
    GateKind.UPLOADS: GateWords(
        "no uploads", "files cannot be uploaded; trying again", "input files cannot be uploaded"
    ),
    GateKind.DISK: GateWords(
        "disk full", "the disk is full; waiting for space", "there is no space for outputs"
    ),
    GateKind.FILES: GateWords(
        "no files",
        "files cannot be fetched; trying again, nothing more is submitted meanwhile",
        "finished files cannot be fetched",
    ),
    GateKind.STORAGE: GateWords("stopping", "stopping"),
    GateKind.HALT: GateWords(
        "stopping", "nothing more is submitted, what is paid for is collected"
    ),
    GateKind.TIME: GateWords(
        "time is over", "nothing more is submitted, what is paid for is collected"
    ),
    GateKind.STOP: GateWords(
        "stopping", "stopping: nothing new is submitted; once more to leave at once"
    ),
}
"""The gate of the history is not here: it holds nothing back by itself."""


def gate_words(kind: str) -> GateWords | None:
    """What is told of a gate by its name in a log; None for one that nobody is told of."""
    return next((words for gate, words in GATE_WORDS.items() if gate == kind), None)
